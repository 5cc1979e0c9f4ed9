"""The compiled conv2d kernels, under their twins' names; what they do not cover goes to the twin."""

import numpy as np
from fastnn import _cpu

from ..numpy_kernels import conv2d as twin

__all__ = ["conv2d", "conv2d_backward_input", "conv2d_backward_weight"]

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)


def conv2d(x, w, bias, stride, padding, dilation, groups, act="none"):
    native = _cpu if x.dtype == _F32 or x.dtype == _F64 else twin
    return native.conv2d(x, w, bias, stride, padding, dilation, groups, act)


def conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups):
    native = _cpu if dy.dtype == _F32 or dy.dtype == _F64 else twin
    return native.conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups)


def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    native = _cpu if dy.dtype == _F32 or dy.dtype == _F64 else twin
    return native.conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups)
