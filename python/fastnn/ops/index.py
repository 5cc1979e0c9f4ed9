"""Indexing: x[i] and x[i] = v."""

import operator

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from ._common import check_overlap, check_result_cast, check_writable, rebase, view_of

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
        elif isinstance(i, xp.ARRAYS) and i.dtype.kind == "b":
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
        if not basic:
            key = _beside(key, x)
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


def _beside(key, x):
    """The index arrays of `key` on x's device: those of the CPU may index any tensor, as in torch."""
    for i in key:
        if isinstance(i, xp.ARRAYS) and x.__class__ is xp.ndarray and i.__class__ is not xp.ndarray:
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
    return tuple(xp.beside(i, x) for i in key)


def _unique(key):
    return all(not isinstance(i, xp.ARRAYS) or i.dtype.kind == "b" for i in key)


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
    if not basic:
        key = _beside(key, x)
    check_writable(self, _read(x, key) if basic else None)
    if isinstance(value, Tensor):
        if value._a.__class__ is not x.__class__:
            from .cast import move

            value = move(value, xp.on(x))
        v, fv = value._a, value._fn
        check_result_cast(self, v.dtype) if v.dtype.kind == "c" else None
    else:
        v, fv = value, None
        if not isinstance(v, (bool, int, float, complex, xp.generic, *xp.ARRAYS)):
            raise TypeError(f"can't assign a {type(v).__name__} to a torch.{self.dtype.short}Tensor")
    v = xp.beside(v, x)
    try:
        if isinstance(v, xp.ARRAYS) and v.ndim:
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
