"""Reductions, under their twins' names; what the kernels do not take is composed on the device."""

import math

import numpy as np

from ._composed import module
from ._composed import package as twin
from ._native import arrays, code, contiguous, described, has, is_float, native, ran, scratch, stream, wide

_ops = native.reduce_ops if has("reduce") else {}
_NONE, _SQRT, _ROOT = range(3)
_INT64 = np.dtype(np.int64)
_INTEGERS = {np.dtype(n) for n in ("int64", "int32", "int16", "int8", "uint8", "bool")}


def _kept(x, dim, keepdim):
    """(bits of the reduced dimensions, how many elements each result is made of, the result's shape)."""
    dims = range(x.ndim) if dim is None else (dim if isinstance(dim, tuple) else (dim,)) if x.ndim else ()
    bits, count, shape = 0, 1, []
    for i, n in enumerate(x.shape):
        if i in dims:
            bits |= 1 << i
            count *= n
            if keepdim:
                shape.append(1)
        else:
            shape.append(n)
    return bits, count, tuple(shape)


def run(op, x, bits, shape, dtype, scale=1.0, finish=_NONE, p=2.0, centre=None):
    out = arrays.empty(shape, dtype)
    a, op = described(x), _ops[op]
    memory, address = scratch(native.reduce_workspace(op, finish, scale, p, a, bits, code(dtype)))
    native.reduce(op, finish, scale, p, a, bits, described(out), described(centre), address, stream())
    ran("reduce")
    return out


def _simple(name, op):
    composed = getattr(twin, name)

    def f(x, dim=None, keepdim=False):
        floating = is_float(x.dtype)
        if not floating and x.dtype not in _INTEGERS:
            return composed(x, dim, keepdim)
        bits, count, shape = _kept(x, dim, keepdim)
        if name in ("amax", "amin"):
            if count == 0 or not (floating or x.dtype == _INT64):
                return composed(x, dim, keepdim)
            return run(op, x, bits, shape, x.dtype)
        return run(op, x, bits, shape, x.dtype if floating else _INT64)

    f.__name__ = f.__qualname__ = name
    return f


sum, prod = _simple("sum", "Sum"), _simple("prod", "Prod")
amax, amin = _simple("amax", "Max"), _simple("amin", "Min")


def mean(x, dim=None, keepdim=False):
    if not is_float(x.dtype):
        return twin.mean(x, dim, keepdim)
    bits, count, shape = _kept(x, dim, keepdim)
    return run("Sum", x, bits, shape, x.dtype, 1 / count if count else math.inf)


def var(x, dim=None, correction=1, keepdim=False):
    """Two passes: the mean, then squared distances from it, over max(0, n - correction)."""
    if not is_float(x.dtype):
        return twin.var(x, dim, correction, keepdim)
    bits, count, shape = _kept(x, dim, keepdim)
    if count == 0:
        return twin.var(x, dim, correction, keepdim)
    n = max(0, count - correction)
    centre = run("Sum", x, bits, shape, wide(x.dtype), 1 / count)
    return run("SumSquareDiff", x, bits, shape, x.dtype, 1 / n if n else math.inf, centre=centre)


def norm(x, p=2.0, dim=None, keepdim=False):
    if not is_float(x.dtype):
        return twin.norm(x, p, dim, keepdim)
    bits, count, shape = _kept(x, dim, keepdim)
    if p == 2:
        return run("SumSquare", x, bits, shape, x.dtype, finish=_SQRT)
    if p == 1:
        return run("SumAbs", x, bits, shape, x.dtype)
    if p == 0:
        return run("CountNonzero", x, bits, shape, x.dtype)
    if math.isinf(p):
        if count == 0:
            return twin.norm(x, p, dim, keepdim)
        return run("MaxAbs" if p > 0 else "MinAbs", x, bits, shape, x.dtype)
    return run("SumPow", x, bits, shape, x.dtype, finish=_ROOT, p=float(p))


def sum_to(x, shape):
    """x summed over the dimensions that broadcasting had added or stretched; x itself where there are none."""
    shape = tuple(shape)
    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    dims = (*range(lead), *(lead + i for i, s in enumerate(shape) if s == 1 and x.shape[lead + i] != 1))
    return sum(x, dims).reshape(shape)


def _truth(name, op):
    composed = getattr(twin, name)

    def f(x, dim=None, keepdim=False):
        if code(x.dtype) is None:
            return composed(x, dim, keepdim)
        bits, _, shape = _kept(x, dim, keepdim)
        return run(op, x, bits, shape, np.dtype(np.bool_))

    f.__name__ = f.__qualname__ = name
    return f


all, any = _truth("all", "All"), _truth("any", "Any")


def _places(largest, x, dim, keepdim, values):
    """(values or None, indices)."""
    bits, _, shape = _kept(x, dim, keepdim)
    a, index = described(x), arrays.empty(shape, _INT64)
    out = arrays.empty(shape, x.dtype) if values else None
    memory, address = scratch(native.arg_reduce_workspace(largest, a, bits))
    native.arg_reduce(largest, a, bits, described(out), described(index), address, stream())
    ran("arg_reduce")
    return out, index


def _takes_places(x, dim):
    reduced = x.size if dim is None else x.shape[dim] if x.ndim else 0
    return (is_float(x.dtype) or x.dtype == _INT64) and reduced and x.ndim


def _arg(name, largest):
    composed = getattr(twin, name)

    def f(x, dim=None, keepdim=False):
        if not _takes_places(x, dim):
            return composed(x, dim, keepdim)
        return _places(largest, x, dim, keepdim, False)[1]

    f.__name__ = f.__qualname__ = name
    return f


def _with_values(name, largest):
    composed = getattr(twin, name)

    def f(x, dim, keepdim=False):
        if not _takes_places(x, dim):
            return composed(x, dim, keepdim)
        return _places(largest, x, dim, keepdim, True)

    f.__name__ = f.__qualname__ = name
    return f


argmax, argmin = _arg("argmax", True), _arg("argmin", False)
max_dim, min_dim = _with_values("max_dim", True), _with_values("min_dim", False)


def _scan(name, product):
    composed = getattr(twin, name)

    def f(x, dim):
        if x.ndim == 0 or not (is_float(x.dtype) or x.dtype == _INT64):
            return composed(x, dim)
        x = contiguous(x)
        out = arrays.empty(x.shape, x.dtype)
        native.scan(product, described(x), dim, described(out), stream())
        ran("scan")
        return out

    f.__name__ = f.__qualname__ = name
    return f


cumsum, cumprod = _scan("cumsum", False), _scan("cumprod", True)
if has("reduce"):
    module("reduce").cumsum = cumsum  # cumsum_backward's twin calls it

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "cumprod", "cumsum", "max_dim", "mean", "min_dim",
    "norm", "prod", "sum", "sum_to", "var",
] if has("reduce") else []  # fmt: skip
