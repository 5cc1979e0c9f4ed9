"""NumPy twins of the conv2d kernels: the readable definition of each, and what runs where nothing is compiled.

x [N, C, H, W], w [K, C/groups, R, S], bias [K] or None; stride, padding, dilation are pairs (rows, columns).
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .gemm import _ACTS

__all__ = ["conv2d", "conv2d_backward_input", "conv2d_backward_weight"]

_MAX_ARGUMENT, _MAX_ELEMENTS = 2**31 - 1, 2**60


def _output(fn, x, w, stride, padding, dilation, groups):
    """P, Q of the output of shapes x and w; raises torch's kind of error, before anything is allocated."""
    for name, shape in (("input [N, C, H, W]", x), ("weight [K, C/groups, R, S]", w)):
        if len(shape) != 4:
            raise RuntimeError(f"{fn}(): expected a 4-D {name}, but got shape {list(shape)}")
        if min(shape) < 0:
            raise RuntimeError(f"{fn}(): {name} of shape {list(shape)} is out of range")
    for name, pair, low in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        if min(pair) < low or max(pair) > _MAX_ARGUMENT:
            rule = "greater than zero" if low else "non-negative"
            raise RuntimeError(f"{fn}(): {name} should be {rule} and at most {_MAX_ARGUMENT}, but got {tuple(pair)}")
    if groups < 1:
        raise RuntimeError(f"{fn}(): groups should be greater than zero, but got {groups}")
    if w[0] < 1 or w[0] % groups:
        raise RuntimeError(
            f"{fn}(): expected a weight whose first size is a positive multiple of groups = {groups}, "
            f"but got weight of shape {list(w)}"
        )
    if w[2] < 1 or w[3] < 1:
        raise RuntimeError(f"{fn}(): kernel size should be greater than zero, but got weight of shape {list(w)}")
    if x[1] != w[1] * groups:
        raise RuntimeError(
            f"{fn}(): weight of shape {list(w)} with groups = {groups} does not fit the {x[1]} channels "
            f"of input {list(x)}"
        )
    if x[2] < 1 or x[3] < 1:
        raise RuntimeError(f"{fn}(): only the batch or the channels of an input may be empty, but got {list(x)}")
    padded = tuple(n + 2 * p for n, p in zip(x[2:], padding, strict=True))
    extent = tuple(d * (k - 1) + 1 for k, d in zip(w[2:], dilation, strict=True))
    if extent[0] > padded[0] or extent[1] > padded[1]:
        raise RuntimeError(
            f"{fn}(): kernel size {tuple(w[2:])} with dilation {tuple(dilation)} can't be greater than the "
            f"padded input size {padded}"
        )
    out = tuple((n - e) // s + 1 for n, e, s in zip(padded, extent, stride, strict=True))
    if x[0] * w[0] * out[0] * out[1] > _MAX_ELEMENTS:
        raise MemoryError(f"{fn}(): no memory for an output of shape {[x[0], w[0], *out]}")
    return out


def _same_dtype(fn, a_name, a, b_name, b):
    if a.dtype != b.dtype:
        raise RuntimeError(f"{fn}(): expected {a_name} and {b_name} of one dtype, but got {a.dtype} and {b.dtype}")


def _check_shape(fn, name, array, want):
    if array.shape != tuple(want):
        raise RuntimeError(f"{fn}(): expected {name} of shape {list(want)}, but got {list(array.shape)}")


def _padded(x, padding):
    if padding == (0, 0):
        return x
    (n, c, h, w), (ph, pw) = x.shape, padding
    out = np.zeros((n, c, h + 2 * ph, w + 2 * pw), x.dtype)
    out[:, :, ph : ph + h, pw : pw + w] = x
    return out


def _windows(x, kernel, out, stride, dilation):
    """View [N, C, R, S, P, Q] of a padded image: the im2col matrix, not copied."""
    n, c, h, w = x.strides
    return as_strided(
        x,
        (*x.shape[:2], *kernel, *out),
        (n, c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1]),
        writeable=False,
    )


def _columns(x, w_shape, out, stride, padding, dilation, groups):
    """[groups, C/groups * R * S, N * P * Q]."""
    n = x.shape[0]
    view = _windows(_padded(x, tuple(padding)), w_shape[2:], out, stride, dilation)
    view = view.reshape(n, groups, w_shape[1], *view.shape[2:]).transpose(1, 2, 3, 4, 0, 5, 6)
    return view.reshape(groups, w_shape[1] * w_shape[2] * w_shape[3], n * out[0] * out[1])


