"""Elements in another order or place: flips, rolls, triangles, diagonals, windows, grids."""

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Size, Tensor, check_dim, wrap
from .shape import _ints, _view, clone, expand, flatten, movedim, reshape, transpose


def flip(input, *dims, **keyword):
    """The order along dims reversed (a copy)."""
    given = keyword.pop("dims", None)
    if keyword or (given is not None) == bool(dims):
        raise TypeError(f"flip() takes dims once, got {dims} and {keyword}")
    i = tuple(check_dim(d, input._a.ndim) for d in _ints(dims or (given,), "flip"))
    if len(set(i)) != len(i):
        raise RuntimeError(f"dim {max(i, key=i.count)} appears multiple times in the list of dims")
    r = wrap(Tensor._k.flip(input._a, i))
    if input._fn is not None and grad_mode.enabled:
        record(r, flip_rule, (input._fn,), (i,), ())
    return r


def flip_rule(k, dy, saved, needs):
    return (k.flip(dy, saved[0]),)


def fliplr(input):
    return flip(input, 1)


def flipud(input):
    return flip(input, 0)


def roll(input, shifts, dims=None):
    """Elements shifted cyclically along dims (flattened where none are given)."""
    if dims is None:
        return reshape(roll(flatten(input), shifts, 0), input._a.shape)
    shifts = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    dims = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    r = wrap(Tensor._k.roll(input._a, shifts, dims))
    if input._fn is not None and grad_mode.enabled:
        record(r, roll_rule, (input._fn,), (shifts, dims), ())
    return r


def roll_rule(k, dy, saved, needs):
    shifts, dims = saved
    return (k.roll(dy, tuple(-s for s in shifts), dims),)


def tril(input, diagonal=0):
    """The lower triangle, zeros above `diagonal`."""
    return _triangle(input, diagonal, True, tril_rule)


def triu(input, diagonal=0):
    """The upper triangle, zeros below `diagonal`."""
    return _triangle(input, diagonal, False, triu_rule)


def _triangle(input, diagonal, lower, rule):
    if input._a.ndim < 2:
        raise RuntimeError("tril/triu: input tensor must have at least 2 dimensions")
    r = wrap(Tensor._k.triangle(input._a, diagonal, lower))
    if input._fn is not None and grad_mode.enabled:
        record(r, rule, (input._fn,), (diagonal,), ())
    return r


def triangle(input, diagonal, lower):
    """tril or triu, by the kernel's name."""
    return tril(input, diagonal) if lower else triu(input, diagonal)


def tril_rule(k, dy, saved, needs):
    return (k.triangle(dy, saved[0], True),)


def triu_rule(k, dy, saved, needs):
    return (k.triangle(dy, saved[0], False),)


def diagonal(input, offset=0, dim1=0, dim2=1):
    """The diagonal of dimensions dim1 and dim2, as a view with it last."""
    x = input._a
    i, j = check_dim(dim1, x.ndim), check_dim(dim2, x.ndim)
    if i == j:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    a = x.diagonal(offset, i, j)
    a = xp.as_strided(x[_diagonal_start(x.ndim, i, j, offset)], a.shape, a.strides) if a.size else a
    return _view(input, a, diagonal_rule, x.shape, offset, i, j)


def _diagonal_start(ndim, i, j, offset):
    index = [slice(None)] * ndim
    index[j if offset >= 0 else i] = slice(abs(offset), None)
    return tuple(index)


def diagonal_rule(k, dy, saved, needs):
    shape, offset, i, j = saved
    return (k.diagonal_zeros(dy, shape, offset, i, j),)


def diag(input, diagonal=0):
    """A matrix with the vector on its diagonal, or the diagonal of a matrix."""
    x = input._a
    if x.ndim == 2:
        return clone(globals()["diagonal"](input, diagonal))
    if x.ndim != 1:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {x.ndim}D")
    return diagonal_zeros(input, (x.size + abs(diagonal),) * 2, diagonal, 0, 1)


def diagonal_zeros(input, shape, offset, dim1, dim2):
    """Zeros of `shape` with input on the diagonal."""
    r = wrap(Tensor._k.diagonal_zeros(input._a, shape, offset, dim1, dim2))
    if input._fn is not None and grad_mode.enabled:
        record(r, diagonal_zeros_rule, (input._fn,), (offset, dim1, dim2), ())
    return r


def diagonal_zeros_rule(k, dy, saved, needs):
    return (k.diagonal_read(dy, *saved),)


def diagonal_read(input, offset, dim1, dim2):
    return clone(diagonal(input, offset, dim1, dim2))


