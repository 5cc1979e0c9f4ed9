"""Variance, standard deviation and norms over some or all dimensions, with their gradients."""

import math
import warnings

from .. import dtypes as dt
from .._tape import grad_mode, own_version, record
from ..tensor import Tensor, wrap
from ._common import dims_of, numpy_names, write_out
from .cast import cast
from .elementwise import sub
from .reduce import count_of, kept_shape, mean, stretch
from .unary import operand

# ---------------------------------------------------------------- variance


def _spread_arguments(dim, unbiased, correction):
    """torch's overloads: var(unbiased), var(dim, unbiased, keepdim), var(dim, correction=…)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = 1 if unbiased else 0
    return dim, 1 if correction is None else correction


def _finish(r, out):
    return r if out is None else write_out(out, r)


def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None, out=None, **numpy):
    """The variance over `dim`: Σ(x - mean)² / max(0, n - correction), correction 1 unless given."""
    if numpy:
        dim, keepdim = numpy_names("var", numpy, dim, keepdim)
    t, dims, correction, keepdim = _spread(input, dim, unbiased, keepdim, correction, "var")
    return _finish(_variance(t, dims, correction, keepdim), out)


def _spread(input, dim, unbiased, keepdim, correction, name):
    t = operand(input, name)
    dim, correction = _spread_arguments(dim, unbiased, correction)
    if t._a.dtype.kind in "iub":
        raise RuntimeError(f"{name} only support floating point and complex dtypes")
    dims = dims_of(dim, t._a.ndim)
    if count_of(t._a.shape, dims) - correction <= 0:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            "(input numel divided by output numel).",
            stacklevel=3,
        )
    return t, dims, correction, keepdim


def _variance(t, dims, correction, keepdim):
    x = t._a
    r = wrap(Tensor._k.var(x, dims, correction, keepdim))
    if t._fn is not None and grad_mode.enabled:
        record(r, var_rule, (t._fn,), (x, dims, correction, keepdim), (t, None, None, None))
    return r


def var_rule(k, dy, saved, needs):
    """2/(n - correction) · (x - mean) · dy"""
    x, dims, correction, keepdim = saved
    n = count_of(x.shape, dims) - correction
    centred = k.sub(x, k.mean(x, dims, True))
    scale = 2.0 / n if n > 0 else math.nan
    return (k.mul(stretch(k, dy, x.shape, dims, keepdim), k.mul(centred, scale)),)


def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None, out=None, **numpy):
    """The standard deviation: √var. Its gradient is 0 where it is 0."""
    if numpy:
        dim, keepdim = numpy_names("std", numpy, dim, keepdim)
    t, dims, correction, keepdim = _spread(input, dim, unbiased, keepdim, correction, "std")
    return _finish(_deviation(t, dims, correction, keepdim), out)


def _deviation(t, dims, correction, keepdim):
    x = t._a
    r = wrap(Tensor._k.sqrt(Tensor._k.var(x, dims, correction, keepdim)))
    if t._fn is not None and grad_mode.enabled:
        saved = (x, r._a, dims, correction, keepdim)
        record(r, std_rule, (t._fn,), saved, (t, own_version(r), None, None, None))
    return r


def std_rule(k, dy, saved, needs):
    """var's gradient of dy/(2·std), 0 where std is 0."""
    x, y, dims, correction, keepdim = saved
    half = k.where(k.eq(y, 0.0), 0.0, k.div(dy, k.mul(y, 2.0)))
    return var_rule(k, half, (x, dims, correction, keepdim), needs)


def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None, **numpy):
    """(variance, mean)"""
    if numpy:
        dim, keepdim = numpy_names("var_mean", numpy, dim, keepdim)
    t, dims, correction, keepdim = _spread(input, dim, unbiased, keepdim, correction, "var_mean")
    return _variance(t, dims, correction, keepdim), mean(t, dims, keepdim)


def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None, **numpy):
    """(standard deviation, mean)"""
    if numpy:
        dim, keepdim = numpy_names("std_mean", numpy, dim, keepdim)
    t, dims, correction, keepdim = _spread(input, dim, unbiased, keepdim, correction, "std_mean")
    return _deviation(t, dims, correction, keepdim), mean(t, dims, keepdim)


# ---------------------------------------------------------------- norms


def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """(Σ|x|^p)^(1/p) over `dim` (an int, several, or all), p 'fro' being 2 and inf the largest |x|; gradient 0 at 0."""
    if p == "fro" or p is None:
        p = 2.0
    elif isinstance(p, str):
        if p == "nuc":
            from .linalg_forms import matrix_norm

            r = matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
            return _finish(r, out)
        p = float(p)
    return vector_norm(input, p, dim, keepdim, dtype=dtype, out=out)


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None, **numpy):
    """linalg.vector_norm: (Σ|x|^ord)^(1/ord), ord a number, inf or -inf. Raises RuntimeError for integers."""
    if numpy:
        dim, keepdim = numpy_names("vector_norm", numpy, dim, keepdim)
    t = operand(x, "linalg.vector_norm")
    if dtype is not None:
        t = cast(t, dt.as_dtype(dtype, "vector_norm"))
    a = t._a
    if a.dtype.kind in "iub":
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {t.dtype.short}"
        )
    p = float(ord)
    dims = dims_of(dim, a.ndim)
    if a.size == 0 and count_of(a.shape, dims) == 0 and (p < 0 or p == math.inf):
        raise RuntimeError(f"linalg.vector_norm cannot compute the {p} norm on an empty tensor because the operation "
                           "does not have an identity")  # fmt: skip
    r = wrap(Tensor._k.norm(a, p, dims, keepdim))
    if t._fn is not None and grad_mode.enabled:
        record(r, norm_rule, (t._fn,), (a, r._a, p, dims, keepdim), (t, own_version(r), None, None, None))
    return _finish(r, out)


def norm_rule(k, dy, saved, needs):
    """dy · sign(x) · (|x|/y)^(p-1), 0 where y is 0; for p = ±inf shared by the elements that reach y."""
    x, y, p, dims, keepdim = saved
    if p == 0:
        return (None,)
    kept = kept_shape(x.shape, dims)
    y, dy = k.reshape(y, kept), k.reshape(dy, kept)
    if p == 1:
        return (k.mul(dy, k.sign(x)),)
    if p == 2:
        return (k.mul(x, k.where(k.eq(y, 0.0), 0.0, k.div(dy, y))),)
    size = k.abs(x)
    if math.isinf(p):
        at = k.cast(k.eq(size, y), x.dtype)
        return (k.mul(k.mul(k.sign(x), at), k.div(dy, k.sum(at, dims, True))),)
    scale = k.where(k.eq(y, 0.0), 0.0, k.div(dy, k.pow(y, p - 1.0)))
    power = k.pow(size, p - 1.0)
    if p < 1:  # |x|^(p-1) is infinite at 0, where the gradient is 0
        power = k.where(k.eq(x, 0.0), 0.0, power)
    return (k.mul(k.mul(k.sign(x), power), scale),)


def dist(input, other, p=2):
    """The p-norm of input - other."""
    return vector_norm(sub(input, other), p)
