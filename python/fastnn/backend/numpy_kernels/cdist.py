"""Distances of rows from rows in NumPy."""

import numpy as np

__all__ = ["cdist", "cdist_backward"]


def cdist(x, z, p):
    """The p-norms of the differences of every row of x [..., M, K] and every row of z [..., R, K]."""
    d = np.absolute(x[..., :, None, :] - z[..., None, :, :])
    if p == 1:
        return d.sum(-1)
    if p == 2:
        return np.sqrt(np.square(d).sum(-1))
    if p == 0:
        return (d != 0).sum(-1).astype(x.dtype)
    if p == np.inf:
        return d.max(-1) if d.shape[-1] else np.zeros(d.shape[:-1], x.dtype)
    return np.power(np.power(d, p).sum(-1), 1 / p).astype(x.dtype, copy=False)


def cdist_backward(dy, x, z, y, p):
    """(dx, dz): dy·(d|d|^(p-2))/y^(p-1) for each pair's differences d, 0 where y is 0."""
    d = x[..., :, None, :] - z[..., None, :, :]
    y, dy = y[..., None], dy[..., None]
    if p == 2:
        g = d * np.where(y == 0, 0, dy / np.where(y == 0, 1, y))
    elif p == 1:
        g = dy * np.sign(d)
    elif p == np.inf:
        g = dy * np.sign(d) * (np.absolute(d) == y)
    else:
        power = np.where(d == 0, 0, np.power(np.where(d == 0, 1, np.absolute(d)), p - 1))
        g = np.sign(d) * power * np.where(y == 0, 0, dy / np.power(np.where(y == 0, 1, y), p - 1))
    return g.sum(-2).astype(x.dtype, copy=False), -g.sum(-3).astype(x.dtype, copy=False)
