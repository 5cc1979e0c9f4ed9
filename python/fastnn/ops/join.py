"""Joining and splitting: cat, stack, split and the views of parts. One rule gives a part's gradient its place."""

from .._tape import grad_mode, record
from ..tensor import Tensor, check_dim, wrap
from ._common import ONE_OF_MANY, numpy_dim, result_dtype, write_out
from .shape import _view, unsqueeze


def cat(tensors, dim=0, *, out=None, **numpy):
    """The tensors one after another along dim; dtypes promote."""
    if numpy:
        dim = numpy_dim("cat", numpy, dim, default=0)
    if isinstance(tensors, Tensor):
        raise TypeError("cat(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    tensors = list(tensors)
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    graph, one_dtype = False, True
    for n, v in enumerate(tensors):
        if not isinstance(v, Tensor):
            raise TypeError(f"cat(): expected Tensor as element {n} in argument 0, but got {type(v).__name__}")
        graph |= v._fn is not None
        one_dtype &= v._a.dtype == tensors[0]._a.dtype
    if not one_dtype:
        from .cast import cast

        d = result_dtype(*tensors, function="cat")
        tensors = [cast(v, d) for v in tensors]
    kept = [v for v in tensors if v._a.shape != (0,)] or tensors[:1]
    first = kept[0]._a.shape
    ndim = len(first)
    if ndim == 0:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    i = check_dim(dim, ndim)
    for n, v in enumerate(kept):
        s = v._a.shape
        if s == first:
            continue
        if len(s) != ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {ndim} and {len(s)}")
        if s[:i] + s[i + 1 :] != first[:i] + first[i + 1 :]:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {i}. Expected size {list(first)} but got size {list(s)} "
                f"for tensor number {n} in the list."
            )
    r = wrap(Tensor._k.cat([v._a for v in kept], i))
    if graph and grad_mode.enabled:
        record(r, cat_rule, tuple(v._fn for v in kept), (i, tuple(v._a.shape[i] for v in kept)), ())
    return r if out is None else write_out(out, r, *tensors)


def cat_rule(k, dy, saved, needs):
    dim, sizes = saved
    grads, start = [], 0
    for n, size in zip(needs, sizes, strict=True):
        index = (slice(None),) * dim + (slice(start, start + size),)
        grads.append(None if n is None else dy[index])
        start += size
    return tuple(grads)


concat = concatenate = cat


def stack(tensors, dim=0, *, out=None, **numpy):
    """The tensors along a new dimension."""
    if numpy:
        dim = numpy_dim("stack", numpy, dim, default=0)
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
        from .cast import cast

        d = result_dtype(*tensors, function="stack")
        tensors = [cast(v, d) for v in tensors]
    r = wrap(Tensor._k.stack([v._a for v in tensors], i))
    if grad_mode.enabled and any(v._fn is not None for v in tensors):
        record(r, stack_rule, tuple(v._fn for v in tensors), (i,), ())
    return r if out is None else write_out(out, r)


def stack_rule(k, dy, saved, needs):
    lead = (slice(None),) * saved[0]
    return tuple(None if n is None else dy[lead + (i,)] for i, n in enumerate(needs))


def _at_least(v, n):
    while v._a.ndim < n:
        v = unsqueeze(v, 0)
    return v


def hstack(tensors, *, out=None):
    """The tensors side by side: along the second dimension, vectors along their one."""
    tensors = _several(tensors, "hstack", lambda v: _at_least(v, 1))
    return cat(tensors, 0 if tensors[0]._a.ndim == 1 else 1, out=out)


def vstack(tensors, *, out=None):
    """The tensors, with at least two dimensions, one below another."""
    return cat(_several(tensors, "vstack", lambda v: _at_least(v, 2)), 0, out=out)


row_stack = vstack


def _at_least_form(name, lift):
    def at_least(*tensors):
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return lift(tensors[0])
        given = tensors[0] if len(tensors) == 1 else tensors
        return tuple(lift(v) for v in given)

    at_least.__name__ = at_least.__qualname__ = name
    at_least.__doc__ = f"A tensor (or a tuple of those given) with at least {name[8]} dimensions, new ones of size 1."
    return at_least


def _three(v):
    if v._a.ndim >= 3:
        return v
    return unsqueeze(_at_least(v, 2), -1)


atleast_1d = _at_least_form("atleast_1d", lambda v: _at_least(v, 1))
atleast_2d = _at_least_form("atleast_2d", lambda v: _at_least(v, 2))
atleast_3d = _at_least_form("atleast_3d", _three)


