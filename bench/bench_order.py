"""Speed of sort, topk and kthvalue on every table: pytest bench/bench_order.py. Elements a second beside each."""

import os
import sys

import numpy as np
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests"))
from cases.order import CASES  # noqa: E402
from conftest import select, tables  # noqa: E402


@pytest.mark.parametrize("name", tables())
@pytest.mark.parametrize("case", [c for c in CASES if c.bench], ids=lambda c: c.id)
def test_kernel(benchmark, case, name):
    kernel = getattr(select(name), case.op)
    args = case.args(np.random.default_rng(0), np.dtype("float32"))
    benchmark.group = case.id
    benchmark.pedantic(kernel, args, rounds=20, iterations=1, warmup_rounds=2)
    if benchmark.stats:
        benchmark.extra_info["M/s"] = case.flops / benchmark.stats.stats.min / 1e6
