"""Reductions over every choice of dimensions, NaN and ties among the values, against float64 sums and plain loops."""

import itertools
import math

import numpy as np

from . import Case

CASES = []


def _slices(x, dim, keepdim, f):
    """f(list of values) over every slice along `dim`, in row-major order of the reduced dimensions."""
    dims = tuple(range(x.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    dims = tuple(d for d in dims if d < x.ndim)
    kept = [d for d in range(x.ndim) if d not in dims]
    out = np.empty([x.shape[d] for d in kept], object)
    for at in itertools.product(*(range(x.shape[d]) for d in kept)):
        index = [slice(None)] * x.ndim
        for d, i in zip(kept, at, strict=True):
            index[d] = i
        out[at] = f(x[tuple(index)].reshape(-1))
    shape = [1 if d in dims else x.shape[d] for d in range(x.ndim)] if keepdim else out.shape
    return out.reshape(shape)


def _floats(f):
    def reference(x, dim=None, keepdim=False):
        return _slices(x, dim, keepdim, f).astype(np.float64)

    return reference


def _places(f):
    def reference(x, dim=None, keepdim=False):
        return _slices(x, dim, keepdim, f).astype(np.int64)

    return reference


def _extreme(better):
    """(value, place): the first of equal ones, the first NaN before all."""

    def scan(values):
        at = 0
        for i, v in enumerate(values):
            if math.isnan(values[at]):
                break
            if math.isnan(v) or better(v, values[at]):
                at = i
        return at

    return scan


_argmax, _argmin = _extreme(lambda a, b: a > b), _extreme(lambda a, b: a < b)


def _fsum(values):
    return math.fsum(values) if np.isfinite(values).all() else float(np.sum(values))


def _sum_bound(x, dim=None, keepdim=False):
    return _slices(np.abs(x), dim, keepdim, lambda v: math.sqrt(max(len(v), 1)) * _fsum(v)).astype(np.float64)


def _mean_bound(x, dim=None, keepdim=False):
    return _slices(np.abs(x), dim, keepdim, lambda v: _fsum(v) / math.sqrt(max(len(v), 1)) + 1e-30).astype(np.float64)


def _var(correction):
    def f(v):
        m = _fsum(v) / len(v) if len(v) else math.nan
        total, n = _fsum((v - m) ** 2), len(v) - correction
        return total / n if n > 0 else (math.nan if total == 0 or math.isnan(total) else math.inf)

    return f


def _norm(p):
    def f(v):
        a = np.abs(v)
        if p == 0:
            return float(np.count_nonzero(a))
        if math.isinf(p):
            return float(a.max(initial=0) if p > 0 else a.min(initial=math.inf))
        return _fsum(a**p) ** (1 / p)

    return f


def _logsumexp(v):
    m = max(v, default=-math.inf)
    return m + math.log(math.fsum(math.exp(a - m) for a in v)) if math.isfinite(m) else m


def _normal(shape, offset=0.0):
    return lambda rng, d: (rng.standard_normal(shape) + offset).astype(d)


def _ties(shape, nan):
    """Few distinct values, and a NaN in about one of eight slices."""

    def make(rng, d):
        x = rng.integers(-3, 4, shape).astype(d)
        if nan and x.size:
            x.reshape(-1)[rng.integers(0, x.size, max(1, x.size // 40))] = np.nan
        return x

    return make


DIMS = {
    (1,): (None, (0,)),
    (7,): ((0,),),
    (1000,): (None,),
    (5, 33): (None, (0,), (1,), (0, 1)),
    (33, 5): ((0,), (1,)),
    (130, 270): (None, (0,), (1,)),
    (3, 4, 5): ((0,), (1,), (2,), (0, 2), (0, 1), (1, 2), None),
    (2, 3, 4, 17): ((0, 2, 3), (1,), (1, 3), (2, 3), (0, 1)),
    (1, 6, 1): ((0,), (1,), (0, 2)),
    (): (None, (0,)),
    (4, 0, 3): ((1,), (0,), None),
    (0,): (None,),
}
LONG = {(70001,): (None,), (3, 40000): ((1,), (0,), None), (5000, 3): ((0,), (1,)), (700, 600): ((0,), None)}


def _add(op, shape, dim, make, reference, bound=None, name="", extra=(), **more):
    label = "x".join(map(str, shape)) or "0d"
    for keepdim in (False, True) if len(shape) < 4 and not more else (False,):
        CASES.append(
            Case(
                op,
                f"{name}{label}_{dim}{'_keep' if keepdim else ''}".replace(" ", ""),
                lambda rng, d, keepdim=keepdim: (make(rng, d), *extra, dim, keepdim),
                lambda x, *a: reference(x, a[-2], a[-1]),
                (lambda x, *a: bound(x, a[-2], a[-1])) if bound else None,
                **more,
            )
        )


for shape, dims in (DIMS | LONG).items():
    empty = 0 in shape
    for dim in dims:
        length = math.prod(shape[d] for d in (range(len(shape)) if dim is None else dim) if d < len(shape))
        _add("sum", shape, dim, _normal(shape), _floats(_fsum), _sum_bound)
        _add("mean", shape, dim, _normal(shape, 3), _floats(lambda v: _fsum(v) / len(v) if len(v) else math.nan),
             None if empty else _mean_bound)  # fmt: skip
        if shape in LONG:
            continue
        for p in (2, 1, 0, 3.5, math.inf, -math.inf):
            if length or not math.isinf(p):
                CASES.append(
                    Case(
                        "norm",
                        f"{p}_{'x'.join(map(str, shape)) or '0d'}_{dim}".replace(" ", ""),
                        lambda rng, d, shape=shape, p=p, dim=dim: (_normal(shape)(rng, d), p, dim, False),
                        lambda x, p, dim, keepdim: _floats(_norm(p))(x, dim, keepdim),
                    )
                )
        for correction in (1, 0, 2.5):
            CASES.append(
                Case(
                    "var",
                    f"c{correction}_{'x'.join(map(str, shape)) or '0d'}_{dim}".replace(" ", ""),
                    lambda rng, d, shape=shape, c=correction, dim=dim: (_normal(shape, 1)(rng, d), dim, c, True),
                    lambda x, dim, c, keepdim: _floats(_var(c))(x, dim, keepdim),
                    (lambda x, dim, c, keepdim: 4 * np.ones(np.sum(x, dim, keepdims=True).shape))
                    if length > 8
                    else None,
                )
            )
        _add("logsumexp", shape, dim, _normal(shape), _floats(_logsumexp))
        _add("any", shape, dim, lambda rng, d, s=shape: rng.random(s) < 0.1,
             lambda x, dim, k: _slices(x, dim, k, any).astype(bool), dtypes=("float32",))  # fmt: skip
        _add("all", shape, dim, lambda rng, d, s=shape: rng.random(s) < 0.9,
             lambda x, dim, k: _slices(x, dim, k, all).astype(bool), dtypes=("float32",))  # fmt: skip
        if not length or empty:
            continue
        _add("prod", shape, dim, lambda rng, d, s=shape: rng.uniform(0.7, 1.3, s).astype(d), _floats(math.prod))
        for nan in (False, True):
            name = "nan_" if nan else ""
            _add("amax", shape, dim, _ties(shape, nan), _floats(lambda v: v[_argmax(v)]), name=name)
            _add("amin", shape, dim, _ties(shape, nan), _floats(lambda v: v[_argmin(v)]), name=name)
            if dim is not None and len(dim) > 1:
                continue
            one = None if dim is None else dim[0]
            _add("argmax", shape, one, _ties(shape, nan), _places(_argmax), name=name)
            _add("argmin", shape, one, _ties(shape, nan), _places(_argmin), name=name)
            if one is not None:
                for op, f in (("max_dim", _argmax), ("min_dim", _argmin)):
                    _add(
                        op, shape, one, _ties(shape, nan),
                        lambda x, dim, k, f=f: (
                            _floats(lambda v: v[f(v)])(x, dim, k), _places(f)(x, dim, k),
                        ),
                        name=name,
                    )  # fmt: skip

SUM_TO = {
    ((64, 10), (10,)): (0,),
    ((64, 10), (1, 10)): (0,),
    ((64, 10), (64, 1)): (1,),
    ((64, 10), ()): (0, 1),
    ((8, 3, 5, 7), (3, 1, 1)): (0, 2, 3),
    ((8, 3, 5, 7), (1, 3, 1, 7)): (0, 2),
    ((5, 4), (5, 4)): (),
    ((0, 4), (4,)): (0,),
}
for (shape, target), dims in SUM_TO.items():
    CASES.append(
        Case(
            "sum_to",
            f"{'x'.join(map(str, shape))}_to_{'x'.join(map(str, target)) or '0d'}",
            lambda rng, d, shape=shape, target=target: (_normal(shape)(rng, d), target),
            lambda x, target, dims=dims: _floats(_fsum)(x, dims).reshape(target),
            lambda x, target, dims=dims: _sum_bound(x, dims).reshape(target),
        )
    )


def _running(f, start):
    def reference(x, dim):
        out = np.empty(x.shape)
        for at in itertools.product(*(range(s) for d, s in enumerate(x.shape) if d != dim)):
            index = (*at[:dim], slice(None), *at[dim:])
            total, row = start, []
            for v in x[index]:
                total = f(total, v)
                row.append(total)
            out[index] = row
        return out

    return reference


for shape, dim in (((9,), 0), ((4, 6), 0), ((4, 6), 1), ((2, 3, 4), 1), ((0, 3), 0)):
    label = "x".join(map(str, shape))
    CASES += [
        Case("cumsum", f"{label}_{dim}", lambda rng, d, s=shape, dim=dim: (_normal(s)(rng, d), dim),
             _running(lambda a, b: a + b, 0.0)),
        Case("cumprod", f"{label}_{dim}", lambda rng, d, s=shape, dim=dim: (_normal(s)(rng, d), dim),
             _running(lambda a, b: a * b, 1.0)),
    ]  # fmt: skip

for shape, dim in (((1024, 256), (0,)), ((1024, 1024), None), ((32, 64, 28, 28), (0, 2, 3))):
    CASES.append(
        Case(
            "sum",
            f"bench_{'x'.join(map(str, shape))}",
            lambda rng, d, s=shape, dim=dim: (_normal(s)(rng, d), dim, False),
            lambda x, dim, keepdim: x.sum(dim),
            lambda x, dim, keepdim: np.abs(x).sum(dim),
            flops=math.prod(shape),
            bytes=4.0 * math.prod(shape),
            bench=True,
            dtypes=("float32",),
        )
    )
