"""DataLoader: batches of a dataset, in order or shuffled, made here or by worker processes."""

import math
import warnings

from fastnn.utils.data.collate import default_collate, default_convert
from fastnn.utils.data.dataset import IterableDataset
from fastnn.utils.data.fetch import Fetcher
from fastnn.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed


class _Endless:
    """The sampler of a stream: nothing to choose, only to ask for the next sample."""

    def __iter__(self):
        while True:
            yield None


class DataLoader:
    """Iterates over `dataset` in batches.

    batch_size      samples a batch; None: samples as they are, not collated
    shuffle         a new random order each epoch
    sampler, batch_sampler   an order of one's own: indices, or lists of indices
    num_workers     processes that make batches ahead; 0: made when asked for
    collate_fn      list of samples → batch (default_collate)
    drop_last       leave out a last, shorter batch
    timeout         seconds to wait for a worker's batch; 0: for ever
    worker_init_fn  called with the worker's id when it starts
    generator       source of the order and of the workers' seeds (default: the global one)
    prefetch_factor batches made ahead, a worker (2)
    persistent_workers   keep the workers from one epoch to the next
    The order and every draw are torch's. pin_memory is accepted and has no effect on the CPU.
    """

    __initialized = False
    _iterator = None
    _told_length: int | None = None  # of a stream: what it said of itself when asked

    def __init__(
        self,
        dataset,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler=None,
        batch_sampler=None,
        num_workers: int = 0,
        collate_fn=None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing."
                "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
            )
        if prefetch_factor is not None and prefetch_factor < 1:
            raise ValueError("prefetch_factor option should be positive")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        if num_workers == 0 and multiprocessing_context is not None:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
                f"but got num_workers={num_workers}"
            )
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.generator = generator
        self.persistent_workers = persistent_workers
        stream = isinstance(dataset, IterableDataset)
        if stream:
            _refuse_order_for_stream(shuffle, sampler, batch_sampler)
        shuffle = bool(shuffle)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            if stream:
                sampler = _Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self.__initialized = True

    def __class_getitem__(cls, item):
        return cls

    def __setattr__(self, name, value):
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self.__initialized and name in fixed:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self):
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        n = len(self.dataset)
        if self.batch_size is not None:
            n = n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)
        self._told_length = n
        return n

    def __iter__(self):
        if self.num_workers == 0:
            return _HereIterator(self)
        from fastnn.utils.data.workers import WorkersIterator  # multiprocessing is slow to import

        if not self.persistent_workers:
            return WorkersIterator(self)
        if self._iterator is None:
            self._iterator = WorkersIterator(self)
        else:
            self._iterator.restart()
        return self._iterator


def _refuse_order_for_stream(shuffle, sampler, batch_sampler):
    if shuffle:
        raise ValueError(
            f"DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle={shuffle}"
        )
    if sampler is not None:
        raise ValueError(
            f"DataLoader with IterableDataset: expected unspecified sampler option, but got sampler={sampler}"
        )
    if batch_sampler is not None:
        raise ValueError(
            "DataLoader with IterableDataset: expected unspecified batch_sampler option, "
            f"but got batch_sampler={batch_sampler}"
        )


def index_batches(loader):
    """What to ask the dataset for, batch by batch: lists of indices, or int64 tensors of the same ones.

    A tensor comes where the samplers are this library's own (60,000 Python ints an epoch cost 6 ms).
    """
    batches = loader._index_sampler
    if type(batches) is not BatchSampler or type(batches.sampler) is not RandomSampler:
        return iter(batches)
    if batches.sampler.replacement or batches.sampler._num_samples is not None:
        return iter(batches)
    return _slices_of_permutation(batches)


def _slices_of_permutation(batches):
    size = batches.batch_size
    left = 0
    for order in batches.sampler.blocks():  # one permutation, then an empty block
        left = len(order) % size if len(order) else left
        for start in range(0, len(order) - left, size):
            yield order[start : start + size]
        if len(order) and left:
            rest = order[len(order) - left :]
    if left and not batches.drop_last:
        yield rest


class _HereIterator:
    """One epoch, made in this process."""

    def __init__(self, loader: DataLoader):
        if loader.timeout:
            raise AssertionError("Single-process DataLoader does not support timeout > 0")
        # The base seed of the workers that there are not: torch draws it all the same.
        draw_seed(loader.generator)
        self._indices = index_batches(loader)
        self._fetcher = Fetcher(loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)
        self._loader = loader
        self._given = 0

    def __iter__(self):
        return self

    def __len__(self) -> int:
        return len(self._loader)

    def __next__(self):
        batch = self._fetcher.fetch(next(self._indices))
        self._given += 1
        length = self._loader._told_length
        if length is not None and self._given == length + 1:
            warnings.warn(
                f"Length of IterableDataset {self._loader.dataset} was reported to be {length}, but more "
                "samples have been fetched.",
                stacklevel=2,
            )
        return batch
