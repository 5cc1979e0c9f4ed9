"""Sampling of images and volumes at the points of a grid, and the grids of affine maps."""

import math
import warnings

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from .conv2d import check_size
from .elementwise import add, mul, sub, where
from .embedding import embedding_bag
from .gather import gather
from .interpolate import cubic_weights
from .join import select, stack
from .matmul import matmul
from .shape import contiguous, expand, reshape, transpose
from .unary import clamp, operand

_MODES, _PADDING = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _align(align_corners):
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
            "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.",
            stacklevel=3,
        )
    return bool(align_corners)


def _reflection(a, low, high):
    """(sign, shift) such that sign·a + shift is `a` reflected at low and high until it lies between."""
    if low == high:
        return xp.on(a).zeros(a.shape, a.dtype), xp.on(a).full(a.shape, low, a.dtype)
    span = high - low
    side = xp.where(a < low, -1.0, 1.0)
    distance = abs(a - low)
    turns = xp.floor(distance / span)
    even = turns % 2 == 0
    # An even number of turns: low + distance - turns·span; odd: high - (distance - turns·span).
    sign = xp.where(even, side, -side)
    shift = xp.where(even, low - turns * span - side * low, high + turns * span + side * low)
    return sign.astype(a.dtype), shift.astype(a.dtype)


def _bounded(p, n, padding_mode, align_corners):
    """The coordinate p (a Tensor) kept inside as padding_mode says, with torch's gradient: 0 where it was clipped."""
    if padding_mode == "zeros":
        return p
    if padding_mode == "reflection":
        low, high = (0.0, float(n - 1)) if align_corners else (-0.5, n - 0.5)
        sign, shift = _reflection(p._a, low, high)
        p = add(mul(p, wrap(sign)), wrap(shift))
    from .activation import hardtanh

    return hardtanh(p, 0.0, float(n - 1)) if n > 1 else mul(p, 0.0)


def _pixel(p, n, align_corners):
    """[-1, 1] as places of pixels."""
    if align_corners:
        return mul(add(p, 1.0), (n - 1) / 2)
    return mul(sub(mul(add(p, 1.0), float(n)), 1.0), 0.5)


def _axis_taps(p, n, mode, padding_mode, align_corners):
    """[(index array, inside or None, weight Tensor or None)] of the pixels along one axis that p draws on."""
    if mode == "bicubic":
        low = xp.floor(p._a)
        weights = cubic_weights(sub(p, wrap(low)))
        taps = []
        for i, w in zip((-1, 0, 1, 2), weights, strict=True):
            at = _bounded(wrap(low + i), n, padding_mode, align_corners)._a
            taps.append((at, w))
    else:
        p = _bounded(p, n, padding_mode, align_corners)
        if mode == "nearest":
            # A step function: its gradient by the grid is 0, not absent.
            taps = [(xp.rint(p._a), add(mul(clamp(p, 0.0, 0.0), 0.0), 1.0) if p._fn is not None else None)]
        else:
            low = xp.floor(p._a)
            part = sub(p, wrap(low))
            taps = [(low, sub(1.0, part)), (low + 1, part)]
    out = []
    for at, w in taps:
        inside = (at >= 0) & (at <= n - 1)
        index = xp.where(inside, at, 0).astype("int64")
        out.append((index, inside, w))
    return out


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """input [N, C, H, W] at the points of grid [N, P, Q, 2] -> [N, C, P, Q]; or [N, C, D, H, W], [N, O, P, Q, 3].

    A point is (x, y[, z]), -1 and 1 the borders: the centres of the outer pixels with align_corners, else their outer
    edges. Outside, padding_mode takes zeros, the border, or the reflected image."""
    if mode not in _MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in _PADDING:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
            f"but got: '{padding_mode}'"
        )
    align = _align(align_corners)
    x, g = operand(input, "grid_sampler"), operand(grid, "grid_sampler")
    a, b = x._a, g._a
    if a.ndim not in (4, 5) or b.ndim != a.ndim:
        raise RuntimeError(
            f"grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
            f"{list(a.shape)} and grid with sizes {list(b.shape)}"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have same dtype, but input has {x.dtype} and grid has {g.dtype}"
        )
    if a.shape[0] != b.shape[0] or b.shape[-1] != a.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have the batch size {a.shape[0]} and size {a.ndim - 2} in last dimension, "
            f"but got grid with sizes {list(b.shape)} for input {list(a.shape)}"
        )
    if 0 in a.shape[2:]:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but got {list(a.shape)}"
        )
    if mode == "bicubic" and a.ndim == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    n, c, *sizes = a.shape
    places = b.shape[1:-1]
    count = 1
    for s in places:
        count *= s
    check_size((n, c, count), "grid_sample")
    if mode == "bicubic" or a.dtype.kind != "f":
        return _composed(x, g, mode, padding_mode, align)
    how = (_MODES.index(mode), _PADDING.index(padding_mode), align)
    r = wrap(Tensor._k.grid_sample(a, b, *how))
    if (x._fn is not None or g._fn is not None) and grad_mode.enabled:
        record(r, grid_sample_rule, (x._fn, g._fn), (a, b, *how), (x, g, None, None, None))
    return r


def grid_sample_rule(k, dy, saved, needs):
    return k.grid_sample_backward(dy, *saved, needs[0] is not None, needs[1] is not None)


