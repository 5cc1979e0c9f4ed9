"""Views and rearrangements: shapes change, values do not. Views share memory and version with their base."""

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Size, Tensor, check_dim, wrap
from ._common import ONE_OF_MANY, view_of


def _ints(args, function):
    """Sizes given as (2, 3), ([2, 3],) or a Size, as a tuple of ints."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    try:
        return tuple(a if a.__class__ is int else a.__index__() for a in args)
    except AttributeError:
        raise TypeError(f"{function}(): sizes must be ints, got {args!r}") from None


def _view(t, a, rule, *saved):
    r = view_of(t, a)
    if t._fn is not None and grad_mode.enabled:
        record(r, rule, (t._fn,), saved, ())
    return r


# ---------------------------------------------------------------- reshape, view, flatten


def _full_shape(shape, n, function):
    """`shape` with its -1 worked out. Raises RuntimeError where it does not hold n elements."""
    known, free = 1, None
    for i, s in enumerate(shape):
        if s == -1:
            if free is not None:
                raise RuntimeError("only one dimension can be inferred")
            free = i
        elif s < 0:
            raise RuntimeError(f"invalid shape dimension {s} at index {i} of shape {list(shape)}")
        else:
            known *= s
    if free is not None:
        if known == 0:
            if n == 0:
                raise RuntimeError(
                    f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size "
                    f"-1 can be any value and is ambiguous"
                )
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {n}")
        if n % known:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {n}")
        return shape[:free] + (n // known,) + shape[free + 1 :]
    if known != n:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {n}")
    return shape


def reshape(input, *shape):
    """The same elements in another shape: a view where the strides allow, else a copy."""
    x = input._a
    shape = _full_shape(_ints(shape, "reshape"), x.size, "reshape")
    a = x.reshape(shape)
    if x.flags.c_contiguous or not x.size or xp.may_share_memory(a, x):
        return _view(input, a, view_rule, x.shape)
    r = wrap(a)
    if input._fn is not None and grad_mode.enabled:
        record(r, view_rule, (input._fn,), (x.shape,), ())
    return r


def view_rule(k, dy, saved, needs):
    return (k.reshape(dy, saved[0]),)


def view(input, *shape):
    """reshape that never copies: RuntimeError where the strides do not allow. view(dtype) reinterprets the bytes."""
    from .. import dtypes as dt

    if len(shape) == 1 and isinstance(shape[0], dt.dtype):
        return _view_dtype(input, shape[0])
    x = input._a
    shape = _full_shape(_ints(shape, "view"), x.size, "view")
    a = x.reshape(shape)
    if not x.flags.c_contiguous and x.size and not xp.may_share_memory(a, x):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return _view(input, a, view_rule, x.shape)


def _view_dtype(input, d):
    if input._a.ndim == 0 and input._a.itemsize != d.np.itemsize:
        raise RuntimeError("self.dim() cannot be 0 to view a tensor as a dtype of another element size")
    try:
        return view_of(input, input._a.view(d.np))
    except ValueError as error:
        raise RuntimeError(f"view: {error}") from None


def view_as(input, other):
    return view(input, other._a.shape)


def reshape_as(input, other):
    return reshape(input, other._a.shape)


def flatten(input, start_dim=0, end_dim=-1):
    """Dimensions start_dim to end_dim (both included) as one."""
    s = input._a.shape
    if not s:
        return reshape(input, 1)
    i, j = check_dim(start_dim, len(s)), check_dim(end_dim, len(s))
    if i > j:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if i == j:
        return input
    n = 1
    for v in s[i : j + 1]:
        n *= v
    return reshape(input, s[:i] + (n,) + s[j + 1 :])


def ravel(input):
    return flatten(input)


def unflatten(input, dim, sizes):
    """Dimension `dim` as several, of `sizes`."""
    s = input._a.shape
    i = check_dim(dim, len(s))
    sizes = _full_shape(tuple(sizes), s[i], "unflatten")
    return reshape(input, s[:i] + sizes + s[i + 1 :])


def squeeze(input, dim=None):
    """Without its dimensions of size 1: all, or those of `dim`."""
    x = input._a
    if dim is None:
        drop = tuple(i for i, s in enumerate(x.shape) if s == 1)
    else:
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        drop = {check_dim(d, x.ndim) for d in dims}
        drop = tuple(i for i in drop if x.ndim and x.shape[i] == 1)
    return _view(input, x.squeeze(drop) if drop else x.view(), view_rule, x.shape)


def unsqueeze(input, dim):
    """With a dimension of size 1 at `dim`."""
    x = input._a
    i = check_dim(dim, x.ndim + 1)
    return _view(
        input,
        x.reshape(x.shape[:i] + (1,) + x.shape[i:]) if x.flags.c_contiguous else xp.expand_dims(x, i),
        view_rule,
        x.shape,
    )


# ---------------------------------------------------------------- permutations


def permute(input, *dims):
    """Dimensions in the order `dims`."""
    x = input._a
    order = _ints(dims, "permute")
    if len(order) != x.ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {x.ndim} is not equal to len(dims) = {len(order)}"
        )
    order = tuple(check_dim(d, x.ndim) for d in order)
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _view(input, x.transpose(order), permute_rule, order)


def permute_rule(k, dy, saved, needs):
    (order,) = saved
    inverse = [0] * len(order)
    for i, d in enumerate(order):
        inverse[d] = i
    return (k.permute(dy, tuple(inverse)),)


def transpose(input, dim0, dim1):
    """Dimensions dim0 and dim1 swapped."""
    x = input._a
    i, j = check_dim(dim0, x.ndim), check_dim(dim1, x.ndim)
    return _view(input, x.swapaxes(i, j) if x.ndim else x.view(), transpose_rule, i, j)


def transpose_rule(k, dy, saved, needs):
    i, j = saved
    return (k.transpose(dy, i, j) if len(dy.shape) else dy,)


swapaxes = swapdims = transpose


def t(input):
    """The transpose of a matrix; a vector is itself."""
    if input._a.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._a.ndim}D")
    x = input._a
    return _view(input, x.T if x.ndim == 2 else x.view(), t_rule)


def t_rule(k, dy, saved, needs):
    return (k.t(dy),)


def numpy_T(input):
    """All dimensions reversed (x.T)."""
    return permute(input, tuple(range(input._a.ndim - 1, -1, -1)))


def mT(input):
    """The last two dimensions swapped (x.mT)."""
    if input._a.ndim < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {input._a.ndim}-D tensor."
        )
    return transpose(input, -2, -1)


adjoint = mT


def movedim(input, source, destination):
    """Dimensions `source` moved to the places `destination`."""
    n = input._a.ndim
    src = [check_dim(d, n) for d in (source if isinstance(source, (tuple, list)) else (source,))]
    dst = [check_dim(d, n) for d in (destination if isinstance(destination, (tuple, list)) else (destination,))]
    if len(src) != len(dst):
        raise RuntimeError(f"movedim: Invalid source or destination dims: source ({src}) and destination ({dst})")
    order = [d for d in range(n) if d not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return permute(input, order)


moveaxis = movedim

# ---------------------------------------------------------------- expand, repeat


def expand(input, *sizes):
    """Dimensions of size 1 repeated to `sizes` without copying; -1 keeps a size."""
    x = input._a
    sizes = _ints(sizes, "expand")
    lead = len(sizes) - x.ndim
    if lead < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(sizes)}) must be greater or equal to the number of dimensions in "
            f"the tensor ({x.ndim})"
        )
    full = []
    for i, s in enumerate(sizes):
        have = x.shape[i - lead] if i >= lead else None
        if s == -1:
            if have is None:
                raise RuntimeError(f"expand: -1 is not allowed in the leading, non-existing dimension {i}")
            s = have
        elif s < 0:
            raise RuntimeError(f"expand: invalid size {s} in dimension {i}")
        elif have is not None and have not in (1, s):
            raise RuntimeError(
                f"The expanded size of the tensor ({s}) must match the existing size ({have}) at non-singleton dimension "
                f"{i}. Target sizes: {list(sizes)}. Tensor sizes: {list(x.shape)}"
            )
        full.append(s)
    strides = (0,) * lead + tuple(
        0 if n == 1 and f != 1 else st for n, f, st in zip(x.shape, full[lead:], x.strides, strict=True)
    )
    return _view(input, xp.as_strided(x, tuple(full), strides), expand_rule, x.shape)


def expand_rule(k, dy, saved, needs):
    return (k.sum_to(dy, saved[0]),)


broadcast_to = expand


def expand_as(input, other):
    return expand(input, other._a.shape)


def broadcast_tensors(*tensors):
    """All tensors expanded to their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tensors[0]
    try:
        shape = xp.broadcast_shapes(*(v._a.shape for v in tensors))
    except ValueError:
        raise RuntimeError(
            f"broadcast_tensors: shapes {[list(v._a.shape) for v in tensors]} do not broadcast"
        ) from None
    return tuple(expand(v, shape) for v in tensors)


