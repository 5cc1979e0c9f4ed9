"""Speed of recurrent layers, forward and backward, on every table: pytest bench/bench_rnn.py. GFLOP/s beside each."""

import numpy as np
import pytest
from cases.rnn import CASES
from tables import select, tables

from fastnn.backend import variants

VARIANTS = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn"}


@pytest.mark.parametrize("table", tables())
@pytest.mark.parametrize("variant", ["steps", "fused"])
@pytest.mark.parametrize("kernel", ["forward", "backward"])
@pytest.mark.parametrize("case", [c for c in CASES if c.bench], ids=lambda c: c.id)
def test_rnn(benchmark, case, kernel, variant, table):
    backend = select(table)
    family = VARIANTS[case.args(np.random.default_rng(0), np.dtype("float32"))[0]]
    if variant not in variants.available(family):
        pytest.skip(f"{table} has no variant '{variant}'")
    cell, x, h0, c0, weights, sizes, _ = case.args(np.random.default_rng(0), np.dtype("float32"))
    with variants.kernels(**{family: variant}):
        y, _, _, kept = backend.rnn_layer(cell, x, h0, c0, weights, sizes, True)
        needs = [True, False, False, True, True, True, True, False]
        run = {
            "forward": lambda: backend.rnn_layer(cell, x, h0, c0, weights, sizes, False),
            "backward": lambda: backend.rnn_layer_backward(
                cell, y, None, None, x, h0, c0, weights, sizes, y, kept, needs
            ),
        }[kernel]
        benchmark.group = f"{case.name}/{kernel}"
        benchmark.pedantic(run, rounds=5, iterations=2, warmup_rounds=1)
    if benchmark.stats:
        flops = case.flops * (2 if kernel == "backward" else 1)
        benchmark.extra_info["GFLOP/s"] = flops / benchmark.stats.stats.min / 1e9
