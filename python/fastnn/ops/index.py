"""Indexing: x[i], x[i] = v, gather and scatter, masks, sorting."""

import operator

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import check_overlap, check_result_cast, check_writable, in_place, rebase, view_of

_BASIC = (int, slice, type(None), type(Ellipsis))


def _part(i, function="index"):
    """One entry of an index for NumPy, and whether it is basic."""
    if isinstance(i, _BASIC) and not isinstance(i, bool):
        if isinstance(i, slice):
            if i.step is not None and operator.index(i.step) <= 0:
                raise ValueError("step must be greater than zero")
            if isinstance(i.start, Tensor) or isinstance(i.stop, Tensor) or isinstance(i.step, Tensor):
                i = slice(*(None if v is None else operator.index(v) for v in (i.start, i.stop, i.step)))
        return i, True
    if isinstance(i, bool):
        return i, False
    if isinstance(i, Tensor):
        a = i._a
        if a.dtype.kind in "iu" and a.dtype.itemsize > 1 or a.dtype.kind == "i":
            return (int(a), True) if a.ndim == 0 else (a, False)
        if a.dtype.kind == "b":
            return a, False
        if a.dtype.name == "uint8":  # torch reads a byte index as a mask
            return a.astype(bool), False
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if isinstance(i, xp.ndarray):
        if i.dtype.kind not in "iub":
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        return (int(i), True) if i.ndim == 0 and i.dtype.kind != "b" else (i, False)
    if isinstance(i, (list, tuple, range)):
        a = xp.array([v._a if isinstance(v, Tensor) else v for v in i])
        if a.size == 0:
            a = a.astype("int64")
        if a.dtype.kind not in "iub":
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        return a, False
    if hasattr(i, "__index__"):
        return operator.index(i), True
    raise (TypeError if isinstance(i, str) else IndexError)(
        f"only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
        f"{type(i).__name__})"
    )


def _key(index, ndim):
    """The index as a tuple for NumPy, always with an Ellipsis where it is basic (a view, never a scalar), and whether
    it is basic."""
    if not isinstance(index, tuple):
        index = (index,)
    basic = True
    key = []
    used = 0
    ellipsis = False
    for i in index:
        i, plain = _part(i)
        basic = basic and plain
        key.append(i)
        if i is Ellipsis:
            if ellipsis:
                raise IndexError("an index can only have a single ellipsis ('...')")
            ellipsis = True
        elif isinstance(i, xp.ndarray) and i.dtype.kind == "b":
            used += i.ndim
        elif i is not None and not isinstance(i, bool):
            used += 1
    if used > ndim:
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    if basic and not ellipsis:
        key.append(Ellipsis)
    return tuple(key), basic


def getitem(input, index):
    """input[index]: a view for ints, slices, None and ...; a copy for masks and index arrays."""
    x = input._a
    if index.__class__ is int:
        if x.ndim == 0:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a "
                "0-dim tensor to a number"
            )
        key, basic = (index, Ellipsis), True
    else:
        key, basic = _key(index, x.ndim)
    a = _read(x, key)
    if basic:
        r = view_of(input, a)
    else:
        r = wrap(a)
    if input._fn is not None and grad_mode.enabled:
        if basic:
            record(r, _basic_rule(key), (input._fn,), (x.shape, key, True), ())
        else:
            record(r, index_rule, (input._fn,), (x.shape, key if len(key) > 1 else key[0], _unique(key)), ())
    return r


def _read(x, key):
    try:
        return x[key]
    except IndexError as error:
        raise IndexError(
            str(error)
            .replace("axis", "dimension")
            .replace(
                "boolean index did not match indexed array along",
                "The shape of the mask does not match the indexed tensor along",
            )
        ) from None


def _unique(key):
    return all(not isinstance(i, xp.ndarray) or i.dtype.kind == "b" for i in key)


def index_rule(k, dy, saved, needs):
    shape, key, unique = saved
    return (k.index_put_zeros(dy, shape, key, unique),)


def select_rule(k, dy, saved, needs):
    return index_rule(k, dy, saved, needs)


def slice_rule(k, dy, saved, needs):
    return index_rule(k, dy, saved, needs)


def unsqueeze_rule(k, dy, saved, needs):
    return index_rule(k, dy, saved, needs)


def alias_rule(k, dy, saved, needs):
    return index_rule(k, dy, saved, needs)


def _basic_rule(key):
    """Rules that differ in name alone: torch prints a basic index's grad_fn by its last part."""
    for i in reversed(key):
        if i is None:
            return unsqueeze_rule
        if i.__class__ is int:
            return select_rule
        if i.__class__ is slice and i != slice(None):
            return slice_rule
    return alias_rule


