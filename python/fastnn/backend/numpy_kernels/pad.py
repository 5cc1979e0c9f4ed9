"""Padding in NumPy: with a constant, or by the elements that an index names along one dimension."""

import numpy as np

__all__ = ["constant_pad", "index_pad", "index_pad2d", "index_pad2d_backward", "index_pad_backward"]


def constant_pad(x, pads, value, empty=np.empty):
    """x with pads[d] = (before, after) elements of `value` along each dimension d; negative ones take off."""
    shape, source, target = [], [], []
    for n, (before, after) in zip(x.shape, pads, strict=True):
        shape.append(n + before + after)
        source.append(slice(max(0, -before), n - max(0, -after)))
        target.append(slice(max(0, before), n + before + after - max(0, after)))
    out = empty(tuple(shape), x.dtype)
    if not out.size:
        return out
    for d, (before, after) in enumerate(pads):  # the borders alone: most of `out` is x
        lead = (slice(None),) * d
        if before > 0:
            out[(*lead, slice(0, before))] = value
        if after > 0:
            out[(*lead, slice(max(shape[d] - after, 0), None))] = value
    out[tuple(target)] = x[tuple(source)]
    return out


def index_pad(x, dim, index, inside, empty=np.empty):
    """x[..., index, ...] along `dim`; inside = (from, to, first): index[from:to] counts up from `first`."""
    begin, end, first = inside
    lead = (slice(None),) * dim
    out = empty((*x.shape[:dim], len(index), *x.shape[dim + 1 :]), x.dtype)
    out[(*lead, slice(begin, end))] = x[(*lead, slice(first, first + end - begin))]
    for part in (slice(0, begin), slice(end, None)):
        out[(*lead, part)] = x[(*lead, index[part])]
    return out


def index_pad_backward(dy, dim, index, inside, size, empty=np.empty):
    """index_pad's transpose: zeros of `size` along `dim` with dy added at `index`."""
    begin, end, first = inside
    lead = (slice(None),) * dim
    dx = empty((*dy.shape[:dim], size, *dy.shape[dim + 1 :]), dy.dtype)
    dx[(*lead, slice(0, first))] = 0
    dx[(*lead, slice(first + end - begin, None))] = 0
    dx[(*lead, slice(first, first + end - begin))] = dy[(*lead, slice(begin, end))]
    for i in (*range(begin), *range(end, len(index))):
        dx[(*lead, index[i])] += dy[(*lead, i)]
    return dx


def index_pad2d(x, row, row_inside, col, col_inside, empty=np.empty):
    """index_pad along the last two dimensions."""
    return index_pad(index_pad(x, x.ndim - 2, row, row_inside, empty), x.ndim - 1, col, col_inside, empty)


def index_pad2d_backward(dy, row, row_inside, col, col_inside, size, empty=np.empty):
    """index_pad2d's transpose: `size` are the last two dimensions' sizes."""
    dx = index_pad_backward(dy, dy.ndim - 1, col, col_inside, size[1], empty)
    return index_pad_backward(dx, dy.ndim - 2, row, row_inside, size[0], empty)