def repeat(input, *repeats):
    """The tensor tiled repeats[i] times along dimension i; extra leading counts add dimensions."""
    counts = _ints(repeats, "repeat")
    x = input._a
    if len(counts) < x.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    if any(c < 0 for c in counts):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats {list(counts)}")
    own = (1,) * (len(counts) - x.ndim) + x.shape
    if input._fn is None or not grad_mode.enabled:
        return wrap(xp.tile(x, counts))
    doubled = tuple(v for pair in zip(counts, own, strict=True) for v in pair)
    spread = reshape(input, tuple(v for s in own for v in (1, s)))
    return reshape(expand(spread, doubled), tuple(c * s for c, s in zip(counts, own, strict=True)))


def tile(input, *dims):
    """repeat, where missing leading counts are 1."""
    counts = _ints(dims, "tile")
    return repeat(input, (1,) * (input._a.ndim - len(counts)) + counts)


def repeat_interleave(input, repeats, dim=None, *, output_size=None):
    """Each element along dim repeated `repeats` times (a number, or one for each)."""
    from .index import index_select

    if dim is None:
        input, dim = flatten(input), 0
    n = input._a.shape[check_dim(dim, input._a.ndim)]
    counts = repeats._a if isinstance(repeats, Tensor) else repeats
    return index_select(input, dim, wrap(xp.repeat(xp.arange(n), counts)))


