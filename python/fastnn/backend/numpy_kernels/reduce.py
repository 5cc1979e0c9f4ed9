"""NumPy twins of the reductions: the readable definition of each, and what runs where nothing is compiled.

`dim` is None (all) or a tuple of distinct non-negative ints (of a 0-d array: (0,) or ()); for cumsum, cumprod, argmax,
argmin, max_dim and min_dim one int. Every result is an ndarray.
"""

import numpy as np
from numpy import ndarray


def _axes(x, dim):
    return () if x.ndim == 0 and dim is not None else dim


def _array(r):
    return r if type(r) is ndarray else np.asarray(r)


def _accumulator(x):
    """Integers and bool add up in int64; 16-bit floats in float32."""
    return np.int64 if x.dtype.kind in "biu" else np.float32 if x.dtype.itemsize == 2 else None


def _reduced(x, r):
    """r back in x's dtype where the accumulator was wider than a floating x."""
    r = _array(r)
    return r if r.dtype == x.dtype or x.dtype.kind in "biu" else r.astype(x.dtype)


def sum(x, dim=None, keepdim=False):
    return _reduced(x, np.add.reduce(x, _axes(x, dim), _accumulator(x), None, keepdim))


def prod(x, dim=None, keepdim=False):
    return _reduced(x, np.multiply.reduce(x, _axes(x, dim), _accumulator(x), None, keepdim))


def _count(x, dim):
    n = 1
    for d in range(x.ndim) if dim is None else _axes(x, dim):
        n *= x.shape[d]
    return n


def mean(x, dim=None, keepdim=False):
    return _reduced(x, np.true_divide(np.add.reduce(x, _axes(x, dim), _accumulator(x), None, keepdim), _count(x, dim)))


def amax(x, dim=None, keepdim=False):
    """NaN wins."""
    return _array(np.maximum.reduce(x, _axes(x, dim), None, None, keepdim))


def amin(x, dim=None, keepdim=False):
    return _array(np.minimum.reduce(x, _axes(x, dim), None, None, keepdim))


def _arg(function, x, dim, keepdim):
    if x.ndim == 0:
        return np.zeros((), np.int64)
    if dim is None:
        r = _array(function(x)).astype(np.int64, copy=False)
        return r.reshape((1,) * x.ndim) if keepdim else r
    return _array(function(x, axis=dim, keepdims=keepdim)).astype(np.int64, copy=False)


def argmax(x, dim=None, keepdim=False):
    """The first of equal ones; the first NaN wins."""
    return _arg(np.argmax, x, dim, keepdim)


def argmin(x, dim=None, keepdim=False):
    return _arg(np.argmin, x, dim, keepdim)


def _dim_values(function, x, dim, keepdim):
    if x.ndim == 0:
        return x.copy(), np.zeros((), np.int64)
    index = _arg(function, x, dim, True)
    values = np.take_along_axis(x, index, dim)
    return (values, index) if keepdim else (values.squeeze(dim), index.squeeze(dim))


def max_dim(x, dim, keepdim=False):
    """(values, indices) along one dimension."""
    return _dim_values(np.argmax, x, dim, keepdim)


def min_dim(x, dim, keepdim=False):
    return _dim_values(np.argmin, x, dim, keepdim)


def var(x, dim=None, correction=1, keepdim=False):
    """Two passes: the mean, then squared distances from it, over max(0, n - correction)."""
    axes = _axes(x, dim)
    a = x.astype(np.float32) if x.dtype.itemsize == 2 else x
    n = _count(x, dim)
    centred = a - np.true_divide(np.add.reduce(a, axes, None, None, True), n)
    total = np.add.reduce(np.square(centred, centred if type(centred) is ndarray else None), axes, None, None, keepdim)
    return _reduced(x, np.true_divide(total, max(0, n - correction)))


