"""Padding: constant, reflected, repeated and circular. Each kind is linear, and its gradient another padding."""

import builtins

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from .conv2d import check_size
from .unary import operand


def constant_pad(x, pads, value=0):
    """x with pads[d] = (before, after) elements of `value` along each dimension d; negative ones take off."""
    r = wrap(Tensor._k.constant_pad(x._a, pads, value))
    if x._fn is not None and grad_mode.enabled:
        record(r, constant_pad_rule, (x._fn,), (tuple((-b, -a) for b, a in pads),), ())
    return r


def constant_pad_rule(k, dy, saved, needs):
    return (k.constant_pad(dy, saved[0], 0),)


def index_pad(x, dim, index, inside):
    """x[..., index, ...] along `dim`; inside: the stretch of the index that counts up."""
    r = wrap(Tensor._k.index_pad(x._a, dim, index, inside))
    if x._fn is not None and grad_mode.enabled:
        record(r, index_pad_rule, (x._fn,), (dim, index, inside, x._a.shape[dim]), ())
    return r


def index_pad_rule(k, dy, saved, needs):
    return (k.index_pad_backward(dy, *saved),)


def index_pad_backward(dy, dim, index, inside, size):
    """Zeros of `size` along `dim` with dy added at `index`."""
    r = wrap(Tensor._k.index_pad_backward(dy._a, dim, index, inside, size))
    if dy._fn is not None and grad_mode.enabled:
        record(r, index_pad_backward_rule, (dy._fn,), (dim, index, inside), ())
    return r


def index_pad_backward_rule(k, g, saved, needs):
    return (k.index_pad(g, *saved),)


def index_pad2d(x, row, row_inside, col, col_inside):
    """index_pad along the last two dimensions."""
    how = (row, row_inside, col, col_inside)
    r = wrap(Tensor._k.index_pad2d(x._a, *how))
    if x._fn is not None and grad_mode.enabled:
        record(r, index_pad2d_rule, (x._fn,), (*how, x._a.shape[-2:]), ())
    return r


def index_pad2d_rule(k, dy, saved, needs):
    return (k.index_pad2d_backward(dy, *saved),)


def index_pad2d_backward(dy, row, row_inside, col, col_inside, size):
    """Zeros whose last two dimensions have `size`, with dy added at the indices."""
    how = (row, row_inside, col, col_inside)
    r = wrap(Tensor._k.index_pad2d_backward(dy._a, *how, size))
    if dy._fn is not None and grad_mode.enabled:
        record(r, index_pad2d_backward_rule, (dy._fn,), how, ())
    return r


def index_pad2d_backward_rule(k, g, saved, needs):
    return (k.index_pad2d(g, *saved),)


def _reflected(place, n, before, after):
    if before >= n or after >= n:
        raise RuntimeError(
            f"Padding size should be less than the corresponding input dimension, but got: padding ({before}, {after}) "
            f"at a dimension of size {n}"
        )
    period = builtins.max(2 * (n - 1), 1)
    place = abs(place) % period
    return xp.where(place < n, place, period - place)


def _repeated(place, n, before, after):
    return place.clip(0, n - 1)


def _wrapped(place, n, before, after):
    if before > n or after > n:
        raise RuntimeError(
            f"Padding value causes wrapping around more than once: padding ({before}, {after}) at a dimension of size {n}"
        )
    return place % n


_BY_INDEX = {"reflect": _reflected, "replicate": _repeated, "circular": _wrapped}


def pad(input, pad, mode="constant", value=None):
    """input with pad = (before, after) elements added along the last dimension, the next pair along the one before it,
    and so on; negative ones take off.

    mode: 'constant' (`value`, 0 unless given), 'reflect' (without the border), 'replicate', 'circular'; the last three
    pad the last 1, 2 or 3 dimensions of a batch, or of one sample."""
    t = operand(input, "pad")
    x = t._a
    if not isinstance(pad, (tuple, list)) or not all(hasattr(p, "__index__") for p in pad):
        raise TypeError(f"pad(): argument 'pad' must be tuple of ints, but got {pad!r}")
    pad = [p.__index__() for p in pad]
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, but got {len(pad)} numbers")
    if len(pad) // 2 > x.ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {x.ndim}"
        )
    pads = [(0, 0)] * x.ndim
    for i in range(len(pad) // 2):
        pads[x.ndim - 1 - i] = (pad[2 * i], pad[2 * i + 1])
    shape = tuple(n + b + a for n, (b, a) in zip(x.shape, pads, strict=True))
    if shape and builtins.min(shape) < 0:
        d = next(d for d, n in enumerate(shape) if n < 0)
        raise RuntimeError(
            f"The input size {x.shape[d]}, plus negative padding {pads[d][0]} and {pads[d][1]} resulted in a negative "
            f"output size, which is invalid. Check dimension {d} of your input."
        )
    check_size(shape, "pad")
    if mode == "constant":
        value = 0 if value is None else value
        return constant_pad(t, tuple(pads), value._a if isinstance(value, Tensor) else value)
    if mode not in _BY_INDEX:
        raise NotImplementedError(
            f"Unrecognised padding mode {mode}: use 'constant', 'reflect', 'replicate' or 'circular'"
        )
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    n = len(pad) // 2
    if n not in (1, 2, 3) or x.ndim not in (n + 1, n + 2):
        raise NotImplementedError(
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: the last 1, 2 or 3 dimensions "
            f"of a batch or of one sample, but got {len(pad)} numbers for an input of {x.ndim} dimensions"
        )
    if 0 in x.shape[1:] or (0 in x.shape and x.ndim == n + 1):
        raise RuntimeError(f"Expected an input whose sizes but the batch's are not zero, but got {list(x.shape)}")
    if shape and builtins.min(shape[-n:]) < 1:
        raise RuntimeError(f"pad: the output would have the sizes {list(shape)}, of which none may be zero")
    if x.dtype.kind == "b":
        raise NotImplementedError(f"\"{mode}_pad\" not implemented for 'Bool'")
    if mode == "circular" and builtins.min(pad) < 0:  # torch wraps around what is left
        t = constant_pad(t, tuple((builtins.min(b, 0), builtins.min(a, 0)) for b, a in pads))
        x, pads = t._a, [(builtins.max(b, 0), builtins.max(a, 0)) for b, a in pads]
    if not any(pad):
        return t.clone()

    def along(d):
        """(the index of each element along dimension d, its stretch that counts up)."""
        (before, after), size = pads[d], x.shape[d]
        index = xp.arange(-before, size + after)
        first, begin = builtins.max(0, -before), builtins.max(0, before)
        if before or after:
            index = _BY_INDEX[mode](index, size, before, after)
        return index, (begin, begin + size - first - builtins.max(0, -after), first)

    if n == 3 and any(pads[-3]):
        t = index_pad(t, x.ndim - 3, *along(x.ndim - 3))
    if any(pads[-1]) or any(pads[-2]):
        t = index_pad2d(t, *along(x.ndim - 2), *along(x.ndim - 1))
    return t


__all__ = [
    "constant_pad", "index_pad", "index_pad2d", "index_pad2d_backward", "index_pad_backward", "pad",
]  # fmt: skip
