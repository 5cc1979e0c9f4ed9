"""The compiled look-ups, under their twins' names: C functions that pass on to the twin what they do not cover."""

import math

import numpy as np

from fastnn._cpu import embedding, embedding_backward, embedding_bag, embedding_bag_backward

from ..numpy_kernels import array as twin


def coo_mm(rows, cols, values, dense, n):
    """A sparse matrix times a dense one: what a bag's gradient is, of rows cols[i] with factors values[i]."""
    return embedding_bag_backward(dense, rows, cols, values, (n, dense.shape[1]), None)


def index_put_zeros(dy, shape, index, unique):
    """Zeros of `shape` with dy's rows added at `index`: a look-up's gradient, where the index names rows from 0 up."""
    if unique or not isinstance(index, np.ndarray) or not index.ndim or not index.size or index.min() < 0:
        return twin.index_put_zeros(dy, shape, index, unique)
    width = math.prod(shape[1:])
    rows = dy.reshape(index.size, width)
    return embedding_backward(rows, index.reshape(-1), (shape[0], width), None, False).reshape(shape)


__all__ = ["coo_mm", "index_put_zeros", "embedding", "embedding_backward", "embedding_bag", "embedding_bag_backward"]
