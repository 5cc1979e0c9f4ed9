"""Reductions over some or all dimensions, with their gradients.

NumPy's names for dim and keepdim are taken by numpy_names(). Rules stretch a gradient back with `expand`, which
copies nothing.
"""

import math
from collections import namedtuple

from .. import dtypes as dt
from .._tape import grad_mode, own_version, record, record_many
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import dims_of, missing_dim, numpy_dim, numpy_names, write_out
from .cast import cast
from .elementwise import maximum, minimum
from .unary import operand


def _result(name, fields):
    """torch.return_types.name: a tuple with named fields."""
    base = namedtuple(name, fields)

    def __repr__(self):
        parts = ",\n".join(f"{f}={v!r}" for f, v in zip(fields, self, strict=True))
        return f"torch.return_types.{name}(\n{parts})"

    return type(name, (base,), {"__slots__": (), "__repr__": __repr__, "__module__": __name__})


max_result, min_result = _result("max", ("values", "indices")), _result("min", ("values", "indices"))
median_result, mode_result = _result("median", ("values", "indices")), _result("mode", ("values", "indices"))
cummax_result, cummin_result = _result("cummax", ("values", "indices")), _result("cummin", ("values", "indices"))
aminmax_result = _result("aminmax", ("min", "max"))


def kept_shape(shape, dims):
    """`shape` with 1 for the dimensions `dims` (None: all)."""
    if dims is None:
        return (1,) * len(shape)
    return tuple(1 if i in dims else s for i, s in enumerate(shape))


def stretch(k, dy, shape, dims, keepdim):
    """A reduction's gradient over what was reduced."""
    if dims is not None and not keepdim:
        dy = k.reshape(dy, kept_shape(shape, dims))
    return k.expand(dy, shape)


def count_of(shape, dims):
    n = 1
    for i in range(len(shape)) if dims is None else dims:
        n *= shape[i]
    return n


def _finish(r, out):
    return r if out is None else write_out(out, r)


# ---------------------------------------------------------------- sum, mean, prod


def sum(input, dim=None, keepdim=False, *, dtype=None, out=None, **numpy):
    """The sum over `dim` (an int, several, or all); integers and bools add up in int64."""
    if numpy:
        dim, keepdim = numpy_names("sum", numpy, dim, keepdim)
    if not isinstance(input, Tensor):
        input = operand(input, "sum")
    if dtype is not None:
        input = cast(input, dt.as_dtype(dtype, "sum"))
    x = input._a
    dims = None if dim is None else dims_of(dim, x.ndim)
    r = wrap(Tensor._k.sum(x, dims, keepdim))
    if dtype is not None and r._a.dtype != x.dtype:
        r = cast(r, input.dtype)
    fn = input._fn
    if fn is not None and grad_mode.enabled:
        record(r, sum_rule, (fn,), (x.shape, dims, keepdim), ())
    return r if out is None else write_out(out, r)


def sum_rule(k, dy, saved, needs):
    shape, dims, keepdim = saved
    if dims is not None and not keepdim:
        dy = k.reshape(dy, kept_shape(shape, dims))
    return (k.expand(dy, shape),)


def mean(input, dim=None, keepdim=False, *, dtype=None, out=None, **numpy):
    """The mean over `dim` (an int, several, or all). Raises RuntimeError for integers and bools."""
    if numpy:
        dim, keepdim = numpy_names("mean", numpy, dim, keepdim)
    if not isinstance(input, Tensor):
        input = operand(input, "mean")
    if dtype is not None:
        input = cast(input, dt.as_dtype(dtype, "mean"))
    x = input._a
    if x.dtype.kind in "iub":
        what = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {what} dtype must be either a floating point or complex dtype. "
            f"Got: {input.dtype.short}"
        )
    dims = None if dim is None else dims_of(dim, x.ndim)
    r = wrap(Tensor._k.mean(x, dims, keepdim))
    fn = input._fn
    if fn is not None and grad_mode.enabled:
        record(r, mean_rule, (fn,), (x.shape, dims, keepdim), ())
    return r if out is None else write_out(out, r)


