"""Speed of the normalisations on every table: pytest bench/bench_normalization.py. GB/s beside each."""

from tables import kernel_benchmark

test_kernel = kernel_benchmark("normalization", "GB/s")