# ---------------------------------------------------------------- join and split


def cat(tensors, dim=0, *, out=None):
    """The tensors one after another along dim; dtypes promote."""
    from . import _common
    from .cast import cast

    if isinstance(tensors, Tensor):
        raise TypeError("cat(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    tensors = list(tensors)
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for i, v in enumerate(tensors):
        if not isinstance(v, Tensor):
            raise TypeError(f"cat(): expected Tensor as element {i} in argument 0, but got {type(v).__name__}")
    d = tensors[0].dtype
    if any(v._a.dtype != tensors[0]._a.dtype for v in tensors):
        d = _common.result_dtype(*tensors, function="cat")
        tensors = [cast(v, d) for v in tensors]
    kept = [v for v in tensors if v._a.shape != (0,)] or tensors[:1]
    ndim = kept[0]._a.ndim
    if ndim == 0:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    i = check_dim(dim, ndim)
    first = kept[0]._a.shape
    for n, v in enumerate(kept):
        s = v._a.shape
        if len(s) != ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {ndim} and {len(s)}")
        if s[:i] + s[i + 1 :] != first[:i] + first[i + 1 :]:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {i}. Expected size {list(first)} but got size {list(s)} "
                f"for tensor number {n} in the list."
            )
    r = wrap(Tensor._k.cat([v._a for v in kept], i))
    if grad_mode.enabled and any(v._fn is not None for v in kept):
        record(r, cat_rule, tuple(v._fn for v in kept), (i, tuple(v._a.shape[i] for v in kept)), ())
    return r if out is None else _common.write_out(out, r)


def cat_rule(k, dy, saved, needs):
    dim, sizes = saved
    grads, start = [], 0
    for n, size in zip(needs, sizes, strict=True):
        index = (slice(None),) * dim + (slice(start, start + size),)
        grads.append(None if n is None else dy[index])
        start += size
    return tuple(grads)


concat = concatenate = cat


def stack(tensors, dim=0, *, out=None):
    """The tensors along a new dimension."""
    from . import _common
    from .cast import cast

    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = tensors[0]._a.shape
    for i, v in enumerate(tensors):
        if v._a.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and {list(v._a.shape)} at entry {i}"
            )
    i = check_dim(dim, len(first) + 1)
    if any(v._a.dtype is not tensors[0]._a.dtype for v in tensors):
        d = _common.result_dtype(*tensors, function="stack")
        tensors = [cast(v, d) for v in tensors]
    r = wrap(Tensor._k.stack([v._a for v in tensors], i))
    if grad_mode.enabled and any(v._fn is not None for v in tensors):
        record(r, stack_rule, tuple(v._fn for v in tensors), (i,), ())
    return r if out is None else _common.write_out(out, r)


def stack_rule(k, dy, saved, needs):
    lead = (slice(None),) * saved[0]
    return tuple(None if n is None else dy[lead + (i,)] for i, n in enumerate(needs))


def _at_least(v, n):
    while v._a.ndim < n:
        v = unsqueeze(v, 0)
    return v


def hstack(tensors):
    tensors = [_at_least(v, 1) for v in tensors]
    return cat(tensors, 0 if tensors[0]._a.ndim == 1 else 1)


def vstack(tensors):
    return cat([_at_least(v, 2) for v in tensors], 0)


row_stack = vstack


def atleast_1d(input):
    return _at_least(input, 1)


def atleast_2d(input):
    return _at_least(input, 2)


def narrow(input, dim, start, length):
    """`length` elements from `start` along dim."""
    n = input._a.shape[check_dim(dim, input._a.ndim)] if input._a.ndim else 0
    if input._a.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    start = int(start)
    if start < 0:
        start += n
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not 0 <= start <= n or start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return _slice(input, check_dim(dim, input._a.ndim), start, start + length)


