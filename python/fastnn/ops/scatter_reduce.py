"""Writing with a reduction, and copies of a tensor with one of its views replaced: scatter_reduce, select_scatter ..."""

from .._tape import grad_mode, own_version, record
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import GRAPH, in_place, write_out
from .gather import _check_src, _gather_index, _index_array, index_put
from .join import narrow
from .shape import clone, expand, reshape

_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def scatter_reduce(input, dim, index, src, reduce, *, include_self=True, out=None):
    """input with src reduced ('sum', 'prod', 'mean', 'amax' or 'amin') into where gather(…, dim, index) reads.

    include_self=False leaves input's own values out where something is written."""
    x = input._a
    i = check_dim(dim, x.ndim)
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}.")
    a = _gather_index(x.shape, i, index, "scatter_reduce")
    if src._a.dtype != x.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    _check_src(src._a, a, "scatter_reduce")
    if x.ndim == 0:
        r = scatter_reduce(
            reshape(input, (1,)), 0, reshape(index, (-1,)), reshape(src, (-1,)), reduce, include_self=include_self
        )
        return reshape(r, ())
    for d, n in enumerate(a.shape):
        src = narrow(src, d, 0, n) if src._a.shape[d] != n else src
    values, count = Tensor._k.scatter_reduce(x, i, a, src._a, reduce, include_self)
    r = wrap(values)
    if (input._fn is not None or src._fn is not None) and grad_mode.enabled:
        saved = (x, src._a, values, count, i, a, reduce, include_self)
        record(
            r,
            scatter_reduce_rule,
            (input._fn, src._fn),
            saved,
            (input, src, own_version(r), None, None, None, None, None),
        )
    return r if out is None else write_out(out, r)


def scatter_reduce_rule(k, dy, saved, needs):
    x, src, r, count, dim, index, reduce, include_self = saved
    if k is GRAPH:
        count, index = None if count is None else wrap(count), wrap(index)
    dx = ds = None
    if reduce == "mean":
        dy = k.div(dy, count)
    if reduce in ("sum", "mean"):
        dx, ds = dy, k.gather(dy, dim, index)
    elif reduce == "prod":
        dx, ds = _prod_gradients(k, dy, x, src, r, dim, index, include_self)
    else:
        hit = k.eq(src, k.gather(r, dim, index))
        own = k.eq(x, r)
        hits = k.scatter_add_zeros(k.cast(hit, dy.dtype), x.shape, dim, index)
        if include_self:
            hits = k.add(hits, k.cast(own, dy.dtype))
        share = k.div(dy, k.where(k.eq(hits, 0.0), 1.0, hits))
        dx, ds = k.where(own, share, 0.0), k.where(hit, k.gather(share, dim, index), 0.0)
        if not include_self:
            dx = dy
    if not include_self:
        dx = k.scatter(dx, dim, index, 0.0)
    return None if needs[0] is None else dx, None if needs[1] is None else ds


def _prod_gradients(k, dy, x, src, r, dim, index, include_self):
    """The product of the others: by division, with a single zero of its place replaced by 1 first."""

    def product(base, values):
        if k is not GRAPH:
            return k.scatter_reduce(base, dim, index, values, "prod", include_self)[0]
        return scatter_reduce(base, dim, index, values, "prod", include_self=include_self)

    zero = k.eq(x, 0.0)
    base = k.where(zero, 1.0, x)
    dx = k.div(k.mul(dy, product(base, src)), base)
    lost = k.eq(src, 0.0)
    zeros = k.gather(k.scatter_add_zeros(k.cast(lost, dy.dtype), x.shape, dim, index), dim, index)
    single = k.logical_and(lost, k.eq(zeros, 1.0))
    filled = product(x, k.where(single, 1.0, src))
    others = k.div(k.gather(k.mul(dy, r), dim, index), k.where(lost, 1.0, src))
    return dx, k.where(single, k.gather(k.mul(dy, filled), dim, index), others)


def index_reduce(input, dim, index, source, reduce, *, include_self=True):
    """input with the slices of source reduced ('prod', 'mean', 'amax' or 'amin') into those at `index` along dim."""
    i = check_dim(dim, input._a.ndim)
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    a = _index_array(index, "index_reduce", input._a.shape[i] if input._a.ndim else 1)
    if a.ndim > 1:
        raise RuntimeError(f"index_reduce_(): Index is supposed to be a vector, but got dim: {a.ndim}")
    if source._a.dtype != input._a.dtype:
        raise RuntimeError("index_reduce_(): self and source expected to have the same dtype")
    if source._a.ndim and source._a.shape[i] != a.size:
        raise RuntimeError(
            f"index_reduce_(): Number of indices ({a.size}) should be equal to source.size(dim) ({source._a.shape[i]})"
        )
    if source._a.ndim == 0:
        return scatter_reduce(input, 0, reshape(index, input._a.shape), source, reduce, include_self=include_self)
    spread = reshape(wrap(a), (1,) * i + (-1,) + (1,) * (source._a.ndim - i - 1))
    return scatter_reduce(input, i, expand(spread, source._a.shape), source, reduce, include_self=include_self)


def put(input, index, source, accumulate=False):
    """input with source's elements at flat positions, or added there."""
    a = _index_array(index, "put_")
    if source._a.size != a.size:
        raise IndexError(
            f"put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source._a.size}, index.numel() = {a.size}"
        )
    if source._a.dtype != input._a.dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got {input.dtype} and {source.dtype}"
        )
    if a.size and input._a.size == 0:
        raise IndexError("put_(): Expected self to be non-empty where index is")
    flat = index_put(reshape(input, (-1,)), (wrap(a.reshape(-1)),), reshape(source, (-1,)), accumulate)
    return reshape(flat, input._a.shape)


def _written(input, src, view):
    """A copy of input whose part `view` holds src."""
    r = clone(input)
    part = view(r)
    if part._a.shape != src._a.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src._a.shape)}, slice size = "
            f"{list(part._a.shape)}"
        )
    part.copy_(src)
    return r


def select_scatter(input, src, dim, index):
    """A copy of input with src in the place of input.select(dim, index)."""
    from .join import select

    return _written(input, src, lambda t: select(t, dim, index))


def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """A copy of input with src in the place of the slice start:end:step along dim."""
    from .index import getitem

    i = check_dim(dim, input._a.ndim)
    return _written(input, src, lambda t: getitem(t, (slice(None),) * i + (slice(start, end, step),)))


def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy of input with src on the diagonal of dim1 and dim2."""
    from .arrange import diagonal

    return _written(input, src, lambda t: diagonal(t, offset, dim1, dim2))


def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy of input with src in the place of input.as_strided(size, stride, storage_offset)."""
    from .arrange import as_strided

    return _written(input, src, lambda t: as_strided(t, size, stride, storage_offset))


def unravel_index(indices, shape):
    """The coordinates, one tensor a dimension, of flat positions in `shape`."""
    from .cast import cast
    from .elementwise import floor_divide, remainder

    if indices._a.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if isinstance(shape, Tensor):
        shape = shape.tolist()
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(s < 0 for s in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {shape}")
    t, out = cast(indices, xp.dtype("int64")), []
    for n in reversed(shape):
        out.append(remainder(t, n))
        t = floor_divide(t, n)
    return tuple(reversed(out))


def _in_place_form(name, op):
    def inplace(self, *args, **keywords):
        return in_place(self, lambda t, *a: op(t, *a, **keywords), *args)

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__doc__ = f"{name}, in place."
    return inplace


scatter_reduce_, index_reduce_, put_ = (_in_place_form(f.__name__, f) for f in (scatter_reduce, index_reduce, put))
