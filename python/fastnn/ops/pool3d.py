"""Pooling in three dimensions: the two-dimensional kernels over height and width, then over depth.

A window's maximum is the maximum of its slices' maxima, the first of equal ones and the last NaN in both orders; and
its mean the mean of its slices' means, its size being a product.
"""

from ..backend import xp
from ..tensor import wrap
from .pool2d import (
    _images,
    _output_size,
    _window,
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    avg_pool2d,
    max_pool2d,
)
from .shape import reshape, squeeze


def _volumes(input, kernel_size, stride, padding, dilation, ceil_mode, function):
    """(input as a batch, whether it was single, kernel, stride, padding, dilation), checked."""
    x, single = _images(input, function, 5)
    kernel, step, pad, dilation = _window(kernel_size, stride, padding, dilation, function, 3)
    shape = x._a.shape
    if 0 in shape[1:]:
        raise RuntimeError(f"{function}: Expected an input whose sizes but the first are not zero, got {list(shape)}")
    out = []
    for s, k, st, p, d in zip(shape[2:], kernel, step, pad, dilation, strict=True):
        span = s + 2 * p - d * (k - 1) - 1
        n = (span + (st - 1 if ceil_mode else 0)) // st + 1
        out.append(n - 1 if ceil_mode and (n - 1) * st >= s + p else n)
    if min(out) < 1:
        c, *size = shape[1:]
        raise RuntimeError(
            f"Given input size: ({c}x{'x'.join(map(str, size))}). Calculated output size: "
            f"({c}x{'x'.join(map(str, out))}). Output size is too small"
        )
    return x, single, kernel, step, pad, dilation


def _planes(x):
    """[N, C, D, H, W] as [N, C·D, H, W]."""
    n, c, d, h, w = x._a.shape
    return reshape(x, (n, c * d, h, w))


def _depths(y, shape):
    """The pooled planes [N, C·D, P, Q] as [N, C, D, P·Q], for pooling along D."""
    p, q = y._a.shape[2:]
    return reshape(y, (*shape[:3], p * q)), p, q


def _joined(first, second, shape, p, q):
    """The index (d·H + h)·W + w of each maximum, from the planes' h·W + w and the depths' d·P·Q + place."""
    n, c, d, h, w = shape
    depth = second._a // (p * q)
    planes = first._a.reshape(n, c, d, p * q)
    at = xp.on(planes)
    place = at.arange(p * q)
    batch, channel = at.arange(n).reshape(-1, 1, 1, 1), at.arange(c).reshape(-1, 1, 1)
    return wrap(depth * (h * w) + planes[batch, channel, depth, place])


def _finish(y, index, p, q, single, return_indices):
    shape = (*y._a.shape[:3], p, q)
    results = [reshape(v, shape) for v in ((y, index) if return_indices else (y,))]
    if single:
        results = [squeeze(v, 0) for v in results]
    return tuple(results) if return_indices else results[0]


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window of input [N, C, D, H, W] or [C, D, H, W]; stride is kernel_size unless given.

    return_indices: also where it stands, (d·H + h)·W + w; int64. Raises RuntimeError where no window fits."""
    x, single, kernel, step, pad, dil = _volumes(input, kernel_size, stride, padding, dilation, ceil_mode, "max_pool3d")
    shape = x._a.shape
    y, first = max_pool2d(_planes(x), kernel[1:], step[1:], pad[1:], dil[1:], ceil_mode, True)
    y, p, q = _depths(y, shape)
    how = ((kernel[0], 1), (step[0], 1), (pad[0], 0), (dil[0], 1), ceil_mode)
    if not return_indices:
        return _finish(max_pool2d(y, *how), None, p, q, single, False)
    y, second = max_pool2d(y, *how, True)
    return _finish(y, _joined(first, second, shape, p, q), p, q, single, True)


def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window of input [N, C, D, H, W] or [C, D, H, W]; stride is kernel_size unless given.

    Padding counts as zeros unless count_include_pad is False; divisor_override replaces the window's size."""
    x, single, kernel, step, pad, _ = _volumes(input, kernel_size, stride, padding, 1, ceil_mode, "avg_pool3d")
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    one = None if divisor_override is None else 1
    y = avg_pool2d(_planes(x), kernel[1:], step[1:], pad[1:], ceil_mode, count_include_pad, one)
    y, p, q = _depths(y, x._a.shape)
    y = avg_pool2d(y, (kernel[0], 1), (step[0], 1), (pad[0], 0), ceil_mode, count_include_pad, divisor_override)
    return _finish(y, None, p, q, single, False)


def _adaptive(input, output_size, function):
    x, single = _images(input, function, 5)
    if 0 in x._a.shape[1:]:
        raise RuntimeError(
            f"{function}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
            f"{list(x._a.shape)}"
        )
    return x, single, _output_size(output_size, x._a.shape[2:], function)


def adaptive_avg_pool3d(input, output_size):
    """The means of output_size windows that cover the volume: each dimension in about equal parts."""
    x, single, out = _adaptive(input, output_size, "adaptive_avg_pool3d")
    y, p, q = _depths(adaptive_avg_pool2d(_planes(x), out[1:]), x._a.shape)
    y = adaptive_avg_pool2d(y, (out[0], p * q)) if p * q else reshape(y, (*x._a.shape[:2], out[0], 0))
    return _finish(y, None, p, q, single, False)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The maxima of output_size windows that cover the volume; return_indices: and where they stand."""
    x, single, out = _adaptive(input, output_size, "adaptive_max_pool3d")
    y, first = adaptive_max_pool2d(_planes(x), out[1:], True)
    y, p, q = _depths(y, x._a.shape)
    y, second = adaptive_max_pool2d(y, (out[0], p * q), True)
    return _finish(y, _joined(first, second, x._a.shape, p, q), p, q, single, return_indices)


__all__ = ["adaptive_avg_pool3d", "adaptive_max_pool3d", "avg_pool3d", "max_pool3d"]
