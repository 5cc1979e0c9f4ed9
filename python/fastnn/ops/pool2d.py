"""Pooling in one and two dimensions: maximum and average, and the adaptive forms."""

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from ._common import GRAPH
from .conv2d import check_size, numbers
from .matmul import matmul
from .reduce import mean
from .shape import squeeze, unsqueeze
from .unary import operand


def _images(input, function, ndim):
    """(the input as a batch, whether it was single)."""
    t = operand(input, function)
    n = t._a.ndim
    if n not in (ndim - 1, ndim):
        raise RuntimeError(f"{function}: Expected {ndim - 1}D or {ndim}D input, but got sizes {list(t._a.shape)}")
    return (unsqueeze(t, 0), True) if n == ndim - 1 else (t, False)


def _window(kernel_size, stride, padding, dilation, function, n):
    kernel = _size(kernel_size, n, "kernel_size", function)
    step = kernel if stride is None or stride == () or stride == [] else _size(stride, n, "stride", function)
    pad, dilation = _size(padding, n, "padding", function), _size(dilation, n, "dilation", function)
    if min(kernel) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got kernel_size={kernel}")
    if min(step) <= 0:
        raise RuntimeError(f"stride should not be zero or negative, but got stride={step}")
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got dilation={dilation}")
    if min(pad) < 0:
        raise RuntimeError(f"pad must be non-negative, but got pad: {min(pad)}")
    if any(2 * p > k for p, k in zip(pad, kernel, strict=True)):
        raise RuntimeError(
            f"pad should be at most half of effective kernel size, but got pad={pad}, kernel_size={kernel}"
        )
    return kernel, step, pad, dilation


def _size(value, n, name, function):
    try:
        return numbers(value, n, name, function)
    except RuntimeError:
        words = "a single int, or a tuple of two ints" if n == 2 else "a single int"
        raise RuntimeError(f"{function}: {name} must either be {words}, but got {value}") from None


def _check_sizes(shape, kernel, step, pad, dilation, ceil_mode, function):
    """Raise before anything is allocated where no window fits."""
    if 0 in shape[1:]:
        raise RuntimeError(f"{function}: Expected an input whose sizes but the first are not zero, got {list(shape)}")
    out = []
    for s, k, st, p, d in zip(shape[2:], kernel, step, pad, dilation, strict=True):
        span = s + 2 * p - d * (k - 1) - 1
        n = (span + (st - 1 if ceil_mode else 0)) // st + 1
        if ceil_mode and (n - 1) * st >= s + p:  # the last window would start in the padding
            n -= 1
        out.append(n)
    if min(out) < 1:
        c, h, w = shape[1:]
        raise RuntimeError(
            f"Given input size: ({c}x{h}x{w}). Calculated output size: ({c}x{out[0]}x{out[1]}). Output size is too "
            "small"
        )
    check_size((*shape[:2], *out), function)


