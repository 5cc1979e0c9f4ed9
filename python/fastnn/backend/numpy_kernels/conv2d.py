"""NumPy twins of the convolution kernels, in two and in three dimensions: the readable definition of each, and what runs
where nothing is compiled.

x [N, C, H, W] or [N, C, D, H, W], w [K, C/groups, R, S] or [K, C/groups, T, R, S], bias [K] or None; stride, padding,
dilation have a number for each spatial dimension. The variant `naive` (fastnn.kernels(conv=...)) is a loop over output
places, `im2col` a product with all windows written side by side.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import variants
from .elementwise import axpy_, relu
from .gemm import _ACTS, bmm

__all__ = [
    "conv2d", "conv2d_add_relu", "conv2d_backward_input", "conv2d_backward_weight", "conv3d", "conv3d_backward_input",
    "conv3d_backward_weight",
]  # fmt: skip

_MAX_ARGUMENT, _MAX_ELEMENTS = 2**31 - 1, 2**60
_LAYOUT = {2: ("[N, C, H, W]", "[K, C/groups, R, S]"), 3: ("[N, C, D, H, W]", "[K, C/groups, T, R, S]")}


def _output(fn, dims, x, w, stride, padding, dilation, groups):
    """The spatial sizes of the output of shapes x and w; raises torch's kind of error, before anything is allocated."""
    for name, shape in (("input " + _LAYOUT[dims][0], x), ("weight " + _LAYOUT[dims][1], w)):
        if len(shape) != dims + 2:
            raise RuntimeError(f"{fn}(): expected a {dims + 2}-D {name}, but got shape {list(shape)}")
        if min(shape) < 0:
            raise RuntimeError(f"{fn}(): {name} of shape {list(shape)} is out of range")
    for name, numbers, low in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        if len(numbers) != dims:
            raise RuntimeError(f"{fn}(): {name} should have {dims} numbers, but got {list(numbers)}")
        if min(numbers) < low or max(numbers) > _MAX_ARGUMENT:
            rule = "greater than zero" if low else "non-negative"
            raise RuntimeError(f"{fn}(): {name} should be {rule} and at most {_MAX_ARGUMENT}, but got {list(numbers)}")
    if groups < 1:
        raise RuntimeError(f"{fn}(): groups should be greater than zero, but got {groups}")
    if w[0] < 1 or w[0] % groups:
        raise RuntimeError(
            f"{fn}(): expected a weight whose first size is a positive multiple of groups = {groups}, "
            f"but got weight of shape {list(w)}"
        )
    if min(w[2:]) < 1:
        raise RuntimeError(f"{fn}(): kernel size should be greater than zero, but got weight of shape {list(w)}")
    if x[1] != w[1] * groups:
        raise RuntimeError(
            f"{fn}(): weight of shape {list(w)} with groups = {groups} does not fit the {x[1]} channels "
            f"of input {list(x)}"
        )
    if min(x[2:]) < 1:
        raise RuntimeError(f"{fn}(): only the batch or the channels of an input may be empty, but got {list(x)}")
    padded = tuple(n + 2 * p for n, p in zip(x[2:], padding, strict=True))
    extent = tuple(d * (k - 1) + 1 for k, d in zip(w[2:], dilation, strict=True))
    if any(e > p for e, p in zip(extent, padded, strict=True)):
        raise RuntimeError(
            f"{fn}(): kernel size {tuple(w[2:])} with dilation {tuple(dilation)} can't be greater than the "
            f"padded input size {padded}"
        )
    out = tuple((n - e) // s + 1 for n, e, s in zip(padded, extent, stride, strict=True))
    elements = x[0] * w[0]
    for n in out:
        elements *= n
    if elements > _MAX_ELEMENTS:
        raise MemoryError(f"{fn}(): no memory for an output of shape {[x[0], w[0], *out]}")
    return out


def _same_dtype(fn, a_name, a, b_name, b):
    if a.dtype != b.dtype:
        raise RuntimeError(f"{fn}(): expected {a_name} and {b_name} of one dtype, but got {a.dtype} and {b.dtype}")


def _check_shape(fn, name, array, want):
    if array.shape != tuple(want):
        raise RuntimeError(f"{fn}(): expected {name} of shape {list(want)}, but got {list(array.shape)}")


def _inside(sizes, padding):
    """Where an image lies in its padded copy."""
    return (..., *(slice(p, p + n) for n, p in zip(sizes, padding, strict=True)))


def _padded(x, padding):
    if not any(padding):
        return x
    out = np.zeros((*x.shape[:2], *(n + 2 * p for n, p in zip(x.shape[2:], padding, strict=True))), x.dtype)
    out[_inside(x.shape[2:], padding)] = x
    return out


def _windows(x, kernel, out, stride, dilation):
    """View [N, C, *kernel, *out] of a padded image: the im2col matrix, not copied."""
    steps = x.strides[2:]
    taps = (s * d for s, d in zip(steps, dilation, strict=True))
    places = (s * t for s, t in zip(steps, stride, strict=True))
    return as_strided(x, (*x.shape[:2], *kernel, *out), (*x.strides[:2], *taps, *places), writeable=False)


def _columns(x, w_shape, out, stride, padding, dilation, groups):
    """[groups, C/groups * taps, N * places]."""
    n, dims = x.shape[0], len(out)
    view = _windows(_padded(x, padding), w_shape[2:], out, stride, dilation)
    view = view.reshape(n, groups, w_shape[1], *view.shape[2:])
    view = view.transpose(1, *range(2, 3 + dims), 0, *range(3 + dims, 3 + 2 * dims))
    return view.reshape(groups, int(np.prod(w_shape[1:])), n * int(np.prod(out)))


def _rows(y, groups):
    """[groups, K/groups, N * places] of y [N, K, ...]."""
    n, k = y.shape[:2]
    return y.reshape(n, groups, k // groups, -1 if y.size else 0).transpose(1, 2, 0, 3).reshape(groups, k // groups, -1)


def _places(x_shape, w_shape, out, stride, dilation, groups):
    """For each output place and group: (group, place, its window in a padded image)."""
    cg = w_shape[1]
    for place in np.ndindex(out):
        window = tuple(
            slice(p * s, p * s + d * (k - 1) + 1, d)
            for p, s, d, k in zip(place, stride, dilation, w_shape[2:], strict=True)
        )
        for g in range(groups):
            yield g, place, (slice(None), slice(g * cg, (g + 1) * cg), *window)


class Convolutions:
    """The three kernels in `dims` dimensions, made of a batched product."""

    def __init__(self, dims, product):
        self.dims, self.product, self.name = dims, product, f"conv{dims}d"

    def forward(self, x, w, bias, stride, padding, dilation, groups, act="none", naive=None):
        fn = self.name
        out = _output(fn, self.dims, x.shape, w.shape, stride, padding, dilation, groups)
        if act not in _ACTS:
            raise ValueError(f"{fn}(): act must be one of {', '.join(_ACTS)}, got {act!r}")
        _same_dtype(fn, "input", x, "weight", w)
        if bias is not None:
            _check_shape(fn, "bias", bias, w.shape[:1])
            _same_dtype(fn, "input", x, "bias", bias)
        n, k = x.shape[0], w.shape[0]
        if _is_naive(naive):
            y, image, kg = np.zeros((n, k, *out), x.dtype), _padded(x, padding), k // groups
            for g, place, window in _places(x.shape, w.shape, out, stride, dilation, groups):
                rows = slice(g * kg, (g + 1) * kg)
                taps = list(range(2, 2 + self.dims))
                y[(slice(None), rows, *place)] = np.einsum(image[window], [0, 1, *taps], w[rows], [9, 1, *taps], [0, 9])
        else:
            columns = _columns(x, w.shape, out, stride, padding, dilation, groups)
            y = self.product(np.ascontiguousarray(w).reshape(groups, k // groups, columns.shape[1]), columns)
            y = np.ascontiguousarray(y.reshape(k, n, *out).swapaxes(0, 1))
        if bias is not None:
            y += bias.reshape(-1, *(1,) * self.dims)
        return _ACTS[act](y)

    def backward_weight(self, dy, x, w_shape, stride, padding, dilation, groups, naive=None):
        fn = f"{self.name}_backward_weight"
        out = _output(fn, self.dims, x.shape, w_shape, stride, padding, dilation, groups)
        _check_shape(fn, "dy", dy, (x.shape[0], w_shape[0], *out))
        _same_dtype(fn, "dy", dy, "input", x)
        if _is_naive(naive):
            dw, image, kg = np.zeros(w_shape, dy.dtype), _padded(x, padding), w_shape[0] // groups
            for g, place, window in _places(x.shape, w_shape, out, stride, dilation, groups):
                rows = slice(g * kg, (g + 1) * kg)
                taps = list(range(2, 2 + self.dims))
                dw[rows] += np.einsum(
                    dy[(slice(None), rows, *place)], [0, 9], image[window], [0, 1, *taps], [9, 1, *taps]
                )
            return dw
        columns = _columns(x, w_shape, out, stride, padding, dilation, groups)
        return self.product(_rows(dy, groups), columns.swapaxes(1, 2)).reshape(w_shape)

    def backward_input(self, dy, w, x_shape, stride, padding, dilation, groups, naive=None):
        fn = f"{self.name}_backward_input"
        out = _output(fn, self.dims, x_shape, w.shape, stride, padding, dilation, groups)
        _check_shape(fn, "dy", dy, (x_shape[0], w.shape[0], *out))
        _same_dtype(fn, "dy", dy, "weight", w)
        n, c, *sizes = x_shape
        k, cg, *kernel = w.shape
        grown = [s + 2 * p for s, p in zip(sizes, padding, strict=True)]
        if _is_naive(naive):
            dx, kg = np.zeros((n, c, *grown), dy.dtype), k // groups
            for g, place, window in _places(x_shape, w.shape, out, stride, dilation, groups):
                rows = slice(g * kg, (g + 1) * kg)
                taps = list(range(2, 2 + self.dims))
                dx[window] += np.einsum(dy[(slice(None), rows, *place)], [0, 9], w[rows], [9, 1, *taps], [0, 1, *taps])
            return np.ascontiguousarray(dx[_inside(sizes, padding)])
        flat = np.ascontiguousarray(w).reshape(groups, k // groups, int(np.prod(w.shape[1:])))
        shares = self.product(flat.swapaxes(1, 2), _rows(dy, groups)).reshape(c, *kernel, n, *out)
        dx = np.zeros((c, n, *grown), dy.dtype)
        for tap in np.ndindex(*kernel):  # each tap's share is added where that tap read
            places = tuple(
                slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dilation, out, stride, strict=True)
            )
            dx[(slice(None), slice(None), *places)] += shares[(slice(None), *tap)]
        return np.ascontiguousarray(dx[_inside(sizes, padding)].swapaxes(0, 1))


def sixteen_bits(*arrays):
    """Whether these are arrays of one 16-bit floating point type: kernels compute on them in float32."""
    d = arrays[0].dtype
    return d.itemsize == 2 and d.kind in "fV" and all(a is None or a.dtype == d for a in arrays)


def in_float32(kernel, arrays, *options):
    """kernel over 16-bit arrays: computed in float32, rounded once."""
    wide = (None if a is None else a.astype(np.float32) for a in arrays)
    return kernel(*wide, *options).astype(arrays[0].dtype)


def _is_naive(naive):
    return variants.current("conv") == "naive" if naive is None else naive


def _product(a, b):
    return np.matmul(a, b) if a.dtype.kind in "fc" and variants.current() is None else bmm(a, b)


_flat, _solid = Convolutions(2, _product), Convolutions(3, _product)


def conv2d(x, w, bias, stride, padding, dilation, groups, act="none"):
    """act(bias + sum over c, r, s of w[k, c, r, s] · x[n, c, p·stride - padding + r·dilation, ...]); 0 outside x."""
    if sixteen_bits(x, w, bias):
        return in_float32(conv2d, (x, w, bias), stride, padding, dilation, groups, act)
    return _flat.forward(x, w, bias, stride, padding, dilation, groups, act)


def check_summand(y, z):
    """z as conv2d_add_relu adds it to the convolution y."""
    _check_shape("conv2d_add_relu", "z", z, y.shape)
    _same_dtype("conv2d_add_relu", "input", y, "z", z)


def conv2d_add_relu(x, w, bias, z, alpha, stride, padding, dilation, groups):
    """max(conv2d(x, w, bias, ...) + alpha·z, 0), z of the convolution's shape and dtype."""
    if sixteen_bits(x, w, bias, z):
        return in_float32(conv2d_add_relu, (x, w, bias, z), alpha, stride, padding, dilation, groups)
    y = conv2d(x, w, bias, stride, padding, dilation, groups)
    check_summand(y, z)
    return relu(axpy_(y, z, alpha), out=y)


def conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups):
    """dx: sum over k and the taps that read a place of dy · w."""
    if sixteen_bits(dy, w):
        return in_float32(conv2d_backward_input, (dy, w), x_shape, stride, padding, dilation, groups)
    return _flat.backward_input(dy, w, x_shape, stride, padding, dilation, groups)


def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    """dw[k, c, r, s] = sum over n, p, q of dy[n, k, p, q] · x[n, c, p·stride - padding + r·dilation, ...]."""
    if sixteen_bits(dy, x):
        return in_float32(conv2d_backward_weight, (dy, x), w_shape, stride, padding, dilation, groups)
    return _flat.backward_weight(dy, x, w_shape, stride, padding, dilation, groups)


def conv3d(x, w, bias, stride, padding, dilation, groups, act="none"):
    """conv2d with a depth: x [N, C, D, H, W], w [K, C/groups, T, R, S]."""
    if sixteen_bits(x, w, bias):
        return in_float32(conv3d, (x, w, bias), stride, padding, dilation, groups, act)
    return _solid.forward(x, w, bias, stride, padding, dilation, groups, act)


def conv3d_backward_input(dy, w, x_shape, stride, padding, dilation, groups):
    """As conv2d_backward_input."""
    if sixteen_bits(dy, w):
        return in_float32(conv3d_backward_input, (dy, w), x_shape, stride, padding, dilation, groups)
    return _solid.backward_input(dy, w, x_shape, stride, padding, dilation, groups)


def conv3d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    """As conv2d_backward_weight."""
    if sixteen_bits(dy, x):
        return in_float32(conv3d_backward_weight, (dy, x), w_shape, stride, padding, dilation, groups)
    return _solid.backward_weight(dy, x, w_shape, stride, padding, dilation, groups)
