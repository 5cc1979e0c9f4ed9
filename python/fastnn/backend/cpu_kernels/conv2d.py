"""The compiled conv2d kernels, under their twins' names; what they do not cover goes to the twin."""

import numpy as np

from fastnn import _cpu

from ..numpy_kernels.conv2d import conv2d as _conv2d_twin
from ..numpy_kernels.conv2d import conv2d_backward_input as _backward_input_twin
from ..numpy_kernels.conv2d import conv2d_backward_weight as _backward_weight_twin
from ..numpy_kernels.conv2d import in_float32, sixteen_bits

__all__ = ["conv2d", "conv2d_backward_input", "conv2d_backward_weight"]

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)


def conv2d(x, w, bias, stride, padding, dilation, groups, act="none"):
    if sixteen_bits(x, w, bias):
        return in_float32(_cpu.conv2d, (x, w, bias), stride, padding, dilation, groups, act)
    kernel = _cpu.conv2d if x.dtype == _F32 or x.dtype == _F64 else _conv2d_twin
    return kernel(x, w, bias, stride, padding, dilation, groups, act)


def conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups):
    if sixteen_bits(dy, w):
        return in_float32(_cpu.conv2d_backward_input, (dy, w), x_shape, stride, padding, dilation, groups)
    kernel = _cpu.conv2d_backward_input if dy.dtype == _F32 or dy.dtype == _F64 else _backward_input_twin
    return kernel(dy, w, x_shape, stride, padding, dilation, groups)


def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    if sixteen_bits(dy, x):
        return in_float32(_cpu.conv2d_backward_weight, (dy, x), w_shape, stride, padding, dilation, groups)
    kernel = _cpu.conv2d_backward_weight if dy.dtype == _F32 or dy.dtype == _F64 else _backward_weight_twin
    return kernel(dy, x, w_shape, stride, padding, dilation, groups)