# ---------------------------------------------------------------- maximum


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window of input [N, C, H, W] or [C, H, W]; stride is kernel_size unless given.

    return_indices: also where it stands, h·W + w; int64. Raises RuntimeError where no window fits."""
    x, single = _images(input, "max_pool2d", 4)
    kernel, step, pad, dilation = _window(kernel_size, stride, padding, dilation, "max_pool2d", 2)
    _check_sizes(x._a.shape, kernel, step, pad, dilation, ceil_mode, "max_pool2d")
    y, idx = Tensor._k.max_pool2d(x._a, kernel, step, pad, dilation, bool(ceil_mode))
    r = wrap(y)
    if x._fn is not None and grad_mode.enabled:
        record(r, max_pool2d_rule, (x._fn,), (idx, x._a.shape, kernel, step, pad, dilation), ())
    if single:
        r = squeeze(r, 0)
    if not return_indices:
        return r
    where = wrap(Tensor._k.max_pool2d_indices(idx, x._a.shape, kernel, step, pad, dilation))
    return r, squeeze(where, 0) if single else where


def max_pool2d_rule(k, dy, saved, needs):
    return (k.max_pool2d_backward(dy, *saved),)


def max_pool2d_backward(dy, idx, x_shape, kernel, stride, padding, dilation):
    """dy added to the elements that idx names."""
    how = (idx, x_shape, kernel, stride, padding, dilation)
    r = wrap(Tensor._k.max_pool2d_backward(dy._a, *how))
    if dy._fn is not None and grad_mode.enabled:
        record(r, max_pool2d_backward_rule, (dy._fn,), how, ())
    return r


def max_pool2d_backward_rule(k, g, saved, needs):
    """The elements that the indices name."""
    n, c, h, w = saved[1]
    where = Tensor._k.max_pool2d_indices(*saved)
    shape = where.shape
    flat = where.reshape(n, c, shape[2] * shape[3])
    picked = k.gather(k.reshape(g, (n, c, h * w)), 2, flat if k is not GRAPH else wrap(flat))
    return (k.reshape(picked, shape),)


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """max_pool2d on rows: input [N, C, L] or [C, L]."""
    x, single = _images(input, "max_pool1d", 3)
    kernel, step, pad, dilation = _window(kernel_size, stride, padding, dilation, "max_pool1d", 1)
    r = max_pool2d(unsqueeze(x, 2), (1, *kernel), (1, *step), (0, *pad), (1, *dilation), ceil_mode, return_indices)
    results = [squeeze(v, 2) for v in (r if return_indices else (r,))]
    if single:
        results = [squeeze(v, 0) for v in results]
    return tuple(results) if return_indices else results[0]


# ---------------------------------------------------------------- average


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window of input [N, C, H, W] or [C, H, W]; stride is kernel_size unless given.

    Padding counts as zeros unless count_include_pad is False; divisor_override replaces the window's size."""
    x, single = _images(input, "avg_pool2d", 4)
    kernel, step, pad, _ = _window(kernel_size, stride, padding, 1, "avg_pool2d", 2)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    if x._a.dtype.kind == "b":
        raise NotImplementedError("\"avg_pool2d_out_frame\" not implemented for 'Bool'")
    _check_sizes(x._a.shape, kernel, step, pad, (1, 1), ceil_mode, "avg_pool2d")
    if kernel == x._a.shape[2:] and pad == (0, 0) and divisor_override is None and x._a.dtype.char in "fd":
        r = mean(x, (2, 3), keepdim=True)  # one window: rows of a matrix, not planes of a few elements each
        return squeeze(r, 0) if single else r
    how = (kernel, step, pad, bool(ceil_mode), bool(count_include_pad), divisor_override)
    r = wrap(Tensor._k.avg_pool2d(x._a, *how))
    if x._fn is not None and grad_mode.enabled:
        record(r, avg_pool2d_rule, (x._fn,), (x._a.shape, *how), ())
    return squeeze(r, 0) if single else r


def avg_pool2d_rule(k, dy, saved, needs):
    return (k.avg_pool2d_backward(dy, *saved),)


