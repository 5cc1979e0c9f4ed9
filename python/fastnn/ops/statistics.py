"""Order statistics, histograms and covariances."""

import math

from .. import dtypes as dt
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import numpy_names, write_out
from .cast import cast
from .elementwise import div, mul, sub, where
from .gather import gather
from .reduce import _result, kept_shape, median_result, mode_result
from .reduce import sum as sum_
from .shape import movedim, reshape, squeeze, t, unsqueeze
from .sort import sort
from .ternary import lerp
from .unary import operand

_MODES = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None, **numpy):
    """The q-quantiles along dim (of all elements where None); NaN where one is NaN. q: a number or vector in [0, 1]."""
    if numpy:
        dim, keepdim = numpy_names("quantile", numpy, dim, keepdim)
    r = _quantile(input, q, dim, keepdim, interpolation, False, "quantile")
    return r if out is None else write_out(out, r)


def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None, **numpy):
    """The q-quantiles of what is not NaN."""
    if numpy:
        dim, keepdim = numpy_names("nanquantile", numpy, dim, keepdim)
    r = _quantile(input, q, dim, keepdim, interpolation, True, "nanquantile")
    return r if out is None else write_out(out, r)


def _quantile(input, q, dim, keepdim, interpolation, skip, function):
    x = operand(input, function)
    if x._a.dtype.name not in ("float32", "float64"):
        raise RuntimeError(f"{function}() input tensor must be either float or double dtype")
    if interpolation not in _MODES:
        raise RuntimeError(
            f"{function}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{function}() q must be in the range [0, 1] but got {q}")
        q = wrap(xp.on(x._a).asarray(q, x._a.dtype))
    if q._a.ndim > 1:
        raise RuntimeError(f"{function}() q must be a scalar or 1D tensor")
    if q._a.dtype != x._a.dtype:
        raise RuntimeError(f"{function}() q tensor must be same dtype as the input tensor")
    if q._a.size and not ((q._a >= 0) & (q._a <= 1)).all():
        raise RuntimeError(f"{function}() q values must be in the range [0, 1]")
    if x._a.size == 0:
        raise RuntimeError(f"{function}() input tensor must be non-empty")
    ndim = x._a.ndim
    if dim is None:
        flat, i = reshape(x, (-1,)), 0
        kept = (1,) * ndim
    else:
        i = check_dim(dim, ndim)
        flat = movedim(x, i, -1) if ndim else reshape(x, (1,))
        kept = kept_shape(x._a.shape, (i,))
    ordered = sort(flat, -1)[0]
    n = ordered._a.shape[-1]
    missing = xp.isnan(ordered._a)
    counts = (
        (~missing).sum(-1, keepdims=True) if skip else xp.on(ordered._a).full((*ordered._a.shape[:-1], 1), n, "int64")
    )
    rank = q._a.reshape(-1) * xp.maximum(counts - 1, 0).astype(q._a.dtype)
    if interpolation == "nearest":
        rank = xp.rint(rank)
    elif interpolation == "lower":
        rank = xp.floor(rank)
    elif interpolation == "higher":
        rank = xp.ceil(rank)
    low = xp.floor(rank).astype("int64")
    r = gather(ordered, -1, wrap(low))
    if interpolation in ("linear", "midpoint"):
        high = xp.ceil(rank).astype("int64")
        if interpolation == "midpoint":
            weight = wrap(xp.on(rank).full(rank.shape, 0.5, rank.dtype))
        else:  # differentiable with respect to q
            last = wrap(xp.maximum(counts - 1, 0).astype(rank.dtype))
            weight = sub(mul(reshape(q, (-1,)), last), wrap(low.astype(rank.dtype)))
        r = lerp(r, gather(ordered, -1, wrap(high)), weight)
    lost = (counts == 0) if skip else missing.any(-1, keepdims=True)
    if lost.any():
        r = where(wrap(lost), math.nan, r)
    # [..., len(q)] -> q's dimension first, then the reduced shape
    r = movedim(r, -1, 0)
    shape = tuple(kept) if keepdim else tuple(s for d, s in enumerate(kept) if dim is not None and d != i)
    return reshape(r, q._a.shape + shape)


