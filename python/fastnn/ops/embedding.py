"""Rows of a table by number, and one-hot vectors."""

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from .unary import operand


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """weight[input]: ids of any shape, weight [N, D] -> [..., D]. The row padding_idx gets no gradient.

    Raises IndexError for an id outside [0, N)."""
    i, t = operand(input, "embedding")._a, operand(weight, "embedding")
    w = t._a
    if w.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, but got {w.ndim}-D")
    if i.dtype.kind not in "iu" or i.dtype.itemsize < 4:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{input.dtype.short}Tensor instead (while checking arguments for embedding)"
        )
    if max_norm is not None or sparse:
        raise NotImplementedError(f"embedding: {'sparse gradients are' if sparse else 'max_norm is'} not supported")
    rows = w.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    if i.size and (int(i.min()) < 0 or int(i.max()) >= rows):
        raise IndexError(
            f"index out of range in self: embedding of {rows} rows got ids from {int(i.min())} to {int(i.max())}"
        )
    r = wrap(Tensor._k.index_get(w, (i,)))
    if t._fn is not None and grad_mode.enabled:
        record(r, embedding_rule, (t._fn,), (i, w.shape, padding_idx, scale_grad_by_freq), ())
    return r


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
    d = g.dtype if k is Tensor._k else g._a.dtype
    factors = Tensor._k.embedding_factors(index, padding_idx, scale_grad_by_freq, d)
    if factors is not None:
        picked = k.mul(picked, factors if k is Tensor._k else wrap(factors))
    return (picked,)


def one_hot(tensor, num_classes=-1):
    """int64 [..., num_classes]: 1 at each id, else 0; num_classes is the largest id + 1 unless given."""
    i = operand(tensor, "one_hot")._a
    if i.dtype.name != "int64":
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if i.size == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(xp.zeros((*i.shape, num_classes), "int64"))
    if int(i.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(i.max()) + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif int(i.max()) >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    r = xp.zeros((i.size, num_classes), "int64")
    r[xp.arange(i.size), i.reshape(-1)] = 1
    return wrap(r.reshape(*i.shape, num_classes))
