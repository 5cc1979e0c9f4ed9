"""Convolutions, under their twins' names. The ladder (fastnn.kernels(conv=...)): `naive` is composed, `im2col` writes the
windows out and multiplies (kernels(gemm=...) says how), `implicit` multiplies windows that it gathers while it reads;
without a choice `implicit`, where it takes the shape and the dtype.

`implicit` computes with channels last. An image or a weight that lies so in memory (torch's channels_last) is read as it
is, and the result of one lies so too; others are turned on the way in, and the result on its way out.
"""

from .. import variants
from ..numpy_kernels.conv2d import _check_shape, _output, _same_dtype, check_summand
from . import elementwise
from ._composed import module
from ._native import (
    arrays,
    as_last,
    code,
    contiguous,
    described,
    from_last,
    has,
    is_float,
    is_last,
    native,
    ran,
    scratch,
    stream,
)  # fmt: skip
from .gemm import _ACT, options, tf32

twin = module("conv2d")
_FORWARD, _INPUT, _WEIGHT = range(3)


def _sizes(x, w, out, stride, padding, dilation, groups):
    """The bindings' numbers of a convolution, and stride, padding and dilation of its depth."""
    if len(out) == 2:
        depth, (d, t, o) = (1, 0, 1), (1, 1, 1)
    else:
        depth, (d, t, o) = (stride[0], padding[0], dilation[0]), (x[2], w[2], out[0])
    numbers = (
        x[0], x[1], x[-2], x[-1], w[0], out[-2], out[-1], w[-2], w[-1], groups, stride[-2], stride[-1], padding[-2],
        padding[-1], dilation[-2], dilation[-1], d, t, o,
    )  # fmt: skip
    return numbers, depth


def _im2col(task, sizes, first, second, bias, out, act):
    memory, address = scratch(native.conv2d_workspace(task, *sizes, code(out.dtype)))
    native.conv2d(
        task, *sizes, described(contiguous(first)), described(contiguous(second)), described(contiguous(bias)),
        described(out), act, address, *options(), stream(),
    )  # fmt: skip
    ran("conv2d")
    return out


def _dense(a):
    return a if is_last(a) else contiguous(a)


def _empty(shape, dtype, last):
    if not last:
        return arrays.empty(shape, dtype)
    n, c, h, w = shape
    return from_last(arrays.empty((n, h, w, c), dtype))


def _implicit(task, sizes, first, second, bias, out, act, residual=None):
    given = task, *sizes, described(_dense(first)), described(_dense(second)), described(contiguous(bias))
    if residual is not None:
        residual = described(from_last(as_last(residual)) if is_last(out) else contiguous(residual))
    given = *given, residual, described(out), act
    memory, address = scratch(native.conv2d_implicit(*given, None, tf32(), stream()))
    native.conv2d_implicit(*given, address, tf32(), stream())
    ran("conv2d_implicit")
    return out


def _rung(dims, sizes, dtype):
    """The rung that runs: `implicit` where nothing else is asked for."""
    variant = variants.current("conv")
    if variant == "im2col" or (variant is None and variants.current("gemm") is not None):
        return _im2col
    if dims == 2 and native.conv2d_implicit_covers(*sizes, code(dtype)):
        return _implicit
    if variant == "implicit":
        raise RuntimeError(
            f"convolution: the variant 'implicit' takes two dimensions of float32, float16 and bfloat16, below 2^30 "
            f"elements an image; got {dtype} and the numbers {sizes}"
        )
    return _im2col


def _naive():
    return variants.current("conv") == "naive"


def _plan(name, dims, x, w, bias, stride, padding, dilation, groups):
    """(rung, sizes, the array to write) of a checked convolution; None where no kernel takes it."""
    if not is_float(x.dtype) or not (x.size and w.size) or _naive():
        return None
    out = _output(name, dims, x.shape, w.shape, stride, padding, dilation, groups)
    _same_dtype(name, "input", x, "weight", w)
    if bias is not None:
        _check_shape(name, "bias", bias, w.shape[:1])
        _same_dtype(name, "input", x, "bias", bias)
    sizes = _sizes(x.shape, w.shape, out, stride, padding, dilation, groups)
    rung = _rung(dims, sizes, x.dtype)
    y = _empty((x.shape[0], w.shape[0], *out), x.dtype, rung is _implicit and (is_last(x) or is_last(w)))
    return rung, sizes, y