def norm(x, p=2.0, dim=None, keepdim=False):
    axes = _axes(x, dim)
    a = np.absolute(x.astype(np.float32) if x.dtype.itemsize == 2 else x)

    def total(v):
        return np.add.reduce(v, axes, None, None, keepdim)

    if p == 2:
        r = np.sqrt(total(a * a))
    elif p == 1:
        r = total(a)
    elif p == 0:
        r = np.add.reduce(a != 0, axes, a.dtype, None, keepdim)
    elif p == np.inf:
        r = np.maximum.reduce(a, axes, None, None, keepdim, 0)
    elif p == -np.inf:
        r = np.minimum.reduce(a, axes, None, None, keepdim, np.inf)
    else:
        r = np.power(total(np.power(a, p)), 1 / p)
    return _reduced(x, r)


def all(x, dim=None, keepdim=False):
    return _array(np.logical_and.reduce(x, _axes(x, dim), None, None, keepdim))


def any(x, dim=None, keepdim=False):
    return _array(np.logical_or.reduce(x, _axes(x, dim), None, None, keepdim))


def _accumulate(ufunc, x, dim):
    """Running totals of floats are kept in float64, as torch does: the error does not grow along the row."""
    if x.ndim == 0:
        return x.astype(_accumulator(x) or x.dtype)
    return _reduced(x, ufunc.accumulate(x, dim, np.int64 if x.dtype.kind in "biu" else np.float64))


def cumsum(x, dim):
    return _accumulate(np.add, x, dim)


def cumprod(x, dim):
    return _accumulate(np.multiply, x, dim)


def cumsum_backward(dy, dim):
    """The sums from each element to the last."""
    return np.flip(cumsum(np.flip(dy, dim), dim), dim) if dy.ndim else dy


def _running(x, dim, wins):
    """(values, indices) of running extremes, the last of equal ones; a NaN stays."""
    if x.ndim == 0:
        return x.copy(), np.zeros((), np.int64)
    rows = np.moveaxis(x, dim, 0)
    values = np.empty_like(rows)
    index = np.zeros(rows.shape, np.int64)
    if rows.shape[0]:
        best, at = rows[0].copy(), np.zeros(rows.shape[1:], np.int64)
        for i in range(rows.shape[0]):
            v = rows[i]
            better = wins(v, best) | (v != v)
            best, at = np.where(better, v, best), np.where(better, i, at)
            values[i], index[i] = best, at
    return np.ascontiguousarray(np.moveaxis(values, 0, dim)), np.ascontiguousarray(np.moveaxis(index, 0, dim))


def cummax(x, dim):
    return _running(x, dim, np.greater_equal)


def cummin(x, dim):
    return _running(x, dim, np.less_equal)


def logcumsumexp(x, dim):
    """Accumulated in float64: the gradient takes differences of such sums."""
    if x.ndim == 0:
        return x.copy()
    return _array(np.logaddexp.accumulate(x.astype(np.float64), dim)).astype(x.dtype)


def logsumexp(x, dim=None, keepdim=False):
    """Shifted by the largest value, where that is finite: rows of -inf give -inf, +inf gives +inf."""
    axes = _axes(x, dim)
    m = np.asarray(np.maximum.reduce(x, axes, None, None, True, -np.inf))
    m = np.where(np.isfinite(m), m, 0).astype(x.dtype, copy=False)
    r = np.add.reduce(np.exp(x - m), axes, None, None, keepdim)
    return _reduced(x, np.log(r) + m.reshape(np.shape(r)))


def sum_to(x, shape):
    """x summed over the dimensions that broadcasting had added or stretched; x itself where there are none."""
    shape = tuple(shape)
    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    dims = (*range(lead), *(lead + i for i, s in enumerate(shape) if s == 1 and x.shape[lead + i] != 1))
    return sum(x, dims).reshape(shape)


__all__ = [
    "sum", "prod", "mean", "amax", "amin", "argmax", "argmin", "max_dim", "min_dim", "var", "norm", "all", "any",
    "cumsum", "cumsum_backward", "cumprod", "cummax", "cummin", "logcumsumexp", "logsumexp", "sum_to",
]  # fmt: skip
