"""Reading and writing along one dimension, by flat positions and by masks: gather, scatter, index_add, masked_fill ..."""

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import GRAPH, broadcast_error, check_writable, in_place, numpy_dim, write_out
from .index import _key, getitem, index_get, index_put_zeros, setitem

_INT64 = xp.dtype("int64")


def _index_array(index, function, n=None):
    if not isinstance(index, Tensor):
        raise TypeError(f"{function}(): argument 'index' must be Tensor, not {type(index).__name__}")
    a = index._a
    if a.size == 0:
        return a.astype("int64")
    if a.dtype is not _INT64 and a.dtype.name not in ("int64", "int32"):  # a dtype's name takes longer than the rest
        raise RuntimeError(f"{function}(): Expected dtype int32/int64 for index, got {index.dtype}")
    if n is not None and not Tensor._k.index_within(a, n):
        bad = int(a.min()) if int(a.min()) < 0 else int(a.max())
        raise (IndexError if function == "index_select" else RuntimeError)(
            f"{function}(): index {bad} is out of bounds for dimension with size {n}"
        )
    return a


def index_select(input, dim, index, *, out=None):
    """The slices of input at `index` along dim."""
    i = check_dim(dim, input._a.ndim)
    n = input._a.shape[i] if input._a.ndim else 1
    a = _index_array(index, "index_select", n)
    if a.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if input._a.ndim == 0:
        r = index_get(input, ())
    else:
        r = wrap(Tensor._k.index_select(input._a, i, a.reshape(-1)))
        if input._fn is not None and grad_mode.enabled:
            record(r, index_select_rule, (input._fn,), (input._a.shape, i, a.reshape(-1)), ())
    return r if out is None else write_out(out, r, input, index)


def index_select_rule(k, dy, saved, needs):
    shape, dim, index = saved
    if dim == 0:
        return (k.index_put_zeros(dy, shape, index, False),)
    return (k.scatter_add_zeros(dy, shape, dim, _slices(index, dim, dy.shape)),)


def _slices(index, dim, shape):
    """A vector of indices along dim as an index of every element of `shape`."""
    return xp.broadcast_to(index.reshape((-1,) + (1,) * (len(shape) - dim - 1)), shape)


