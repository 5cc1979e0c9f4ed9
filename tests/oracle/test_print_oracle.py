"""Printed text, character for character torch's."""

import numpy as np
import pytest
import torch

import fastnn
from fastnn import _tensor_str as ours

DTYPES = ["float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64"]
SHAPES = [(), (1,), (3,), (17,), (90,), (1001,), (2, 3), (1, 1), (40, 40), (5, 201), (1001, 2), (2, 3, 4), (30, 2, 30)]
SHAPES += [(7, 7, 7, 7), (0,), (0, 3), (2, 0), (3, 0, 2), (6, 200), (7, 150), (1, 1100), (1100, 1)]


def draw(rng, shape, dtype):
    """Values of one of several magnitudes, some of them zero, negative, infinite or NaN."""
    if dtype == "complex64":
        with np.errstate(invalid="ignore"):
            return (draw(rng, shape, "float32") + 1j * draw(rng, shape, "float32")).astype(dtype)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype[0] in "iu":
        info = np.iinfo(dtype)
        low, high = [(0, 2), (info.min, info.max), (-5, 100)][rng.integers(3)]
        return rng.integers(max(low, info.min), high, shape).astype(dtype)
    scale = 10.0 ** rng.integers(-9, 12) if dtype != "float16" else 10.0 ** rng.integers(-4, 4)
    a = rng.standard_normal(shape) * scale
    kind = rng.integers(8)
    if kind == 0:
        a = np.round(a)
    elif kind == 1:
        a = np.round(a, 2)
    elif kind == 2:
        a = rng.integers(-3, 4, shape).astype(np.float64)
    elif kind == 3:
        a = a * 10.0 ** rng.integers(-3, 4, shape)
    elif kind == 4:
        a = np.zeros(shape)
    a = np.array(a)
    for value in (np.nan, np.inf, -np.inf, 0.0, -0.0):
        if rng.random() < 0.2:
            a[rng.random(shape) < 0.3] = value
    with np.errstate(over="ignore"):
        return a.astype(dtype)


OPTIONS = [
    {},
    {"precision": 2},
    {"precision": 8},
    {"threshold": 5},
    {"edgeitems": 1, "threshold": 10},
    {"edgeitems": 0, "threshold": 10},
    {"linewidth": 40},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "short"},
    {"profile": "full"},
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_arrays(dtype, options):
    rng = np.random.default_rng(0)
    with ours.printoptions(**options), torch._tensor_str.printoptions(**options):
        for shape in SHAPES:
            for _ in range(2):
                if options.get("profile") == "full" and np.prod(shape) > 300:
                    continue
                a = draw(rng, shape, dtype)
                assert ours.tensor_str(a) == repr(torch.tensor(a)), a
    ours.set_printoptions(profile="default")
    torch.set_printoptions(profile="default")


def tensor(T, dtype, requires_grad=False):
    return T.tensor([[1.5, -2], [3, 4]], dtype=getattr(T, dtype), requires_grad=requires_grad)


TENSORS = [
    lambda T: tensor(T, "float32"),
    lambda T: tensor(T, "float64"),
    lambda T: tensor(T, "float16"),
    lambda T: tensor(T, "int32"),
    lambda T: tensor(T, "float32", True),
    lambda T: tensor(T, "float64", True),
    lambda T: tensor(T, "float32", True) * 2,
    lambda T: tensor(T, "float64", True) * 2,
    lambda T: tensor(T, "float64", True) + tensor(T, "float32"),
    lambda T: tensor(T, "float32", True).sum(),
    lambda T: tensor(T, "float32", True).mean(),
    lambda T: (tensor(T, "float32", True) / 4).exp(),
    lambda T: tensor(T, "float32", True).relu(),
    lambda T: tensor(T, "float32", True).T,
    lambda T: tensor(T, "float32", True)[0],
    lambda T: tensor(T, "float32", True).view(4),
    lambda T: tensor(T, "float32", True) @ tensor(T, "float32"),
    lambda T: T.zeros(3, 100).requires_grad_(),
    lambda T: T.arange(24.0).reshape(2, 3, 4).requires_grad_() / 7,
    lambda T: T.nn.Parameter(T.ones(2, 2)),
    lambda T: T.nn.Parameter(T.ones(2, 2), requires_grad=False),
    lambda T: T.nn.Parameter(T.arange(60.0)),
    lambda T: T.zeros(0, 3, dtype=T.int64),
    lambda T: T.zeros(0, 3).requires_grad_(),
    lambda T: T.zeros(2, 3).shape,
    lambda T: T.float64,
    lambda T: T.tensor(2.5),
    lambda T: T.tensor(7),
    lambda T: T.tensor(True),
    lambda T: T.tensor([True, False]),
    lambda T: T.ones(3, requires_grad=True).detach(),
    lambda T: T.arange(12.0).reshape(3, 4).t(),
    lambda T: T.arange(12.0)[::5],
    lambda T: T.tensor(1.0).expand(2, 3),
]


@pytest.mark.parametrize("make", TENSORS)
def test_tensors(make):
    assert repr(make(fastnn)) == repr(make(torch))
    assert str(make(fastnn)) == str(make(torch))


@pytest.mark.parametrize("spec", ["", "5.2f", ".3e", "d"])
def test_format_of_one_number(spec):
    def text(T):
        return f"{T.tensor(7 if spec == 'd' else 2.5):{spec}}"

    assert text(fastnn) == text(torch)
