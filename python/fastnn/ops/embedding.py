"""Rows of a table by number, and one-hot vectors."""

from .._tape import RowGradient, grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from ._common import GRAPH
from .unary import operand


def _ids(input, function):
    """The ids as an int64 array."""
    i = operand(input, function)._a
    if i.dtype.kind not in "iu" or i.dtype.itemsize < 4:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{input.dtype.short}Tensor instead (while checking arguments for {function})"
        )
    return i if i.dtype.itemsize == 8 else i.astype("int64")


def _table(weight, padding_idx):
    """The table's array and padding_idx from the front."""
    w = weight._a
    if w.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, but got {w.ndim}-D")
    rows = w.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    return w, padding_idx


def _renormalize(weight, index, max_norm, norm_type):
    """In place: the rows that are looked up, shortened to max_norm where they are longer."""
    w = weight._a
    ids = xp.unique(index.reshape(-1), None)[0]
    if ids.size == 0:
        return
    if int(ids.min()) < 0 or int(ids.max()) >= w.shape[0]:
        Tensor._k.embedding(w, index)  # raises
    rows = w[ids]
    norms = Tensor._k.norm(rows, float(norm_type), (1,), True)
    long = norms > max_norm
    if long.any():
        w[ids] = rows * xp.where(long, max_norm / (norms + 1e-7), 1.0).astype(w.dtype)
        weight._bump()


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """weight[input]: ids of any shape, weight [N, D] -> [..., D]. The row padding_idx gets no gradient; with max_norm the
    rows that are looked up are first shortened to that norm, in place; scale_grad_by_freq divides each row's gradient by
    how often it was looked up. sparse: the gradient of a leaf is a sparse tensor of the rows that were looked up, for
    SparseAdam, SGD and Adagrad.

    Raises IndexError for an id outside [0, N)."""
    t = operand(weight, "embedding")
    w, padding_idx = _table(t, padding_idx)
    i = _ids(input, "embedding")
    if max_norm is not None:
        _renormalize(t, i, max_norm, norm_type)
    r = wrap(Tensor._k.embedding(w, i))
    if t._fn is not None and grad_mode.enabled:
        saved = (i, w.shape, padding_idx, bool(scale_grad_by_freq))
        record(r, embedding_sparse_rule if sparse else embedding_rule, (t._fn,), saved, ())
    return r


def embedding_sparse_rule(k, dy, saved, needs):
    """The rows of dy as they are, with their ids."""
    index, shape, padding_idx, scale_grad_by_freq = saved
    if k is GRAPH or not needs[0].leaf:
        return embedding_rule(k, dy, saved, needs)
    factors = k.embedding_factors(index, padding_idx, scale_grad_by_freq, dy.dtype)
    if factors is not None:
        dy = k.mul(dy, factors)
    ids, rows = index.reshape(-1), dy.reshape(index.size, shape[1])
    if padding_idx is not None:
        kept = ids != padding_idx
        ids, rows = ids[kept], rows[kept]
    return (RowGradient(ids, rows, shape, k),)


def embedding_rule(k, dy, saved, needs):
    return (k.embedding_backward(dy, *saved),)


def embedding_backward(dy, index, shape, padding_idx, scale_grad_by_freq):
    """Zeros of `shape` with dy's rows added at `index`."""
    how = (index, shape, padding_idx, scale_grad_by_freq)
    r = wrap(Tensor._k.embedding_backward(dy._a, *how))
    if dy._fn is not None and grad_mode.enabled:
        record(r, embedding_backward_rule, (dy._fn,), how, ())
    return r


def embedding_backward_rule(k, g, saved, needs):
    index, _, padding_idx, scale_grad_by_freq = saved
    picked = k.index_get(g, (index,))
    d = g.dtype if k is not GRAPH else g._a.dtype
    factors = Tensor._k.embedding_factors(index, padding_idx, scale_grad_by_freq, d)
    if factors is not None:
        picked = k.mul(picked, factors if k is not GRAPH else wrap(factors))
    return (picked,)


