"""Look-ups, under their twins' names. Ids are checked before the kernel runs: a kernel cannot raise. The gradient is a sum
over look-ups sorted by row: no atomics, the same bits each time."""

import numpy as np

from ._composed import module
from ._composed import package as twin
from ._native import arrays, contiguous, described, has, is_float, native, ran, stream

_check = module("embedding")._check
_INT64 = np.dtype(np.int64)


def embedding(w, index):
    """w[index]; IndexError for an id outside the table."""
    if not is_float(w.dtype) or w.ndim != 2 or index.dtype != _INT64:
        return twin.embedding(w, index)
    _check(index, w.shape[0], "embedding")
    out = arrays.empty((*index.shape, w.shape[1]), w.dtype)
    native.embedding(described(contiguous(w)), described(contiguous(index)), described(out), stream())
    ran("embedding")
    return out


def embedding_backward(dy, index, shape, padding_idx, scale_grad_by_freq):
    """Zeros of `shape` with dy's rows added at `index`, but none at padding_idx; always in the same order."""
    if not is_float(dy.dtype) or index.dtype != _INT64 or not index.size:
        return twin.embedding_backward(dy, index, shape, padding_idx, scale_grad_by_freq)
    _check(index, shape[0], "embedding_backward")
    factors = twin.embedding_factors(index, padding_idx, scale_grad_by_freq, dy.dtype)
    ids = contiguous(index).reshape(-1)
    order = arrays.argsort(ids, 0).astype(_INT64, copy=False)
    start = arrays.searchsorted(ids[order], arrays.arange(shape[0] + 1)).astype(_INT64, copy=False)
    out = arrays.empty(tuple(shape), dy.dtype)
    rows = contiguous(dy).reshape(ids.size, shape[1])
    native.segment_sum(
        described(rows), described(order), described(start), None if factors is None else described(factors.reshape(-1)),
        described(out), stream(),
    )  # fmt: skip
    ran("segment_sum")
    return out


__all__ = ["embedding", "embedding_backward"] if has("embedding") else []