def mean_rule(k, dy, saved, needs):
    shape, dims, keepdim = saved
    return (stretch(k, k.div(dy, float(count_of(shape, dims) or 1)), shape, dims, keepdim),)


def nansum(input, dim=None, keepdim=False, *, dtype=None, out=None, **numpy):
    """The sum of what is not NaN."""
    if numpy:
        dim, keepdim = numpy_names("nansum", numpy, dim, keepdim)
    from .elementwise import where
    from .unary import isnan

    t = operand(input, "nansum")
    return sum(t if t._a.dtype.kind in "iub" else where(isnan(t), 0.0, t), dim, keepdim, dtype=dtype, out=out)


def nanmean(input, dim=None, keepdim=False, *, dtype=None, out=None, **numpy):
    """The mean of what is not NaN."""
    if numpy:
        dim, keepdim = numpy_names("nanmean", numpy, dim, keepdim)
    from .elementwise import div
    from .unary import isnan, logical_not

    t = operand(input, "nanmean")
    n = cast(sum(logical_not(isnan(t)), dim, keepdim), t.dtype)
    return div(nansum(t, dim, keepdim, dtype=dtype), n, out=out)


def prod(input, dim=None, keepdim=False, *, dtype=None, out=None, **numpy):
    """The product over one dimension, or all; integers and bools multiply in int64."""
    if numpy:
        dim, keepdim = numpy_names("prod", numpy, dim, keepdim)
    t = operand(input, "prod")
    if dtype is not None:
        t = cast(t, dt.as_dtype(dtype, "prod"))
    x = t._a
    if isinstance(dim, (tuple, list)):
        raise TypeError("prod(): argument 'dim' must be int, not tuple")
    dims = None if dim is None else dims_of(dim, x.ndim)
    r = wrap(Tensor._k.prod(x, dims, keepdim))
    if t._fn is not None and grad_mode.enabled:
        record(r, prod_rule, (t._fn,), (x, r._a, dims, keepdim), (t, own_version(r), None, None))
    return _finish(r, out)


def prod_rule(k, dy, saved, needs):
    """dy · y/x; where a zero forbids the division, dy · (product of those before) · (product of those after)."""
    x, y, dims, keepdim = saved
    shape = x.shape
    if _has_zero(x):
        if dims is None:
            flat = k.reshape(x, (-1,))
            others = k.reshape(_others_product(k, flat, 0), shape)
        else:
            others = _others_product(k, x, dims[0])
        return (k.mul(stretch(k, dy, shape, dims, keepdim), others),)
    return (k.div(stretch(k, k.mul(dy, y), shape, dims, keepdim), x),)


def _has_zero(x):
    a = x._a if isinstance(x, Tensor) else x
    return bool((a == 0).any())


def _others_product(k, x, dim):
    """For each element the product of all the others along `dim`: exclusive running products from both ends."""
    return k.mul(_before(k, x, dim), k.flip(_before(k, k.flip(x, (dim,)), dim), (dim,)))


def _before(k, x, dim):
    """Running products that leave the element itself out: cumprod of (1, x₀, x₁, …)."""
    n = x.shape[dim]
    ones = k.full(tuple(1 if i == dim else s for i, s in enumerate(x.shape)), 1.0, x.dtype)
    return k.cumprod(k.cat([ones, _span(k, x, dim, 0, n - 1)], dim), dim)


def _span(k, x, dim, start, stop):
    return k.index_get(x, (slice(None),) * dim + (slice(start, stop),))