def _slice(input, dim, start, stop, step=1):
    index = (slice(None),) * dim + (slice(start, stop, step),)
    return _view(input, input._a[index], slice_rule, input._a.shape, index)


def slice_rule(k, dy, saved, needs):
    shape, index = saved
    return (k.index_put_zeros(dy, shape, index, True),)


def select(input, dim, index):
    """The slice at `index` along dim, without that dimension."""
    x = input._a
    if x.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    i = check_dim(dim, x.ndim)
    n = x.shape[i]
    j = int(index)
    if not -n <= j < n:
        raise IndexError(f"select(): index {j} out of range for tensor of size {list(x.shape)} at dimension {i}")
    key = (slice(None),) * i + (j, Ellipsis)
    return _view(input, x[key], slice_rule, x.shape, key)


def split(tensor, split_size_or_sections, dim=0):
    """Views of consecutive parts along dim: of one size (the last may be smaller), or of the sizes given."""
    i = check_dim(dim, tensor._a.ndim)
    if tensor._a.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    n = tensor._a.shape[i]
    if isinstance(split_size_or_sections, (tuple, list)):
        sizes = [int(s) for s in split_size_or_sections]
        if sum(sizes) != n or any(s < 0 for s in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {i}), but "
                f"got split_sizes={sizes}"
            )
    else:
        size = int(split_size_or_sections)
        if size < 0 or (size == 0 and n):
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
        sizes = [min(size, n - s) for s in range(0, n, size)] if n else [0]
    out, start = [], 0
    for s in sizes:
        out.append(_slice(tensor, i, start, start + s))
        start += s
    return _of_many(out)


def _of_many(views):
    """Views of an op that returns several may not be written to under autograd (torch's rule)."""
    for v in views:
        if v._fn is not None and not v._fn.leaf:
            v._fn.meta = ONE_OF_MANY
    return tuple(views)


def chunk(input, chunks, dim=0):
    """At most `chunks` views of equal size (the last may be smaller) along dim."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._a.shape[check_dim(dim, input._a.ndim)]
    return split(input, max(-(-n // chunks), 1), dim)


def tensor_split(input, indices_or_sections, dim=0):
    """Parts along dim: so many of nearly equal size, or cut at the indices given."""
    i = check_dim(dim, input._a.ndim)
    n = input._a.shape[i]
    if isinstance(indices_or_sections, int):
        c = indices_or_sections
        if c <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {c}")
        cuts = [n // c * j + min(j, n % c) for j in range(1, c)]
    else:
        cuts = [int(v) for v in indices_or_sections]
    bounds = [0, *cuts, n]
    return tuple(_slice(input, i, a, max(a, b)) for a, b in zip(bounds[:-1], bounds[1:], strict=True))


def unbind(input, dim=0):
    """The slices along dim, without it."""
    i = check_dim(dim, input._a.ndim)
    if input._a.ndim == 0:
        raise RuntimeError("unbind(): input must have at least one dimension")
    return _of_many([select(input, i, j) for j in range(input._a.shape[i])])


# ---------------------------------------------------------------- copies


def clone(input, *, memory_format=None):
    """A copy, part of the graph. Keeps the order of dimensions in memory, as torch.preserve_format does."""
    r = wrap(input._a.copy(order="K"))
    if input._fn is not None and grad_mode.enabled:
        record(r, clone_rule, (input._fn,), (), ())
    return r


def clone_rule(k, dy, saved, needs):
    return (dy,)


def contiguous(input, memory_format=None):
    """Itself where C-contiguous, else a copy that is."""
    if input._a.flags.c_contiguous:
        return input
    r = wrap(Tensor._k.copy(input._a))
    if input._fn is not None and grad_mode.enabled:
        record(r, clone_rule, (input._fn,), (), ())
    return r


copy = contiguous


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


def resize_(self, *sizes, memory_format=None):
    """self with other sizes; its memory is kept where it suffices, else new elements are undefined."""
    shape = _ints(sizes, "resize_")
    n = Size(shape).numel()
    flat = self._a.reshape(-1)
    grown = xp.zeros(n, self._a.dtype)
    grown[: min(n, flat.size)] = flat[:n]
    self._a = grown.reshape(shape)
    return self


def squeeze_(self, dim=None):
    return _reshaped(self, squeeze(self, dim))


def unsqueeze_(self, dim):
    return _reshaped(self, unsqueeze(self, dim))


def transpose_(self, dim0, dim1):
    return _reshaped(self, transpose(self, dim0, dim1))


def t_(self):
    return _reshaped(self, t(self))


def _reshaped(self, other):
    """self becomes `other`, a view of it."""
    self._a = other._a
    if self._fn is not None and not self._fn.leaf:
        self._fn = other._fn
    return self
