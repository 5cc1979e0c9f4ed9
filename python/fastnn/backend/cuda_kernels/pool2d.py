"""Max and average pooling, under their twins' names."""

import numpy as np

from ..numpy_kernels.pool2d import _sizes
from ._composed import package as twin
from ._native import arrays, as_last, contiguous, described, from_last, has, is_float, is_last, native, ran, stream

_MAX, _MAX_BACK, _AVERAGE, _AVERAGE_BACK, _PLACES = range(5)


def _shape(fn, x_shape, kernel, stride, padding, dilation, ceil_mode, divisor=0, count_padding=False):
    """(the bindings' numbers, the output's shape)."""
    p, q = _sizes(fn, x_shape, kernel, stride, padding, dilation, ceil_mode)
    n, c, h, w = x_shape
    numbers = (n * c, h, w, p, q, *kernel, *stride, *padding, *dilation, divisor or 0, int(bool(count_padding)))
    return numbers, (n, c, p, q)


def _alike(x, y):
    """y with its channels last where x has them so: the kernels take and give planes."""
    return from_last(as_last(y)) if is_last(x) else y


def _run(task, numbers, source, index, out):
    native.pool2d(task, numbers, described(contiguous(source)), described(index), described(out), stream())
    ran("pool2d")
    return out


def _index(kernel, shape):
    return arrays.empty(shape, np.uint8 if kernel[0] * kernel[1] <= 256 else np.int64)


def max_pool2d(x, kernel, stride, padding, dilation, ceil_mode):
    if not is_float(x.dtype):
        return twin.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    numbers, shape = _shape("max_pool2d", x.shape, kernel, stride, padding, dilation, ceil_mode)
    y, index = arrays.empty(shape, x.dtype), _index(kernel, shape)
    _run(_MAX, numbers, x, index, y)
    return _alike(x, y), index


def _given(x_shape, y_shape, kernel, stride, padding, dilation):
    """The numbers of a backward pass: the output's sizes are dy's."""
    n, c, h, w = x_shape
    return (n * c, h, w, *y_shape[2:], *kernel, *stride, *padding, *dilation, 0, 0)


def max_pool2d_backward(dy, idx, x_shape, kernel, stride, padding, dilation):
    if not is_float(dy.dtype):
        return twin.max_pool2d_backward(dy, idx, x_shape, kernel, stride, padding, dilation)
    numbers = _given(x_shape, dy.shape, kernel, stride, padding, dilation)
    return _alike(dy, _run(_MAX_BACK, numbers, dy, contiguous(idx), arrays.empty(tuple(x_shape), dy.dtype)))


def max_pool2d_indices(idx, x_shape, kernel, stride, padding, dilation):
    if idx.dtype != np.uint8:
        return twin.max_pool2d_indices(idx, x_shape, kernel, stride, padding, dilation)
    numbers = _given(x_shape, idx.shape, kernel, stride, padding, dilation)
    out = arrays.empty(idx.shape, np.int64)
    native.pool2d(_PLACES, numbers, None, described(contiguous(idx)), described(out), stream())
    ran("pool2d")
    return out


def avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    if not is_float(x.dtype):
        return twin.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)
    numbers, shape = _shape(
        "avg_pool2d", x.shape, kernel, stride, padding, (1, 1), ceil_mode, divisor_override, count_include_pad
    )
    return _alike(x, _run(_AVERAGE, numbers, x, None, arrays.empty(shape, x.dtype)))


def avg_pool2d_backward(dy, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    if not is_float(dy.dtype):
        return twin.avg_pool2d_backward(
            dy, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
    numbers, shape = _shape(
        "avg_pool2d_backward", x_shape, kernel, stride, padding, (1, 1), ceil_mode, divisor_override, count_include_pad
    )
    if dy.shape != shape:
        raise RuntimeError(f"avg_pool2d_backward(): expected dy of shape {list(shape)}, but got {list(dy.shape)}")
    return _alike(dy, _run(_AVERAGE_BACK, numbers, dy, None, arrays.empty(tuple(x_shape), dy.dtype)))


__all__ = [
    "avg_pool2d", "avg_pool2d_backward", "max_pool2d", "max_pool2d_backward", "max_pool2d_indices",
] if has("pool2d") else []  # fmt: skip
