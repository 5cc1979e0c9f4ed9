"""Speed of the softmax kernels on every table: pytest bench/bench_softmax.py. GB/s beside each."""

from tables import kernel_benchmark

test_kernel = kernel_benchmark("softmax", "GB/s", iterations=3)