def avg_pool2d_backward(dy, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """dy spread evenly over its windows."""
    how = (kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)
    r = wrap(Tensor._k.avg_pool2d_backward(dy._a, x_shape, *how))
    if dy._fn is not None and grad_mode.enabled:
        record(r, avg_pool2d_backward_rule, (dy._fn,), how, ())
    return r


def avg_pool2d_backward_rule(k, g, saved, needs):
    return (k.avg_pool2d(g, *saved),)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """avg_pool2d on rows: input [N, C, L] or [C, L]."""
    x, single = _images(input, "avg_pool1d", 3)
    kernel, step, pad, _ = _window(kernel_size, stride, padding, 1, "avg_pool1d", 1)
    r = squeeze(avg_pool2d(unsqueeze(x, 2), (1, *kernel), (1, *step), (0, *pad), ceil_mode, count_include_pad), 2)
    return squeeze(r, 0) if single else r


# ---------------------------------------------------------------- adaptive


def _output_size(value, sizes, function):
    """The argument output_size: None keeps the input's."""
    n = len(sizes)
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * n
    if len(given) == 1:
        given = given * n
    if len(given) != n:
        raise RuntimeError(f"{function}: output_size must be {n}, but got {value}")
    out = tuple(
        s if v is None else numbers(v, 1, "output_size", function)[0] for v, s in zip(given, sizes, strict=True)
    )
    if min(out) < 0:
        raise RuntimeError(f"{function}: elements of output_size must be greater than or equal to 0, but got {out}")
    return out


def _bins(n, out):
    """The adaptive windows along one dimension: [floor(i·n/out), ceil((i + 1)·n/out))."""
    return [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]


def _averaging(n, out, like):
    """The matrix [out, n] whose rows average the adaptive windows."""
    m = xp.zeros((out, n), like.dtype)
    for i, (start, stop) in enumerate(_bins(n, out)):
        m[i, start:stop] = 1 / (stop - start)
    return wrap(xp.beside(m, like))


def adaptive_avg_pool2d(input, output_size):
    """The means of output_size windows that cover the image: each dimension in about equal parts."""
    x, single = _images(input, "adaptive_avg_pool2d", 4)
    h, w = x._a.shape[2:]
    if 0 in x._a.shape[1:]:
        raise RuntimeError(
            "adaptive_avg_pool2d(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
            f"{list(x._a.shape)}"
        )
    oh, ow = _output_size(output_size, (h, w), "adaptive_avg_pool2d")
    check_size((*x._a.shape[:2], oh, ow), "adaptive_avg_pool2d")
    if oh and ow and h % oh == 0 and w % ow == 0:
        r = avg_pool2d(x, (h // oh, w // ow))
    else:
        r = matmul(matmul(_averaging(h, oh, x._a), x), wrap(_averaging(w, ow, x._a)._a.T))
    return squeeze(r, 0) if single else r


def adaptive_avg_pool1d(input, output_size):
    """adaptive_avg_pool2d on rows: input [N, C, L] or [C, L]."""
    x, single = _images(input, "adaptive_avg_pool1d", 3)
    out = _output_size(output_size, x._a.shape[2:], "adaptive_avg_pool1d")
    r = squeeze(adaptive_avg_pool2d(unsqueeze(x, 2), (1, *out)), 2)
    return squeeze(r, 0) if single else r


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The maxima of output_size windows that cover the image; return_indices: and where they stand, h·W + w."""
    x, single = _images(input, "adaptive_max_pool2d", 4)
    n, c, h, w = x._a.shape
    if 0 in x._a.shape[1:]:
        raise RuntimeError(
            "adaptive_max_pool2d(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
            f"{list(x._a.shape)}"
        )
    oh, ow = _output_size(output_size, (h, w), "adaptive_max_pool2d")
    check_size((n, c, oh, ow), "adaptive_max_pool2d")
    if oh * ow > 1 and h % oh == 0 and w % ow == 0:
        how = ((h // oh, w // ow),) * 2
        r = max_pool2d(x, *how, return_indices=return_indices)
        if not return_indices:
            return squeeze(r, 0) if single else r
        return tuple(squeeze(v, 0) for v in r) if single else r
    values, index = Tensor._k.adaptive_max_pool2d(x._a, (oh, ow))
    r, where = wrap(values), wrap(index)
    if x._fn is not None and grad_mode.enabled:
        record(r, adaptive_max_pool2d_rule, (x._fn,), (index, (h, w)), ())
    if single:
        r, where = squeeze(r, 0), squeeze(where, 0)
    return (r, where) if return_indices else r


def adaptive_max_pool2d_rule(k, dy, saved, needs):
    return (k.adaptive_max_pool2d_backward(dy, *saved),)


def adaptive_max_pool2d_backward(dy, index, size):
    """dy added where the maxima came from, in zeros of `size`."""
    r = wrap(Tensor._k.adaptive_max_pool2d_backward(dy._a, index, size))
    if dy._fn is not None and grad_mode.enabled:
        record(r, adaptive_max_pool2d_backward_rule, (dy._fn,), (index, size), ())
    return r


def adaptive_max_pool2d_backward_rule(k, g, saved, needs):
    """The elements that the indices name."""
    index, size = saved
    n, c, p, q = index.shape
    flat = index.reshape(n, c, p * q)
    picked = k.gather(k.reshape(g, (n, c, size[0] * size[1])), 2, flat if k is not GRAPH else wrap(flat))
    return (k.reshape(picked, index.shape),)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """adaptive_max_pool2d on rows: input [N, C, L] or [C, L]."""
    x, single = _images(input, "adaptive_max_pool1d", 3)
    out = _output_size(output_size, x._a.shape[2:], "adaptive_max_pool1d")
    results = [squeeze(v, 2) for v in adaptive_max_pool2d(unsqueeze(x, 2), (1, *out), True)]
    if single:
        results = [squeeze(v, 0) for v in results]
    return tuple(results) if return_indices else results[0]