def gather(input, dim, index, *, sparse_grad=False, out=None):
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on."""
    x = input._a
    i = check_dim(dim, x.ndim)
    a = _gather_index(x.shape, i, index, "gather")
    if x.ndim == 0:
        r = index_get(input, ())
        if a.ndim:
            from .shape import reshape

            r = reshape(r, (1,))
    elif a.size == 0:
        r = wrap(xp.on(x).zeros(a.shape, x.dtype))
        if input._fn is not None and grad_mode.enabled:
            record(r, empty_gather_rule, (input._fn,), (x.shape,), ())
    else:
        a = a.reshape(1) if a.ndim == 0 else a
        r = wrap(Tensor._k.gather(x, i, a))
        if input._fn is not None and grad_mode.enabled:
            record(r, gather_rule, (input._fn,), (x.shape, i, a), ())
        if index._a.ndim == 0:
            from .shape import reshape

            r = reshape(r, ())
    if out is not None:
        if out._a.dtype != x.dtype:
            raise RuntimeError(
                f"gather(): Expected self.dtype to be equal to out.dtype, got {input.dtype} and {out.dtype}"
            )
        return write_out(out, r, input, index)
    return r


def _gather_index(shape, dim, index, function):
    a = _index_array(index, function, shape[dim] if shape else 1)
    if a.size == 0:
        return a
    if a.ndim != len(shape) and (a.ndim or 1) != (len(shape) or 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for d, (n, s) in enumerate(zip(a.shape, shape, strict=False)):
        if d != dim and n > s:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(a.shape)} to be no larger than self "
                f"{list(shape)} apart from dimension {dim}"
            )
    return a


def empty_gather_rule(k, dy, saved, needs):
    return (k.zeros(saved[0], dy.dtype),)


def gather_rule(k, dy, saved, needs):
    shape, dim, index = saved
    return (k.scatter_add_zeros(dy, shape, dim, index),)


def scatter_add_zeros(dy, shape, dim, index):
    """Zeros of `shape` with dy added where gather(…, dim, index) reads."""
    r = wrap(Tensor._k.scatter_add_zeros(dy._a, shape, dim, index))
    if dy._fn is not None and grad_mode.enabled:
        record(r, scatter_add_zeros_rule, (dy._fn,), (dim, index), ())
    return r


def scatter_add_zeros_rule(k, dy, saved, needs):
    dim, index = saved
    return (k.gather(dy, dim, index if k is not GRAPH else wrap(index)),)


def scatter(input, dim, index, src, *, reduce=None):
    """input with src (a tensor or number) written where gather(…, dim, index) reads."""
    x = input._a
    i = check_dim(dim, x.ndim)
    a = _gather_index(x.shape, i, index, "scatter")
    if x.ndim == 0:
        return _as_vectors(lambda t, n, v: scatter(t, 0, n, v, reduce=reduce), input, index, src)
    values, fs = (src._a, src._fn) if isinstance(src, Tensor) else (src, None)
    if isinstance(src, Tensor):
        if values.dtype != x.dtype:
            raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
        _check_src(values, a, "scatter")
    r = wrap(Tensor._k.scatter(x, i, a, values, reduce))
    if (input._fn is not None or fs is not None) and grad_mode.enabled:
        if reduce is not None:
            raise NotImplementedError("scatter: reduce= has no gradient; use scatter_add")
        record(r, scatter_rule, (input._fn, fs), (i, a, getattr(values, "shape", ())), ())
    return r


def _as_vectors(op, input, index, src):
    """An op along dimension 0 of a 0-d tensor: that of one element."""
    from .shape import reshape

    src = reshape(src, (-1,)) if isinstance(src, Tensor) else src
    return reshape(op(reshape(input, (1,)), reshape(index, (-1,)), src), ())


def _check_src(values, index, function):
    if values.ndim != index.ndim or any(n > s for n, s in zip(index.shape, values.shape, strict=True)):
        raise RuntimeError(
            f"{function}(): Expected index {list(index.shape)} to be no larger than src {list(values.shape)} in every dimension"
        )


def scatter_rule(k, dy, saved, needs):
    dim, index, shape = saved
    dx = ds = None
    if needs[0] is not None:
        dx = k.scatter(dy, dim, index if k is not GRAPH else wrap(index), 0.0)
    if needs[1] is not None:
        ds = k.gather(dy, dim, index if k is not GRAPH else wrap(index))
        if ds.shape != shape:
            ds = k.index_put_zeros(ds, shape, tuple(slice(0, n) for n in ds.shape), True)
    return dx, ds


def scatter_add(input, dim, index, src):
    """input with src added where gather(…, dim, index) reads."""
    x = input._a
    i = check_dim(dim, x.ndim)
    a = _gather_index(x.shape, i, index, "scatter_add")
    if x.ndim == 0:
        return _as_vectors(lambda t, n, v: scatter_add(t, 0, n, v), input, index, src)
    if src._a.dtype != x.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    _check_src(src._a, a, "scatter_add")
    from .join import narrow

    for d, n in enumerate(a.shape):
        src = narrow(src, d, 0, n) if src._a.shape[d] != n else src
    return _scatter_add(input, i, a, src, scatter_add_rule)


def _scatter_add(input, dim, index, src, rule):
    r = wrap(Tensor._k.scatter(input._a, dim, index, src._a, "add"))
    if (input._fn is not None or src._fn is not None) and grad_mode.enabled:
        record(r, rule, (input._fn, src._fn), (dim, index), ())
    return r


def scatter_add_rule(k, dy, saved, needs):
    dim, index = saved
    return dy, None if needs[1] is None else k.gather(dy, dim, index if k is not GRAPH else wrap(index))


def index_add_rule(k, dy, saved, needs):
    dim, index = saved
    if needs[1] is None:
        return dy, None
    lines = index[(0,) * dim + (slice(None),) + (0,) * (index.ndim - dim - 1)] if index.size else index.reshape(-1)
    return dy, k.index_select(dy, dim, lines if k is not GRAPH else wrap(lines))


def index_add(input, dim, index, source, *, alpha=1, out=None):
    """input with the slices of source added at `index` along dim."""
    from .elementwise import mul

    i = check_dim(dim, input._a.ndim)
    a = _index_array(index, "index_add", input._a.shape[i] if input._a.ndim else 1)
    if a.ndim > 1:
        raise IndexError(f"index_add_(): Index is supposed to be a vector, but got dim: {a.ndim}")
    if source._a.dtype != input._a.dtype:
        raise RuntimeError(
            f"index_add_(): self ({input.dtype.short}) and source ({source.dtype.short}) must have the same scalar type"
        )
    if input._a.ndim == 0:
        r = _as_vectors(lambda t, n, v: index_add(t, 0, n, v, alpha=alpha), input, index, source)
        return r if out is None else write_out(out, r)
    a = a.reshape(-1)
    if source._a.ndim != input._a.ndim or source._a.shape[i] != a.size:
        raise RuntimeError(
            f"index_add_(): Number of indices ({a.size}) should be equal to source.size(dim) for source of shape "
            f"{list(source._a.shape)}"
        )
    rest = source._a.shape[:i] + source._a.shape[i + 1 :]
    if rest != input._a.shape[:i] + input._a.shape[i + 1 :]:
        raise RuntimeError("index_add_(): source and self must have the same shape except in dim")
    if alpha != 1:
        source = mul(source, alpha)
    r = _scatter_add(input, i, _slices(a, i, source._a.shape), source, index_add_rule)
    return r if out is None else write_out(out, r)


def index_copy(input, dim, index, source):
    """input with the slices at `index` along dim replaced by source's."""
    from .shape import clone

    i = check_dim(dim, input._a.ndim)
    a = _index_array(index, "index_copy", input._a.shape[i] if input._a.ndim else 1)
    if a.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {a.ndim})")
    if source._a.dtype != input._a.dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) {input.dtype.short} and "
            f"(source) {source.dtype.short}"
        )
    if input._a.ndim == 0:
        return _as_vectors(lambda t, n, v: index_copy(t, 0, n, v), input, index, source)
    if source._a.ndim and (source._a.ndim != input._a.ndim or source._a.shape[i] != a.size):
        raise IndexError(
            f"index_copy_(): Number of indices ({a.size}) should be equal to source.size(dim) for source of shape "
            f"{list(source._a.shape)}"
        )
    r = clone(input)
    setitem(r, (slice(None),) * i + (wrap(a.reshape(-1)),), source)
    return r


