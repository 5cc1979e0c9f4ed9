"""NumPy twins of the pool2d kernels: the readable definition of each, and what runs where nothing is compiled.

Images are [N, C, H, W]; kernel, stride, padding and dilation are pairs (rows, columns). The index of a maximum is the
number of its tap, r * S + s, as a byte for windows of at most 256 taps, else the position h * W + w as int64;
max_pool2d_indices turns it into the latter, which torch returns.
"""

import numpy as np

from .array import scatter_add_zeros
from .reduce import argmax

__all__ = [
    "adaptive_max_pool2d", "adaptive_max_pool2d_backward", "avg_pool2d", "avg_pool2d_backward", "max_pool2d",
    "max_pool2d_backward", "max_pool2d_indices",
]  # fmt: skip

_MAX_INT = 2**31 - 1


def _output_size(size, kernel, stride, pad, dilation, ceil_mode):
    """torch's rule: with ceil_mode the last window may hang over, if it starts inside the image or its left padding."""
    room = size + 2 * pad - dilation * (kernel - 1) - 1
    out = max((room + (stride - 1 if ceil_mode else 0)) // stride + 1, 0)
    return out - 1 if ceil_mode and (out - 1) * stride >= size + pad else out


def _sizes(fn, shape, kernel, stride, padding, dilation, ceil_mode):
    """P, Q of the output; raises torch's kind of error, before anything is allocated."""
    for name, pair, low in (
        ("kernel_size", kernel, 1),
        ("stride", stride, 1),
        ("padding", padding, 0),
        ("dilation", dilation, 1),
    ):
        if min(pair) < low or max(pair) > _MAX_INT:
            rule = "greater than zero" if low else "non-negative"
            raise RuntimeError(f"{fn}(): {name} should be {rule} and at most {_MAX_INT}, but got {tuple(pair)}")
    if padding[0] > kernel[0] // 2 or padding[1] > kernel[1] // 2:
        raise RuntimeError(
            f"{fn}(): padding should be at most half of kernel_size, but got padding {tuple(padding)} "
            f"and kernel_size {tuple(kernel)}"
        )
    if len(shape) != 4:
        raise RuntimeError(f"{fn}(): expected a 4-D input [N, C, H, W], but got {list(shape)}")
    if 0 in shape[1:] or min(shape) < 0:
        raise RuntimeError(f"{fn}(): expected an input [N, C, H, W] that only N may leave empty, but got {list(shape)}")
    out = tuple(
        _output_size(size, k, s, p, d, ceil_mode)
        for size, k, s, p, d in zip(shape[2:], kernel, stride, padding, dilation, strict=True)
    )
    if min(out) < 1:
        raise RuntimeError(
            f"{fn}(): kernel_size {tuple(kernel)} with padding {tuple(padding)} does not fit the input {list(shape)}: "
            f"the output would be {list(out)}"
        )
    return out


def _taps(kernel, stride, pad, dilation, size, out):
    """(tap, outputs, columns): for each tap along one axis, the slice of outputs whose tap lies inside the image, and
    the slice of the image that it reads. Taps that are in the padding for every output are skipped."""
    first = max(0, -((pad - (out - 1) * stride) // -dilation))
    for tap in range(first, min(kernel, (size - 1 + pad) // dilation + 1)):
        at = tap * dilation - pad
        begin = max(0, -(at // stride))
        end = min(out, (size - 1 - at) // stride + 1)
        if begin < end:
            start = begin * stride + at
            yield tap, slice(begin, end), slice(start, start + (end - begin - 1) * stride + 1, stride)


def _windows(shape, out, kernel, stride, padding, dilation):
    for r, rows, hs in _taps(kernel[0], stride[0], padding[0], dilation[0], shape[2], out[0]):
        for s, cols, ws in _taps(kernel[1], stride[1], padding[1], dilation[1], shape[3], out[1]):
            yield r, s, (..., rows, cols), (..., hs, ws)


def _check_shape(fn, name, array, want):
    if array.shape != tuple(want):
        raise RuntimeError(f"{fn}(): expected {name} of shape {list(want)}, but got {list(array.shape)}")


def _compact(kernel):
    return kernel[0] * kernel[1] <= 256


def _first_tap(out, kernel, stride, padding, dilation):
    """The first tap inside the image, per output, along one axis."""
    start = np.arange(out, dtype=np.int64) * stride - padding
    return np.minimum(np.where(start < 0, -(start // dilation), 0), kernel - 1)


def _positions(shape, out, r, s, stride, padding, dilation):
    """h * W + w of tap (r, s) of every window; r and s [..., P, Q]. The nearest inside for one outside the image."""
    h = np.arange(out[0])[:, None] * stride[0] - padding[0] + r * dilation[0]
    w = np.arange(out[1]) * stride[1] - padding[1] + s * dilation[1]
    return np.clip(h, 0, shape[2] - 1) * shape[3] + np.clip(w, 0, shape[3] - 1)


def max_pool2d(x, kernel, stride, padding, dilation, ceil_mode):
    """(y, idx). A tap replaces the maximum if it is larger, or NaN: so the first of equals and the last NaN win."""
    out = _sizes("max_pool2d", x.shape, kernel, stride, padding, dilation, ceil_mode)
    floating = x.dtype.kind == "f" or x.dtype.name == "bfloat16"
    y = np.full((*x.shape[:2], *out), -np.inf if floating else np.iinfo(x.dtype).min, x.dtype)
    r0 = _first_tap(out[0], kernel[0], stride[0], padding[0], dilation[0])[:, None]
    s0 = _first_tap(out[1], kernel[1], stride[1], padding[1], dilation[1])
    compact = _compact(kernel)
    first = r0 * kernel[1] + s0 if compact else _positions(x.shape, out, r0, s0, stride, padding, dilation)
    idx = np.broadcast_to(first, y.shape).astype(np.uint8 if compact else np.int64)
    for r, s, at_out, at_x in _windows(x.shape, out, kernel, stride, padding, dilation):
        value, best = x[at_x], y[at_out]
        take = value > best
        if floating:
            take |= np.isnan(value)
        np.copyto(best, value, where=take)
        code = r * kernel[1] + s
        if not compact:
            code = _positions(x.shape, out, r, s, stride, padding, dilation)[at_out[1:]]
        np.copyto(idx[at_out], code, where=take, casting="unsafe")
    return y, idx


def _sizes_of(fn, name, array, x_shape, kernel, stride, padding, dilation):
    """Checks the output's shape by either rounding; P, Q."""
    for ceil_mode in (True, False):
        out = _sizes(fn, x_shape, kernel, stride, padding, dilation, ceil_mode)
        if array.ndim == 4 and array.shape[2:] == out:
            break
    _check_shape(fn, name, array, (*x_shape[:2], *out))
    return out


def _check_index(fn, idx, want, kernel):
    _check_shape(fn, "idx", idx, want)
    dtype = np.dtype(np.uint8 if _compact(kernel) else np.int64)
    if idx.dtype != dtype:
        raise TypeError(f"{fn}(): expected idx of {dtype}, but got {idx.dtype}")


def max_pool2d_backward(dy, idx, x_shape, kernel, stride, padding, dilation):
    """dx[h, w] = sum of dy over the windows whose maximum came from (h, w)."""
    fn = "max_pool2d_backward"
    out = _sizes_of(fn, "dy", dy, x_shape, kernel, stride, padding, dilation)
    _check_index(fn, idx, dy.shape, kernel)
    dx = np.zeros(x_shape, dy.dtype)
    if _compact(kernel):
        for r, s, at_out, at_x in _windows(x_shape, out, kernel, stride, padding, dilation):
            dx[at_x] += np.where(idx[at_out] == r * kernel[1] + s, dy[at_out], dy.dtype.type(0))
    else:
        planes = dx.shape[0] * dx.shape[1]
        flat = idx.reshape(planes, out[0] * out[1]) + np.arange(planes)[:, None] * (x_shape[2] * x_shape[3])
        np.add.at(dx.reshape(-1), flat, dy.reshape(flat.shape))
    return dx


def max_pool2d_indices(idx, x_shape, kernel, stride, padding, dilation):
    """torch's int64 h * W + w from max_pool2d's idx."""
    fn = "max_pool2d_indices"
    out = _sizes_of(fn, "idx", idx, x_shape, kernel, stride, padding, dilation)
    _check_index(fn, idx, idx.shape, kernel)
    if not _compact(kernel):
        return np.array(idx)
    r, s = np.divmod(idx.astype(np.int64), kernel[1])
    return _positions(x_shape, out, r, s, stride, padding, dilation)


def _divisor(dtype, shape, out, kernel, stride, padding, count_include_pad, divisor_override):
    """[P, Q]: the window's area, cut at the end of the padding, or at the image without count_include_pad."""
    if divisor_override is not None:
        return np.array(divisor_override, dtype)
    counts = []
    for size, n, k, s, p in zip(shape[2:], out, kernel, stride, padding, strict=True):
        begin = np.arange(n, dtype=np.int64) * s - p
        end = np.minimum(begin + k, size + p)
        counts.append(end - begin if count_include_pad else np.minimum(end, size) - np.maximum(begin, 0))
    return counts[0][:, None].astype(dtype) * counts[1].astype(dtype)


def _average_sizes(fn, shape, kernel, stride, padding, ceil_mode, divisor_override):
    out = _sizes(fn, shape, kernel, stride, padding, (1, 1), ceil_mode)
    if divisor_override == 0:
        raise RuntimeError(f"{fn}(): divisor_override must not be zero")
    return out


def avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    out = _average_sizes("avg_pool2d", x.shape, kernel, stride, padding, ceil_mode, divisor_override)
    y = np.zeros((*x.shape[:2], *out), x.dtype)
    for _, _, at_out, at_x in _windows(x.shape, out, kernel, stride, padding, (1, 1)):
        y[at_out] += x[at_x]
    d = _divisor(x.dtype, x.shape, out, kernel, stride, padding, count_include_pad, divisor_override)
    return np.true_divide(y, d, out=y) if x.dtype.kind != "i" else np.asarray(np.trunc(y / d), x.dtype)


def avg_pool2d_backward(dy, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    fn = "avg_pool2d_backward"
    out = _average_sizes(fn, x_shape, kernel, stride, padding, ceil_mode, divisor_override)
    _check_shape(fn, "dy", dy, (*x_shape[:2], *out))
    share = dy / _divisor(dy.dtype, x_shape, out, kernel, stride, padding, count_include_pad, divisor_override)
    dx = np.zeros(x_shape, dy.dtype)
    for _, _, at_out, at_x in _windows(x_shape, out, kernel, stride, padding, (1, 1)):
        dx[at_x] += share[at_out]
    return dx


def adaptive_bins(n, out):
    """The adaptive windows along one dimension: [floor(i·n/out), ceil((i + 1)·n/out))."""
    return [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]


def adaptive_max_pool2d(x, size):
    """(the maxima of size windows that cover each image, their places h·W + w): of NaNs the last."""
    n, c, h, w = x.shape
    index = np.empty((n, c, *size), np.int64)
    for i, (top, bottom) in enumerate(adaptive_bins(h, size[0])):
        for j, (left, right) in enumerate(adaptive_bins(w, size[1])):
            count = (bottom - top) * (right - left)
            cell = x[:, :, top:bottom, left:right].reshape(n, c, count)
            at, nan = argmax(cell, 2, False), cell != cell
            at = np.where(nan.any(2), count - 1 - np.argmax(nan[:, :, ::-1], 2), at)
            index[:, :, i, j] = (top + at // (right - left)) * w + left + at % (right - left)
    flat = np.take_along_axis(x.reshape(n, c, h * w), index.reshape(n, c, size[0] * size[1]), 2)
    return flat.reshape(index.shape), index


def adaptive_max_pool2d_backward(dy, index, size):
    """dy added where the maxima came from, in zeros of `size`."""
    n, c, p, q = dy.shape
    flat = scatter_add_zeros(dy.reshape(n, c, p * q), (n, c, size[0] * size[1]), 2, index.reshape(n, c, p * q))
    return flat.reshape(n, c, *size)
