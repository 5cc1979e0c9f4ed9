"""Speed of the draws: pytest bench/bench_random.py. With torch installed, torch's on one thread beside them."""

import importlib.util

import pytest

import fastnn

N = 4_000_000
DRAWS = {
    "uniform_": lambda t, T: t.uniform_(),
    "uniform_range": lambda t, T: t.uniform_(-0.1, 0.1),
    "normal_": lambda t, T: t.normal_(),
    "bernoulli_": lambda t, T: t.bernoulli_(0.5),
    "exponential_": lambda t, T: t.exponential_(),
    "dropout": lambda t, T: T.nn.functional.dropout(t, 0.1),
    "random_": lambda t, T: t.random_(0, 10),
    "randperm": lambda t, T: T.randperm(N // 4),
}
LIBRARIES = ["fastnn"] + (["torch"] if importlib.util.find_spec("torch") else [])


def module(name):
    if name == "fastnn":
        return fastnn
    import torch

    torch.set_num_threads(1)
    return torch


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("draw", DRAWS)
def test_draw(benchmark, draw, dtype, library):
    T = module(library)
    T.manual_seed(0)
    t = T.ones(N, dtype=getattr(T, dtype))
    benchmark.group = f"{draw} {dtype}"
    benchmark.pedantic(DRAWS[draw], (t, T), rounds=7, warmup_rounds=1)