def index_put_zeros(dy, shape, index, unique):
    """Zeros of `shape` with dy added at `index` (differentiable: getitem's gradient)."""
    r = wrap(Tensor._k.index_put_zeros(dy._a, shape, index, unique))
    if dy._fn is not None and grad_mode.enabled:
        record(r, index_put_zeros_rule, (dy._fn,), (index,), ())
    return r


def index_put_zeros_rule(k, dy, saved, needs):
    return (k.index_get(dy, saved[0]),)


def index_get(input, index):
    """input[index] as a fresh tensor, for an index made by getitem."""
    r = wrap(Tensor._k.index_get(input._a, index))
    if input._fn is not None and grad_mode.enabled:
        record(r, index_rule, (input._fn,), (input._a.shape, index, False), ())
    return r


def setitem(self, index, value):
    """self[index] = value, differentiable with respect to both."""
    x = self._a
    key, basic = _key(index, x.ndim)
    check_writable(self, _read(x, key) if basic else None)
    if isinstance(value, Tensor):
        v, fv = value._a, value._fn
        check_result_cast(self, v.dtype) if v.dtype.kind == "c" else None
    else:
        v, fv = value, None
        if not isinstance(v, (bool, int, float, complex, xp.generic, xp.ndarray)):
            raise TypeError(f"can't assign a {type(v).__name__} to a torch.{self.dtype.short}Tensor")
    try:
        if isinstance(v, xp.ndarray) and v.ndim:
            target = x[key].shape
            if v.ndim > len(target):  # leading ones may go, as in torch
                lead = v.ndim - len(target)
                if all(s == 1 for s in v.shape[:lead]):
                    v = v.reshape(v.shape[lead:])
            if isinstance(value, Tensor) and value._ver is not None and value._ver is self._ver:
                if basic:
                    check_overlap(wrap(x[key]), value)
                v = v.copy()
        x[key] = v
    except IndexError as error:
        raise IndexError(str(error).replace("axis", "dimension")) from None
    except ValueError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(getattr(v, 'shape', ()))} cannot be broadcast to indexing "
            f"result of shape {list(x[key].shape)}"
        ) from None
    self._bump()
    if grad_mode.enabled and (self._fn is not None or fv is not None):
        r = wrap(x)
        shape = getattr(v, "shape", ())
        original = value._a.shape if isinstance(value, Tensor) else ()
        record(
            r,
            setitem_rule,
            (self._fn, fv),
            (x.shape, key, shape, original, value._a.dtype if fv is not None else None),
            (),
        )
        rebase(self, r._fn)


def setitem_rule(k, dy, saved, needs):
    shape, key, value_shape, original, d = saved
    dx = dv = None
    if needs[0] is not None:
        dx = k.index_clear(dy, key)
    if needs[1] is not None:
        dv = k.reshape(k.sum_to(k.index_get(dy, key), value_shape), original)
        if dv.dtype != d:
            dv = k.cast(dv, d)
    return dx, dv


def index_clear(x, key):
    """x with zeros at `key`."""
    r = wrap(Tensor._k.index_clear(x._a, key))
    if x._fn is not None and grad_mode.enabled:
        record(r, index_clear_rule, (x._fn,), (key,), ())
    return r


def index_clear_rule(k, dy, saved, needs):
    return (k.index_clear(dy, saved[0]),)


# ---------------------------------------------------------------- along one dimension


def _index_array(index, function, n=None):
    if not isinstance(index, Tensor):
        raise TypeError(f"{function}(): argument 'index' must be Tensor, not {type(index).__name__}")
    a = index._a
    if a.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"{function}(): Expected dtype int32/int64 for index, got {index.dtype}")
    if n is not None and a.size and (int(a.min()) < 0 or int(a.max()) >= n):
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
        return index_get(input, ())
    return index_get(input, (slice(None),) * i + (a.reshape(-1),) if i else a.reshape(-1))


