"""Resampling along one dimension in NumPy: each output is a weighted sum of a few inputs; and its transpose."""

import numpy as np

__all__ = ["block_repeat", "block_sum", "resample", "resample_backward"]


def block_repeat(x, factors, empty=np.empty):
    """Each element of the last len(factors) dimensions repeated factors[i] times along them."""
    lead = x.ndim - len(factors)
    for d in range(x.ndim - 1, lead - 1, -1):  # the last dimension first: the others then copy whole rows
        f = factors[d - lead]
        if f == 1:
            continue
        out = empty((*x.shape[:d], x.shape[d] * f, *x.shape[d + 1 :]), x.dtype)
        every = (slice(None),) * d
        for i in range(f):
            out[(*every, slice(i, None, f))] = x
        x = out
    return x if 0 in x.shape or any(f != 1 for f in factors) else x.copy()


def block_sum(dy, factors):
    """block_repeat's transpose: the sums of the blocks."""
    lead = dy.ndim - len(factors)
    shape = list(dy.shape[:lead])
    for n, f in zip(dy.shape[lead:], factors, strict=True):
        shape += [n // f, f]
    return dy.reshape(shape).sum(tuple(range(lead + 1, len(shape), 2)), dtype=dy.dtype)


def _column(weights, ndim, dim):
    return weights.reshape((-1,) + (1,) * (ndim - dim - 1))


def resample(x, dim, index, weights, empty=np.empty):
    """y[..., j, ...] = Σ_t weights[t, j]·x[..., index[t, j], ...] along `dim`; weights None: 1."""
    shape = (*x.shape[:dim], index.shape[1], *x.shape[dim + 1 :])
    y, part = None, None
    for t in range(len(index)):
        if y is None:
            target = y = empty(shape, x.dtype)
        else:
            target = part = empty(shape, x.dtype) if part is None else part
        np.take(x, index[t], dim, out=target, mode="clip")  # the mode alone lets `out` be written without a copy
        if weights is not None:
            target *= _column(weights[t].astype(x.dtype), x.ndim, dim)
        if target is not y:
            y += target
    return y


def _transposed(index, weights, size):
    """(index', weights') of the transposed map: for each input the outputs that draw on it, in a fixed order; an input
    that fewer of them draw on than on the busiest has weights of 0."""
    taps, out = index.shape
    flat = index.reshape(-1)
    order = np.argsort(flat, kind="stable")
    counts = np.bincount(flat, minlength=size)
    most = max(int(counts.max()), 1)
    starts = np.cumsum(counts) - counts
    place = starts + np.arange(most)[:, None]
    real = np.arange(most)[:, None] < counts
    entry = order[np.where(real, place, np.where(counts > 0, starts, 0)).clip(0, flat.size - 1)]
    w = np.ones(flat.size) if weights is None else weights.reshape(-1)
    return entry % out, np.where(real, w[entry], 0)


def resample_backward(dy, dim, index, weights, size, empty=np.empty):
    """resample's transpose: zeros of `size` along `dim` with weights[t, j]·dy[..., j, ...] added at index[t, j]."""
    if not dy.size:
        return np.zeros((*dy.shape[:dim], size, *dy.shape[dim + 1 :]), dy.dtype)
    back, factors = _transposed(index, weights, size)
    return resample(dy, dim, back, factors, empty)
