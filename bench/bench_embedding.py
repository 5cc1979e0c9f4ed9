"""Speed of the look-ups on every table: pytest bench/bench_embedding.py. GB/s beside each."""

from tables import kernel_benchmark

test_kernel = kernel_benchmark("embedding", "GB/s")