def _rows(y, groups):
    """[groups, K/groups, N * P * Q] of y [N, K, P, Q]."""
    n, k, p, q = y.shape
    return y.reshape(n, groups, k // groups, p * q).transpose(1, 2, 0, 3).reshape(groups, k // groups, n * p * q)


def sixteen_bits(*arrays):
    """Whether these are arrays of one 16-bit floating point type: kernels compute on them in float32."""
    d = arrays[0].dtype
    return d.itemsize == 2 and d.kind in "fV" and all(a is None or a.dtype == d for a in arrays)


def in_float32(kernel, arrays, *options):
    """kernel over 16-bit arrays: computed in float32, rounded once."""
    wide = (None if a is None else a.astype(np.float32) for a in arrays)
    return kernel(*wide, *options).astype(arrays[0].dtype)


def conv2d(x, w, bias, stride, padding, dilation, groups, act="none"):
    """act(bias + sum over c, r, s of w[k, c, r, s] · x[n, c, p·stride - padding + r·dilation, ...]); 0 outside x."""
    if sixteen_bits(x, w, bias):
        return in_float32(conv2d, (x, w, bias), stride, padding, dilation, groups, act)
    out = _output("conv2d", x.shape, w.shape, stride, padding, dilation, groups)
    if act not in _ACTS:
        raise ValueError(f"conv2d(): act must be one of {', '.join(_ACTS)}, got {act!r}")
    _same_dtype("conv2d", "input", x, "weight", w)
    if bias is not None:
        _check_shape("conv2d", "bias", bias, w.shape[:1])
        _same_dtype("conv2d", "input", x, "bias", bias)
    n, k = x.shape[0], w.shape[0]
    columns = _columns(x, w.shape, out, stride, padding, dilation, groups)
    y = np.matmul(w.reshape(groups, k // groups, columns.shape[1]), columns)
    y = np.ascontiguousarray(y.reshape(k, n, *out).swapaxes(0, 1))
    if bias is not None:
        y += bias[:, None, None]
    return _ACTS[act](y)


def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    """dw[k, c, r, s] = sum over n, p, q of dy[n, k, p, q] · x[n, c, p·stride - padding + r·dilation, ...]."""
    if sixteen_bits(dy, x):
        return in_float32(conv2d_backward_weight, (dy, x), w_shape, stride, padding, dilation, groups)
    fn = "conv2d_backward_weight"
    out = _output(fn, x.shape, w_shape, stride, padding, dilation, groups)
    _check_shape(fn, "dy", dy, (x.shape[0], w_shape[0], *out))
    _same_dtype(fn, "dy", dy, "input", x)
    columns = _columns(x, w_shape, out, stride, padding, dilation, groups)
    return np.matmul(_rows(dy, groups), columns.swapaxes(1, 2)).reshape(w_shape)


def conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups):
    """dx: each tap's share of w^T · dy, added where that tap read."""
    if sixteen_bits(dy, w):
        return in_float32(conv2d_backward_input, (dy, w), x_shape, stride, padding, dilation, groups)
    fn = "conv2d_backward_input"
    out = _output(fn, x_shape, w.shape, stride, padding, dilation, groups)
    _check_shape(fn, "dy", dy, (x_shape[0], w.shape[0], *out))
    _same_dtype(fn, "dy", dy, "weight", w)
    n, c, h, wd = x_shape
    k, cg, r, s = w.shape
    (ph, pw), (sh, sw), (dh, dw) = padding, stride, dilation
    shares = np.matmul(w.reshape(groups, k // groups, cg * r * s).swapaxes(1, 2), _rows(dy, groups))
    shares = shares.reshape(c, r, s, n, *out)
    dx = np.zeros((c, n, h + 2 * ph, wd + 2 * pw), dy.dtype)
    for i in range(r):
        for j in range(s):
            top, left = i * dh, j * dw
            rows = slice(top, top + (out[0] - 1) * sh + 1, sh)
            dx[:, :, rows, left : left + (out[1] - 1) * sw + 1 : sw] += shares[:, i, j]
    return np.ascontiguousarray(dx[:, :, ph : ph + h, pw : pw + wd].swapaxes(0, 1))
