"""Speed of the reductions on every table: pytest bench/bench_reduce.py. GB/s beside each."""

from tables import kernel_benchmark

test_kernel = kernel_benchmark("reduce", "GB/s", iterations=3)