def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices with the last dimension of input on their diagonals."""
    x = input._a
    if x.ndim == 0:
        raise RuntimeError("diag_embed: expected input with at least 1 dimension")
    if check_dim(dim1, x.ndim + 1) == check_dim(dim2, x.ndim + 1):
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = x.shape[-1] + abs(offset)
    r = diagonal_zeros(input, x.shape[:-1] + (n, n), offset, x.ndim - 1, x.ndim)
    return movedim(r, (-2, -1), (dim1, dim2))


def trace(input):
    from .reduce import sum as sum_

    if input._a.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._a.ndim}")
    return sum_(diagonal(input))


def meshgrid(*tensors, indexing=None):
    """Coordinate grids of the 1-d tensors; indexing 'ij' (the default) or 'xy'."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    swap = indexing == "xy" and len(tensors) >= 2
    if swap:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    for v in tensors:
        if v._a.ndim > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got a tensor with {v._a.ndim} "
                "dimensions"
            )
        if v._a.dtype != tensors[0]._a.dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        indexing = "ij"
    sizes = tuple(v._a.size for v in tensors)
    grids = []
    for i, v in enumerate(tensors):
        grids.append(expand(reshape(v, (1,) * i + (-1,) + (1,) * (len(sizes) - i - 1)), sizes))
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def unfold(input, dimension, size, step):
    """All windows of `size` every `step` along a dimension, as a view with the window last (Tensor.unfold)."""
    x = input._a
    i = check_dim(dimension, x.ndim)
    if x.ndim == 0:
        return unfold(reshape(input, (1,)), 0, size, step)[0] if size else reshape(input, (1,))[:0]
    n = x.shape[i]
    if not 0 <= size <= n:
        raise RuntimeError(f"maximum size for tensor at dimension {i} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    count = (n - size) // step + 1
    shape = x.shape[:i] + (count,) + x.shape[i + 1 :] + (size,)
    strides = x.strides[:i] + (x.strides[i] * step,) + x.strides[i + 1 :] + (x.strides[i],)
    return _view(input, xp.as_strided(x, shape, strides), unfold_rule, x.shape, i, step)


def unfold_rule(k, dy, saved, needs):
    return (k.unfold_backward(dy, *saved),)


def unfold_backward(dy, shape, dim, step):
    """Tensor.unfold's gradient: windows added back in their places."""
    r = wrap(Tensor._k.unfold_backward(dy._a, shape, dim, step))
    if dy._fn is not None and grad_mode.enabled:
        record(r, unfold_backward_rule, (dy._fn,), (dim, dy._a.shape[-1], step), ())
    return r


def unfold_backward_rule(k, dy, saved, needs):
    return (k.unfold_read(dy, *saved),)


def unfold_read(input, dim, size, step):
    return unfold(input, dim, size, step)


def as_strided(input, size, stride, storage_offset=None):
    """A view with the sizes and strides given, checked to lie within the tensor's memory."""
    x = input._a
    size, stride = tuple(size), tuple(stride)
    offset = storage_offset or 0
    if len(size) != len(stride) or any(v < 0 for v in size + stride) or offset < 0:
        raise RuntimeError(f"as_strided: size {list(size)} and stride {list(stride)} must match and be non-negative")
    root = x if x.flags.c_contiguous else xp.contiguous_copy(x)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if 0 not in size and last >= root.size:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset} are out of bounds for "
            f"storage of size {root.size}"
        )
    a = xp.as_strided(root.reshape(-1)[offset:], size, tuple(s * x.itemsize for s in stride))
    if root is not x:
        return wrap(a)
    return _view(input, a, view_of_memory_rule, _Window(x.shape, offset, size, stride))


class _Window:
    def __init__(self, shape, offset, size, stride):
        self.shape, self.offset, self.size, self.stride = shape, offset, size, stride


def view_of_memory_rule(k, dy, saved, needs):
    (w,) = saved
    flat = k.index_put_zeros(
        k.reshape(dy, (-1,)),
        (Size(w.shape).numel(),),
        xp.on(dy).strided_index(w.offset, w.size, w.stride).reshape(-1),
        False,
    )
    return (k.reshape(flat, w.shape),)


def rot90(input, k=1, dims=(0, 1)):
    """A turn by k·90 degrees in the plane of dims, from the first to the second."""
    dims = tuple(dims)
    n = input._a.ndim
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if n < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {n}")
    i, j = (check_dim(d, n) for d in dims)
    if i == j:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k %= 4
    if k == 1:
        return transpose(flip(input, j), i, j)
    if k == 2:
        return flip(input, i, j)
    return clone(input) if k == 0 else flip(transpose(input, i, j), j)


def diagflat(input, offset=0):
    """A matrix with input, flattened, on its diagonal."""
    return diag(reshape(input, (-1,)), offset)


def _triangle_indices(row, col, offset, dtype, lower):
    from .. import dtypes as dt

    d = dt.int64 if dtype is None else dt.as_dtype(dtype)
    if row < 0 or col < 0:
        raise RuntimeError(f"row and col must be non-negative, got{' row' if row < 0 else ' col'}: {min(row, col)}")
    if d not in (dt.int64, dt.int32):
        raise NotImplementedError(f"\"{'tril' if lower else 'triu'}_indices\" not implemented for '{d.short}'")
    found = xp.nonzero(xp.tri_mask((row, col), offset, lower))
    return wrap(xp.array(found).astype(d.np))


def tril_indices(row, col, offset=0, *, dtype=None, device=None, layout=None):
    """The rows and columns of the lower triangle of a row × col matrix: [2, count]."""
    return _triangle_indices(row, col, offset, dtype, True)


def triu_indices(row, col, offset=0, *, dtype=None, device=None, layout=None):
    """The rows and columns of the upper triangle of a row × col matrix: [2, count]."""
    return _triangle_indices(row, col, offset, dtype, False)


def cartesian_prod(*tensors):
    """All tuples of one element of each vector, as rows."""
    from .join import stack

    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if any(v._a.ndim != 1 for v in tensors):
        raise RuntimeError("Expect a 1D vector, but got shape " + str([list(v._a.shape) for v in tensors]))
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(g, (-1,)) for g in meshgrid(*tensors)], 1)


def combinations(input, r=2, with_replacement=False):
    """The r-element combinations of a vector's elements, as rows."""
    import itertools

    from .index import getitem

    if input._a.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._a.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(xp.on(input._a).empty((0,), input._a.dtype))
    pick = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(pick(range(input._a.size), r))
    return getitem(input, wrap(xp.array(rows, "int64").reshape(len(rows), r)))


def tril_(self, diagonal=0):
    """tril, in place."""
    from ._common import in_place

    return in_place(self, tril, diagonal)


def triu_(self, diagonal=0):
    """triu, in place."""
    from ._common import in_place

    return in_place(self, triu, diagonal)
