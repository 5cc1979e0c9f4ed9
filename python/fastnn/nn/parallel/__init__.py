"""Data parallelism over devices. There is one device, the CPU, which every kernel shares among all threads: so
DataParallel passes its input on, as torch's does on a machine without a GPU."""

from fastnn.nn.parallel.data_parallel import DataParallel, data_parallel
from fastnn.nn.parallel.distributed import DistributedDataParallel
from fastnn.nn.parallel.functions import gather, parallel_apply, replicate, scatter

__all__ = [
    "DataParallel", "DistributedDataParallel", "data_parallel", "gather", "parallel_apply", "replicate", "scatter",
]  # fmt: skip
