"""Look-ups, under their twins' names. Ids are checked before the kernel runs: a kernel cannot raise. The gradient is a sum
over look-ups sorted by row: no atomics, the same bits each time."""

import numpy as np

from .. import cuda_runtime as rt
from ._composed import module
from ._composed import package as twin
from ._native import arrays, code, contiguous, described, has, is_float, native, ndarray, ran, stream

_check_now = module("embedding")._check
_INT64 = np.dtype(np.int64)


def _check(index, rows, function):
    """index; while a step is being recorded with 0 for what lies outside, for which a later replay raises."""
    if rt.recording() is None:
        _check_now(index, rows, function)
        return index
    bad = (index < 0) | (index >= rows)
    rt.capture.check(bad, IndexError, f"{function}: an index was out of range for {rows} rows")
    return arrays.where(bad, 0, index)


def embedding(w, index):
    """w[index]; IndexError for an id outside the table."""
    if not is_float(w.dtype) or w.ndim != 2 or index.dtype != _INT64:
        return twin.embedding(w, index)
    index = _check(index, w.shape[0], "embedding")
    out = arrays.empty((*index.shape, w.shape[1]), w.dtype)
    native.embedding(described(contiguous(w)), described(contiguous(index)), described(out), stream())
    ran("embedding")
    return out


def _order(ids):
    """The look-ups sorted by row. CuPy's sort waits for the stream, which a step that is being recorded cannot."""
    if rt.recording() is None or ids.size > 1 << 20 or not has("stable_order"):
        return arrays.argsort(ids, 0).astype(_INT64, copy=False)
    order = arrays.empty(ids.shape, _INT64)
    native.stable_order(described(ids), described(order), stream())
    ran("stable_order")
    return order


def embedding_backward(dy, index, shape, padding_idx, scale_grad_by_freq):
    """Zeros of `shape` with dy's rows added at `index`, but none at padding_idx; always in the same order."""
    if not is_float(dy.dtype) or index.dtype != _INT64 or not index.size:
        return twin.embedding_backward(dy, index, shape, padding_idx, scale_grad_by_freq)
    index = _check(index, shape[0], "embedding_backward")
    factors = twin.embedding_factors(index, padding_idx, scale_grad_by_freq, dy.dtype)
    ids = contiguous(index).reshape(-1)
    order = _order(ids)
    start = arrays.searchsorted(ids[order], arrays.arange(shape[0] + 1)).astype(_INT64, copy=False)
    out = arrays.empty(tuple(shape), dy.dtype)
    rows = contiguous(dy).reshape(ids.size, shape[1])
    native.segment_sum(
        described(rows), described(order), described(start), None if factors is None else described(factors.reshape(-1)),
        described(out), stream(),
    )  # fmt: skip
    ran("segment_sum")
    return out


def embedding_bag(w, index, start, factor, mode, padding_idx):
    if not (has("embedding_bag") and is_float(w.dtype) and index.dtype == _INT64 and w.ndim == 2):
        return twin.embedding_bag(w, index, start, factor, mode, padding_idx)
    if factor is not None and factor.dtype != w.dtype:
        return twin.embedding_bag(w, index, start, factor, mode, padding_idx)
    index = _check(index, w.shape[0], "embedding_bag")
    start = contiguous(arrays.asarray(start, _INT64))
    bags = start.size - 1
    out = arrays.empty((bags, w.shape[1]), w.dtype)
    chosen = arrays.empty(out.shape, _INT64) if mode == 2 else None
    native.embedding_bag(
        mode, described(contiguous(w)), described(contiguous(index)), described(start), described(contiguous(factor)),
        -1 if padding_idx is None else padding_idx, described(out), described(chosen), stream(),
    )  # fmt: skip
    ran("embedding_bag")
    return out, chosen


def _fits(table, dim, index):
    return (
        has("along")
        and table.ndim == index.ndim > 0
        and index.dtype == _INT64
        and code(table.dtype) is not None
        and all(a == b or d == dim for d, (a, b) in enumerate(zip(table.shape, index.shape, strict=True)))
    )


def _along(scattering, x, dim, index, out):
    native.along(scattering, described(contiguous(x)), dim, described(contiguous(index)), described(out), stream())
    ran("scatter" if scattering else "gather")
    return out


def gather(x, dim, index):
    """out[i][j] = x[index[i][j]][j] for dim 0, and so on. The caller has checked index."""
    dim %= max(x.ndim, 1)
    if not _fits(x, dim, index) or not index.size:
        return twin.gather(x, dim, index)
    return _along(False, x, dim, index, arrays.empty(index.shape, x.dtype))


def scatter(x, dim, index, values, reduce=None):
    """A copy of x with values written (or added, multiplied) where gather(…, dim, index) reads."""
    dim %= max(x.ndim, 1)
    if reduce is not None or not _fits(x, dim, index) or not index.size:
        return twin.scatter(x, dim, index, values, reduce)
    out = arrays.array(x, order="C", copy=True)
    if isinstance(values, ndarray) and values.ndim:
        values = values[tuple(slice(0, s) for s in index.shape)].astype(x.dtype, copy=False)
    else:
        values = arrays.full(index.shape, values, x.dtype)
    return _along(True, values, dim, index, out)


__all__ = ["embedding", "embedding_backward", "embedding_bag", "gather", "scatter"] if has("embedding") else []
