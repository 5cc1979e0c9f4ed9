"""Speed of convolution and both its gradients on every table: pytest bench/bench_conv2d.py. GFLOP/s beside each."""

import numpy as np
import pytest
from tables import select, tables

from fastnn import backend as backends
from fastnn.backend import variants

# name: N, C, H = W, K, kernel, stride, padding, groups
SHAPES = {
    "lenet1": (128, 1, 28, 6, 5, 1, 0, 1),
    "lenet2": (128, 6, 12, 16, 5, 1, 0, 1),
    "3x3_64": (8, 64, 56, 64, 3, 1, 1, 1),
    "3x3_256": (8, 256, 14, 256, 3, 1, 1, 1),
    "3x3_512": (4, 512, 7, 512, 3, 1, 1, 1),
    "3x3_128": (8, 128, 28, 128, 3, 1, 1, 1),
    "7x7_512": (2, 512, 14, 512, 7, 1, 3, 1),
    "3x3s2": (8, 64, 56, 128, 3, 2, 1, 1),
    "1x1": (8, 256, 14, 1024, 1, 1, 0, 1),
    "stem7x7s2": (4, 3, 224, 64, 7, 2, 3, 1),
    "depthwise": (8, 64, 56, 64, 3, 1, 1, 64),
    "depthwise_5x5": (8, 240, 28, 240, 5, 1, 2, 240),
    "depthwise_7x7": (8, 96, 56, 96, 7, 1, 3, 96),
    "depthwise_s2": (8, 64, 112, 64, 3, 2, 1, 64),
    "groups_8": (8, 64, 28, 64, 3, 1, 1, 8),
}


@pytest.mark.parametrize("table", tables())
@pytest.mark.parametrize("kernel", ["forward", "input", "weight"])
@pytest.mark.parametrize("name", SHAPES)
def test_conv2d(benchmark, name, kernel, table):
    n, c, size, k, taps, stride, padding, groups = SHAPES[name]
    backend = select(table)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, c, size, size), np.float32)
    w = rng.standard_normal((k, c // groups, taps, taps), np.float32)
    how = ((stride, stride), (padding, padding), (1, 1), groups)
    y = backend.conv2d(x, w, None, *how)
    run = {
        "forward": lambda: backend.conv2d(x, w, None, *how),
        "input": lambda: backend.conv2d_backward_input(y, w, x.shape, *how),
        "weight": lambda: backend.conv2d_backward_weight(y, x, w.shape, *how),
    }[kernel]
    benchmark.group = f"conv2d/{name}/{kernel}"
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    if benchmark.stats:
        flops = 2 * y.size * w[0].size
        benchmark.extra_info["GFLOP/s"] = flops / benchmark.stats.stats.min / 1e9  # of the direct sum, by any variant


@pytest.mark.parametrize("variant", ["im2col", "packed", "winograd"])
@pytest.mark.parametrize("name", [n for n in SHAPES if n.startswith("3x3_")])
def test_variants(benchmark, name, variant):
    n, c, size, k, taps, stride, padding, groups = SHAPES[name]
    if "cpu" not in backends.available() or variant not in variants.available("conv"):
        pytest.skip("not a variant of this backend")
    backend = select(tables()[-1])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, c, size, size), np.float32)
    w = rng.standard_normal((k, c // groups, taps, taps), np.float32)
    how = ((stride, stride), (padding, padding), (1, 1), groups)
    benchmark.group = f"conv2d/{name}/variants"
    with variants.kernels(conv=variant):
        y = benchmark.pedantic(lambda: backend.conv2d(x, w, None, *how), rounds=5, warmup_rounds=1)
    if benchmark.stats:
        benchmark.extra_info["GFLOP/s"] = 2 * y.size * w[0].size / benchmark.stats.stats.min / 1e9
