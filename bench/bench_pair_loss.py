"""Speed of the losses by element and their gradients on every table: pytest bench/bench_pair_loss.py. GB/s beside each."""

from tables import kernel_benchmark

test_kernel = kernel_benchmark("pair_loss", "GB/s", iterations=3)
