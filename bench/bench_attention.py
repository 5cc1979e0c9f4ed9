"""Speed of the fused attention on every table: pytest bench/bench_attention.py. GFLOP/s beside each."""

from tables import kernel_benchmark

test_kernel = kernel_benchmark("attention", "GFLOP/s")
