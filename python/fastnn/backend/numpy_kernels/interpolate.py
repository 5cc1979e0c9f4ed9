"""Resampling along one dimension in NumPy: each output is a weighted sum of a few inputs; and its transpose."""

import numpy as np

__all__ = ["block_repeat", "block_sum", "resample", "resample_backward"]


def block_repeat(x, factors):
    """Each element of the last len(factors) dimensions repeated factors[i] times along them."""
    lead = x.ndim - len(factors)
    shape, inner, view = list(x.shape[:lead]), list(x.shape[:lead]), [slice(None)] * lead
    for n, f in zip(x.shape[lead:], factors, strict=True):
        shape.append(n * f)
        inner += [n, f]
        view += [slice(None), None]
    out = np.empty(inner, x.dtype)
    out[...] = x[tuple(view)]
    return out.reshape(shape)


def block_sum(dy, factors):
    """block_repeat's transpose: the sums of the blocks."""
    lead = dy.ndim - len(factors)
    shape = list(dy.shape[:lead])
    for n, f in zip(dy.shape[lead:], factors, strict=True):
        shape += [n // f, f]
    return dy.reshape(shape).sum(tuple(range(lead + 1, len(shape), 2)), dtype=dy.dtype)


def _column(weights, ndim, dim):
    return weights.reshape((-1,) + (1,) * (ndim - dim - 1))


def resample(x, dim, index, weights):
    """y[..., j, ...] = Σ_t weights[t, j]·x[..., index[t, j], ...] along `dim`; weights None: 1. Rows of index ascend."""
    y = None
    for t in range(len(index)):
        part = x.take(index[t], dim)
        if weights is not None:
            part *= _column(weights[t].astype(x.dtype), x.ndim, dim)
        y = part if y is None else np.add(y, part, out=y)
    return y


def resample_backward(dy, dim, index, weights, size):
    """resample's transpose: zeros of `size` along `dim` with weights[t, j]·dy[..., j, ...] added at index[t, j]."""
    dx = np.zeros((*dy.shape[:dim], size, *dy.shape[dim + 1 :]), dy.dtype)
    lead = (slice(None),) * dim
    for t in range(len(index)):
        part = dy if weights is None else dy * _column(weights[t].astype(dy.dtype), dy.ndim, dim)
        # An ascending index names each input in one run: the runs are summed, then added in their places.
        starts = np.flatnonzero(np.concatenate(([True], index[t][1:] != index[t][:-1])))
        dx[(*lead, index[t][starts])] += np.add.reduceat(part, starts, dim)
    return dx