def _make(dims):
    name = f"conv{dims}d"
    forward, backward_input, backward_weight = (
        getattr(twin, name + part) for part in ("", "_backward_input", "_backward_weight")
    )

    def conv(x, w, bias, stride, padding, dilation, groups, act="none"):
        planned = _plan(name, dims, x, w, bias, stride, padding, dilation, groups) if act in _ACT else None
        if planned is None:
            return forward(x, w, bias, stride, padding, dilation, groups, act)
        rung, sizes, y = planned
        return rung(_FORWARD, sizes, x, w, bias, y, _ACT[act])

    def conv_input(dy, w, x_shape, stride, padding, dilation, groups):
        if not is_float(dy.dtype) or not (dy.size and w.size) or _naive():
            return backward_input(dy, w, x_shape, stride, padding, dilation, groups)
        fn = name + "_backward_input"
        out = _output(fn, dims, x_shape, w.shape, stride, padding, dilation, groups)
        _check_shape(fn, "dy", dy, (x_shape[0], w.shape[0], *out))
        _same_dtype(fn, "dy", dy, "weight", w)
        sizes = _sizes(x_shape, w.shape, out, stride, padding, dilation, groups)
        rung = _rung(dims, sizes, dy.dtype)
        dx = _empty(tuple(x_shape), dy.dtype, rung is _implicit and (is_last(dy) or is_last(w)))
        return rung(_INPUT, sizes, dy, w, None, dx, 0)

    def conv_weight(dy, x, w_shape, stride, padding, dilation, groups):
        if not is_float(dy.dtype) or not (dy.size and x.size) or _naive():
            return backward_weight(dy, x, w_shape, stride, padding, dilation, groups)
        fn = name + "_backward_weight"
        out = _output(fn, dims, x.shape, w_shape, stride, padding, dilation, groups)
        _check_shape(fn, "dy", dy, (x.shape[0], w_shape[0], *out))
        _same_dtype(fn, "dy", dy, "input", x)
        dw = arrays.empty(tuple(w_shape), dy.dtype)
        sizes = _sizes(x.shape, w_shape, out, stride, padding, dilation, groups)
        return _rung(dims, sizes, dy.dtype)(_WEIGHT, sizes, x, dy, None, dw, 0)

    return conv, conv_input, conv_weight


conv2d, conv2d_backward_input, conv2d_backward_weight = _make(2)
conv3d, conv3d_backward_input, conv3d_backward_weight = _make(3)


def conv2d_add_relu(x, w, bias, z, alpha, stride, padding, dilation, groups):
    """As the twin; `implicit` adds and clamps where it writes, the other rungs' results are read once more."""
    how = stride, padding, dilation, groups
    planned = _plan("conv2d_add_relu", 2, x, w, bias, *how)
    if planned is None:
        y = twin.conv2d(x, w, bias, *how)
        check_summand(y, z)
    else:
        rung, sizes, y = planned
        check_summand(y, z)
        if rung is _implicit:
            summand = z if alpha == 1 else elementwise.mul(z, alpha)
            return rung(_FORWARD, sizes, x, w, bias, y, _ACT["relu"], summand)
        y = rung(_FORWARD, sizes, x, w, bias, y, _ACT["none"])
    return elementwise.relu(elementwise.axpy_(y, z, alpha), out=y)


__all__ = [
    "conv2d", "conv2d_add_relu", "conv2d_backward_input", "conv2d_backward_weight", "conv3d", "conv3d_backward_input",
    "conv3d_backward_weight",
] if has("conv2d") else []  # fmt: skip
