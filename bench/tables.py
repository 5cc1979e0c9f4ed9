"""What the benchmarks share: the kernel tables, and a benchmark of a family's cases on each of them."""

import importlib

import numpy as np
import pytest
from conftest import select, tables

__all__ = ["kernel_benchmark", "select", "tables"]

_RATES = {"GFLOP/s": ("flops", 1e9), "GB/s": ("bytes", 1e9), "M/s": ("flops", 1e6)}


def kernel_benchmark(family, rate, rounds=50, iterations=1, warmup_rounds=5):
    """A test of the cases of tests/cases/<family>.py that are marked for it, on every table; `rate` stands beside each."""
    amount, unit = _RATES[rate]
    cases = importlib.import_module(f"cases.{family}").CASES

    @pytest.mark.parametrize("name", tables())
    @pytest.mark.parametrize("case", [c for c in cases if c.bench], ids=lambda c: c.id)
    def test_kernel(benchmark, case, name):
        kernel = getattr(select(name), case.op)
        args = case.args(np.random.default_rng(0), np.dtype("float32"))
        benchmark.group = case.id
        benchmark.pedantic(kernel, args, rounds=rounds, iterations=iterations, warmup_rounds=warmup_rounds)
        if benchmark.stats:
            benchmark.extra_info[rate] = getattr(case, amount) / benchmark.stats.stats.min / unit

    return test_kernel
