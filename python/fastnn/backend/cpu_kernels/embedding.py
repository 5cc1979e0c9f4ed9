"""The compiled look-ups, under their twins' names: C functions that pass on to the twin what they do not cover."""

import math

import numpy as np

from fastnn._cpu import embedding, embedding_backward, embedding_bag, embedding_bag_backward

from ..numpy_kernels import array as twin


def coo_mm(rows, cols, values, dense, n):
    """A sparse matrix times a dense one: what a bag's gradient is, of rows cols[i] with factors values[i]."""
    return embedding_bag_backward(dense, rows, cols, values, (n, dense.shape[1]), None)


def index_put_zeros(dy, shape, index, unique):
    """Zeros of `shape` with dy's rows added at `index`: a look-up's gradient, where the index names rows (or, with an
    array for each of the first dimensions, rows of these)."""
    if unique:
        return twin.index_put_zeros(dy, shape, index, unique)
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(i, np.ndarray) and i.ndim and i.size and i.dtype == np.int64 for i in parts) or not parts:
        return twin.index_put_zeros(dy, shape, index, unique)
    flat = None
    for i, n in zip(parts, shape, strict=False):
        if i.min() < 0:
            i = np.where(i < 0, i + n, i)
        if len(parts) > 1 and (i.min() < 0 or i.max() >= n):  # the twin names it
            return twin.index_put_zeros(dy, shape, index, unique)
        flat = i if flat is None else flat * n + i
    rows, width = math.prod(shape[: len(parts)]), math.prod(shape[len(parts) :])
    out = embedding_backward(dy.reshape(flat.size, width), flat.reshape(-1), (rows, width), None, False)
    return out.reshape(shape)


__all__ = ["coo_mm", "index_put_zeros", "embedding", "embedding_backward", "embedding_bag", "embedding_bag_backward"]