_MODES = {"sum": 0, "mean": 1, "max": 2}


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    """Sum, mean or largest value of the rows of each bag: input [B, n] holds B bags of n ids, or input [n] and offsets
    [B] say where each begins -> [B, D]. Ids equal to padding_idx are left out; an empty bag gives 0.

    per_sample_weights, of input's shape, multiply the rows (mode "sum" only). include_last_offset: offsets holds the end
    of the last bag too."""
    t = operand(weight, "embedding_bag")
    if mode not in _MODES:
        raise ValueError(f"mode has to be one of sum, mean or max, but got {mode!r}")
    w, padding_idx = _table(t, padding_idx)
    ids = _ids(input, "embedding_bag")
    start = _starts(ids, offsets, include_last_offset)
    factor, by = None, per_sample_weights
    if by is not None:
        by = operand(by, "embedding_bag")
        if by._a.shape != ids.shape:
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({list(by._a.shape)}) is not None, then it must have the same "
                f"shape as the input ({list(ids.shape)})"
            )
        if mode != "sum":
            raise NotImplementedError(
                f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
                f"(got mode='{mode}')."
            )
        if by._a.dtype != w.dtype:
            raise RuntimeError(
                f"embedding_bag: expected per_sample_weights of weight's dtype {t.dtype.short}, got {by.dtype.short}"
            )
        factor = by._a.reshape(-1)
    if sparse and mode == "max":
        raise RuntimeError("embedding_bag: sparse gradients are not supported with mode 'max'")
    if scale_grad_by_freq and mode == "max":
        raise RuntimeError("embedding_bag: scale_grad_by_freq is not supported with mode 'max'")
    ids = ids.reshape(-1)
    if max_norm is not None:
        _renormalize(t, ids, max_norm, norm_type)
    out, chosen = Tensor._k.embedding_bag(w, ids, start, factor, _MODES[mode], padding_idx)
    r = wrap(out)
    nodes = (t._fn, None if by is None else by._fn)
    if grad_mode.enabled and nodes != (None, None):
        if mode == "max":
            record(r, embedding_bag_max_rule, nodes, (ids, chosen, w.shape), ())
        else:
            how = (ids, start, mode == "mean", padding_idx, bool(scale_grad_by_freq), w.shape, bool(sparse))
            record(r, embedding_bag_rule, nodes, (w, None if by is None else by._a, *how), (t, by) + (None,) * 7)
    return r


def _starts(ids, offsets, include_last_offset):
    """int64 [B + 1]: where each bag begins, and the end."""
    if ids.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                "sequences."
            )
        return xp.on(ids).arange(ids.shape[0] + 1, dtype="int64") * ids.shape[1]
    if ids.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {ids.ndim}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    at = _ids(offsets, "embedding_bag")
    if at.ndim != 1:
        raise ValueError(f"offsets has to be a 1D Tensor, but got Tensor of dimension {at.ndim}")
    if include_last_offset and not at.size:
        raise ValueError("embedding_bag: with include_last_offset, offsets needs at least one element")
    if at.size and int(at[0]) != 0:
        raise ValueError(f"offsets[0] has to be 0, where the first bag starts, but got {int(at[0])}")
    if ids.size and not at.size:
        raise ValueError("embedding_bag: offsets is empty, so input's ids belong to no bag")
    if at.size and (int(at.max()) > ids.size or bool((at[1:] < at[:-1]).any())):
        raise ValueError(
            f"embedding_bag: offsets must increase and not exceed input's length {ids.size}, got {at.tolist()}"
        )
    if include_last_offset:
        if int(at[-1]) != ids.size:
            raise ValueError(
                f"embedding_bag: with include_last_offset the last of offsets is input's length {ids.size}, got "
                f"{int(at[-1])}"
            )
        return at
    start = xp.on(at).empty(at.size + 1, "int64")
    start[:-1] = at
    start[-1] = ids.size
    return start


