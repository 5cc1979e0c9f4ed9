"""Layer, RMS, group and batch norm, under their twins' names."""

from ._composed import package as twin
from ._native import (
    arrays,
    as_last,
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
    wide,
)  # fmt: skip


def _same(dtype, *parts):
    """Whether weight and bias come in one dtype that the kernels take beside x's."""
    found = {p.dtype for p in parts if p is not None}
    return len(found) < 2 and (not found or found <= {dtype, wide(dtype)})


def _takes(x, *parts):
    return is_float(x.dtype) and x.size and _same(x.dtype, *parts)


def _flat(v):
    return None if v is None else contiguous(v).reshape(-1)


def _gradients(name, x, n, wanted, first, *rest):
    """(dx, dweight, dbias) of one backward kernel: `first` and `rest` are its arguments around them."""
    d = wide(x.dtype)
    dx = arrays.empty(x.shape, x.dtype) if wanted[0] else None
    dweight, dbias = (arrays.empty(n, d) if w else None for w in wanted[1:])
    given = (*first, described(dx), described(dweight), described(dbias), *rest)
    kernel = getattr(native, name)
    memory, address = scratch(kernel(*given, None, stream()))
    kernel(*given, address, stream())
    ran(name)
    return dx, dweight, dbias


def layer_norm(x, dims, weight, bias, eps, centre):
    """Over the last `dims` dimensions, of which weight and bias have the shape; without centre (RMS) mean is None, var
    the mean of squares."""
    if not _takes(x, weight, bias):
        return twin.layer_norm(x, dims, weight, bias, eps, centre)
    x = contiguous(x)
    lead = x.shape[: x.ndim - dims]
    n, d = x.size // _count(lead), wide(x.dtype)
    y, var = arrays.empty(x.shape, x.dtype), arrays.empty(lead + (1,) * dims, d)
    mean = arrays.empty(var.shape, d) if centre else None
    native.layer_norm(
        described(x), n, described(_flat(weight)), described(_flat(bias)), eps, centre, described(y), described(mean),
        described(var), stream(),
    )  # fmt: skip
    ran("layer_norm")
    return y, mean, var


def _count(shape):
    n = 1
    for s in shape:
        n *= s
    return n


def layer_norm_backward(dy, x, dims, weight, mean, var, eps, wanted):
    if not _takes(x, weight) or dy.dtype != x.dtype:
        return twin.layer_norm_backward(dy, x, dims, weight, mean, var, eps, wanted)
    dy, x, mean, var = (contiguous(v) for v in (dy, x, mean, var))
    shape = x.shape[x.ndim - dims :]
    first = (described(dy), described(x), _count(shape), described(_flat(weight)), described(mean), described(var), eps)
    dx, dweight, dbias = _gradients("layer_norm_backward", x, _count(shape), wanted, first)
    return dx, *(None if v is None else v.reshape(shape) for v in (dweight, dbias))


def group_norm(x, groups, weight, bias, eps):
    """x [N, C, *] over the channels of each group; weight and bias [C], statistics [N, groups]."""
    if not _takes(x, weight, bias):
        return twin.group_norm(x, groups, weight, bias, eps)
    x, d = contiguous(x), wide(x.dtype)
    y = arrays.empty(x.shape, x.dtype)
    mean, var = arrays.empty((x.shape[0], groups), d), arrays.empty((x.shape[0], groups), d)
    native.group_norm(
        described(x), groups, described(_flat(weight)), described(_flat(bias)), eps, described(y), described(mean),
        described(var), stream(),
    )  # fmt: skip
    ran("group_norm")
    return y, mean, var


def group_norm_backward(dy, x, groups, weight, mean, var, eps, wanted):
    if not _takes(x, weight) or dy.dtype != x.dtype:
        return twin.group_norm_backward(dy, x, groups, weight, mean, var, eps, wanted)
    dy, x, mean, var = (contiguous(v) for v in (dy, x, mean, var))
    first = (described(dy), described(x), groups, described(_flat(weight)), described(mean), described(var), eps)
    return _gradients("group_norm_backward", x, x.shape[1], wanted, first)


def _rows(x):
    """An image whose channels lie last, as [N * H * W, C]: the same sums over all but the channels."""
    return as_last(x).reshape(-1, x.shape[1])


def _image(rows, shape):
    n, c, h, w = shape
    return from_last(rows.reshape(n, h, w, c))


def _batch_norm(x, weight, bias, eps, mean, var):
    if is_last(x):
        y, mean, var = _batch_norm(_rows(x), weight, bias, eps, mean, var)
        return _image(y, x.shape), mean, var
    x, given = contiguous(x), mean is not None
    d = wide(x.dtype)
    y = arrays.empty(x.shape, x.dtype)
    if given:
        mean, var = contiguous(mean.astype(d, copy=False)), contiguous(var.astype(d, copy=False))
    else:
        mean, var = arrays.empty(x.shape[1], d), arrays.empty(x.shape[1], d)
    arguments = (
        described(x), described(_flat(weight)), described(_flat(bias)), eps, given, described(y), described(mean),
        described(var),
    )  # fmt: skip
    memory, address = scratch(native.batch_norm(*arguments, None, stream()))
    native.batch_norm(*arguments, address, stream())
    ran("batch_norm")
    return y, mean, var


def batch_norm(x, weight, bias, eps):
    """x [N, C, *] over all but the channels; weight, bias and statistics [C]."""
    if not _takes(x, weight, bias):
        return twin.batch_norm(x, weight, bias, eps)
    return _batch_norm(x, weight, bias, eps, None, None)


def batch_norm_eval(x, mean, var, weight, bias, eps):
    """As batch_norm, with the statistics given."""
    if not _takes(x, weight, bias):
        return twin.batch_norm_eval(x, mean, var, weight, bias, eps)
    return _batch_norm(x, weight, bias, eps, mean, var)[0]


def batch_norm_backward(dy, x, weight, mean, var, eps, training, wanted):
    if not _takes(x, weight) or dy.dtype != x.dtype:
        return twin.batch_norm_backward(dy, x, weight, mean, var, eps, training, wanted)
    if is_last(x):
        dx, *rest = batch_norm_backward(_rows(dy), _rows(x), weight, mean, var, eps, training, wanted)
        return (None if dx is None else _image(dx, x.shape), *rest)
    d = wide(x.dtype)
    dy, x, mean, var = (
        contiguous(dy),
        contiguous(x),
        contiguous(mean.astype(d, copy=False)),
        contiguous(var.astype(d, copy=False)),
    )
    first = (
        described(dy), described(x), described(_flat(weight)), described(mean), described(var), eps, not training,
    )  # fmt: skip
    return _gradients("batch_norm_backward", x, x.shape[1], wanted, first)


__all__ = []
if has("layer_norm"):
    __all__ += ["layer_norm", "layer_norm_backward"]
if has("group_norm"):
    __all__ += ["group_norm", "group_norm_backward"]
if has("batch_norm"):
    __all__ += ["batch_norm", "batch_norm_backward", "batch_norm_eval"]
