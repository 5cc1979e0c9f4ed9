"""Speed of pooling, forward and backward, on every table: pytest bench/bench_pool2d.py. GB/s beside each."""

import numpy as np
import pytest
from tables import select, tables

# name: shape, kernel, stride, padding
SHAPES = {
    "2x2": ((32, 64, 56, 56), 2, 2, 0),
    "3x3s2p1": ((32, 64, 56, 56), 3, 2, 1),
    "3x3s1p1": ((32, 64, 28, 28), 3, 1, 1),
    "7x7": ((32, 256, 7, 7), 7, 7, 0),
    "lenet1": ((64, 6, 24, 24), 2, 2, 0),
    "lenet2": ((64, 16, 8, 8), 2, 2, 0),
}


@pytest.mark.parametrize("table", tables())
@pytest.mark.parametrize("kernel", ["max", "max_backward", "avg", "avg_backward"])
@pytest.mark.parametrize("name", SHAPES)
def test_pool2d(benchmark, name, kernel, table):
    shape, taps, stride, padding = SHAPES[name]
    backend = select(table)
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    k, s, p, d = (taps, taps), (stride, stride), (padding, padding), (1, 1)
    y, idx = backend.max_pool2d(x, k, s, p, d, False)
    run = {
        "max": lambda: backend.max_pool2d(x, k, s, p, d, False),
        "max_backward": lambda: backend.max_pool2d_backward(y, idx, shape, k, s, p, d),
        "avg": lambda: backend.avg_pool2d(x, k, s, p, False, True, None),
        "avg_backward": lambda: backend.avg_pool2d_backward(y, shape, k, s, p, False, True, None),
    }[kernel]
    benchmark.group = f"pool2d/{name}/{kernel}"
    benchmark.pedantic(run, rounds=10, warmup_rounds=2)
    if benchmark.stats:
        moved = x.nbytes + y.nbytes + (idx.nbytes if kernel.startswith("max") else 0)
        benchmark.extra_info["GB/s"] = moved / benchmark.stats.stats.min / 1e9