def dstack(tensors, *, out=None):
    """The tensors, with at least three dimensions, one after another along the third."""
    return cat(_several(tensors, "dstack", _three), 2, out=out)


def _several(tensors, function, lift):
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError(f"{function} expects a non-empty TensorList")
    return [lift(v) for v in tensors]


def column_stack(tensors, *, out=None):
    """Vectors as columns beside the columns of matrices."""
    from .shape import reshape

    columns = _several(tensors, "column_stack", lambda v: reshape(v, (v._a.size, 1)) if v._a.ndim < 2 else v)
    return cat(columns, 1, out=out)


def block_diag(*tensors):
    """A matrix with the given ones along its diagonal; a vector is a row."""
    from ._common import result_dtype
    from .cast import cast
    from .create import zeros

    if not tensors:
        return zeros(1, 0)
    for i, v in enumerate(tensors):
        if v._a.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {v._a.ndim} dimensions"
            )
    d = result_dtype(*tensors)
    blocks = [cast(_at_least(v, 2), d) for v in tensors]
    width = 0
    total = sum(v._a.shape[1] for v in blocks)
    rows = []
    for v in blocks:
        n, m = v._a.shape
        parts = [zeros((n, width), dtype=d), v, zeros((n, total - width - m), dtype=d)]
        rows.append(cat([p for p in parts if p._a.shape[1]] or [zeros((n, total), dtype=d)], 1))
        width += m
    return cat(rows, 0)


def narrow(input, dim, start, length):
    """`length` elements from `start` along dim."""
    n = input._a.shape[check_dim(dim, input._a.ndim)] if input._a.ndim else 0
    if input._a.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Tensor):
        if start._a.ndim or start._a.dtype.kind not in "iu":
            raise RuntimeError("start must be an 0-dim integral Tensor.")
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


def chunk(input, chunks, dim=0, **numpy):
    """At most `chunks` views of equal size (the last may be smaller) along dim."""
    if numpy:
        dim = numpy_dim("chunk", numpy, dim, default=0)
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._a.shape[check_dim(dim, input._a.ndim)]
    return split(input, max(-(-n // chunks), 1), dim)


def tensor_split(input, indices_or_sections, dim=0, **numpy):
    """Parts along dim: so many of nearly equal size, or cut at the indices given."""
    if numpy:
        dim = numpy_dim("tensor_split", numpy, dim, default=0)
    i = check_dim(dim, input._a.ndim)
    n = input._a.shape[i]
    if input._a.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    if isinstance(indices_or_sections, Tensor):
        if indices_or_sections._a.dtype.name != "int64" or indices_or_sections._a.ndim > 1:
            raise RuntimeError(
                f"tensor_split expected tensor_indices_or_sections to have dtype of long and at most one dimension, got "
                f"{indices_or_sections.dtype} with {indices_or_sections._a.ndim}"
            )
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        c = indices_or_sections
        if c <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {c}")
        cuts = [n // c * j + min(j, n % c) for j in range(1, c)]
    else:
        cuts = [int(v) for v in indices_or_sections]
    bounds = [0, *(min(max(v + n if v < 0 else v, 0), n) for v in cuts), n]
    return tuple(_slice(input, i, a, max(a, b)) for a, b in zip(bounds[:-1], bounds[1:], strict=True))


def _split_form(name, least, axis):
    def split_along(input, indices_or_sections):
        n = input._a.ndim
        if n < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension but got a tensor with {n} dimensions!"
            )
        dim = axis if n > axis else 0
        size = input._a.shape[dim]
        if isinstance(indices_or_sections, int) and (indices_or_sections <= 0 or size % indices_or_sections):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {size} is not "
                f"divisible by the split_size {indices_or_sections}!"
            )
        return tensor_split(input, indices_or_sections, dim)

    split_along.__name__ = split_along.__qualname__ = name
    split_along.__doc__ = f"tensor_split along dimension {axis}, into equal parts where a number is given."
    return split_along


hsplit, vsplit, dsplit = _split_form("hsplit", 1, 1), _split_form("vsplit", 2, 0), _split_form("dsplit", 3, 2)


def split_with_sizes(input, split_sizes, dim=0):
    """split into the sizes given."""
    return split(input, list(split_sizes), dim)


unsafe_split, unsafe_split_with_sizes = split, split_with_sizes


def unbind(input, dim=0, **numpy):
    """The slices along dim, without it."""
    if numpy:
        dim = numpy_dim("unbind", numpy, dim, default=0)
    i = check_dim(dim, input._a.ndim)
    if input._a.ndim == 0:
        raise RuntimeError("unbind(): input must have at least one dimension")
    return _of_many([select(input, i, j) for j in range(input._a.shape[i])])
