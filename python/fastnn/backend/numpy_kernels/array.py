"""Array utilities that rules and ops share: the same names exist in fastnn.ops on Tensors."""

import numpy as np

__all__ = [
    "bincount_add",
    "cast",
    "cat",
    "coo_mm",
    "copy",
    "diagonal_read",
    "diagonal_zeros",
    "div_trunc",
    "expand",
    "flip",
    "full",
    "gather",
    "index_clear",
    "index_get",
    "index_put_zeros",
    "index_select",
    "index_within",
    "nonzero",
    "ones",
    "permute",
    "reshape",
    "roll",
    "scatter",
    "scatter_add_zeros",
    "scatter_reduce",
    "stack",
    "t",
    "transpose",
    "triangle",
    "unfold_backward",
    "unfold_read",
    "unsqueeze",
    "view_read",
    "view_write",
    "zeros",
]

zeros = np.zeros
ones = np.ones
full = np.full
expand = np.broadcast_to
permute = np.transpose
roll = np.roll


def cat(arrays, dim):
    return np.concatenate(arrays, dim)


def stack(arrays, dim, cat=cat):
    index = (slice(None),) * dim + (None,)
    return cat([a[index] for a in arrays], dim)


def reshape(x, shape):
    return x.reshape(shape)


def transpose(x, dim0, dim1):
    return x.swapaxes(dim0, dim1)


def t(x):
    return x.T


def unsqueeze(x, dim):
    return np.expand_dims(x, dim)


def cast(x, dtype):
    """x in `dtype`; a complex number as a real one is its real part."""
    if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cb":
        x = x.real
    return x.astype(dtype)


def copy(x):
    """A C-contiguous copy."""
    return np.array(x, order="C", copy=True)


def div_trunc(x, y):
    """Integer division that rounds toward zero."""
    q = np.floor_divide(x, y)
    return np.asarray(q + ((q < 0) & (np.multiply(q, y) != x)).astype(q.dtype))


def view_read(x, geometry):
    return geometry.read(x)


def view_write(x, values, geometry):
    return geometry.write(x, values)


def index_get(x, index):
    """x[index] as a fresh array."""
    return np.array(x[index], copy=True)


def index_put_zeros(dy, shape, index, unique):
    """Zeros of `shape` with dy added at `index`; unique: no element is named twice."""
    out = np.zeros(shape, dy.dtype)
    if unique:
        out[index] = dy
    elif isinstance(index, np.ndarray) and index.ndim and len(shape):
        return bincount_add(dy.reshape((index.size, *shape[1:])), index.reshape(-1), shape)
    else:
        np.add.at(out, index, dy)
    return out


