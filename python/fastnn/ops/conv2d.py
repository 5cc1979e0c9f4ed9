"""Convolution in one, two and three dimensions, with gradients to any order; transposed: conv_transpose2d.py.

Convolution is linear in the input x and in the weight w; its two gradient kernels are linear in their arguments, and
each one's gradients are the other two functions: <g, conv(x, w)> = <backward_input(g, w), x> = <backward_weight(g,
x), w>. The variants of gemm and conv that were in force (fastnn.kernels) are kept on the tape for the gradients.
"""

from .._tape import grad_mode, record
from ..backend import variants
from ..tensor import Tensor, wrap
from . import _autocast
from .shape import squeeze, unsqueeze
from .unary import operand

_LARGEST = 1 << 40  # elements: beyond any memory, refused before it is asked for


def numbers(value, n, name, function, default=None):
    """An argument given as one int or as n of them. Raises TypeError or RuntimeError otherwise."""
    if value is None or (isinstance(value, (tuple, list)) and not value and default is not None):
        value = default
    if value.__class__ is int:
        return (value,) * n
    if not isinstance(value, (tuple, list)):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"{function}(): argument '{name}' must be tuple of ints, not {type(value).__name__}")
        return (value.__index__(),) * n
    if len(value) == 1:
        value = tuple(value) * n
    if len(value) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values to match the convolution "
            f"dimensions, but got {name}={list(value)}"
        )
    if any(isinstance(v, bool) or not hasattr(v, "__index__") for v in value):
        raise TypeError(f"{function}(): argument '{name}' must be tuple of ints, but found {value!r}")
    return tuple(v.__index__() for v in value)


def check(x, w, b, stride, padding, dilation, groups, function, channels_dim=1):
    """torch's checks, before anything is allocated. x, w with their final number of dimensions."""
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(dilation) <= 0:
        raise RuntimeError("dilation should be greater than zero")
    if isinstance(groups, bool) or not hasattr(groups, "__index__"):
        raise TypeError(f"{function}(): argument 'groups' must be int, not {type(groups).__name__}")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if x._a.dtype != w._a.dtype or (b is not None and b._a.dtype != x._a.dtype):
        kind, other = ("weight", w) if x._a.dtype != w._a.dtype else ("bias", b)
        raise RuntimeError(f"Input type ({x.dtype.short}) and {kind} type ({other.dtype.short}) should be the same")
    ws = w._a.shape
    if ws[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{list(ws)} instead"
        )
    if ws[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of "
            f"size {list(ws)} instead"
        )
    xs = x._a.shape
    expected = ws[1] * groups if channels_dim == 1 else ws[0]
    if xs[1] != expected:
        raise RuntimeError(
            f"Given {'transposed=1, ' if channels_dim == 0 else ''}groups={groups}, weight of size {list(ws)}, "
            f"expected input{list(xs)} to have {expected} channels, but got {xs[1]} channels instead"
        )
    outputs = ws[0] if channels_dim == 1 else ws[1] * groups
    if b is not None and b._a.shape != (outputs,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if channels_dim == 0 else ''}weight of size {list(ws)}, expected bias to be "
            f"1-dimensional with {outputs} elements, but got bias of size {list(b._a.shape)} instead"
        )
    if any(s == 0 for s in ws[2:]):
        raise RuntimeError(f"{function}: the kernel has no elements: weight of size {list(ws)}")


