"""A convolution and what follows it in one kernel: conv2d_relu, which Sequential uses, and torch's cudnn_convolution_relu
and cudnn_convolution_add_relu. Where a gradient is wanted the last is made of conv2d, add and relu."""

from .._tape import grad_mode
from ..tensor import Tensor, wrap
from .activation import recorded_relu, relu
from .conv2d import _check_windows, _convolution, batched, check, conv2d, numbers
from .elementwise import add
from .unary import operand

__all__ = ["cudnn_convolution_add_relu", "cudnn_convolution_relu"]


def conv2d_relu(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """relu(conv2d(...)), clamped where the convolution is written; the tape has both ops."""
    if not isinstance(input, Tensor) or input._a.ndim != 4 or input._a.dtype.kind != "f":
        return relu(conv2d(input, weight, bias, stride, padding, dilation, groups))
    return recorded_relu(_convolution(2, input, weight, bias, stride, padding, dilation, groups, "relu"))


def _fused(function, input, weight, bias, stride, padding, dilation, groups, z=None, alpha=None):
    x, w, single = batched(input, weight, 2, function)
    if single:
        raise RuntimeError(f"{function}: expected a 4-D input, but got one of shape {list(x._a.shape[1:])}")
    stride, padding = numbers(stride, 2, "stride", function), numbers(padding, 2, "padding", function)
    dilation = numbers(dilation, 2, "dilation", function)
    check(x, w, bias, stride, padding, dilation, groups, function)
    shape = (x._a.shape[0], w._a.shape[0], *_check_windows(x._a.shape, w._a.shape, stride, padding, dilation))
    alpha = 1.0 if alpha is None else float(alpha)
    if z is not None:
        z = operand(z, function)
        if z._a.shape != shape or z._a.dtype != x._a.dtype:
            raise RuntimeError(
                f"{function}: expected z of shape {list(shape)} and dtype {x.dtype}, but got {list(z._a.shape)} and {z.dtype}"
            )
    if z is None:
        return conv2d_relu(x, w, bias, stride, padding, dilation, groups)
    tracked = grad_mode.enabled and any(t is not None and t._fn is not None for t in (x, w, bias, z))
    if not tracked and x.is_floating_point():
        arrays, how = (x._a, w._a, None if bias is None else bias._a), (stride, padding, dilation, groups)
        return wrap(Tensor._k.conv2d_add_relu(*arrays, z._a, alpha, *how))
    return relu(add(conv2d(x, w, bias, stride, padding, dilation, groups), z, alpha=alpha))


def cudnn_convolution_relu(input, weight, bias, stride, padding, dilation, groups):
    """relu(conv2d(input, weight, bias, ...)) for an input [N, C, H, W]. Raises as conv2d does."""
    return _fused("cudnn_convolution_relu", input, weight, bias, stride, padding, dilation, groups)


def cudnn_convolution_add_relu(input, weight, z, alpha, bias, stride, padding, dilation, groups):
    """relu(conv2d(input, weight, bias, ...) + alpha·z), z like the convolution's result; alpha None is 1. Raises
    RuntimeError for another z, and as conv2d does."""
    return _fused("cudnn_convolution_add_relu", input, weight, bias, stride, padding, dilation, groups, z, alpha)
