"""Speed of the elementwise kernels on every table: pytest bench/bench_elementwise.py. GB/s beside each."""

from tables import kernel_benchmark

test_kernel = kernel_benchmark("elementwise", "GB/s", iterations=3)
