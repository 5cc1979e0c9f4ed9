"""Resizing of signals, images and volumes. Every mode is linear in the input and works along one dimension at a time."""

import builtins
import math
import warnings

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from .conv2d import check_size
from .unary import operand

# ---------------------------------------------------------------- the linear maps


def resample(x, dim, index, weights):
    """y[..., j, ...] = Σ_t weights[t, j]·x[..., index[t, j], ...] along `dim`; weights None: 1."""
    r = wrap(Tensor._k.resample(x._a, dim, index, weights))
    if x._fn is not None and grad_mode.enabled:
        record(r, resample_rule, (x._fn,), (dim, index, weights, x._a.shape[dim]), ())
    return r


def resample_rule(k, dy, saved, needs):
    return (k.resample_backward(dy, *saved),)


def resample_backward(dy, dim, index, weights, size):
    """Zeros of `size` along `dim` with weights[t, j]·dy[..., j, ...] added at index[t, j]."""
    r = wrap(Tensor._k.resample_backward(dy._a, dim, index, weights, size))
    if dy._fn is not None and grad_mode.enabled:
        record(r, resample_backward_rule, (dy._fn,), (dim, index, weights), ())
    return r


def resample_backward_rule(k, g, saved, needs):
    return (k.resample(g, *saved),)


def block_repeat(x, factors):
    """Each element of the last dimensions repeated factors[i] times along them."""
    r = wrap(Tensor._k.block_repeat(x._a, factors))
    if x._fn is not None and grad_mode.enabled:
        record(r, block_repeat_rule, (x._fn,), (factors,), ())
    return r


def block_repeat_rule(k, dy, saved, needs):
    (factors,) = saved
    if len(factors) == 2 and len(dy.shape) == 4 and 0 not in dy.shape:  # the pooling kernel adds blocks up, too
        return (k.avg_pool2d(dy, factors, factors, (0, 0), False, True, 1),)
    return (k.block_sum(dy, factors),)


def block_sum(dy, factors):
    """The sums of blocks: block_repeat's transpose."""
    r = wrap(Tensor._k.block_sum(dy._a, factors))
    if dy._fn is not None and grad_mode.enabled:
        record(r, block_sum_rule, (dy._fn,), (factors,), ())
    return r


def block_sum_rule(k, g, saved, needs):
    return (k.block_repeat(g, *saved),)


# ---------------------------------------------------------------- which inputs, and how much of each


def _nearest(n, out, scale, exact, d):
    """torch's index: floor(j·scale), or the nearest centre, in single precision."""
    j = xp.arange(out)
    if not exact and out == n:
        return j[None]
    if not exact and out == 2 * n:
        return (j // 2)[None]
    step = xp.asarray(1.0 / scale if scale else n / out, "float32")
    place = (j.astype("float32") + xp.asarray(0.5 if exact else 0.0, "float32")) * step
    return place.astype("int64").clip(0, n - 1)[None]


def _positions(n, out, scale, align_corners, d):
    """Where each output's centre lies in the input, in the input's precision, as torch computes it."""
    j = xp.arange(out).astype(d)
    if align_corners:
        return j * xp.asarray((n - 1) / (out - 1) if out > 1 else 0.0, d)
    step = xp.asarray(1.0 / scale if scale else n / out, d)
    half = xp.asarray(0.5, d)
    return step * (j + half) - half


def _linear(n, out, scale, align_corners, d):
    place = _positions(n, out, scale, align_corners, d).clip(0, None)
    low = place.astype("int64").clip(0, n - 1)
    part = (place - low).clip(0, 1)
    return xp.asarray([low, (low + 1).clip(0, n - 1)]), xp.asarray([1 - part, part])


def _cubic(n, out, scale, align_corners, d):
    place = _positions(n, out, scale, align_corners, d)
    low = xp.floor(place)
    t = place - low
    low = low.astype("int64")
    index = xp.asarray([(low + i).clip(0, n - 1) for i in (-1, 0, 1, 2)])
    return index, xp.asarray(cubic_weights(t))


def cubic_weights(t):
    """The weights of the four neighbours at the fraction t, by cubic convolution with slope -3/4 (arrays or Tensors)."""
    a = -0.75

    def inner(s):
        return ((a + 2) * s - (a + 3)) * s * s + 1

    def outer(s):
        return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a

    return [outer(t + 1), inner(t), inner(1 - t), outer(2 - t)]


def _tent(x):
    return (1 - x).clip(0, None)


def _keys(x):
    a = -0.5
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = (((x - 5) * x + 8) * x - 4) * a
    return xp.where(x < 1, inner, xp.where(x < 2, outer, 0.0))


def _antialiased(n, out, scale, align_corners, d, radius, kernel):
    """A filter as wide as the outputs are apart: weights of all inputs within it, which sum to 1."""
    if align_corners:
        step = (n - 1) / (out - 1) if out > 1 else 0.0
    else:
        step = 1.0 / scale if scale else n / out
    support = radius * step if step >= 1 else radius
    centre = step * (xp.arange(out).astype(d) + 0.5)
    first = (centre - support + 0.5).astype("int64").clip(0, None)
    count = (centre + support + 0.5).astype("int64").clip(None, n) - first
    taps = xp.arange(builtins.max(int(count.max()), 1))[:, None]
    weights = kernel(abs((taps + first - centre + 0.5) * (1 / step if step >= 1 else 1.0)))
    weights = xp.where(taps < count, weights, 0.0)
    total = weights.sum(0)
    weights = xp.where(total != 0, weights / xp.where(total != 0, total, 1.0), weights)
    return (taps + first).clip(0, n - 1), weights


# ---------------------------------------------------------------- interpolate

_DIMENSIONS = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}
_ANY = ("nearest", "nearest-exact", "area")