def nanmedian(input, dim=None, keepdim=False, *, out=None, **numpy):
    """The middle value of what is not NaN, the lower of two; with dim (values, indices)."""
    if numpy:
        dim, keepdim = numpy_names("nanmedian", numpy, dim, keepdim)
    x = operand(input, "nanmedian")
    if x._a.dtype.kind != "f":
        from .reduce import median

        return median(x, dim, keepdim)
    if dim is None:
        if x._a.size == 0:
            return wrap(xp.on(x._a).full((), math.nan, x._a.dtype))
        return nanmedian(reshape(x, (-1,)), 0).values
    i = check_dim(dim, x._a.ndim)
    if x._a.ndim == 0:
        return median_result(x, wrap(xp.on(x._a).zeros((), "int64")))
    if x._a.shape[i] == 0:
        raise IndexError(f"median(): Expected reduction dim {i} to have non-zero size.")
    order = sort(x.detach(), i)[1]
    count = (~xp.isnan(x._a)).sum(i, keepdims=True)
    at = gather(order, i, wrap(xp.maximum(count - 1, 0) // 2))
    values = gather(x, i, at)
    return median_result(*((values, at) if keepdim else (squeeze(values, i), squeeze(at, i))))


def mode(input, dim=-1, keepdim=False, *, out=None, **numpy):
    """(values, indices): the most frequent value along dim (the smallest of equal ones), and where it is last."""
    if numpy:
        dim, keepdim = numpy_names("mode", numpy, dim, keepdim, default=-1)
    x = operand(input, "mode")
    i = check_dim(dim, x._a.ndim)
    if x._a.ndim == 0:
        return mode_result(x, wrap(xp.on(x._a).zeros((), "int64")))
    if x._a.shape[i] == 0:
        raise IndexError(f"mode(): Expected reduction dim {i} to have non-zero size.")
    at = wrap(Tensor._k.mode_index(x._a, i))
    values = gather(x, i, at)
    return mode_result(*((values, at) if keepdim else (squeeze(values, i), squeeze(at, i))))


# ---------------------------------------------------------------- histograms


def histc(input, bins=100, min=0, max=0, *, out=None):
    """How many elements lie in each of `bins` equal parts of [min, max] (of the data's range where both are equal)."""
    x = operand(input, "histc")
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    a = x._a.reshape(-1)
    low, high = float(min), float(max)
    if low > high:
        raise RuntimeError("max must be larger than min")
    if low == high and a.size:
        low, high = float(a.min()), float(a.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    r = wrap(Tensor._k.equal_bins(a, bins, low, high, None).astype(x._a.dtype))
    return r if out is None else write_out(out, r)


histogram_result = _result("histogram", ("hist", "bin_edges"))
histogramdd_result = _result("histogramdd", ("hist", "bin_edges"))


def histogram(input, bins, *, range=None, weight=None, density=False, out=None):
    """(hist, bin_edges): counts, or sums of weights, in `bins` equal parts of `range`, or between the edges given."""
    x = operand(input, "histogram")
    if x._a.dtype.kind != "f":
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{x.dtype.short}'")
    w = _weights(x, weight, x._a.shape, "histogram")
    edges = _edges(x._a.reshape(-1), bins, range, x._a.dtype, "histogram", 0)
    hist = Tensor._k.histogram_of([x._a.reshape(-1)], [edges], w, not isinstance(bins, Tensor), density)
    r = histogram_result(wrap(hist.astype(x._a.dtype)), wrap(edges))
    if out is not None:
        return histogram_result(write_out(out[0], r[0]), write_out(out[1], r[1]))
    return r


def _weights(x, weight, shape, function):
    if weight is None:
        return None
    if weight._a.dtype != x._a.dtype:
        raise RuntimeError(
            f"torch.{function}: if weight tensor is provided, input tensor and weight tensor must have the same dtype, but "
            f"got input {x.dtype.short}, and weight {weight.dtype.short}"
        )
    if weight._a.shape != shape:
        raise RuntimeError(
            f"torch.{function}: if weight tensor is provided it must have the same shape as the input tensor excluding its "
            f"innermost dimension, got input {list(x._a.shape)} and weight {list(weight._a.shape)}"
        )
    return weight._a.reshape(-1)


def _edges(a, bins, bounds, d, function, n):
    if isinstance(bins, Tensor):
        if bins._a.ndim != 1:
            raise RuntimeError(
                f"torch.{function}: bins tensor should have one dimension, but got {bins._a.ndim} dimensions"
            )
        if bins._a.size == 0:
            raise RuntimeError(
                f"torch.{function}: bins tensor should have at least 1 element, but got 0 in dimension {n}"
            )
        if bins._a.dtype != d:
            raise RuntimeError(f"torch.{function}: input tensor and bins tensors should have the same dtype")
        if bounds is not None:
            raise TypeError(f"{function}(): range is not used where bins gives the edges")
        return bins._a.copy()
    if bins <= 0:
        raise RuntimeError(f"torch.{function}: bins must be > 0, got {bins} in dimension {n}")
    if bounds is None:
        low, high = (float(a.min()), float(a.max())) if a.size else (0.0, 1.0)
    else:
        low, high = map(float, bounds)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.{function}: dimension {n}'s range [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(
            f"torch.{function}: min should not exceed max, but got min {low} max {high} for dimension {n}"
        )
    if low == high:
        low, high = low - 0.5, high + 0.5
    from .create import linspace

    return linspace(low, high, bins + 1, dtype=dt.from_np(d))._a


def histogramdd(input, bins, *, range=None, weight=None, density=False):
    """(hist, edges a dimension) of points in the last dimension."""
    x = operand(input, "histogramdd")
    if x._a.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    if x._a.dtype.kind != "f":
        raise NotImplementedError(f"\"histogramdd_cpu\" not implemented for '{x.dtype.short}'")
    n = x._a.shape[-1]
    bins = [bins] * n if isinstance(bins, int) else list(bins)
    if len(bins) != n:
        raise RuntimeError(
            f"torch.histogramdd: expected {n} sequences of bin edges for a {n}-dimensional histogram but got "
            f"{len(bins)}"
        )
    if range is not None and len(range) != 2 * n:
        raise RuntimeError(
            f"torch.histogramdd: for a {n}-dimensional histogram range should have {2 * n} elements, but got "
            f"{len(range)}"
        )
    w = _weights(x, weight, x._a.shape[:-1], "histogramdd")
    columns = [x._a.reshape(-1, n)[:, i] for i in _count(n)]
    edges = [
        _edges(c, b, None if range is None else range[2 * i : 2 * i + 2], x._a.dtype, "histogramdd", i)
        for i, (c, b) in enumerate(zip(columns, bins, strict=True))
    ]
    hist = Tensor._k.histogram_of(columns, edges, w, not isinstance(bins[0], Tensor), density)
    return histogramdd_result(wrap(hist.astype(x._a.dtype)), tuple(wrap(e) for e in edges))


_count = range  # the builtin: the arguments above hide it under torch's name


# ---------------------------------------------------------------- covariance


def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables in rows, observations in columns."""
    from .matmul import mm

    x = operand(input, "cov")
    if x._a.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {x._a.ndim} dimensions"
        )
    if x._a.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    if x._a.dtype.kind in "iu":
        x = cast(x, dt.get_default_dtype())
    x = x if x._a.ndim == 2 else reshape(x, (1, -1))
    n = x._a.shape[1]
    w = None
    for v, name, kinds in ((fweights, "fweights", "iu"), (aweights, "aweights", "f")):
        if v is None:
            continue
        if v._a.ndim > 1:
            raise RuntimeError(
                f"cov(): expected {name} to have one or fewer dimensions but got {name} with {v._a.ndim} dimensions"
            )
        if v._a.dtype.kind not in kinds:
            raise RuntimeError(
                f"cov(): expected {name} to have {'integral' if kinds == 'iu' else 'floating point'} dtype but got "
                f"{name} with {v.dtype.short} dtype"
            )
        if v._a.size != n:
            raise RuntimeError(
                f"cov(): expected {name} to have the same numel as there are observations in the input but got "
                f"{v._a.size} != {n}"
            )
        if v._a.size and not (v._a >= 0).all():
            raise RuntimeError(f"cov(): {name} cannot be negative")
        w = v if w is None else mul(w, v)
    if w is None:
        total, average = float(n), div(sum_(x, 1), n)
    else:
        total = sum_(w)
        if n and float(total) == 0:
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        average = div(sum_(mul(x, w), 1), total)
    if w is not None and aweights is not None and correction != 0:
        norm = sub(total, div(mul(sum_(mul(w, aweights)), float(correction)), total))
    else:
        norm = sub(total, float(correction)) if isinstance(total, Tensor) else total - correction
    norm_value = max(float(norm), 0.0)
    x = sub(x, unsqueeze(average, 1))
    other = t(x if w is None else mul(x, w))
    if x._a.dtype.kind == "c":
        from .complex import conj

        other = conj(other)
    product = mm(x, other)
    r = div(product, norm if isinstance(norm, Tensor) and norm_value > 0 else norm_value)
    return reshape(r, ()) if r._a.size == 1 else r


def corrcoef(input):
    """The matrix of correlation coefficients of variables in rows."""
    from .arrange import diagonal
    from .unary import clamp, sqrt

    x = operand(input, "corrcoef")
    if x._a.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {x._a.ndim} dimensions"
        )
    c = cov(x)
    if c._a.ndim == 0:
        return div(c, c)
    d = sqrt(diagonal(c))
    return clamp(div(div(c, unsqueeze(d, 1)), unsqueeze(d, 0)), -1, 1)


def renorm(input, p, dim, maxnorm, *, out=None):
    """Each slice along dim scaled down to the p-norm `maxnorm` where its own is larger."""
    from .spread import vector_norm

    x = operand(input, "renorm")
    if p <= 0:
        raise RuntimeError("renorm: non-positive norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if x._a.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {x._a.ndim} dimensions")
    i = check_dim(dim, x._a.ndim)
    others = [d for d in _count(x._a.ndim) if d != i]
    norm = vector_norm(x, p, others, True)
    scale = where(norm > maxnorm, div(float(maxnorm), norm + 1e-7), 1.0)
    r = mul(x, scale)
    return r if out is None else write_out(out, r)
