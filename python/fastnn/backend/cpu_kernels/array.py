"""Compiled indexing, running totals and rearrangements, under their twins' names: C functions that pass on to the twin
what they do not cover."""

import numpy as np

from fastnn._cpu import (
    cumprod,
    cumsum,
    cumsum_backward,
    flip,
    gather,
    index_select,
    index_within,
    nonzero,
    roll,
    scatter,
    scatter_add_zeros,
    triangle,
)

from ..numpy_kernels import array as twin

_OPS = {"sum": "add", "mean": "add", "prod": "multiply", "amax": "amax", "amin": "amin"}
_KINDS = (np.dtype("float32"), np.dtype("float64"), np.dtype("int64"))


def scatter_reduce(x, dim, index, src, reduce, include_self):
    """x with src reduced into where gather(…, dim, index) reads, and for 'mean' how many values each element was made of."""
    if x.dtype not in _KINDS or src.dtype != x.dtype or not x.ndim:
        return twin.scatter_reduce(x, dim, index, src, reduce, include_self)
    out, count = x, np.ones(x.shape, x.dtype) if reduce == "mean" else None
    if not include_self:
        whole = x.dtype.kind == "i"
        low, high = (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max) if whole else (-np.inf, np.inf)
        start = {"sum": 0, "mean": 0, "prod": 1, "amax": low, "amin": high}[reduce]
        out = scatter(out, dim, index, start if whole else float(start), None)
        if reduce == "mean":
            count = scatter(count, dim, index, 0, None)
    out = scatter(out, dim, index, src, _OPS[reduce])
    if reduce == "mean":
        count = scatter(count, dim, index, 1, "add")
        np.maximum(count, 1, out=count)
        (np.divide if x.dtype.kind == "f" else np.floor_divide)(out, count, out=out)
    return out, count


__all__ = [
    "cumprod", "cumsum", "cumsum_backward", "flip", "gather", "index_select", "index_within", "nonzero", "roll", "scatter",
    "scatter_add_zeros", "scatter_reduce", "triangle",
]  # fmt: skip