def _target(input, size, scale_factor, recompute, mode):
    """(output sizes, scales or None)."""
    shape = input._a.shape[2:]
    dim = len(shape)
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    what, given = ("size", size) if size is not None else ("scale_factor", scale_factor)
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * dim
    if len(values) != dim:
        raise ValueError(
            f"Input and {'output' if what == 'size' else what} must have the same number of spatial dimensions, but got "
            f"input with spatial dimensions of {list(shape)} and {what} of {given}"
        )
    if what == "size":
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        for v in values:
            if isinstance(v, bool) or not hasattr(v, "__index__"):
                raise TypeError(f"expected size to be one of int or tuple of ints, but got {given!r}")
        return tuple(v.__index__() for v in values), None
    for v in values:
        if isinstance(v, bool) or not hasattr(v, "__float__"):
            raise TypeError(f"expected scale_factor to be a number or a tuple of numbers, but got {given!r}")
    values = tuple(float(v) for v in values)
    out = tuple(math.floor(n * v) for n, v in zip(shape, values, strict=True))
    return out, None if recompute or mode == "area" else values


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """input [N, C, L], [N, C, H, W] or [N, C, D, H, W] resized to `size`, or by `scale_factor`.

    mode: 'nearest', 'nearest-exact', 'area', or 'linear' (3-D input), 'bilinear', 'bicubic' (4-D), 'trilinear' (5-D);
    antialias (bilinear, bicubic) widens the filter where the image shrinks."""
    t = operand(input, "interpolate")
    if mode in _ANY:
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                "trilinear"
            )
    ndim = t._a.ndim
    out, scales = _target(t, size, scale_factor, recompute_scale_factor, mode)
    if antialias and not (mode in ("bilinear", "bicubic") and ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input"
        )
    if mode in _DIMENSIONS and ndim in (3, 4, 5) and ndim != _DIMENSIONS[mode]:
        raise NotImplementedError(f"Got {ndim}D input, but {mode} mode needs {_DIMENSIONS[mode]}D input")
    if ndim not in (3, 4, 5) or not (mode in _ANY or mode in _DIMENSIONS):
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported"
            f" (got {ndim}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact"
            f" (got {mode})"
        )
    x = t._a
    if 0 in x.shape[1:]:
        raise RuntimeError(f"Non-empty {ndim}D data tensor expected but got a tensor with sizes {list(x.shape)}")
    if builtins.min(out) < 1:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {list(x.shape[2:])} and output {list(out)}"
        )
    check_size((*x.shape[:2], *out), "interpolate")
    if mode == "area":
        from . import pool2d, pool3d

        pool = (pool2d.adaptive_avg_pool1d, pool2d.adaptive_avg_pool2d, pool3d.adaptive_avg_pool3d)[ndim - 3]
        return pool(t, out)
    if x.dtype.kind != "f" and not (x.dtype.name == "uint8" and mode != "linear") and x.dtype.kind in "iub":
        raise NotImplementedError(f"\"upsample\" not implemented for '{t.dtype.short}'")
    if x.dtype.name == "uint8" and mode in _DIMENSIONS:
        return _of_bytes(t, out, scales, mode, align_corners, antialias)
    scales = scales or (None,) * len(out)
    if mode == "nearest" and all(
        o % n == 0 and (s is None or s == o // n) for n, o, s in zip(x.shape[2:], out, scales, strict=True)
    ):
        return block_repeat(t, tuple(o // n for n, o in zip(x.shape[2:], out, strict=True)))
    d = x.dtype if x.dtype.kind == "f" and x.dtype.itemsize >= 4 else xp.dtype("float32")
    for i, (o, s) in enumerate(zip(out, scales, strict=True)):
        n = x.shape[2 + i]
        if mode in ("nearest", "nearest-exact"):
            index, weights = _nearest(n, o, s, mode == "nearest-exact", d), None
        elif antialias:
            radius, kernel = (1, _tent) if mode == "bilinear" else (2, _keys)
            index, weights = _antialiased(n, o, s, align_corners, d, radius, kernel)
        elif n == o:  # every position is its own
            continue
        else:
            index, weights = (_cubic if mode == "bicubic" else _linear)(n, o, s, align_corners, d)
        t = resample(t, 2 + i, index, weights)
    return t if t is not input else t.clone()


def _of_bytes(t, out, scales, mode, align_corners, antialias):
    """uint8 images: in float32, rounded and clamped."""
    from .cast import cast
    from .unary import clamp, round

    y = interpolate(cast(t, _float32()), out, None, mode, align_corners, None, antialias)
    return cast(clamp(round(y), 0, 255), t.dtype)


def _float32():
    from .. import dtypes

    return dtypes.float32


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """The old name of interpolate."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """The old name of interpolate(mode='nearest')."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """The old name of interpolate(mode='bilinear', align_corners=True)."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


__all__ = [
    "block_repeat", "block_sum", "interpolate", "resample", "resample_backward", "upsample", "upsample_bilinear",
    "upsample_nearest",
]  # fmt: skip
