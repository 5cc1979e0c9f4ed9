"""sort, topk, kthvalue along each dimension: few and many elements, equal ones, NaN, zeros of both signs; against
Python's stable sort of each line."""

import functools
import itertools
import math

import numpy as np

from . import Case

CASES = []


def _values(shape, rng, d, kind):
    x = rng.standard_normal(shape)
    if kind == "ties":
        x = np.round(x) * np.where(rng.random(shape) < 0.5, 1.0, -1.0)
    if kind == "nan":
        x[rng.random(shape) < 0.2] = np.nan
        x[rng.random(shape) < 0.1] = 1e30
    return x.astype(d)


def _integers(shape, rng, _, kind):
    x = rng.integers(-3, 4, shape) if kind == "few" else rng.integers(-(2**62), 2**62, shape)
    return x if kind != "bool" else x > 0


def _lines(shape, dim):
    for at in itertools.product(*(range(s) for d, s in enumerate(shape) if d != dim)):
        yield (*at[:dim], slice(None), *at[dim:])


def _order(line, descending):
    """A NaN is the largest; equal elements stay in their order."""
    sign = -1 if descending else 1

    def key(i):
        v = line[i]
        return (
            (sign * math.isnan(v), 0) if math.isnan(v) else (0, sign * v if line.dtype.kind != "b" else sign * int(v))
        )

    return sorted(range(len(line)), key=key)


def _sorted(x, dim, descending, start=0, stop=None):
    parts = [_order(x[line], descending)[start:stop] for line in _lines(x.shape, dim)]
    shape = (*x.shape[:dim], len(parts[0]), *x.shape[dim + 1 :])
    values, index = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    for line, order in zip(_lines(x.shape, dim), parts, strict=True):
        values[line], index[line] = x[line][order], order
    return values, index


def _topk(x, k, dim, largest):
    return _sorted(x, dim, largest, 0, k)


def _kthvalue(x, k, dim):
    return _sorted(x, dim, False, k - 1, k)


for shape, dim in (
    ((9,), 0),
    ((5, 40), 1),
    ((3, 150, 2), 1),
    ((2, 300), 1),
    ((5000,), 0),
):
    label = f"{'x'.join(map(str, shape))}_{dim}"
    n = shape[dim]
    draws = [(_values, kind, ("float32", "float64")) for kind in ("ties", "nan")]
    draws += [(_integers, kind, ("float64",)) for kind in ("few", "wide", "bool")]
    for draw, kind, dtypes in draws:
        make = functools.partial(draw, shape, kind=kind)
        for up in (False, True):
            name = f"{label}_{kind}_{'down' if up else 'up'}"
            CASES.append(
                Case("sort", name, lambda rng, d, m=make, i=dim, u=up: (m(rng, d), i, u), _sorted, dtypes=dtypes)
            )
            for k in sorted({min(5, n), n // 3, n}):
                args = lambda rng, d, m=make, k=k, i=dim, u=up: (m(rng, d), k, i, u)  # noqa: E731
                CASES.append(Case("topk", f"{name}_{k}", args, _topk, dtypes=dtypes))
        for k in (1, (n + 1) // 2):
            args = lambda rng, d, m=make, k=k, i=dim: (m(rng, d), k, i)  # noqa: E731
            CASES.append(Case("kthvalue", f"{label}_{kind}_{k}", args, _kthvalue, dtypes=dtypes))

for shape in ((256, 1024), (100_000,)):
    for op, args, reference in (
        ("sort", (len(shape) - 1, False), _sorted),
        ("topk", (5, len(shape) - 1, True), _topk),
        ("kthvalue", (shape[-1] // 2, len(shape) - 1), _kthvalue),
    ):
        CASES.append(
            Case(
                op,
                f"bench_{'x'.join(map(str, shape))}",
                lambda rng, d, s=shape, a=args: (rng.standard_normal(s).astype(d), *a),
                reference,
                flops=math.prod(shape),
                bytes=16.0 * math.prod(shape),
                bench=True,
                dtypes=("float32",),
            )
        )