def gather(input, dim, index, *, sparse_grad=False, out=None):
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on."""
    x = input._a
    i = check_dim(dim, x.ndim)
    a = _gather_index(x.shape, i, index, "gather")
    if x.ndim == 0:
        return index_get(input, ())
    r = wrap(Tensor._k.gather(x, i, a))
    if input._fn is not None and grad_mode.enabled:
        record(r, gather_rule, (input._fn,), (x.shape, i, a), ())
    return r


def _gather_index(shape, dim, index, function):
    a = _index_array(index, function, shape[dim] if shape else 1)
    if a.ndim != len(shape) and (a.ndim or 1) != (len(shape) or 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for d, (n, s) in enumerate(zip(a.shape, shape, strict=False)):
        if d != dim and n > s:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(a.shape)} to be no larger than self "
                f"{list(shape)} apart from dimension {dim}"
            )
    return a


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
    return (k.gather(dy, dim, index if k is Tensor._k else wrap(index)),)


def scatter(input, dim, index, src, *, reduce=None):
    """input with src (a tensor or number) written where gather(…, dim, index) reads."""
    x = input._a
    i = check_dim(dim, x.ndim)
    a = _gather_index(x.shape, i, index, "scatter")
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


def _check_src(values, index, function):
    if values.ndim != index.ndim or any(n > s for n, s in zip(index.shape, values.shape, strict=True)):
        raise RuntimeError(
            f"{function}(): Expected index {list(index.shape)} to be no larger than src {list(values.shape)} in every dimension"
        )


def scatter_rule(k, dy, saved, needs):
    dim, index, shape = saved
    dx = ds = None
    if needs[0] is not None:
        dx = k.scatter(dy, dim, index if k is Tensor._k else wrap(index), 0.0)
    if needs[1] is not None:
        ds = k.gather(dy, dim, index if k is Tensor._k else wrap(index))
        if ds.shape != shape:
            ds = k.index_put_zeros(ds, shape, tuple(slice(0, n) for n in ds.shape), True)
    return dx, ds


def scatter_add(input, dim, index, src):
    """input with src added where gather(…, dim, index) reads."""
    x = input._a
    i = check_dim(dim, x.ndim)
    a = _gather_index(x.shape, i, index, "scatter_add")
    if src._a.dtype != x.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    _check_src(src._a, a, "scatter_add")
    from .elementwise import add
    from .shape import narrow

    for d, n in enumerate(a.shape):
        src = narrow(src, d, 0, n) if src._a.shape[d] != n else src
    return add(input, scatter_add_zeros(src, x.shape, i, a))


def index_add(input, dim, index, source, *, alpha=1):
    """input with the slices of source added at `index` along dim."""
    from .elementwise import add, mul
    from .shape import transpose

    i = check_dim(dim, input._a.ndim)
    a = _index_array(index, "index_add", input._a.shape[i]).reshape(-1)
    if source._a.ndim != input._a.ndim or source._a.shape[i] != a.size:
        raise RuntimeError(
            f"index_add_(): Number of indices ({a.size}) should be equal to source.size(dim) for source of shape "
            f"{list(source._a.shape)}"
        )
    moved = transpose(source, 0, i)
    shape = list(input._a.shape)
    shape[0], shape[i] = shape[i], shape[0]
    if moved._a.shape[1:] != tuple(shape[1:]):
        raise RuntimeError("index_add_(): source and self must have the same shape except in dim")
    total = transpose(index_put_zeros(moved, tuple(shape), a, False), 0, i)
    return add(input, total if alpha == 1 else mul(total, alpha))


def index_copy(input, dim, index, source):
    """input with the slices at `index` along dim replaced by source's."""
    from .shape import clone

    r = clone(input)
    i = check_dim(dim, input._a.ndim)
    setitem(r, (slice(None),) * i + (wrap(_index_array(index, "index_copy", input._a.shape[i])),), source)
    return r


def index_fill(input, dim, index, value):
    from .shape import clone

    r = clone(input)
    i = check_dim(dim, input._a.ndim)
    setitem(r, (slice(None),) * i + (wrap(_index_array(index, "index_fill", input._a.shape[i])),), value)
    return r


def index_put_(self, indices, values, accumulate=False):
    """self[indices] = values, or += with every repetition counted."""
    if accumulate:
        from .elementwise import add
        from .shape import expand

        key, _ = _key(tuple(indices), self._a.ndim)
        spread = expand(values, self._a[key].shape)
        return in_place(self, lambda s: add(s, index_put_zeros(spread, s._a.shape, key, False)), needs_copy=False)
    setitem(self, tuple(indices), values)
    return self


def index_put(input, indices, values, accumulate=False):
    from .shape import clone

    return index_put_(clone(input), indices, values, accumulate)


def take(input, index):
    """The elements at flat positions."""
    from .shape import reshape

    _index_array(index, "take")
    return getitem(reshape(input, -1), index)


def take_along_dim(input, indices, dim=None):
    from .shape import reshape

    return gather(reshape(input, -1), 0, reshape(indices, -1)) if dim is None else gather(input, dim, indices)


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
        value = wrap(xp.asarray(value).astype(input._a.dtype))
    return where(mask, value, input)


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
    from .shape import clone, reshape

    r = clone(input)
    n = int(mask._a.sum())
    setitem(r, mask, getitem(reshape(source, -1), slice(0, n)))
    return r


