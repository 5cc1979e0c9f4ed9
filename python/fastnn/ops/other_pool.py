"""Pooling by power means and over random windows, max pooling's partial inverse, and the names with indices."""

import math

from ..backend import xp
from ..tensor import Tensor, wrap
from .activation import relu
from .conv2d import check_size, numbers
from .elementwise import mul, pow
from .gather import gather, scatter
from .pool2d import (
    _output_size,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from .pool3d import adaptive_max_pool3d, avg_pool3d, max_pool3d
from .random import rand
from .shape import reshape
from .unary import abs, neg, operand, sign

# ---------------------------------------------------------------- power means


def _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, n):
    p = float(norm_type)
    biggest, average = ((max_pool1d, avg_pool1d), (max_pool2d, avg_pool2d), (max_pool3d, avg_pool3d))[n - 1]
    if p == math.inf:
        return biggest(abs(input), kernel_size, stride, 0, 1, ceil_mode)
    if p == -math.inf:
        return neg(biggest(neg(abs(input)), kernel_size, stride, 0, 1, ceil_mode))
    taps = float(math.prod(numbers(kernel_size, n, "kernel_size", f"lp_pool{n}d")))
    out = average(pow(input, p), kernel_size, stride, 0, ceil_mode)
    return pow(mul(mul(sign(out), relu(abs(out))), taps), 1.0 / p)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ input^p)^(1/p) of each window of input [N, C, L] or [C, L]; p = inf: the largest absolute value."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 1)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ input^p)^(1/p) of each window of input [N, C, H, W] or [C, H, W]; p = inf: the largest absolute value."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 2)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ input^p)^(1/p) of each window of input [N, C, D, H, W] or [C, D, H, W]; p = inf: the largest absolute value."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 3)


# ---------------------------------------------------------------- max pooling undone


def _unpool(input, indices, kernel_size, stride, padding, output_size, n):
    function = f"max_unpool{n}d"
    x, at = operand(input, function), operand(indices, function)
    a = x._a
    if at._a.dtype != xp.dtype("int64"):
        raise RuntimeError(f"elements in indices should be type int64 but got: {at.dtype}")
    if a.ndim not in (n + 1, n + 2) or 0 in a.shape[-n - 1 :]:
        raise RuntimeError(
            f"Input to {function} should be a {n + 1}d or {n + 2}d Tensor, but got sizes {list(a.shape)}"
        )
    if at._a.shape != a.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(a.shape)}) but got indices tensor "
            f"with shape: {list(at._a.shape)}"
        )
    kernel = numbers(kernel_size, n, "kernel_size", function)
    step = kernel if stride is None or stride == () or stride == [] else numbers(stride, n, "stride", function)
    pad = numbers(padding, n, "padding", function)
    if min(step) <= 0:
        raise RuntimeError(f"strides should be greater than zero, but got {step}")
    default = tuple((s - 1) * st + k - 2 * p for s, st, k, p in zip(a.shape[-n:], step, kernel, pad, strict=True))
    size = default
    if output_size is not None:
        size = tuple(output_size)[-n:] if len(output_size) == n + 2 else tuple(output_size)
        if len(size) != n:
            raise ValueError(
                f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of "
                f"'{len(output_size)}'"
            )
        low = [d - st for d, st in zip(default, step, strict=True)]
        high = [d + st for d, st in zip(default, step, strict=True)]
        if not all(a < s < b for a, s, b in zip(low, size, high, strict=True)):
            raise ValueError(f'invalid output_size "{size}" (each must be between {low} and {high})')
    lead = a.shape[:-n]
    check_size((*lead, *size), function)
    count = math.prod(size)
    flat = at._a.reshape(*lead, -1)
    if flat.size and (flat.min() < 0 or flat.max() >= count):
        bad = flat.max() if flat.max() >= count else flat.min()
        raise RuntimeError(f"Found an invalid max index: {int(bad)} (output volumes are of size {size})")
    zeros = wrap(xp.on(a).zeros((*lead, count), a.dtype))
    return reshape(scatter(zeros, -1, wrap(flat), reshape(x, flat.shape)), (*lead, *size))


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with input's elements at the indices that max_pool1d returned."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 1)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with input's elements at the indices that max_pool2d returned."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with input's elements at the indices that max_pool3d returned."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 3)


# ---------------------------------------------------------------- random windows


def _starts(sample, size, out, kernel):
    """The first element of each of `out` windows along a dimension, for samples [N, C]: torch's pseudo-random sequence."""
    last = xp.on(sample).full((*sample.shape, 1), size - kernel, "int64")
    if out == 1:
        return last
    d = sample.dtype
    alpha = xp.asarray((size - kernel), d) / xp.asarray(out - 1, d)
    u = sample[..., None]
    steps = ((xp.on(sample).arange(out - 1).astype(d) + u) * alpha).astype("int64") - (u * alpha).astype("int64")
    return xp.concatenate((steps, last), -1)