def cumsum(input, dim=None, *, dtype=None, out=None, **numpy):
    """Running sums along `dim`."""
    if numpy:
        dim = numpy_dim("cumsum", numpy, dim)
    if dim is None:
        raise missing_dim("cumsum")
    t = operand(input, "cumsum")
    if dtype is not None:
        t = cast(t, dt.as_dtype(dtype, "cumsum"))
    x = t._a
    dim = check_dim(dim, x.ndim)
    r = wrap(Tensor._k.cumsum(x, dim))
    if t._fn is not None and grad_mode.enabled:
        record(r, cumsum_rule, (t._fn,), (dim,), ())
    return _finish(r, out)


def cumsum_rule(k, dy, saved, needs):
    (dim,) = saved
    if not len(dy.shape):
        return (dy,)
    return (k.cumsum_backward(dy, dim),)


def cumsum_backward(dy, dim):
    """The sums from each element to the last (differentiable: cumsum's gradient)."""
    r = wrap(Tensor._k.cumsum_backward(dy._a, dim))
    if dy._fn is not None and grad_mode.enabled:
        record(r, cumsum_backward_rule, (dy._fn,), (dim,), ())
    return r


def cumsum_backward_rule(k, dy, saved, needs):
    return (k.cumsum(dy, *saved),)


def cumprod(input, dim=None, *, dtype=None, out=None, **numpy):
    """Running products along `dim`."""
    if numpy:
        dim = numpy_dim("cumprod", numpy, dim)
    if dim is None:
        raise missing_dim("cumprod")
    t = operand(input, "cumprod")
    if dtype is not None:
        t = cast(t, dt.as_dtype(dtype, "cumprod"))
    x = t._a
    dim = check_dim(dim, x.ndim)
    r = wrap(Tensor._k.cumprod(x, dim))
    if t._fn is not None and grad_mode.enabled:
        record(r, cumprod_rule, (t._fn,), (x, r._a, dim), (t, own_version(r), None))
    return _finish(r, out)


def cumprod_rule(k, dy, saved, needs):
    """Σ_{j≥i} dyⱼ·yⱼ/xᵢ; where zeros forbid the division, (x₀…xᵢ₋₁)·sᵢ with sᵢ = dyᵢ + xᵢ₊₁·sᵢ₊₁."""
    x, y, dim = saved
    if not len(x.shape):
        return (dy,)
    if not _has_zero(x):
        products = k.mul(dy, y)
        return (k.div(k.cumsum_backward(products, dim), x),)
    s = _span(k, dy, dim, -1, None)
    parts = [s]
    for i in range(x.shape[dim] - 2, -1, -1):
        s = k.add(_span(k, dy, dim, i, i + 1), k.mul(_span(k, x, dim, i + 1, i + 2), s))
        parts.append(s)
    return (k.mul(_before(k, x, dim), k.cat(parts[::-1], dim)),)


def sum_to(x, shape):
    """x summed over the dimensions that broadcasting to it had added or stretched from `shape`."""
    a = x._a
    if not isinstance(shape, tuple):  # True: the operand was a number
        shape = ()
    if a.shape == shape:
        return x
    r = wrap(Tensor._k.sum_to(a, shape))
    if x._fn is not None and grad_mode.enabled:
        record(r, sum_to_rule, (x._fn,), (a.shape,), ())
    return r


def sum_to_rule(k, dy, saved, needs):
    return (k.expand(dy, saved[0]),)


def sum_to_size(input, *size):
    """sum_to with torch's name and signature. Raises RuntimeError where `size` does not broadcast to input's shape."""
    size = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    s = input._a.shape
    lead = len(s) - len(size)
    if lead < 0 or False in [a in (b, 1) for a, b in zip(size, s[lead:], strict=True)]:
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(s)}}}.")
    return sum_to(input, size)


def count_nonzero(input, dim=None, **numpy):
    """How many elements are not zero; int64."""
    if numpy:
        dim = numpy_dim("count_nonzero", numpy, dim)
    t = operand(input, "count_nonzero")
    return sum(wrap(Tensor._k.ne(t._a, 0)), dim)


# ---------------------------------------------------------------- extremes


