"""The compiled convolution kernels, under their twins' names; what they do not cover goes to the twin.

Variants: `naive` is the loop that defines the kernel; `im2col` writes all windows side by side and multiplies; `packed`
reads its windows where they lie or packs them, by panels; `winograd` takes 3x3 windows of stride 1 by F(2x2, 3x3), and
all others as `packed` does. Without a choice each shape gets what suits it, depthwise and narrow ones kernels of their
own.

A window as large as the image meets it in one place: all three passes are then products of matrices (`_one_place`).
"""

import math

import numpy as np

from fastnn import _cpu

from .. import variants
from ..numpy_kernels.conv2d import Convolutions, check_summand, in_float32, sixteen_bits
from .elementwise import axpy_, relu
from .gemm import bmm, gemm

__all__ = [
    "conv2d", "conv2d_add_relu", "conv2d_backward_input", "conv2d_backward_weight", "conv3d", "conv3d_backward_input",
    "conv3d_backward_weight",
]  # fmt: skip

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
_flat, _solid = Convolutions(2, bmm), Convolutions(3, bmm)


def _choose(x, kernel, twin, arguments):
    """The kernel, or by columns, as dtype and variant say."""
    variant = variants.current("conv")
    if x.dtype == _F32 or x.dtype == _F64:
        if variant is None:
            return kernel(*arguments)
        if variant != "im2col":
            return kernel(*arguments, variant=variant)
    elif variant == "packed" or variant == "winograd":
        raise RuntimeError(f"convolution: the variant {variant!r} takes float32 and float64, got {x.dtype}")
    return twin(*arguments, naive=variant == "naive")


def _reaching(sizes, kernel, stride, padding, dilation):
    """Of a kernel that is wider than the image: (the taps that reach the image from some place of the output, the padding
    that they need), None where they are many. Over the 1x1 maps at the end of a ResNet one tap of nine does. The other
    two passes do this in the kernel, where the weights are packed."""
    if all(n > d * (k - 1) for n, k, d in zip(sizes, kernel, dilation, strict=False)) or variants.current("conv"):
        return None
    taps, left = [], []
    for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        out = (n + 2 * p - d * (k - 1) - 1) // s + 1
        used = [i for i in range(k) if any(0 <= o * s - p + i * d < n for o in range(out))]
        first, end = (used[0], used[-1] + 1) if used else (0, k)
        rest = p - first * d
        if rest < 0 or (n + 2 * rest - d * (end - first - 1) - 1) // s + 1 != out:
            first, end, rest = 0, k, p
        taps.append(slice(first, end))
        left.append(rest)
    # Cutting the taps out costs a pass over the weights.
    few = 4 * math.prod(t.stop - t.start for t in taps) <= math.prod(kernel)
    return ((..., *taps), tuple(left)) if few else None


def _one_place(x, x_shape, w_shape, padding, dilation, groups):
    """Whether a window is as large as the image, of dtypes that the kernels take: the generator of a DCGAN begins with the
    gradient of such a convolution, a classifier over patches ends with one."""
    return (
        tuple(x_shape[1:]) == tuple(w_shape[1:])
        and groups == 1
        and not any(padding)
        and all(d == 1 or k == 1 for d, k in zip(dilation, w_shape[2:], strict=False))
        and (x.dtype == _F32 or x.dtype == _F64)
        and math.prod(w_shape) > 0
        and not variants.current("conv")
    )


def _rows(x):
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def _forward(name, twin):
    def kernel(x, w, bias, stride, padding, dilation, groups, act="none"):
        if sixteen_bits(x, w, bias):
            return in_float32(kernel, (x, w, bias), stride, padding, dilation, groups, act)
        if _one_place(x, x.shape, w.shape, padding, dilation, groups):
            y = gemm(_rows(x), _rows(w).T, bias, act)
            return y.reshape(y.shape + (1,) * (x.ndim - 2))
        return _choose(x, getattr(_cpu, name), twin.forward, (x, w, bias, stride, padding, dilation, groups, act))

    return kernel


def _backward_input(name, twin):
    def kernel(dy, w, x_shape, stride, padding, dilation, groups):
        how = (x_shape, stride, padding, dilation, groups)
        if sixteen_bits(dy, w):
            return in_float32(kernel, (dy, w), *how)
        if _one_place(dy, x_shape, w.shape, padding, dilation, groups):
            return gemm(_rows(dy), _rows(w)).reshape(x_shape)
        return _choose(dy, getattr(_cpu, name), twin.backward_input, (dy, w, *how))

    return kernel


def _backward_weight(name, twin):
    def kernel(dy, x, w_shape, stride, padding, dilation, groups):
        how = (w_shape, stride, padding, dilation, groups)
        if sixteen_bits(dy, x):
            return in_float32(kernel, (dy, x), *how)
        if _one_place(x, x.shape, w_shape, padding, dilation, groups):
            return gemm(_rows(dy).T, _rows(x)).reshape(w_shape)
        reach = _reaching(x.shape[2:], w_shape[2:], stride, padding, dilation)
        if reach:
            taps, left = reach
            dw = np.zeros(w_shape, x.dtype)
            shape = dw[taps].shape
            dw[taps] = kernel(dy, x, shape, stride, left, dilation, groups)
            return dw
        return _choose(dy, getattr(_cpu, name), twin.backward_weight, (dy, x, *how))

    return kernel


conv2d, conv3d = _forward("conv2d", _flat), _forward("conv3d", _solid)
conv2d_backward_input = _backward_input("conv2d_backward_input", _flat)
conv3d_backward_input = _backward_input("conv3d_backward_input", _solid)
conv2d_backward_weight = _backward_weight("conv2d_backward_weight", _flat)
conv3d_backward_weight = _backward_weight("conv3d_backward_weight", _solid)


def conv2d_add_relu(x, w, bias, z, alpha, stride, padding, dilation, groups):
    if sixteen_bits(x, w, bias, z):
        return in_float32(conv2d_add_relu, (x, w, bias, z), alpha, stride, padding, dilation, groups)
    y = conv2d(x, w, bias, stride, padding, dilation, groups)
    check_summand(y, z)
    return relu(axpy_(y, z, alpha), y)
