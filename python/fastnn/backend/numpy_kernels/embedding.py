"""NumPy twins of the look-ups: rows of a table, bags of rows, and their gradients."""

import numpy as np

from .array import bincount_add


def _check(index, rows, function):
    if index.size and (int(index.min()) < 0 or int(index.max()) >= rows):
        bad = int(index.min()) if int(index.min()) < 0 else int(index.max())
        raise IndexError(f"index out of range in self: {function} of {rows} rows got id {bad}")


def embedding(w, index):
    """w[index]; IndexError for an id outside the table."""
    _check(index, w.shape[0], "embedding")
    return w[index]


def embedding_factors(index, padding_idx, scale_grad_by_freq, dtype):
    """What each looked-up row's gradient is multiplied by, [..., 1]; None where it is 1 throughout."""
    if padding_idx is None and not scale_grad_by_freq:
        return None
    factors = np.ones(index.shape, dtype)
    if scale_grad_by_freq and index.size:
        factors /= np.bincount(index.reshape(-1))[index]
    if padding_idx is not None:
        factors[index == padding_idx] = 0
    return factors[..., None]


def embedding_backward(dy, index, shape, padding_idx, scale_grad_by_freq):
    """Zeros of `shape` with dy's rows added at `index`, but none at padding_idx; always in the same order."""
    _check(index, shape[0], "embedding_backward")
    factors = embedding_factors(index, padding_idx, scale_grad_by_freq, dy.dtype)
    if factors is not None:
        dy = dy * factors
    return bincount_add(dy.reshape(index.size, shape[1]), index.reshape(-1), shape)


def embedding_bag(w, index, start, factor, mode, padding_idx):
    """(out, chosen): row b of out is the sum (mode 0), mean (1) or largest value (2) of factor[i]·w[index[i]] over
    start[b] <= i < start[b + 1], without the look-ups of padding_idx; 0 for an empty bag. chosen, of mode 2: the look-up
    that gave each value, -1 for none. A NaN is largest."""
    _check(index, w.shape[0], "embedding_bag")
    bags, width = len(start) - 1, w.shape[1]
    out = np.zeros((bags, width), w.dtype)
    chosen = np.full((bags, width), -1, np.int64) if mode == 2 else None
    each = int(start[1] - start[0]) if bags else 0
    if mode != 2 and padding_idx is None and each and bool((start[1:] - start[:-1] == each).all()):  # all at once
        used = slice(int(start[0]), int(start[-1]))
        rows = w[index[used]]
        rows = rows if factor is None else rows * factor[used, None]
        out = np.add.reduce(rows.reshape(bags, each, width), 1)
        return (out / each if mode == 1 else out), chosen
    for b in range(bags):
        i = np.arange(start[b], start[b + 1])
        if padding_idx is not None:
            i = i[index[i] != padding_idx]
        if not len(i):
            continue
        rows = w[index[i]]
        if mode == 2:
            at = rows.argmax(0)
            out[b], chosen[b] = rows[at, np.arange(width)], i[at]
            continue
        out[b] = np.add.reduce(rows if factor is None else rows * factor[i, None], 0)
        if mode == 1:
            out[b] /= len(i)
    return out, chosen


def embedding_bag_backward(dy, index, source, factor, shape, padding_idx):
    """Zeros of `shape` with dy[source[i]]·factor[i] added to row index[i], but none at padding_idx."""
    _check(index, shape[0], "embedding_bag_backward")
    rows = dy[source]
    if factor is not None:
        rows = rows * factor[:, None]
    if padding_idx is not None:
        keep = index != padding_idx
        rows, index = rows[keep], index[keep]
    return bincount_add(rows, index, shape)


__all__ = ["embedding", "embedding_backward", "embedding_bag", "embedding_bag_backward", "embedding_factors"]