def _check_not_empty(x, dims, name):
    if x.size == 0 and count_of(x.shape, dims) == 0:
        if dims is None:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
                "with the 'dim' argument."
            )
        raise IndexError(f"{name}(): Expected reduction dim {dims[0]} to have non-zero size.")


def _extreme(name):
    def extreme(input, dim=(), keepdim=False, *, out=None, **numpy):
        if numpy:
            dim, keepdim = numpy_names(name, numpy, dim, keepdim, default=())
        t = operand(input, name)
        x = t._a
        dims = dims_of(dim, x.ndim)
        _check_not_empty(x, dims, name)
        r = wrap(getattr(Tensor._k, name)(x, dims, keepdim))
        if t._fn is not None and grad_mode.enabled:
            record(r, extreme_rule, (t._fn,), (x, r._a, dims, keepdim), (t, own_version(r), None, None))
        return _finish(r, out)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = f"The {name[1:]}imum over `dim`; equal ones share the gradient evenly."
    return extreme


def extreme_rule(k, dy, saved, needs):
    x, y, dims, keepdim = saved
    kept = kept_shape(x.shape, dims)
    y = k.reshape(y, kept)
    at = k.cast(k.logical_or(k.eq(x, y), k.logical_and(k.isnan(x), k.isnan(y))), x.dtype)
    return (k.mul(at, k.div(k.reshape(dy, kept), k.sum(at, dims, True))),)


amax, amin = _extreme("amax"), _extreme("amin")


def aminmax(input, *, dim=None, keepdim=False, **numpy):
    """(min, max) over one dimension, or all."""
    if numpy:
        dim, keepdim = numpy_names("aminmax", numpy, dim, keepdim)
    return aminmax_result(amin(input, dim, keepdim), amax(input, dim, keepdim))


def select_rule(k, dy, saved, needs):
    """Each result is one element: its gradient goes there."""
    dy = dy[0]
    shape, dim, index, keepdim = saved
    if not shape:
        return (dy,)
    if not keepdim:
        dy = k.unsqueeze(dy, dim)
    return (k.scatter_add_zeros(dy, shape, dim, index),)


def _picked(t, values, index, dim, keepdim, names):
    """(values, indices) as one recorded op. index: with the dimension dim kept."""
    indices = wrap(index if keepdim or not t._a.ndim else index.squeeze(dim))
    v = wrap(values)
    if t._fn is not None and grad_mode.enabled:
        record_many((v, indices), select_rule, (t._fn,), (t._a.shape, dim, index, keepdim), ())
    return names(v, indices)


def _max_or_min(name, whole, pairwise, result):
    def along(t, dim, keepdim):
        x = t._a
        dim = check_dim(dim, x.ndim)
        if x.ndim:
            _check_not_empty(x, (dim,), name)
        values, index = getattr(Tensor._k, name + "_dim")(x, dim, True)
        if x.ndim and not keepdim:
            values = values.squeeze(dim)
        return _picked(t, values, index, dim, keepdim, result)

    def extreme(input, dim=None, keepdim=False, *, other=None, out=None, **numpy):
        if numpy:
            dim, keepdim = numpy_names(name, numpy, dim, keepdim)
        t = operand(input, name)
        if isinstance(dim, Tensor):
            other, dim = dim, None
        if other is not None:
            return pairwise(t, other, out=out)
        if dim is None:
            _check_not_empty(t._a, None, name)
            return _finish(whole(t), out)
        r = along(t, dim, bool(keepdim))
        if out is not None:
            return result(*(write_out(o, v) for o, v in zip(out, r, strict=True)))
        return r

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = (
        f"{name}(input): the {name}imum, equal ones sharing the gradient; {name}(input, dim): (values, indices), the "
        f"first of equal ones taking it; {name}(input, other): elementwise."
    )
    return extreme


max = _max_or_min("max", amax, maximum, max_result)
min = _max_or_min("min", amin, minimum, min_result)


