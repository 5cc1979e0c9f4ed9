"""NumPy kernels of counts and orders: histograms, the most frequent value, searching sorted rows."""

import numpy as np


def equal_bins(a, bins, low, high, weights):
    """Counts (or sums of weights) in `bins` equal parts of [low, high]: the last one closed; others, and NaN, left out."""
    inside = (a >= low) & (a <= high)
    at = ((a[inside].astype(np.float64) - low) / (high - low) * bins).astype(np.int64)
    at = np.minimum(at, bins - 1)
    return np.bincount(at, None if weights is None else weights[inside].astype(np.float64), bins)


def histogram_of(columns, edges, weights, uniform, density):
    """The histogram of points, one array a coordinate, between the edges of each."""
    count = columns[0].size
    inside = np.ones(count, bool)
    flat = np.zeros(count, np.int64)
    shape = tuple(len(e) - 1 for e in edges)
    for a, e in zip(columns, edges, strict=True):
        inside &= (a >= e[0]) & (a <= e[-1])
        n = len(e) - 1
        at = np.searchsorted(e, a, "right") - 1
        flat = flat * max(n, 1) + np.clip(np.where(a == e[-1], n - 1, at), 0, max(n - 1, 0))
    size = int(np.prod(shape))
    w = None if weights is None else weights[inside].astype(np.float64)
    hist = np.bincount(flat[inside], w, size).astype(np.float64)[:size].reshape(shape)
    if density:
        total = hist.sum()
        for i, e in enumerate(edges):
            hist = hist / np.diff(e).reshape((-1,) + (1,) * (len(edges) - 1 - i))
        hist = hist / total
    return hist


def mode_index(x, dim):
    """Where the most frequent value along dim (the smallest of equal ones) is last; dim is kept with size 1."""
    rows = np.moveaxis(x, dim, -1)
    out = np.empty(rows.shape[:-1], np.int64)
    for place in np.ndindex(out.shape):
        values, counts = np.unique(rows[place], return_counts=True)
        out[place] = np.flatnonzero(rows[place] == values[counts.argmax()])[-1]
    return np.expand_dims(out, dim)


def search_rows(rows, values, side):
    """searchsorted, row by row: both of the same leading shape."""
    out = np.empty(values.shape, np.int64)
    for place in np.ndindex(values.shape[:-1]):
        out[place] = np.searchsorted(rows[place], values[place], side)
    return out


__all__ = ["equal_bins", "histogram_of", "mode_index", "search_rows"]