def _bag_of(start):
    """The bag of each look-up."""
    return xp.repeat(xp.on(start).arange(start.size - 1, dtype="int64"), start[1:] - start[:-1])


def embedding_bag_rule(k, dy, saved, needs):
    w, by, ids, start, mean, padding_idx, by_frequency, shape, sparse = saved
    arrays = k is not GRAPH
    bag = _bag_of(start)
    factor = by
    if mean or by_frequency:
        d = w.dtype if arrays else w._a.dtype
        f = xp.on(ids).ones(ids.size, d)
        if mean:
            counted = xp.on(ids).ones(ids.size, d) if padding_idx is None else (ids != padding_idx).astype(d)
            counts = xp.bincount(bag, counted, start.size - 1)
            f /= xp.where(counts < 1, 1, counts)[bag]
        if by_frequency and ids.size:
            f /= xp.bincount(ids)[ids]
        f = f.astype(d, copy=False)
        factor = f if factor is None else k.mul(k.reshape(factor, (-1,)), f if arrays else wrap(f))
    elif factor is not None:
        factor = k.reshape(factor, (-1,))
    dw = dby = None
    if needs[0] is not None and sparse and arrays and needs[0].leaf:
        kept = slice(None) if padding_idx is None else ids != padding_idx
        rows = dy[bag[kept]]
        dw = RowGradient(ids[kept], rows if factor is None else rows * factor[kept, None], shape, k)
    elif needs[0] is not None:
        dw = k.embedding_bag_backward(dy, ids, bag, factor, shape, padding_idx)
    if needs[1] is not None:
        rows = k.mul(k.index_get(dy, (bag,)), k.index_get(w, (ids,)))
        dby = k.sum(rows, (1,), False)
        if padding_idx is not None:
            kept = (ids != padding_idx).astype(dby.dtype if arrays else dby._a.dtype)
            dby = k.mul(dby, kept if arrays else wrap(kept))
        dby = k.reshape(dby, by.shape if arrays else by._a.shape)
    return dw, dby


def embedding_bag_backward(dy, ids, bag, factor, shape, padding_idx):
    """Differentiable: dy[bag]·factor added up by id."""
    from .elementwise import mul
    from .index import index_get
    from .shape import reshape

    rows = index_get(dy, (bag,))
    if factor is not None:
        f = factor if isinstance(factor, Tensor) else wrap(factor)
        rows = mul(rows, reshape(f, (-1, 1)))
    return embedding_backward(rows, ids, shape, padding_idx, False)


def embedding_bag_max_rule(k, dy, saved, needs):
    """Each value's gradient goes to the row that gave it."""
    ids, chosen, shape = saved
    arrays = k is not GRAPH
    none = chosen < 0
    d = dy.dtype if arrays else dy._a.dtype
    if none.any():
        kept = (~none).astype(d)
        dy = k.mul(dy, kept if arrays else wrap(kept))
    row = ids[xp.where(none, 0, chosen)] if ids.size else xp.on(ids).zeros(chosen.shape, "int64")
    flat = (row * shape[1] + xp.on(ids).arange(shape[1])).reshape(-1)
    dw = k.embedding_backward(k.reshape(dy, (-1, 1)), flat, (shape[0] * shape[1], 1), None, False)
    return k.reshape(dw, shape), None


def one_hot(tensor, num_classes=-1):
    """int64 [..., num_classes]: 1 at each id, else 0; num_classes is the largest id + 1 unless given."""
    i = operand(tensor, "one_hot")._a
    if i.dtype.name != "int64":
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if i.size == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(xp.on(i).zeros((*i.shape, num_classes), "int64"))
    if int(i.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(i.max()) + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif int(i.max()) >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    r = xp.on(i).zeros((i.size, num_classes), "int64")
    r[xp.on(i).arange(i.size), i.reshape(-1)] = 1
    return wrap(r.reshape(*i.shape, num_classes))