def _fractional(input, kernel_size, output_size, output_ratio, return_indices, samples, n):
    function = f"fractional_max_pool{n}d"
    x = operand(input, function)
    if output_size is None and output_ratio is None:
        raise ValueError(f"{function} requires specifying either an output_size or an output_ratio")
    if x._a.ndim not in (n + 1, n + 2) or 0 in x._a.shape[-n - 1 :]:
        raise RuntimeError(
            f"{function}: expected a {n + 1}D or {n + 2}D tensor with non-empty dimensions, but got {list(x._a.shape)}"
        )
    single = x._a.ndim == n + 1
    shape = (1, *x._a.shape) if single else x._a.shape
    sizes, kernel = shape[2:], numbers(kernel_size, n, "kernel_size", function)
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
        output_size = tuple(int(s * r) for s, r in zip(sizes, ratios, strict=True))
    out = _output_size(output_size, sizes, function)
    for s, o, k in zip(sizes, out, kernel, strict=True):
        if o < 1 or o + k - 1 > s:
            raise RuntimeError(f"{function}: pool size {k} and output {o} are too large for the input's size {s}")
    if samples is None:
        samples = rand(*shape[:2], n, dtype=x.dtype, device=x.device)
    if samples._a.ndim != 3 or any(a < b for a, b in zip(samples._a.shape, (*shape[:2], n), strict=True)):
        raise RuntimeError(
            f"{function}: expected _random_samples of shape {[*shape[:2], n]}, but got {list(samples._a.shape)}"
        )
    u = samples._a[: shape[0], : shape[1]]
    # torch's samples run from the last dimension to the first in 2-D, from the first in 3-D.
    order = range(n) if n == 3 else range(n - 1, -1, -1)
    starts = [_starts(u[..., o], s, m, k) for o, s, m, k in zip(order, sizes, out, kernel, strict=True)]
    here = xp.on(u)
    place = here.zeros((*shape[:2],) + (1,) * (2 * n), "int64")
    for i in range(n):  # [N, C, out..., kernel...]
        at = starts[i][..., None] + here.arange(kernel[i])
        view = [1] * (2 * n)
        view[i], view[n + i] = out[i], kernel[i]
        place = place * sizes[i] + at.reshape(*shape[:2], *view)
    place = place.reshape(*shape[:2], math.prod(out), math.prod(kernel))
    flat = x._a.reshape(*shape[:2], math.prod(sizes))
    rows = here.arange(shape[0]).reshape(-1, 1, 1, 1), here.arange(shape[1]).reshape(-1, 1, 1)
    best = Tensor._k.argmax(flat[(*rows, place)], 3, True)
    index = wrap(Tensor._k.gather(place, 3, best)[..., 0])
    y = gather(reshape(x, flat.shape), 2, index)
    final = (*shape[:2], *out)[1 if single else 0 :]
    return (reshape(y, final), reshape(index, final)) if return_indices else reshape(y, final)


def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """The maxima of windows at pseudo-random places, output_size (or output_ratio times the input's size) of them."""
    return _fractional(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 2)


def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """The maxima of windows at pseudo-random places, output_size (or output_ratio times the input's size) of them."""
    return _fractional(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 3)


# ---------------------------------------------------------------- with indices, by name


def _with_indices(pool):
    def with_indices(input, *args, **kwargs):
        kwargs["return_indices"] = True
        return pool(input, *args[:5], **kwargs)

    with_indices.__name__ = with_indices.__qualname__ = pool.__name__ + "_with_indices"
    with_indices.__doc__ = f"{pool.__name__} with return_indices=True."
    return with_indices


max_pool1d_with_indices, max_pool2d_with_indices = _with_indices(max_pool1d), _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)


def _adaptive_with_indices(pool):
    def with_indices(input, output_size, return_indices=True):
        return pool(input, output_size, True)

    with_indices.__name__ = with_indices.__qualname__ = pool.__name__ + "_with_indices"
    with_indices.__doc__ = f"{pool.__name__} with return_indices=True."
    return with_indices


adaptive_max_pool1d_with_indices = _adaptive_with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _adaptive_with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _adaptive_with_indices(adaptive_max_pool3d)


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=True, _random_samples=None
):
    """fractional_max_pool2d with return_indices=True."""
    return _fractional(input, kernel_size, output_size, output_ratio, True, _random_samples, 2)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=True, _random_samples=None
):
    """fractional_max_pool3d with return_indices=True."""
    return _fractional(input, kernel_size, output_size, output_ratio, True, _random_samples, 3)


__all__ = [
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d_with_indices",
    "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d_with_indices",
    "max_pool2d_with_indices", "max_pool3d_with_indices", "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip
