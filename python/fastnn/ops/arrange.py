"""Elements in another order or place: flips, rolls, triangles, diagonals, windows, grids."""

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Size, Tensor, check_dim, wrap
from .shape import _ints, _view, clone, expand, flatten, movedim, reshape, transpose


def flip(input, *dims):
    """The order along dims reversed (a copy)."""
    i = tuple(check_dim(d, input._a.ndim) for d in _ints(dims, "flip"))
    r = wrap(xp.contiguous_copy(xp.flip(input._a, i)))
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
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    r = wrap(xp.roll(input._a, shifts, dims))
    if input._fn is not None and grad_mode.enabled:
        record(r, roll_rule, (input._fn,), (shifts, dims), ())
    return r


def roll_rule(k, dy, saved, needs):
    shifts, dims = saved
    return (k.roll(dy, tuple(-s for s in shifts), dims),)


def tril(input, diagonal=0):
    """The lower triangle, zeros above `diagonal`."""
    return _triangle(input, diagonal, xp.tri_mask(input._a.shape, diagonal, True))


def triu(input, diagonal=0):
    """The upper triangle, zeros below `diagonal`."""
    return _triangle(input, diagonal, xp.tri_mask(input._a.shape, diagonal, False))


def _triangle(input, diagonal, mask):
    from .elementwise import where

    return where(wrap(mask), input, 0 if input._a.dtype.kind in "iub" else 0.0)


def diagonal(input, offset=0, dim1=0, dim2=1):
    """The diagonal of dimensions dim1 and dim2, as a view with it last."""
    x = input._a
    i, j = check_dim(dim1, x.ndim), check_dim(dim2, x.ndim)
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
        tensors = (tensors[1], tensors[0]) + tensors[2:]
    sizes = tuple(v._a.size for v in tensors)
    grids = []
    for i, v in enumerate(tensors):
        grids.append(expand(reshape(v, (1,) * i + (-1,) + (1,) * (len(sizes) - i - 1)), sizes))
    if swap:
        grids = [transpose(g, 0, 1) for g in grids]
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def unfold(input, dimension, size, step):
    """All windows of `size` every `step` along a dimension, as a view with the window last (Tensor.unfold)."""
    x = input._a
    i = check_dim(dimension, x.ndim)
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
        k.reshape(dy, (-1,)), (Size(w.shape).numel(),), xp.strided_index(w.offset, w.size, w.stride).reshape(-1), False
    )
    return (k.reshape(flat, w.shape),)
