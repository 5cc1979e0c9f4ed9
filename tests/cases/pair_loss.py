"""Losses by element, of a prediction and a target, and their gradients: special values, broadcasting, empty and 0-d."""

import math

import numpy as np

from . import Case
from .elementwise import _each, _log, _sigmoid, _values

SHAPES = {
    "n1": ((1,), (1,)), "n67": ((67,), (67,)), "broadcast": ((6, 50), (50,)), "column": ((5, 1), (5, 33)),
    "0d": ((), ()), "empty": ((0, 3), (0, 3)),
}  # fmt: skip


def _real(rng, dtype, shapes):
    return _values(0)(rng, dtype, shapes[0]), rng.uniform(-6, 6, shapes[1]).astype(dtype)


def _probabilities(rng, dtype, shapes):
    x, y = rng.uniform(0, 1, shapes[0]), rng.uniform(0, 1, shapes[1])
    for v in (x, y):
        v.reshape(-1)[::3] = rng.choice([0.0, 1.0, 0.5, 1e-7], v.reshape(-1)[::3].shape)
    x.reshape(-1)[1::7] = math.nan
    return x.astype(dtype), y.astype(dtype)


def _logits(rng, dtype, shapes):
    x = _values(0)(rng, dtype, shapes[0])
    return np.where(np.isinf(x), x.dtype.type(300), x), rng.uniform(0, 1, shapes[1]).astype(dtype)


def _kept(d, delta):
    return d if math.isnan(d) else min(max(d, -delta), delta)


def _least(v):
    return v if math.isnan(v) else max(v, -100.0)


def _sign(d):
    return float((d > 0) - (d < 0))


def _bce(x, y):
    return (y - 1) * _least(_log(math.log)(1 - x)) - y * _least(_log(math.log)(x))


def _bce_logits(x, y):
    return math.nan if math.isnan(x) else max(x, 0) - x * y + math.log1p(math.exp(-abs(x)))


LOSSES = [  # op, inputs, numbers, value, slope, and what the terms of either come to before they cancel
    (
        "squared_difference",
        _real,
        (),
        (lambda x, y: (x - y) ** 2, lambda x, y: (x + y) ** 2),
        (lambda x, y: 2 * (x - y), lambda x, y: 2 * (x + y)),
    ),
    (
        "absolute_difference",
        _real,
        (),
        (lambda x, y: abs(x - y), lambda x, y: x + y),
        (lambda x, y: _sign(x - y), lambda x, y: 0.0),
    ),
    (
        "huber",
        _real,
        (1.5,),
        (lambda x, y: (x - y - 0.5 * _kept(x - y, 1.5)) * _kept(x - y, 1.5), lambda x, y: 3 * (x + y)),
        (lambda x, y: _kept(x - y, 1.5), lambda x, y: x + y),
    ),
    (
        "huber",
        _real,
        (0.25, 0.25),
        (lambda x, y: (x - y - 0.5 * _kept(x - y, 0.25)) * _kept(x - y, 0.25) / 0.25, lambda x, y: 3 * (x + y)),
        (lambda x, y: _kept(x - y, 0.25) / 0.25, lambda x, y: 4 * (x + y)),
    ),
    (
        "bce",
        _probabilities,
        (),
        (_bce, lambda x, y: (1 + y) * 100 * ((x == 0) | (x == 1)) + 2 - np.log(np.clip(x * (1 - x), 1e-9, 1))),
        (
            lambda x, y: math.nan if math.isnan(x) else (x - y) / max((1 - x) * x, 1e-12),
            lambda x, y: 4 * (x + y) / np.maximum((1 - x) * x, 1e-12),
        ),
    ),
    (
        "bce_with_logits",
        _logits,
        (),
        (_bce_logits, lambda x, y: 1 + x * (1 + y)),
        (lambda x, y: _sigmoid(x) - y, lambda x, y: 1 + y),
    ),
]

CASES = []


def _add(op, inputs, numbers, value, slope, name, shapes, **more):
    def pair(rng, d):
        return (*inputs(rng, d, shapes), *numbers)

    def triple(rng, d):
        return (rng.standard_normal(np.broadcast_shapes(*shapes)).astype(d), *pair(rng, d))

    def size(terms, x, y):
        return 4 * np.nan_to_num(terms(np.abs(x), np.abs(y)), nan=0.0, posinf=0.0)

    (f, terms), (df, slope_terms) = value, slope
    label = name + "".join(f"_{v}" for v in numbers)
    n = math.prod(np.broadcast_shapes(*shapes))
    CASES.append(
        Case(
            op,
            label,
            pair,
            lambda x, y, *_: _each(f)(x, y),
            bound=lambda x, y, *_: size(terms, x, y),
            bytes=12.0 * n,
            **more,
        )
    )
    CASES.append(
        Case(
            op + "_backward",
            label,
            triple,
            lambda g, x, y, *_: _each(lambda a, b, c: a * df(b, c))(g, x, y),
            bound=lambda g, x, y, *_: np.abs(g) * (1 + size(slope_terms, x, y)),
            bytes=16.0 * n,
            **more,
        )
    )


for loss in LOSSES:
    for name, shapes in SHAPES.items():
        _add(*loss, name, shapes)
    if not loss[2]:
        _add(*loss, "128x784", ((128, 784),) * 2, bench=True, dtypes=("float32",))