def nonzero(input, *, as_tuple=False):
    """The indices of the non-zero elements: [count, ndim], or one vector a dimension."""
    found = xp.nonzero(input._a.reshape(1) if input._a.ndim == 0 else input._a)
    if as_tuple:
        return tuple(wrap(i) for i in found)
    if input._a.ndim == 0:
        return wrap(xp.zeros((found[0].size, 0), "int64"))
    return wrap(xp.contiguous_copy(xp.array(found).T).reshape(-1, input._a.ndim))


argwhere = nonzero

# ---------------------------------------------------------------- sorting


class _Pair(tuple):
    """(values, indices) with names, printed as torch's."""

    __slots__ = ()
    _name = "sort"
    values = property(operator.itemgetter(0))
    indices = property(operator.itemgetter(1))

    def __new__(cls, values, indices):
        return tuple.__new__(cls, (values, indices))

    def __repr__(self):
        return f"torch.return_types.{self._name}(\nvalues={self[0]!r},\nindices={self[1]!r})"

    def __getnewargs__(self):
        return tuple(self)


class sort_result(_Pair):
    _name = "sort"


class topk_result(_Pair):
    _name = "topk"


class kthvalue_result(_Pair):
    _name = "kthvalue"


def sort(input, dim=-1, descending=False, stable=False):
    """(values, indices) in order along dim; NaN counts as the largest. Equal values keep their order."""
    i = check_dim(dim, input._a.ndim)
    if input._a.ndim == 0:
        return sort_result(input, wrap(xp.zeros((), "int64")))
    order = wrap(Tensor._k.sorting(input._a, i, descending, True))
    return sort_result(gather(input, i, order), order)


def argsort(input, dim=-1, descending=False, stable=False):
    return sort(input, dim, descending, stable)[1]


def msort(input):
    return sort(input, 0)[0]


def topk(input, k, dim=-1, largest=True, sorted=True):
    """The k largest (smallest) elements along dim, and where they are."""
    from .shape import narrow

    i = check_dim(dim, input._a.ndim)
    if input._a.ndim == 0:
        return topk_result(input, wrap(xp.zeros((), "int64")))
    if not 0 <= k <= input._a.shape[i]:
        raise RuntimeError("selected index k out of range")
    order = wrap(Tensor._k.sorting(input._a, i, largest, True))
    order = wrap(xp.contiguous_copy(narrow(order, i, 0, k)._a))
    return topk_result(gather(input, i, order), order)


def kthvalue(input, k, dim=-1, keepdim=False):
    """The k-th smallest element along dim (k from 1), and where it is."""
    from .shape import select, unsqueeze

    i = check_dim(dim, input._a.ndim)
    n = input._a.shape[i] if input._a.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError("kthvalue(): selected number k out of range for dimension " + str(i))
    values, order = sort(input, i)
    if input._a.ndim == 0:
        return kthvalue_result(values, order)
    values, order = select(values, i, k - 1), wrap(select(order, i, k - 1)._a.copy())
    if keepdim:
        values, order = unsqueeze(values, i), unsqueeze(order, i)
    return kthvalue_result(values, order)


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in ascending order (slices along dim), with positions and counts where asked."""
    values, inverse, counts = xp.unique(input._a, dim)
    out = [wrap(values)]
    if return_inverse:
        out.append(wrap(inverse.reshape(input._a.shape) if dim is None else inverse.reshape(-1)))
    if return_counts:
        out.append(wrap(counts))
    return out[0] if len(out) == 1 else tuple(out)


def bincount(input, weights=None, minlength=0):
    """How often each non-negative integer occurs."""
    a = input._a
    if a.ndim != 1 or a.dtype.kind not in "iu" or (a.size and a.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    return wrap(xp.bincount(a, None if weights is None else weights._a, minlength))


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None):
    """Where each value would go in a sorted vector."""
    v = input._a if isinstance(input, Tensor) else xp.asarray(input)
    side = side or ("right" if right else "left")
    return wrap(xp.asarray(xp.searchsorted(sorted_sequence._a, v, side)).astype("int32" if out_int32 else "int64"))


def bucketize(input, boundaries, *, out_int32=False, right=False):
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def isin(elements, test_elements):
    """Whether each element is among the others."""
    return wrap(
        xp.asarray(xp.isin(elements._a, test_elements._a if isinstance(test_elements, Tensor) else test_elements))
    )


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
        self._a[m] = value._a if isinstance(value, Tensor) else value
        self._bump()
        return self
    return in_place(self, masked_fill, mask, value, needs_copy=False)