def _check_windows(xs, ws, stride, padding, dilation):
    """The output's spatial sizes. Raises where the kernel does not fit, or the sizes are absurd."""
    padded = [s + 2 * p for s, p in zip(xs[2:], padding, strict=True)]
    extent = [d * (s - 1) + 1 for s, d in zip(ws[2:], dilation, strict=True)]
    if any(e > p for e, p in zip(extent, padded, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: "
            f"({' x '.join(map(str, extent))}). Kernel size can't be greater than actual input size"
        )
    out = tuple((p - e) // s + 1 for p, e, s in zip(padded, extent, stride, strict=True))
    check_size((xs[0], ws[0], *out), "convolution")
    return out


def check_size(shape, function):
    n = 1
    for s in shape:
        n *= s
    if n > _LARGEST:
        raise RuntimeError(f"{function}: a result of shape {list(shape)} is too large")


def batched(input, weight, dims, function):
    """(input with a batch, weight, whether the batch was added). Raises for another number of dimensions."""
    x, w = operand(input, function), operand(weight, function)
    if w._a.ndim != dims + 2:
        raise RuntimeError(
            f"Expected {dims + 2}-dimensional weight for {function}, but got weight of size {list(w._a.shape)}"
        )
    single = x._a.ndim == dims + 1
    if not single and x._a.ndim != dims + 2:
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {function}, but got input of size: "
            f"{list(x._a.shape)}"
        )
    return unsqueeze(x, 0) if single else x, w, single


def _convolution(dims, input, weight, bias, stride, padding, dilation, groups, act="none"):
    function = f"conv{dims}d"
    if _autocast.depth:
        input, weight, bias = _autocast.low(input, weight, bias)
    x, w, single = batched(input, weight, dims, function)
    stride, dilation = numbers(stride, dims, "stride", function), numbers(dilation, dims, "dilation", function)
    if isinstance(padding, str):
        x, padding = _named_padding(x, w, padding, stride, dilation)
    else:
        padding = numbers(padding, dims, "padding", function)
    check(x, w, bias, stride, padding, dilation, groups, function)
    _check_windows(x._a.shape, w._a.shape, stride, padding, dilation)
    if dims == 1:  # rows of height 1
        x, w = unsqueeze(x, 2), unsqueeze(w, 2)
        stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
    r = _conv(x, w, bias, stride, padding, dilation, groups, act)
    if dims == 1:
        r = squeeze(r, 2)
    return squeeze(r, 0) if single else r


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The cross-correlation of input [N, C, L] with weight [K, C/groups, S], plus bias [K]: [N, K, L']. As conv2d."""
    return _convolution(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The cross-correlation of input [N, C, H, W] with weight [K, C/groups, R, S], plus bias [K]: [N, K, H', W'].

    padding: ints, 'valid', or 'same' (stride 1, an odd surplus at the end). A 3-D input is one image. Raises
    RuntimeError where sizes, dtypes or arguments do not fit."""
    return _convolution(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """conv2d with a depth: input [N, C, D, H, W], weight [K, C/groups, T, R, S] -> [N, K, D', H', W']."""
    return _convolution(3, input, weight, bias, stride, padding, dilation, groups)


# ---------------------------------------------------------------- the kernels and their rules, by dimensions


def _conv(x, w, bias, stride, padding, dilation, groups, act="none"):
    k = Tensor._k
    kernel = k.conv2d if len(stride) == 2 else k.conv3d
    r = wrap(kernel(x._a, w._a, None if bias is None else bias._a, stride, padding, dilation, groups, act))
    fb = None if bias is None else bias._fn
    if (x._fn is not None or w._fn is not None or fb is not None) and grad_mode.enabled:
        saved = (x._a, w._a, stride, padding, dilation, groups, variants.in_force("gemm", "conv"))
        record(r, convolution_rule, (x._fn, w._fn, fb), saved, (x, w, None, None, None, None, None))
    return r


def _kernels(k, stride):
    if len(stride) == 2:
        return k.conv2d, k.conv2d_backward_input, k.conv2d_backward_weight
    return k.conv3d, k.conv3d_backward_input, k.conv3d_backward_weight


def convolution_rule(k, dy, saved, needs):
    x, w, stride, padding, dilation, groups, choices = saved
    if choices:
        with variants.kernels(**choices):
            return convolution_rule(k, dy, (*saved[:-1], None), needs)
    how = (stride, padding, dilation, groups)
    _, backward_input, backward_weight = _kernels(k, stride)
    dx = dw = db = None
    if needs[0] is not None:
        dx = backward_input(dy, w, tuple(x.shape), *how)
    if needs[1] is not None:
        dw = backward_weight(dy, x, tuple(w.shape), *how)
    if needs[2] is not None:
        db = k.sum(dy, (0, *range(2, len(dy.shape))), False)
    return dx, dw, db


def backward_input(dy, w, x_shape, *how):
    """The gradient of a convolution by its input; how: stride, padding, dilation, groups."""
    kernel = _kernels(Tensor._k, how[0])[1]
    r = wrap(kernel(dy._a, w._a, x_shape, *how))
    if (dy._fn is not None or w._fn is not None) and grad_mode.enabled:
        saved = (dy._a, w._a, *how, variants.in_force("gemm", "conv"))
        record(r, convolution_input_rule, (dy._fn, w._fn), saved, (dy, w, None, None, None, None, None))
    return r


def convolution_input_rule(k, g, saved, needs):
    dy, w, *how, choices = saved
    if choices:
        with variants.kernels(**choices):
            return convolution_input_rule(k, g, (*saved[:-1], None), needs)
    conv, _, backward_weight = _kernels(k, how[0])
    return (
        None if needs[0] is None else conv(g, w, None, *how),
        None if needs[1] is None else backward_weight(dy, g, tuple(w.shape), *how),
    )


def backward_weight(dy, x, w_shape, *how):
    """The gradient of a convolution by its weight; how: stride, padding, dilation, groups."""
    kernel = _kernels(Tensor._k, how[0])[2]
    r = wrap(kernel(dy._a, x._a, w_shape, *how))
    if (dy._fn is not None or x._fn is not None) and grad_mode.enabled:
        saved = (dy._a, x._a, *how, variants.in_force("gemm", "conv"))
        record(r, convolution_weight_rule, (dy._fn, x._fn), saved, (dy, x, None, None, None, None, None))
    return r


def convolution_weight_rule(k, g, saved, needs):
    dy, x, *how, choices = saved
    if choices:
        with variants.kernels(**choices):
            return convolution_weight_rule(k, g, (*saved[:-1], None), needs)
    conv, backward_input, _ = _kernels(k, how[0])
    return (
        None if needs[0] is None else conv(x, g, None, *how),
        None if needs[1] is None else backward_input(dy, g, tuple(x.shape), *how),
    )


# Under the kernels' names, for rules that run on Tensors.
conv2d_backward_input = conv3d_backward_input = backward_input
conv2d_backward_weight = conv3d_backward_weight = backward_weight


def _named_padding(x, w, padding, stride, dilation):
    """(input, padding) for 'same' and 'valid': where 'same' needs an odd number, the one too many goes to the end."""
    if padding == "valid":
        return x, (0,) * len(stride)
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'; use 'same' or 'valid'")
    if max(stride) != 1:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    needed = [d * (s - 1) for s, d in zip(w._a.shape[2:], dilation, strict=True)]
    if min(dilation) > 0 and any(t % 2 for t in needed):
        x = pad_end(x, [t % 2 for t in needed])
    return x, tuple(t // 2 for t in needed)


def pad_end(x, extra):
    """Zeros after the last element of each spatial dimension."""
    from .pad import pad

    return pad(x, [n for e in reversed(extra) for n in (0, e)])