def index_fill(input, dim, index, value):
    """input with `value` (a number or 0-d tensor) in the slices at `index` along dim."""
    from .elementwise import where
    from .shape import clone

    i = check_dim(dim, input._a.ndim)
    a = _index_array(index, "index_fill")
    if a.ndim > 1:
        raise IndexError("index_fill_(): Index has to be a vector/scalar")
    n = input._a.shape[i] if input._a.ndim else 1
    if a.size and (int(a.min()) < -n or int(a.max()) >= n):
        raise IndexError(f"index_fill_(): an index of {a.tolist()} is out of bounds for dimension with size {n}")
    if isinstance(value, Tensor) and value._a.ndim:
        raise RuntimeError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value._a.ndim} dimension(s)."
        )
    if isinstance(value, complex) and input._a.dtype.kind != "c":
        raise RuntimeError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    chosen = xp.zeros(n, bool)
    chosen[a.reshape(-1)] = True
    shape = (1,) * i + (n,) + (1,) * (input._a.ndim - i - 1) if input._a.ndim else ()
    if not isinstance(value, Tensor):
        value = wrap(xp.on(input._a).asarray(value).astype(input._a.dtype))
    return where(wrap(chosen.reshape(shape)), value, input) if input._a.size else clone(input)


def index_put_(self, indices, values, accumulate=False):
    """self[indices] = values, or += with every repetition counted."""
    if accumulate:
        from .elementwise import add
        from .shape import expand

        key, _ = _key(tuple(indices), self._a.ndim)
        i = key[0] if key else None
        if len(key) == 1 and i.__class__ is xp.ndarray and i.ndim == 1 and i.dtype.name == "int64":
            n = self._a.shape[0]
            at = xp.where(i < 0, i + n, i) if i.size and i.min() < 0 else i
            if not Tensor._k.index_within(at, n):
                bad = next(v for v in i.tolist() if not -n <= v < n)
                raise IndexError(f"index_put_(): index {bad} is out of bounds for dimension 0 with size {n}")
            spread = expand(values, i.shape + self._a.shape[1:])
            at = _slices(at, 0, spread._a.shape)
            return in_place(self, lambda s: _scatter_add(s, 0, at, spread, index_add_rule), needs_copy=False)
        spread = expand(values, self._a[key].shape)
        return in_place(self, lambda s: add(s, index_put_zeros(spread, s._a.shape, key, False)), needs_copy=False)
    setitem(self, tuple(indices), values)
    return self


def index_put(input, indices, values, accumulate=False):
    from .shape import clone

    return index_put_(clone(input), indices, values, accumulate)


def take(input, index, *, out=None):
    """The elements at flat positions."""
    from .shape import reshape

    a = _index_array(index, "take")
    if a.size and not input._a.size:
        raise IndexError("take(): tried to take from an empty tensor")
    r = getitem(reshape(input, -1), wrap(a))
    return r if out is None else write_out(out, r, input, index)


