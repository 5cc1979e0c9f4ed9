"""Sliding windows of images as columns (torch's unfold), and columns added back into images (fold)."""

from .._tape import grad_mode, record
from ..tensor import Tensor, wrap
from .conv2d import check_size, numbers
from .shape import squeeze, unsqueeze
from .unary import operand


def _how(kernel_size, dilation, padding, stride, function):
    kernel, dilation = numbers(kernel_size, 2, "kernel_size", function), numbers(dilation, 2, "dilation", function)
    padding, stride = numbers(padding, 2, "padding", function), numbers(stride, 2, "stride", function)
    for name, pair, low in (("kernel size", kernel, 1), ("dilation", dilation, 1), ("stride", stride, 1)):
        if min(pair) < low:
            raise RuntimeError(f"{function}: {name} should be greater than zero, but got {pair}")
    if min(padding) < 0:
        raise RuntimeError(f"{function}: padding should be non-negative, but got {padding}")
    return kernel, dilation, padding, stride


def _positions(size, kernel, dilation, padding, stride, function):
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, padding, stride, strict=True)
    )
    if min(out) < 1:
        raise RuntimeError(
            f"{function}: with spatial size {tuple(size)}, kernel_size={kernel}, dilation={dilation}, padding={padding}, "
            f"stride={stride} the array of sliding blocks would have the shape {out}, but its components must be at "
            "least one"
        )
    return out


def im2col(input, kernel_size, dilation=1, padding=0, stride=1):
    """Windows as columns: input [N, C, H, W] or [C, H, W] -> [N, C·R·S, L] or [C·R·S, L], L the number of windows."""
    t = operand(input, "im2col")
    how = _how(kernel_size, dilation, padding, stride, "im2col")
    n = t._a.ndim
    if n < 3:
        raise IndexError(f"im2col: expected an input [N, C, H, W] or [C, H, W], but got {list(t._a.shape)}")
    if n > 4 or 0 in t._a.shape[1:] or (n == 3 and 0 in t._a.shape):
        raise RuntimeError(
            f"Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(t._a.shape)}"
        )
    x = t if n == 4 else unsqueeze(t, 0)
    out = _positions(x._a.shape[2:], *how, "im2col")
    check_size((x._a.shape[0], x._a.shape[1], *how[0], *out), "im2col")
    r = wrap(Tensor._k.im2col(x._a, *how))
    if x._fn is not None and grad_mode.enabled:
        record(r, im2col_rule, (x._fn,), (x._a.shape[2:], *how), ())
    return r if n == 4 else squeeze(r, 0)


def im2col_rule(k, dy, saved, needs):
    return (k.col2im(dy, *saved),)


def col2im(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """im2col's transpose: input [N, C·R·S, L] or [C·R·S, L] -> [N, C, *output_size]; overlapping windows add up."""
    t = operand(input, "col2im")
    size = numbers(output_size, 2, "output_size", "col2im")
    how = _how(kernel_size, dilation, padding, stride, "col2im")
    n = t._a.ndim
    if n not in (2, 3) or 0 in t._a.shape[1:] or (n == 2 and 0 in t._a.shape):
        raise RuntimeError(
            f"Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
            f"input, but got: {list(t._a.shape)}"
        )
    taps = how[0][0] * how[0][1]
    x = t if n == 3 else unsqueeze(t, 0)
    if x._a.shape[1] % taps:
        raise RuntimeError(
            f"Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={x._a.shape[1]} and kernel_size={how[0]}."
        )
    out = _positions(size, *how, "col2im")
    if x._a.shape[2] != out[0] * out[1]:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={how[0]}, dilation={how[1]}, padding={how[2]}, stride={how[3]}, "
            f"expected size of input's dimension 2 to match the calculated number of sliding blocks {out[0]} * {out[1]} "
            f"= {out[0] * out[1]}, but got input.size(2)={x._a.shape[2]}."
        )
    r = wrap(Tensor._k.col2im(x._a, size, *how))
    if x._fn is not None and grad_mode.enabled:
        record(r, col2im_rule, (x._fn,), how, ())
    return r if n == 3 else squeeze(r, 0)


def col2im_rule(k, g, saved, needs):
    return (k.im2col(g, *saved),)


fold = col2im

__all__ = ["col2im", "fold", "im2col"]
