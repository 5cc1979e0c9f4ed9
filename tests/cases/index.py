"""gather, scatter and their kin along each dimension, rearrangements, and sums to the end; against loops over the index."""

import itertools
import math

import numpy as np

from . import Case

CASES = []


def _normal(shape):
    return lambda rng, d: rng.standard_normal(shape).astype(d)


def _places(index, dim):
    """(position in the index, position in x) of each element, in the order of the index."""
    for p in itertools.product(*map(range, index.shape)):
        yield p, (*p[:dim], index[p], *p[dim + 1 :])


def _gather(x, dim, index):
    out = np.empty(index.shape, x.dtype)
    for p, q in _places(index, dim):
        out[p] = x[q]
    return out


def _index_select(x, dim, index):
    return np.concatenate([np.take(x, [i], dim) for i in index], dim) if len(index) else np.take(x, [], dim)


_REDUCE = {
    None: lambda a, b: b,
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "amax": lambda a, b: b if b != b or b > a else a,
    "amin": lambda a, b: b if b != b or b < a else a,
}


def _scatter(x, dim, index, values, reduce=None):
    out = x.copy()
    for p, q in _places(index, dim):
        out[q] = _REDUCE[reduce](out[q], values[p] if isinstance(values, np.ndarray) else values)
    return out


def _scatter_add_zeros(dy, shape, dim, index):
    return _scatter(np.zeros(shape), dim, index, dy, "add")


def _scatter_reduce(x, dim, index, src, reduce, include_self):
    met = [[] for _ in range(x.size)]
    for p, q in _places(index, dim):
        met[np.ravel_multi_index(q, x.shape)].append(src[p])
    out, count = x.copy(), np.ones(x.shape)
    for i, values in enumerate(met):
        if not values:
            continue
        values = [out.flat[i], *values] if include_self else values
        f = {"sum": np.sum, "mean": np.mean, "prod": np.prod, "amax": np.max, "amin": np.min}[reduce]
        out.flat[i] = f(values)
        if reduce == "mean":
            count.flat[i] = len(values)
    return out, count if reduce == "mean" else None


def _sums_to_the_end(dy, dim):
    return np.flip(np.cumsum(np.flip(dy, dim), dim), dim)


def _triangle(x, diagonal, lower):
    out = np.zeros(x.shape)
    for p in np.ndindex(*x.shape):
        if (p[-1] - p[-2] <= diagonal) if lower else (p[-1] - p[-2] >= diagonal):
            out[p] = x[p]
    return out


def _flip(x, dims):
    return x[tuple(slice(None, None, -1) if d in dims else slice(None) for d in range(x.ndim))]


def _roll(x, shifts, dims):
    out = np.empty(x.shape)
    for p in np.ndindex(*x.shape):
        q = list(p)
        for s, d in zip(shifts, dims, strict=True):
            q[d] = (q[d] + s) % x.shape[d]
        out[tuple(q)] = x[p]
    return out


def _index(rng, shape, n, spread):
    """An index of `shape`; spread: the same along the last dimension, without a copy."""
    i = rng.integers(0, n, (*shape[:-1], 1) if spread else shape)
    return np.broadcast_to(i, shape) if spread else i