def grid_sample_backward(dy, x, grid, mode, padding, align, needs_x, needs_grid):
    """The gradients as a graph: of the composed form, from operands that stand for these alone."""
    from ..autograd import grad

    own = mul(x, 1.0), mul(grid, 1.0)
    wanted = [t for t, need in zip(own, (needs_x, needs_grid), strict=True) if need]
    for t in wanted:
        if t._fn is None:
            t.requires_grad_()
    y = _composed(*own, _MODES[mode], _PADDING[padding], align)
    found = iter(grad(y, wanted, dy, create_graph=True, allow_unused=True))
    return tuple(next(found) if need else None for need in (needs_x, needs_grid))


def _composed(x, g, mode, padding_mode, align):
    """grid_sample made of other ops."""
    n, c, *sizes = x._a.shape
    places = g._a.shape[1:-1]
    count = math.prod(places)
    taps = [  # slowest axis first, as in memory; the grid has the fastest first
        _axis_taps(_pixel(select(g, -1, len(sizes) - 1 - i), size, align), size, mode, padding_mode, align)
        for i, size in enumerate(sizes)
    ]
    flat = reshape(x, (n, c, math.prod(sizes)))
    by = _by_gather if c < _ROWS_FROM else _by_rows
    return by(flat, _products(taps, sizes), (n, c, *places), count)


# From this many channels on, rows of all channels of a pixel are faster than one look-up a channel.
_ROWS_FROM = 8


def _by_gather(flat, products, shape, count):
    n, c = shape[:2]
    total = None
    for index, inside, weight in products:
        at = wrap(xp.broadcast_to(index.reshape(n, 1, count), (n, c, count)))
        value = gather(flat, 2, at)
        inside = wrap(inside.reshape(n, 1, count))
        if weight is None:
            value = where(inside, value, 0.0)
        else:  # a NaN weight outside the image counts 0
            value = mul(value, where(inside, reshape(weight, (n, 1, count)), 0.0))
        total = value if total is None else add(total, value)
    return reshape(total, shape)


def _by_rows(flat, products, shape, count):
    """Each point is a bag of weighted pixels, and a pixel the row of its channels."""
    n, c, *places = shape
    rows = flat._a.shape[2]
    table = reshape(transpose(flat, 1, 2), (n * rows, c))
    image = (xp.on(flat._a).arange(n, dtype="int64") * rows).reshape((n,) + (1,) * len(places))
    ids, weights = xp.on(flat._a).empty((n, *places, len(products)), "int64"), []
    for i, (index, inside, weight) in enumerate(products):
        ids[..., i] = index + image
        if weight is None:
            weight = wrap(inside.astype(flat._a.dtype))
        else:
            weight = where(wrap(inside), weight, 0.0)
        weights.append(weight)
    ids = ids.reshape(n * count, len(products))
    weights = reshape(stack(weights, -1), ids.shape)
    total = embedding_bag(wrap(ids), table, mode="sum", per_sample_weights=weights)
    return contiguous(reshape(transpose(reshape(total, (n, count, c)), 1, 2), shape))


def _products(taps, sizes):
    """Every combination of one tap an axis: (flat index, inside, weight)."""
    combined = [(0, True, None)]
    for axis, size in zip(taps, sizes, strict=True):
        combined = [
            (at * size + index, ok & inside, w if u is None else u if w is None else mul(u, w))
            for at, ok, u in combined
            for index, inside, w in axis
        ]
    return combined


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """grid_sample with numbers for the modes."""
    return grid_sample(input, grid, _MODES[interpolation_mode], _PADDING[padding_mode], align_corners)


def affine_grid(theta, size, align_corners=None):
    """The grid [N, H, W, 2] on which theta [N, 2, 3] maps the output of sizes [N, C, H, W]; in 3-D [N, D, H, W, 3] by
    theta [N, 3, 4] and sizes [N, C, D, H, W]."""
    align = _align(align_corners)
    t, size = operand(theta, "affine_grid"), tuple(size)
    if t._a.dtype.kind not in "fV":
        raise ValueError(f"Expected theta to have floating point type, but got {t.dtype}")
    if len(size) not in (4, 5):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {size}."
        )
    d = len(size) - 2
    if t._a.ndim != 3 or t._a.shape[1:] != (d, d + 1):
        raise ValueError(
            f"Expected a batch of {d}D affine matrices of shape Nx{d}x{d + 1} for size {size}. Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if t._a.shape[0] != size[0]:
        raise RuntimeError(f"Expected theta of {size[0]} matrices for size {size}, but got {t._a.shape[0]}")
    check_size(size, "affine_grid")
    spatial = size[2:]
    base = xp.on(t._a).ones((*spatial, d + 1), t._a.dtype)
    for i, n in enumerate(spatial):
        steps = xp.on(t._a).linspace(-1.0, 1.0, n, dtype=t._a.dtype) if n > 1 else xp.on(t._a).zeros(1, t._a.dtype)
        if not align:
            steps = steps * ((n - 1) / n)
        base[..., d - 1 - i] = steps.reshape((-1,) + (1,) * (d - 1 - i))
    rows = expand(wrap(base.reshape(1, -1, d + 1)), (size[0], -1, d + 1))
    return reshape(matmul(rows, transpose(t, 1, 2)), (size[0], *spatial, d))


__all__ = ["affine_grid", "grid_sample", "grid_sample_backward", "grid_sampler"]
