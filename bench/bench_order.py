"""Speed of sort, topk and kthvalue on every table: pytest bench/bench_order.py. Elements a second beside each."""

from tables import kernel_benchmark

test_kernel = kernel_benchmark("order", "M/s", rounds=20, warmup_rounds=2)