def take_along_dim(input, indices, dim=None, *, out=None, **numpy):
    """The elements at `indices` along dim, both broadcast over the other dimensions; at flat positions without dim."""
    if numpy:
        dim = numpy_dim("take_along_dim", numpy, dim)
    from .shape import expand, reshape

    if not isinstance(indices, Tensor) or indices._a.dtype.name not in ("int64", "int32"):
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {getattr(indices, 'dtype', None)}"
        )
    if dim is None:
        r = gather(reshape(input, -1), 0, reshape(indices, -1))
        return r if out is None else write_out(out, r)
    if input._a.ndim != indices._a.ndim:
        raise RuntimeError(
            f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._a.ndim} dimensions for input, and {indices._a.ndim} dimensions for indices"
        )
    i = check_dim(dim, input._a.ndim)
    n = input._a.shape[i]
    place = indices._a
    if place.size and int(place.min()) < 0:
        place = xp.where(place < 0, place + n, place)
    sizes = [[v for d, v in enumerate(t.shape) if d != i] for t in (input._a, place)]
    try:
        common = list(xp.broadcast_shapes(*map(tuple, sizes)))
    except ValueError:
        raise broadcast_error(input._a, place) from None
    x = expand(input, (*common[:i], n, *common[i:]))
    r = gather(x, i, expand(wrap(place), (*common[:i], place.shape[i], *common[i:])))
    return r if out is None else write_out(out, r)


def masked_fill(input, mask, value):
    """input with `value` where mask."""
    from .elementwise import where

    _check_mask(mask, "masked_fill")
    if isinstance(value, Tensor):
        if value._a.ndim:
            raise RuntimeError(
                f"masked_fill only supports a 0-dimensional value tensor, but got tensor with {value._a.ndim} dimension(s)."
            )
        value = value if value._fn is not None else value.item()
    if not isinstance(value, Tensor):
        check_fill(input, value, "masked_fill")
        value = wrap(xp.on(input._a).asarray(value).astype(input._a.dtype))
    return where(mask, value, input)


def check_fill(t, value, function):
    """Raise where the number `value` is of a kind that t's dtype cannot hold."""
    if isinstance(value, complex) and t._a.dtype.kind != "c":
        raise RuntimeError(f"{function}: value cannot be converted to type {t.dtype} without overflow")


def _check_mask(mask, function):
    if not isinstance(mask, Tensor) or mask._a.dtype.kind != "b":
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise RuntimeError(f"{function}: expected a bool tensor as mask, got {kind}")


def masked_select(input, mask):
    """The elements where mask, as a vector."""
    from .shape import broadcast_tensors

    _check_mask(mask, "masked_select")
    x, m = broadcast_tensors(input, mask)
    return getitem(x, m)


def masked_scatter(input, mask, source):
    """input with the first elements of source where mask, in order."""
    from .shape import broadcast_tensors, clone, reshape

    _check_mask(mask, "masked_scatter")
    if source._a.dtype != input._a.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {input.dtype.short} and {source.dtype.short}"
        )
    x, m = broadcast_tensors(input, mask)
    r = clone(x)
    n = int(m._a.sum())
    if n > source._a.size:
        raise RuntimeError(f"masked_scatter: source has {source._a.size} elements, but mask has {n} that are True")
    setitem(r, m, getitem(reshape(source, -1), slice(0, n)))
    return r


def nonzero(input, *, as_tuple=False):
    """The indices of the non-zero elements: [count, ndim], or one vector a dimension."""
    x = input._a
    if as_tuple:
        return tuple(wrap(i) for i in xp.nonzero(x.reshape(1) if x.ndim == 0 else x))
    if x.ndim == 0:
        return wrap(xp.on(x).zeros((int(bool(x)), 0), "int64"))
    return wrap(Tensor._k.nonzero(x))


argwhere = nonzero

# ---------------------------------------------------------------- in place


def _in_place(op, name, needs_copy=True):
    def inplace(self, *args, **keywords):
        return in_place(self, lambda t, *a: op(t, *a, **keywords), *args, needs_copy=needs_copy)

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__doc__ = f"{name}, in place."
    return inplace


scatter_, scatter_add_ = _in_place(scatter, "scatter"), _in_place(scatter_add, "scatter_add")
index_add_, index_copy_ = _in_place(index_add, "index_add"), _in_place(index_copy, "index_copy")
index_fill_, masked_scatter_ = _in_place(index_fill, "index_fill"), _in_place(masked_scatter, "masked_scatter")


def masked_fill_(self, mask, value):
    """masked_fill, in place."""
    if self._fn is None and not (isinstance(value, Tensor) and value._fn is not None):
        _check_mask(mask, "masked_fill_")
        check_writable(self)
        try:
            m = xp.broadcast_to(mask._a, self._a.shape)
        except ValueError:
            raise RuntimeError(
                f"The shape of the mask {list(mask._a.shape)} must broadcast to self's {list(self._a.shape)}"
            ) from None
        if isinstance(value, Tensor) and value._a.ndim:
            raise RuntimeError(
                f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value._a.ndim} dimension(s)."
            )
        v = value.item() if isinstance(value, Tensor) else value
        check_fill(self, v, "masked_fill_")
        self._a[m] = v
        self._bump()
        return self
    return in_place(self, masked_fill, mask, value, needs_copy=False)
