"""Datasets, samplers and the DataLoader, under torch.utils.data's names."""

from fastnn.utils.data.collate import default_collate, default_convert
from fastnn.utils.data.dataloader import DataLoader
from fastnn.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from fastnn.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from fastnn.utils.data.worker import get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]


def __getattr__(name):
    if name in ("DistributedSampler", "distributed"):  # rarely used: not at import
        import importlib

        found = importlib.import_module(f"{__name__}.distributed")
        return found if name == "distributed" else found.DistributedSampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
