"""Views and rearrangements: shapes change, values do not. Views share memory and version with their base."""

from .. import dtypes as dt
from .._device import channels_last, channels_last_3d, preserve_format
from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Size, Tensor, check_dim, wrap
from ._common import missing_dim, numpy_dim, view_of


def _ints(args, function):
    """Sizes given as (2, 3), ([2, 3],) or a Size, as a tuple of ints."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    try:
        return tuple([a if a.__class__ is int else a.__index__() for a in args])
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


def reshape(input, *sizes, shape=None):
    """The same elements in another shape: a view where the strides allow, else a copy."""
    x = input._a
    shape = _full_shape(_ints(sizes if shape is None else (shape,), "reshape"), x.size, "reshape")
    if x.flags.c_contiguous:
        return _view(input, x.reshape(shape), view_rule, x.shape)
    a = Tensor._k.reshape(x, shape)
    if not x.size or xp.may_share_memory(a, x):
        return _view(input, a, view_rule, x.shape)
    r = wrap(a)
    if input._fn is not None and grad_mode.enabled:
        record(r, view_rule, (input._fn,), (x.shape,), ())
    return r


def view_rule(k, dy, saved, needs):
    return (k.reshape(dy, saved[0]),)


def view(input, *shape, size=None):
    """reshape that never copies: RuntimeError where the strides do not allow. view(dtype) reinterprets the bytes."""
    if size is not None:
        shape = (size,)
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


def squeeze(input, dim=None, **numpy):
    """Without its dimensions of size 1: all, or those of `dim`."""
    if numpy:
        dim = numpy_dim("squeeze", numpy, dim)
    x = input._a
    if dim is None:
        drop = tuple(i for i, s in enumerate(x.shape) if s == 1)
    else:
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        drop = {check_dim(d, x.ndim) for d in dims}
        drop = tuple(i for i in drop if x.ndim and x.shape[i] == 1)
    return _view(input, x.squeeze(drop) if drop else x.view(), view_rule, x.shape)


def unsqueeze(input, dim=None, **numpy):
    """With a dimension of size 1 at `dim`."""
    if numpy:
        dim = numpy_dim("unsqueeze", numpy, dim)
    if dim is None:
        raise missing_dim("unsqueeze")
    x = input._a
    i = check_dim(dim, x.ndim + 1)
    return _view(
        input,
        x.reshape(x.shape[:i] + (1,) + x.shape[i:]) if x.flags.c_contiguous else xp.expand_dims(x, i),
        view_rule,
        x.shape,
    )


# ---------------------------------------------------------------- permutations


def permute(input, *order, dims=None):
    """Dimensions in the order `dims`."""
    x = input._a
    order = _ints(order if dims is None else (dims,), "permute")
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


def movedim(input, source, destination):
    """Dimensions `source` moved to the places `destination`."""
    n = input._a.ndim
    src = [check_dim(d, n) for d in (source if isinstance(source, (tuple, list)) else (source,))]
    dst = [check_dim(d, n) for d in (destination if isinstance(destination, (tuple, list)) else (destination,))]
    if len(src) != len(dst):
        raise RuntimeError(f"movedim: Invalid source or destination dims: source ({src}) and destination ({dst})")
    for name, dims in (("source", src), ("destination", dst)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({dims})")
    order = [d for d in range(n) if d not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return permute(input, order)


moveaxis = movedim

# ---------------------------------------------------------------- expand, repeat


def expand(input, *sizes, size=None):
    """Dimensions of size 1 repeated to `sizes` without copying; -1 keeps a size."""
    x = input._a
    sizes = _ints(sizes if size is None else (size,), "expand")
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
    repeated = [0 if n == 1 and f != 1 else st for n, f, st in zip(x.shape, full[lead:], x.strides, strict=True)]
    strides = (0,) * lead + tuple(repeated)
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


def repeat(input, *counts, repeats=None):
    """The tensor tiled repeats[i] times along dimension i; extra leading counts add dimensions."""
    counts = _ints(counts if repeats is None else (repeats,), "repeat")
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


def tile(input, *counts, dims=None):
    """repeat, where missing leading counts are 1."""
    counts = _ints(counts if dims is None else (dims,), "tile")
    return repeat(input, (1,) * (input._a.ndim - len(counts)) + counts)


def repeat_interleave(input, repeats, dim=None, *, output_size=None, **numpy):
    """Each element along dim repeated `repeats` times (a number, or one for each)."""
    if numpy:
        dim = numpy_dim("repeat_interleave", numpy, dim)
    from .gather import index_select

    if dim is None:
        input, dim = flatten(input), 0
    n = input._a.shape[check_dim(dim, input._a.ndim)]
    counts = repeats._a if isinstance(repeats, Tensor) else repeats
    return index_select(input, dim, wrap(xp.on(input._a).asarray(xp.repeat(xp.arange(n), xp.host(counts)))))


# ---------------------------------------------------------------- copies


def clone(input, *, memory_format=None):
    """A copy, part of the graph. Keeps the order of dimensions in memory, as torch.preserve_format does."""
    r = wrap(input._a.copy(order="K"))
    if memory_format is not None and memory_format is not preserve_format:
        r = contiguous(r, memory_format)
    if input._fn is not None and grad_mode.enabled:
        record(r, clone_rule, (input._fn,), (), ())
    return r


def clone_rule(k, dy, saved, needs):
    return (dy,)


def contiguous(input, memory_format=None):
    """Itself where its elements lie in memory in order, else a copy that does; memory_format=channels_last asks for the
    channels of images last in memory."""
    x = input._a
    if memory_format in (channels_last, channels_last_3d):
        n = 4 if memory_format is channels_last else 5
        if x.ndim != n:
            raise RuntimeError(f"required rank {n} tensor to use {memory_format} format, but got {x.ndim} dimensions")
        if input.is_contiguous(memory_format):
            return input
        r = wrap(Tensor._k.copy(x.transpose(0, *range(2, n), 1)).transpose(0, n - 1, *range(1, n - 1)))
    elif x.flags.c_contiguous:
        return input
    else:
        r = wrap(Tensor._k.copy(x))
    if input._fn is not None and grad_mode.enabled:
        record(r, clone_rule, (input._fn,), (), ())
    return r


copy = contiguous


def resize_(self, *sizes, memory_format=None):
    """self with other sizes; its memory is kept where it suffices, else new elements are undefined."""
    if self._fn is not None and grad_mode.enabled:
        raise RuntimeError("cannot resize variables that require grad")
    shape = _ints(sizes, "resize_")
    n = Size(shape).numel()
    flat = self._a.reshape(-1)
    grown = xp.on(self._a).zeros(n, self._a.dtype)
    grown[: min(n, flat.size)] = flat[:n]
    self._a = grown.reshape(shape)
    return self


def resize_as_(self, the_template, *, memory_format=None):
    """resize_ to another tensor's shape."""
    return resize_(self, the_template._a.shape)


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