def _arg(name):
    def arg(input, dim=None, keepdim=False, *, out=None, **numpy):
        if numpy:
            dim, keepdim = numpy_names(name, numpy, dim, keepdim)
        x = operand(input, name)._a
        if x.dtype.kind == "b":
            raise RuntimeError(f"{name}(): does not support bool input")
        dim = None if dim is None else check_dim(dim, x.ndim)
        if x.size == 0 and (dim is None or x.shape[dim] == 0):
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        return _finish(wrap(getattr(Tensor._k, name)(x, dim, keepdim)), out)

    arg.__name__ = arg.__qualname__ = name
    arg.__doc__ = f"The index of the {name[3:]}imum along `dim`, or in the flattened tensor; the first of equal ones."
    return arg


argmax, argmin = _arg("argmax"), _arg("argmin")


def median(input, dim=None, keepdim=False, **numpy):
    """The middle value, the lower of two; with dim (values, indices)."""
    if numpy:
        dim, keepdim = numpy_names("median", numpy, dim, keepdim)
    from .shape import reshape

    t = operand(input, "median")
    if t._a.dtype.kind == "b":
        raise NotImplementedError("\"median_cpu\" not implemented for 'Bool'")
    if dim is None:
        if t._a.size == 0:
            return wrap(xp.on(t._a).full((), math.nan if t._a.dtype.kind == "f" else 0, t._a.dtype))
        return median(reshape(t, (-1,)), 0).values
    dim = check_dim(dim, t._a.ndim)
    if t._a.ndim == 0:
        return median_result(t, wrap(Tensor._k.argmax(t._a, None, False)))
    _check_not_empty(t._a, (dim,), "median")
    k = Tensor._k
    values, at = k.kthvalue(t._a, (t._a.shape[dim] + 1) // 2, dim)
    if t._a.dtype.kind == "f":  # NaN wins
        lost = k.isnan(t._a)
        if lost.any():
            at = k.where(k.any(lost, (dim,), True), k.argmax(lost, dim, True), at)
            values = k.gather(t._a, dim, at)
    return _picked(t, values if keepdim else values.squeeze(dim), at, dim, keepdim, median_result)


# ---------------------------------------------------------------- any, all


def _logical(name, doc):
    def reduce(input, dim=None, keepdim=False, *, out=None, **numpy):
        if numpy:
            dim, keepdim = numpy_names(name, numpy, dim, keepdim)
        x = operand(input, name)._a
        r = wrap(getattr(Tensor._k, name)(x, dims_of(dim, x.ndim), keepdim))
        return _finish(cast(r, dt.uint8) if x.dtype.name == "uint8" else r, out)

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = doc
    return reduce


any, all = _logical("any", "Whether one element is not zero."), _logical("all", "Whether no element is zero.")


def logsumexp(input, dim=None, keepdim=False, *, out=None, **numpy):
    """ln Σ e^x over `dim`, shifted so that nothing overflows."""
    if numpy:
        dim, keepdim = numpy_names("logsumexp", numpy, dim, keepdim)
    if dim is None:
        raise missing_dim("logsumexp")
    t = operand(input, "logsumexp")
    if t._a.dtype.kind in "iub":
        t = cast(t, dt.get_default_dtype())
    x = t._a
    dims = dims_of(dim, x.ndim)
    r = wrap(Tensor._k.logsumexp(x, dims, keepdim))
    if t._fn is not None and grad_mode.enabled:
        record(r, logsumexp_rule, (t._fn,), (x, r._a, dims, keepdim), (t, own_version(r), None, None))
    return _finish(r, out)


def logsumexp_rule(k, dy, saved, needs):
    """dy·e^(x - y); NaN where the difference is of two infinities, as torch's."""
    x, y, dims, keepdim = saved
    kept = kept_shape(x.shape, dims)
    return (k.mul(k.reshape(dy, kept), k.exp(k.sub(x, k.reshape(y, kept)))),)
