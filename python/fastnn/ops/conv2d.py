"""Convolution in one and two dimensions, transposed too, with gradients to any order.

Convolution is linear in the input x and in the weight w; its two gradient kernels are linear in their arguments, and
each one's gradients are the other two functions: <g, conv(x, w)> = <backward_input(g, w), x> = <backward_weight(g,
x), w>.
"""

from .._tape import grad_mode, record
from ..tensor import Tensor, wrap
from . import _autocast
from .elementwise import add
from .shape import reshape, squeeze, unsqueeze
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


def _check(x, w, b, stride, padding, dilation, groups, function, channels_dim=1):
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
    """The output's height and width. Raises where the kernel does not fit, or the sizes are absurd."""
    padded = [s + 2 * p for s, p in zip(xs[2:], padding, strict=True)]
    extent = [d * (s - 1) + 1 for s, d in zip(ws[2:], dilation, strict=True)]
    if any(e > p for e, p in zip(extent, padded, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: "
            f"({' x '.join(map(str, extent))}). Kernel size can't be greater than actual input size"
        )
    out = tuple((p - e) // s + 1 for p, e, s in zip(padded, extent, stride, strict=True))
    check_size((xs[0], ws[0], *out), "conv2d")
    return out


def check_size(shape, function):
    n = 1
    for s in shape:
        n *= s
    if n > _LARGEST:
        raise RuntimeError(f"{function}: a result of shape {list(shape)} is too large")


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The cross-correlation of input [N, C, H, W] with weight [K, C/groups, R, S], plus bias [K]: [N, K, H', W'].

    padding: ints, 'valid', or 'same' (stride 1, an odd surplus at the end). A 3-D input is one image. Raises
    RuntimeError where sizes, dtypes or arguments do not fit."""
    if _autocast.depth:
        input, weight, bias = _autocast.low(input, weight, bias)
    x, w = operand(input, "conv2d"), operand(weight, "conv2d")
    if w._a.ndim != 4:
        raise RuntimeError(
            f"Expected 4-dimensional weight for conv2d ([out, in/groups, height, width]), but got weight of size "
            f"{list(w._a.shape)}"
        )
    single = x._a.ndim == 3
    if single:
        x = unsqueeze(x, 0)
    elif x._a.ndim != 4:
        raise RuntimeError(
            f"Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: {list(x._a.shape)}"
        )
    stride, dilation = numbers(stride, 2, "stride", "conv2d"), numbers(dilation, 2, "dilation", "conv2d")
    if isinstance(padding, str):
        x, padding = _named_padding(x, w, padding, stride, dilation)
    else:
        padding = numbers(padding, 2, "padding", "conv2d")
    _check(x, w, bias, stride, padding, dilation, groups, "conv2d")
    _check_windows(x._a.shape, w._a.shape, stride, padding, dilation)
    r = _conv(x, w, bias, stride, padding, dilation, groups)
    return squeeze(r, 0) if single else r


def _conv(x, w, bias, stride, padding, dilation, groups):
    b = None if bias is None else bias._a
    r = wrap(Tensor._k.conv2d(x._a, w._a, b, stride, padding, dilation, groups))
    fb = None if bias is None else bias._fn
    if (x._fn is not None or w._fn is not None or fb is not None) and grad_mode.enabled:
        record(
            r,
            convolution_rule,
            (x._fn, w._fn, fb),
            (x._a, w._a, stride, padding, dilation, groups),
            (x, w, None, None, None, None),
        )
    return r


def convolution_rule(k, dy, saved, needs):
    x, w, *how = saved
    dx = dw = db = None
    if needs[0] is not None:
        dx = k.conv2d_backward_input(dy, w, tuple(x.shape), *how)
    if needs[1] is not None:
        dw = k.conv2d_backward_weight(dy, x, tuple(w.shape), *how)
    if needs[2] is not None:
        db = k.sum(dy, (0, 2, 3), False)
    return dx, dw, db


def conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups):
    """The gradient of conv2d by its input."""
    r = wrap(Tensor._k.conv2d_backward_input(dy._a, w._a, x_shape, stride, padding, dilation, groups))
    if (dy._fn is not None or w._fn is not None) and grad_mode.enabled:
        saved = (dy._a, w._a, stride, padding, dilation, groups)
        record(r, convolution_input_rule, (dy._fn, w._fn), saved, (dy, w, None, None, None, None))
    return r


def convolution_input_rule(k, g, saved, needs):
    dy, w, *how = saved
    return (
        None if needs[0] is None else k.conv2d(g, w, None, *how),
        None if needs[1] is None else k.conv2d_backward_weight(dy, g, tuple(w.shape), *how),
    )


def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    """The gradient of conv2d by its weight."""
    r = wrap(Tensor._k.conv2d_backward_weight(dy._a, x._a, w_shape, stride, padding, dilation, groups))
    if (dy._fn is not None or x._fn is not None) and grad_mode.enabled:
        saved = (dy._a, x._a, stride, padding, dilation, groups)
        record(r, convolution_weight_rule, (dy._fn, x._fn), saved, (dy, x, None, None, None, None))
    return r


def convolution_weight_rule(k, g, saved, needs):
    dy, x, *how = saved
    return (
        None if needs[0] is None else k.conv2d(x, g, None, *how),
        None if needs[1] is None else k.conv2d_backward_input(dy, g, tuple(x.shape), *how),
    )


def _named_padding(x, w, padding, stride, dilation):
    """(input, padding) for 'same' and 'valid': where 'same' needs an odd number, the one too many goes to the end."""
    if padding == "valid":
        return x, (0, 0)
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'; use 'same' or 'valid'")
    if max(stride) != 1:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    needed = [d * (s - 1) for s, d in zip(w._a.shape[2:], dilation, strict=True)]
    if min(dilation) > 0 and any(t % 2 for t in needed):
        x = pad_end(x, [t % 2 for t in needed])
    return x, tuple(t // 2 for t in needed)


def pad_end(x, extra):
    """Zeros after the last row and column."""
    from .index import index_put_zeros

    shape = x._a.shape
    window = tuple(slice(0, s) for s in shape)
    return index_put_zeros(x, (*shape[:2], *(s + e for s, e in zip(shape[2:], extra, strict=True))), window, True)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """conv2d on rows: input [N, C, L], weight [K, C/groups, S] -> [N, K, L']."""
    if _autocast.depth:
        input, weight, bias = _autocast.low(input, weight, bias)
    x, w = operand(input, "conv1d"), operand(weight, "conv1d")
    if w._a.ndim != 3:
        raise RuntimeError(f"Expected 3-dimensional weight for conv1d, but got weight of size {list(w._a.shape)}")
    if x._a.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2D (unbatched) or 3D (batched) input to conv1d, but got input of size: {list(x._a.shape)}"
        )
    if not isinstance(padding, str):
        padding = (0, *numbers(padding, 1, "padding", "conv1d"))
    stride = (1, *numbers(stride, 1, "stride", "conv1d"))
    dilation = (1, *numbers(dilation, 1, "dilation", "conv1d"))
    return squeeze(conv2d(unsqueeze(x, -2), unsqueeze(w, 2), bias, stride, padding, dilation, groups), -2)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """conv2d's gradient as a layer: input [N, C, H, W], weight [C, K/groups, R, S] -> [N, K, H', W'] with
    H' = (H - 1)·stride - 2·padding + dilation·(R - 1) + output_padding + 1."""
    if _autocast.depth:
        input, weight, bias = _autocast.low(input, weight, bias)
    x, w = operand(input, "conv_transpose2d"), operand(weight, "conv_transpose2d")
    if w._a.ndim != 4:
        raise RuntimeError(f"Expected 4-dimensional weight for conv_transpose2d, but got size {list(w._a.shape)}")
    single = x._a.ndim == 3
    if single:
        x = unsqueeze(x, 0)
    elif x._a.ndim != 4:
        raise RuntimeError(
            f"Expected 3D (unbatched) or 4D (batched) input to conv_transpose2d, but got input of size: "
            f"{list(x._a.shape)}"
        )
    function = "conv_transpose2d"
    stride, padding = numbers(stride, 2, "stride", function), numbers(padding, 2, "padding", function)
    dilation = numbers(dilation, 2, "dilation", function)
    extra = numbers(output_padding, 2, "output_padding", function)
    _check(x, w, bias, stride, padding, dilation, groups, function, channels_dim=0)
    if any(e < 0 or (e >= s and e >= d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding={extra}, "
            f"stride={stride}, dilation={dilation}"
        )
    n, _, *size = x._a.shape
    out = tuple(
        (size[i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (w._a.shape[2 + i] - 1) + extra[i] + 1
        for i in range(2)
    )
    if min(out) <= 0:
        raise RuntimeError(
            f"Given input size per channel: ({size[0]} x {size[1]}). Calculated output size per channel: "
            f"({out[0]} x {out[1]}). Output size is too small"
        )
    shape = (n, w._a.shape[1] * groups, *out)
    check_size(shape, function)
    r = conv2d_backward_input(x, w, shape, stride, padding, dilation, groups)
    if bias is not None:
        r = add(r, reshape(bias, (1, -1, 1, 1)))
    return squeeze(r, 0) if single else r


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """conv_transpose2d on rows: input [N, C, L], weight [C, K/groups, S] -> [N, K, L']."""
    if _autocast.depth:
        input, weight, bias = _autocast.low(input, weight, bias)
    x, w = operand(input, "conv_transpose1d"), operand(weight, "conv_transpose1d")
    if w._a.ndim != 3 or x._a.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2D (unbatched) or 3D (batched) input and 3D weight to conv_transpose1d, but got sizes "
            f"{list(x._a.shape)} and {list(w._a.shape)}"
        )
    f = "conv_transpose1d"
    r = conv_transpose2d(
        unsqueeze(x, -2), unsqueeze(w, 2), bias, (1, *numbers(stride, 1, "stride", f)),
        (0, *numbers(padding, 1, "padding", f)), (0, *numbers(output_padding, 1, "output_padding", f)), groups,
        (1, *numbers(dilation, 1, "dilation", f)),
    )  # fmt: skip
    return squeeze(r, -2)
