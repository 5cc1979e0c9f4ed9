"""The compiled pool2d kernels, under their twins' names; what they do not cover goes to the twin."""

import numpy as np

from fastnn import _cpu

from ..numpy_kernels import pool2d as twin

__all__ = [
    "adaptive_max_pool2d", "adaptive_max_pool2d_backward", "avg_pool2d", "avg_pool2d_backward", "max_pool2d",
    "max_pool2d_backward", "max_pool2d_indices",
]  # fmt: skip

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)


def max_pool2d(x, kernel, stride, padding, dilation, ceil_mode):
    if x.dtype == _F32 or x.dtype == _F64:
        return _cpu.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    return twin.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)


def max_pool2d_backward(dy, idx, x_shape, kernel, stride, padding, dilation):
    if dy.dtype == _F32 or dy.dtype == _F64:
        return _cpu.max_pool2d_backward(dy, idx, x_shape, kernel, stride, padding, dilation)
    return twin.max_pool2d_backward(dy, idx, x_shape, kernel, stride, padding, dilation)


max_pool2d_indices = _cpu.max_pool2d_indices
# C functions as they are, which pass on to the twin what they do not cover.
adaptive_max_pool2d, adaptive_max_pool2d_backward = _cpu.adaptive_max_pool2d, _cpu.adaptive_max_pool2d_backward


def avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    if x.dtype == _F32 or x.dtype == _F64:
        return _cpu.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return twin.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool2d_backward(dy, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    if dy.dtype == _F32 or dy.dtype == _F64:
        return _cpu.avg_pool2d_backward(
            dy, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
    return twin.avg_pool2d_backward(
        dy, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
