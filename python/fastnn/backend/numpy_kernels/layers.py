"""NumPy twins of what layers need besides products, windows and softmax: class weights, picked entries."""

import numpy as np


def target_weights(logits, target, weight, ignore_index, label_smoothing):
    """m [N, C] of logits' dtype: m[i, c] = (1 - s)·w[c]·(c = target[i]) + s/C·w[c], 0 in rows of ignore_index."""
    n, classes = logits.shape
    kept = target != ignore_index
    ids = target[kept]
    if ids.size and (ids.min() < 0 or ids.max() >= classes):
        raise IndexError(f"target_weights: a target is out of bounds for {classes} classes")
    w = np.ones(classes, logits.dtype) if weight is None else weight
    m = np.zeros((n, classes), logits.dtype)
    if label_smoothing:
        m[kept] = w * (label_smoothing / classes)
    m[np.flatnonzero(kept), ids] += w[ids] * logits.dtype.type(1 - label_smoothing)
    return m


def target_factors(ids, weight, ignore_index, classes, dtype):
    """(ids with 0 where they are ignored, each row's class weight, 0 where it is ignored)."""
    kept = ids != ignore_index
    safe = np.where(kept, ids, 0)
    if (kept & ((ids < 0) | (ids >= classes))).any():
        raise IndexError(f"target_factors: a target is out of bounds for {classes} classes")
    factors = kept.astype(dtype)
    if weight is not None and classes:
        factors *= weight[safe]
    return safe, factors


def pick_rows(x, ids, factors):
    """x[i, ids[i]]·factors[i], and 0 where the factor is 0: what stands there may be infinite."""
    if x.shape[1] == 0:  # then all rows are ignored
        return np.zeros(len(ids), x.dtype)
    picked = x[np.arange(len(ids)), ids]
    return np.where(factors != 0, picked * factors, 0).astype(x.dtype, copy=False)


def pick_rows_backward(dy, ids, factors, shape):
    """Zeros of `shape` with dy[i]·factors[i] at [i, ids[i]]."""
    dx = np.zeros(shape, dy.dtype)
    if shape[1]:
        dx[np.arange(len(ids)), ids] = np.where(factors != 0, dy * factors, 0)
    return dx


__all__ = [
    "pick_rows", "pick_rows_backward", "target_factors", "target_weights",
]  # fmt: skip
