"""Speed of one optimizer step: pytest bench/bench_optim.py. With torch installed, torch's beside it."""

import importlib.util

import pytest
from cases.optim import SHAPES

import fastnn

OPTIMIZERS = {
    "SGD": lambda T, p: T.optim.SGD(p, lr=1e-3),
    "momentum": lambda T, p: T.optim.SGD(p, lr=1e-3, momentum=0.9),
    "Adam": lambda T, p: T.optim.Adam(p),
    "AdamW": lambda T, p: T.optim.AdamW(p),
    "Adagrad": lambda T, p: T.optim.Adagrad(p),
    "Adadelta": lambda T, p: T.optim.Adadelta(p),
    "RMSprop": lambda T, p: T.optim.RMSprop(p),
}
LIBRARIES = ["fastnn"] + (["torch"] if importlib.util.find_spec("torch") else [])


def module(name):
    if name == "fastnn":
        return fastnn
    import torch

    return torch


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("shapes", ["tiny", "mlp", "large"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_step(benchmark, name, shapes, library):
    T = module(library)
    T.manual_seed(0)
    params = [T.randn(*s, requires_grad=True) for s in SHAPES[shapes]]
    for p in params:
        p.grad = T.randn(*p.shape)
    opt = OPTIMIZERS[name](T, params)
    benchmark.group = f"{name} {shapes}"
    benchmark.pedantic(opt.step, rounds=10 if shapes == "large" else 200, warmup_rounds=3)
