"""NumPy twins of the normalisations: (x - mean)·rstd·weight + bias, rstd = 1/√(var + eps), over the dimensions that each
takes mean and (biased) variance over. The variance is the mean of squares of what is already centred.

`wanted` says which of the gradients of x, weight and bias are computed; None stands for the others. With g = dy·weight
and xhat = (x - mean)·rstd: dx = rstd·(g - mean(g) - xhat·mean(g·xhat)), dweight = Σ dy·xhat, dbias = Σ dy.
"""

import numpy as np

from .reduce import mean as mean_of


def _wide(x):
    """16-bit floats are computed with as 32-bit ones."""
    return x.astype(np.float32) if x is not None and x.dtype.itemsize == 2 else x


def _rstd(var, eps):
    return np.reciprocal(np.sqrt(var + var.dtype.type(eps)))


def _forward(x, dims, weight, bias, eps, centre):
    """(y, mean, var), the statistics with their dimensions kept."""
    dtype, x = x.dtype, _wide(x)
    mean, y = None, x
    if centre:
        mean = mean_of(x, dims, True)
        y = x - mean
        y -= mean_of(y, dims, True)  # what the mean lost in rounding: much, where it is large beside the deviation
    var = mean_of(np.square(y), dims, True)
    y = _affine(y, var, weight, bias, eps)
    return y.astype(dtype, copy=False), mean, var


def _affine(centred, var, weight, bias, eps):
    y = centred * _rstd(var, eps)
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y


def _xhat(x, mean, var, eps):
    return (_wide(x) if mean is None else _wide(x) - mean) * _rstd(var, eps)


def _gradients(dy, x, dims, weight, mean, var, eps, constant, wanted, over):
    """weight, mean and var as they broadcast to x; constant: mean and var do not depend on x. dweight and dbias are
    sums over the dimensions `over`."""
    d, xhat = _wide(dy), _xhat(x, mean, var, eps)
    dx = None
    dweight = np.add.reduce(d * xhat, over) if wanted[1] else None
    dbias = np.add.reduce(d, over) if wanted[2] else None
    if wanted[0]:
        dx = d.copy() if weight is None else d * weight
        if not constant:
            centre = 0 if mean is None else mean_of(dx, dims, True)
            xhat *= mean_of(dx * xhat, dims, True)
            dx -= xhat
            dx -= centre
        dx *= _rstd(var, eps)
        dx = dx.astype(x.dtype, copy=False)
    return dx, dweight, dbias


def _last(x, dims):
    return tuple(range(x.ndim - dims, x.ndim))


def layer_norm(x, dims, weight, bias, eps, centre):
    """Over the last `dims` dimensions, of which weight and bias have the shape; without centre (RMS) mean is None, var
    the mean of squares."""
    return _forward(x, _last(x, dims), weight, bias, eps, centre)


def layer_norm_backward(dy, x, dims, weight, mean, var, eps, wanted):
    over = tuple(range(x.ndim - dims))
    return _gradients(dy, x, _last(x, dims), weight, mean, var, eps, False, wanted, over)


def _grouped(x, groups):
    """[N, C, *] as [N, groups, C/groups, rest]."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, x.size // max(x.shape[0] * x.shape[1], 1))


def _per_group(v, groups):
    return None if v is None else v.reshape(1, groups, -1, 1)


def group_norm(x, groups, weight, bias, eps):
    """x [N, C, *] over the channels of each group; weight and bias [C], statistics [N, groups]."""
    y, mean, var = _forward(
        _grouped(x, groups), (2, 3), _per_group(weight, groups), _per_group(bias, groups), eps, True
    )
    return y.reshape(x.shape), mean[:, :, 0, 0], var[:, :, 0, 0]


def group_norm_backward(dy, x, groups, weight, mean, var, eps, wanted):
    dx, dweight, dbias = _gradients(
        _grouped(dy, groups), _grouped(x, groups), (2, 3), _per_group(weight, groups), mean[:, :, None, None],
        var[:, :, None, None], eps, False, wanted, (0, 3),
    )  # fmt: skip
    flat = [None if v is None else v.reshape(-1) for v in (dweight, dbias)]
    return None if dx is None else dx.reshape(x.shape), *flat


def _per_channel(v, x):
    return None if v is None else v.reshape((1, -1) + (1,) * (x.ndim - 2))


def batch_norm(x, weight, bias, eps):
    """x [N, C, *] over all but the channels; weight, bias and statistics [C]."""
    dims = (0, *range(2, x.ndim))
    y, mean, var = _forward(x, dims, _per_channel(weight, x), _per_channel(bias, x), eps, True)
    return y, mean.reshape(-1), var.reshape(-1)


def batch_norm_eval(x, mean, var, weight, bias, eps):
    """As batch_norm, with the statistics given."""
    centred = _wide(x) - _per_channel(_wide(mean), x)
    y = _affine(centred, _per_channel(_wide(var), x), _per_channel(weight, x), _per_channel(bias, x), eps)
    return y.astype(x.dtype, copy=False)


def batch_norm_backward(dy, x, weight, mean, var, eps, training, wanted):
    dims = (0, *range(2, x.ndim))
    w, mean, var = _per_channel(weight, x), _per_channel(_wide(mean), x), _per_channel(_wide(var), x)
    return _gradients(dy, x, dims, w, mean, var, eps, not training, wanted, dims)


__all__ = [
    "batch_norm", "batch_norm_backward", "batch_norm_eval", "group_norm", "group_norm_backward", "layer_norm",
    "layer_norm_backward",
]  # fmt: skip