def bincount_add(rows, index, shape):
    """Zeros of `shape` with rows[i] added to row index[i], in the order of i: one sorted pass, no scatter."""
    out = np.zeros(shape, rows.dtype)
    if index.size == 0 or rows.size == 0:
        return out
    index = np.where(index < 0, index + shape[0], index)
    order = np.argsort(index, kind="stable")
    sorted_index = index[order]
    first = np.ones(index.size, np.bool_)
    first[1:] = sorted_index[1:] != sorted_index[:-1]
    starts = np.flatnonzero(first)
    out[sorted_index[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return out


def coo_mm(rows, cols, values, dense, n):
    """A sparse matrix of n rows times a dense one: Σ values[i]·dense[cols[i]] into row rows[i]."""
    return bincount_add(values[:, None] * dense[cols], rows, (n, dense.shape[1]))


def _along(index, dim):
    """Index arrays that pick `index` along `dim` and its own place elsewhere."""
    grid = list(np.ogrid[tuple(slice(0, s) for s in index.shape)])
    grid[dim] = index
    return tuple(grid)


def gather(x, dim, index):
    """out[i][j] = x[index[i][j]][j] for dim 0, and so on."""
    return np.array(x[_along(index, dim)], copy=True)


def index_within(index, n):
    """Whether all of an index is in [0, n)."""
    return not index.size or (int(index.min()) >= 0 and int(index.max()) < n)


def index_select(x, dim, index):
    """The slices of x at a vector of indices along dim."""
    return np.array(x[(slice(None),) * dim + (index,)], order="C", copy=True)


def scatter_add_zeros(dy, shape, dim, index):
    """Zeros of `shape` with dy added where gather(…, dim, index) reads."""
    out = np.zeros(shape, dy.dtype)
    np.add.at(out, _along(index, dim), dy[tuple(slice(0, s) for s in index.shape)])
    return out


def flip(x, dims):
    return np.array(np.flip(x, dims), order="C", copy=True)


def triangle(x, diagonal, lower):
    """x with zeros above (below) the diagonal of its last two dimensions."""
    distance = np.arange(x.shape[-1]) - np.arange(x.shape[-2])[:, None]
    return np.where(distance <= diagonal if lower else distance >= diagonal, x, np.zeros((), x.dtype))


def nonzero(x):
    """The indices of what is not zero: [count, ndim]."""
    return np.stack(np.nonzero(x), 1)


def diagonal_zeros(dy, shape, offset, dim1, dim2):
    """Zeros of `shape` with dy on the diagonal of dim1 and dim2."""
    out = np.zeros(shape, dy.dtype)
    rows, cols = shape[dim1], shape[dim2]
    n = dy.shape[-1]
    i = np.arange(n) + max(-offset, 0)
    j = np.arange(n) + max(offset, 0)
    assert n == max(0, min(rows - max(-offset, 0), cols - max(offset, 0)))
    np.moveaxis(out, (dim1, dim2), (-2, -1))[..., i, j] = dy
    return out


def diagonal_read(x, offset, dim1, dim2):
    return x.diagonal(offset, dim1, dim2).copy()


def unfold_read(x, dim, size, step):
    """All windows of `size` every `step` along dim, the window last."""
    return np.array(
        np.moveaxis(np.lib.stride_tricks.sliding_window_view(x, size, dim), dim, dim)[
            (slice(None),) * dim + (slice(None, None, step),)
        ]
    )


def unfold_backward(dy, shape, dim, step):
    out = np.zeros(shape, dy.dtype)
    for i in range(dy.shape[-1]):
        out[(slice(None),) * dim + (slice(i, i + step * (dy.shape[dim] - 1) + 1, step),)] += dy[..., i]
    return out


def index_clear(x, key):
    """A copy of x with zeros at `key`."""
    out = np.array(x, copy=True)
    out[key] = 0
    return out


def scatter(x, dim, index, values, reduce=None):
    """A copy of x with values written (or added, multiplied) where gather(…, dim, index) reads."""
    out = np.array(x, copy=True)
    if out.ndim == 0:
        out[...] = values if reduce is None else out + values if reduce == "add" else out * values
        return out
    place = _along(index, dim)
    if isinstance(values, np.ndarray) and values.ndim:
        values = values[tuple(slice(0, s) for s in index.shape)]
    if reduce is None:
        out[place] = values
    elif reduce == "add":
        np.add.at(out, place, values)
    elif reduce == "multiply":
        np.multiply.at(out, place, values)
    elif reduce in ("amax", "amin"):
        _REDUCING[reduce].at(out, place, values)
    else:
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce!r}")
    return out


_REDUCING = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def scatter_reduce(x, dim, index, src, reduce, include_self):
    """x with src reduced into where gather(…, dim, index) reads, and how many values each element was made of."""
    ufunc = _REDUCING[reduce]
    out = np.array(x, copy=True)
    count = np.ones(x.shape, x.dtype)
    place = _along(index, dim)
    if not include_self:
        kind = x.dtype.kind
        low, high = (
            (-np.inf, np.inf)
            if kind == "f"
            else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
            if kind in "iu"
            else (False, True)
        )
        out[place] = {"sum": 0, "mean": 0, "prod": 1, "amax": low, "amin": high}[reduce]
        count[place] = 0
    ufunc.at(out, place, src)
    np.add.at(count, place, np.ones(1, x.dtype))
    if reduce == "mean":
        count = np.maximum(count, 1)
        out = out / count if x.dtype.kind == "f" else out // count
    return out.astype(x.dtype, copy=False), count
