"""Convolutions, under their twins' names: im2col and a matrix product in one native call."""

from ..numpy_kernels.conv2d import _check_shape, _output, _same_dtype
from ._composed import module
from ._native import arrays, code, contiguous, described, has, is_float, native, ran, scratch, stream
from .gemm import _ACT, options

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


def _run(task, sizes, first, second, bias, out, act):
    memory, address = scratch(native.conv2d_workspace(task, *sizes, code(out.dtype)))
    native.conv2d(
        task, *sizes, described(contiguous(first)), described(contiguous(second)), described(contiguous(bias)),
        described(out), act, address, *options(), stream(),
    )  # fmt: skip
    ran("conv2d")
    return out


def _naive():
    from .. import variants

    return variants.current("conv") == "naive"


def _make(dims):
    name = f"conv{dims}d"
    forward, backward_input, backward_weight = (
        getattr(twin, name + part) for part in ("", "_backward_input", "_backward_weight")
    )

    def conv(x, w, bias, stride, padding, dilation, groups, act="none"):
        if not is_float(x.dtype) or not (x.size and w.size) or _naive() or act not in _ACT:
            return forward(x, w, bias, stride, padding, dilation, groups, act)
        out = _output(name, dims, x.shape, w.shape, stride, padding, dilation, groups)
        _same_dtype(name, "input", x, "weight", w)
        if bias is not None:
            _check_shape(name, "bias", bias, w.shape[:1])
            _same_dtype(name, "input", x, "bias", bias)
        y = arrays.empty((x.shape[0], w.shape[0], *out), x.dtype)
        sizes = _sizes(x.shape, w.shape, out, stride, padding, dilation, groups)
        return _run(_FORWARD, sizes, x, w, bias, y, _ACT[act])

    def conv_input(dy, w, x_shape, stride, padding, dilation, groups):
        if not is_float(dy.dtype) or not (dy.size and w.size) or _naive():
            return backward_input(dy, w, x_shape, stride, padding, dilation, groups)
        fn = name + "_backward_input"
        out = _output(fn, dims, x_shape, w.shape, stride, padding, dilation, groups)
        _check_shape(fn, "dy", dy, (x_shape[0], w.shape[0], *out))
        _same_dtype(fn, "dy", dy, "weight", w)
        dx = arrays.empty(tuple(x_shape), dy.dtype)
        sizes = _sizes(x_shape, w.shape, out, stride, padding, dilation, groups)
        return _run(_INPUT, sizes, dy, w, None, dx, 0)

    def conv_weight(dy, x, w_shape, stride, padding, dilation, groups):
        if not is_float(dy.dtype) or not (dy.size and x.size) or _naive():
            return backward_weight(dy, x, w_shape, stride, padding, dilation, groups)
        fn = name + "_backward_weight"
        out = _output(fn, dims, x.shape, w_shape, stride, padding, dilation, groups)
        _check_shape(fn, "dy", dy, (x.shape[0], w_shape[0], *out))
        _same_dtype(fn, "dy", dy, "input", x)
        dw = arrays.empty(tuple(w_shape), dy.dtype)
        sizes = _sizes(x.shape, w_shape, out, stride, padding, dilation, groups)
        return _run(_WEIGHT, sizes, x, dy, None, dw, 0)

    return conv, conv_input, conv_weight


conv2d, conv2d_backward_input, conv2d_backward_weight = _make(2)
conv3d, conv3d_backward_input, conv3d_backward_weight = _make(3)
__all__ = [
    "conv2d", "conv2d_backward_input", "conv2d_backward_weight", "conv3d", "conv3d_backward_input",
    "conv3d_backward_weight",
] if has("conv2d") else []  # fmt: skip