for shape, dim, size in (
    ((7,), 0, (12,)),
    ((4, 6), 1, (3, 9)),
    ((4, 6), 0, (9, 6)),
    ((2, 5, 3), 1, (2, 8, 2)),
    ((50, 1), 0, (200, 1)),
    ((3, 4), 1, (3, 0)),
    ((150, 130), 0, (160, 130)),
    ((130, 150), 1, (130, 160)),
):
    for spread in (False, True):
        label = f"{'x'.join(map(str, shape))}_{dim}_{'spread' if spread else 'all'}"

        def draw(rng, d, s=shape, i=dim, z=size, e=spread):
            return rng.standard_normal(s).astype(d), i, _index(rng, z, s[i], e)

        CASES.append(Case("gather", label, draw, _gather))
        for reduce in _REDUCE if math.prod(size) < 1000 else ("add",):
            # Which of two values written to one place stays is left open: they are the same here.
            z = size if reduce else (*size[:dim], min(1, size[dim]), *size[dim + 1 :])

            def written(rng, d, f=draw, z=z, s=size, r=reduce):
                return (*f(rng, d), np.broadcast_to(rng.standard_normal(z).astype(d), s), r)

            CASES.append(Case("scatter", f"{label}_{reduce}", written, _scatter))
        CASES.append(Case("scatter", f"{label}_number", lambda rng, d, f=draw: (*f(rng, d), 1.5), _scatter))
        CASES.append(
            Case(
                "scatter_add_zeros",
                label,
                lambda rng, d, s=shape, i=dim, z=size, e=spread: (
                    rng.standard_normal(tuple(n + 1 for n in z)).astype(d),
                    s,
                    i,
                    _index(rng, z, s[i], e),
                ),
                _scatter_add_zeros,
            )
        )
        if math.prod(size) < 100:
            for reduce, own in itertools.product(("sum", "mean", "prod", "amax", "amin"), (False, True)):
                CASES.append(
                    Case(
                        "scatter_reduce",
                        f"{label}_{reduce}_{own}",
                        lambda rng, d, f=draw, z=size, r=reduce, o=own: (
                            *f(rng, d), rng.standard_normal(z).astype(d), r, o,
                        ),
                        _scatter_reduce,
                    )
                )  # fmt: skip
    CASES.append(
        Case(
            "index_select",
            f"{'x'.join(map(str, shape))}_{dim}",
            lambda rng, d, s=shape, i=dim, m=size[dim]: (rng.standard_normal(s).astype(d), i, rng.integers(0, s[i], m)),
            _index_select,
        )
    )

for shape, dim in (((9,), 0), ((4, 6), 0), ((5, 7), 1), ((2, 3, 4), 1), ((0, 3), 0), ((70, 300), 0), ((9, 4001), 1)):
    CASES.append(
        Case(
            "cumsum_backward",
            f"{'x'.join(map(str, shape))}_{dim}",
            lambda rng, d, s=shape, i=dim: (_normal(s)(rng, d), i),
            _sums_to_the_end,
            lambda dy, dim: _sums_to_the_end(np.abs(dy), dim),
        )
    )
    CASES.append(
        Case(
            "cumsum",
            f"long_{'x'.join(map(str, shape))}_{dim}",
            lambda rng, d, s=shape, i=dim: (_normal(s)(rng, d), i),
            np.cumsum,
            lambda x, dim: np.cumsum(np.abs(x), dim),
        )
    )

for shape in ((5, 7), (6, 3), (2, 4, 4), (0, 3), (3, 1)):
    for diagonal, lower in itertools.product((-9, -1, 0, 2, 9), (False, True)):
        CASES.append(
            Case(
                "triangle",
                f"{'x'.join(map(str, shape))}_{diagonal}_{lower}",
                lambda rng, d, s=shape, g=diagonal, w=lower: (_normal(s)(rng, d), g, w),
                _triangle,
            )
        )
for shape, dims in (((9,), (0,)), ((4, 6), (1,)), ((4, 6), (0,)), ((4, 6), (0, 1)), ((2, 3, 4), (0, 2)), ((2, 3, 4), ()),
                    ((0, 3), (1,)), ((2, 3, 1, 5), (1, 2))):  # fmt: skip
    CASES.append(
        Case(
            "flip",
            f"{'x'.join(map(str, shape))}_{dims}",
            lambda rng, d, s=shape, i=dims: (_normal(s)(rng, d), i),
            _flip,
        )
    )
    for shift in (-11, 0, 1, 7):
        CASES.append(
            Case(
                "roll",
                f"{'x'.join(map(str, shape))}_{dims}_{shift}",
                lambda rng, d, s=shape, i=dims, n=shift: (_normal(s)(rng, d), (n,) * len(i), i),
                _roll,
            )
        )
for shape in ((9,), (4, 6), (2, 3, 4), (3, 1100), (0, 2)):
    CASES.append(
        Case(
            "nonzero",
            "x".join(map(str, shape)),
            lambda rng, d, s=shape: (
                np.where(rng.random(s) < 0.3, np.nan, np.maximum(_normal(s)(rng, d), 0)).astype(d),
            ),
            lambda x: np.array([p for p in np.ndindex(*x.shape) if x[p] != 0], np.int64).reshape(-1, x.ndim),
        )
    )
