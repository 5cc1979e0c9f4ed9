"""Cross-entropy from logits, fused with log_softmax, and the negative log-likelihood of log-probabilities."""

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from . import _autocast
from ._common import GRAPH
from .activation import _floating_input
from .elementwise import add, div, mul, sub
from .loss import reduction_name
from .reduce import logsumexp, sum
from .shape import movedim, reshape
from .softmax import log_softmax
from .unary import exp, neg, operand

_INT64 = xp.dtype("int64")


def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    """-ln softmax(input)[target], classes along dimension 1 (dimension 0 of a 1-D input).

    target: class ids, or probabilities in input's shape. weight [C] scales each class; 'mean' divides by the sum of the
    weights of the classes that occurred. Raises IndexError for an id outside [0, C)."""
    if _autocast.depth:
        (input,) = _autocast.full(input)
    if size_average is not None or reduce is not None or reduction != "mean":
        reduction = reduction_name(size_average, reduce, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        operand(input, "cross_entropy_loss")
        raise TypeError(
            f"cross_entropy_loss(): argument 'target' (position 2) must be Tensor, not {type(target).__name__}"
        )
    x, t = input._a, target._a
    if x.shape == t.shape and t.dtype.kind == "f":
        return _from_probabilities(input, target, weight, reduction, label_smoothing)
    if x.ndim != 2 or t.ndim != 1 or t.dtype is not _INT64 or x.shape[0] != t.shape[0] or x.dtype.kind != "f":
        rows, ids, shape = _as_rows(input, target, "cross_entropy", True)
        loss = _rows_loss(rows, ids, weight, ignore_index, label_smoothing, reduction)
        return reshape(loss, shape) if reduction == "none" else loss
    return _rows_loss(input, t, weight, ignore_index, label_smoothing, reduction)


def _as_rows(input, target, function, images=False):
    """(input as [N, C], the class ids as an int64 array [N], the shape of the losses); images: input with more dimensions
    as [N, C, L], the ids of N·L pixels."""
    x, t = _floating_input(input, function)._a, target._a
    if x.ndim == 0:
        raise RuntimeError(f"{function}: the input needs at least one dimension, that of the classes")
    if t.dtype.kind not in "iu":
        raise RuntimeError(f"expected scalar type Long but found {target.dtype.short}")
    if t.dtype != _INT64 and t.dtype.name != "uint8":
        raise RuntimeError(f"expected scalar type Long but found {target.dtype.short}")
    ids = (t if t.dtype == _INT64 else t.astype(_INT64)).reshape(-1)
    if x.ndim == 1:
        if t.ndim > 1 or t.size != 1:
            raise ValueError(f"Expected target size [1], got {list(t.shape)}")
        return reshape(input, (1, x.shape[0])), ids, t.shape
    expected = (x.shape[0], *x.shape[2:])
    if t.shape != expected:
        if t.ndim == 0 or x.shape[0] != t.shape[0]:
            got = t.shape[0] if t.ndim else 1
            raise ValueError(f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({got}).")
        raise RuntimeError(f"Expected target size {list(expected)}, got {list(t.shape)}")
    if x.ndim == 2:
        return input, ids, expected
    if images and x.size:
        return reshape(input, (x.shape[0], x.shape[1], -1)), ids, expected
    return reshape(movedim(input, 1, -1), (-1, x.shape[1])), ids, expected


def _class_weights(weight, x, function):
    if weight is None:
        return None
    w = operand(weight, function)._a
    if w.shape != (x.shape[1],):
        raise RuntimeError(
            f"weight tensor should be defined either for all {x.shape[1]} classes or no classes but got weight tensor "
            f"of shape: {list(w.shape)}"
        )
    if w.dtype != x.dtype:
        raise RuntimeError(f"expected scalar type {_short(x)} but found {weight.dtype.short}")
    return w


def _short(x):
    return wrap(x).dtype.short


def _out_of_bounds(ids, classes, ignore_index):
    bad = ids[(ids != ignore_index) & ((ids < 0) | (ids >= classes))]
    return IndexError(f"Target {int(bad[0]) if bad.size else 0} is out of bounds.")


def _rows_loss(rows, ids, weight, ignore_index, label_smoothing, reduction):
    x = rows._a
    w = None if weight is None else _class_weights(weight, x, "cross_entropy_loss")
    smoothing = float(label_smoothing)
    try:
        loss, lse, total = Tensor._k.cross_entropy(x, ids, w, ignore_index, smoothing, reduction)
    except IndexError:
        raise _out_of_bounds(ids, x.shape[1], ignore_index) from None
    r = wrap(loss)
    if rows._fn is not None and grad_mode.enabled:
        record(
            r,
            cross_entropy_rule,
            (rows._fn,),
            (x, ids, w, ignore_index, smoothing, reduction, lse, total),
            (rows, None, None, None, None, None, None, None),
        )
    return r


def cross_entropy_rule(k, dy, saved, needs):
    return (k.cross_entropy_backward(dy, *saved),)


def cross_entropy_backward(dloss, logits, target, weight, ignore_index, label_smoothing, reduction, lse, total_weight):
    """g·(softmax·Σ_c m - m), m[i, c] = (1 - s)·w[c]·(c = target) + s/C·w[c], 0 in the ignored rows."""
    shape = logits._a.shape
    if len(shape) == 3:  # images: their pixels as rows, and back
        logits = reshape(movedim(logits, 1, -1), (-1, shape[1]))
        how = (weight, ignore_index, label_smoothing, reduction, lse, total_weight)
        rows = cross_entropy_backward(dloss, logits, target, *how)
        return movedim(reshape(rows, (shape[0], shape[2], shape[1])), -1, 1)
    m = Tensor._k.target_weights(logits._a, target, weight, ignore_index, label_smoothing)
    softmax = exp(sub(logits, logsumexp(logits, 1, True)))
    d = sub(mul(softmax, wrap(m.sum(1, keepdims=True))), wrap(m))
    if reduction == "none":
        return mul(reshape(dloss, (-1, 1)), d)
    if reduction == "sum":
        return mul(dloss, d)
    total = getattr(total_weight, "array", None)  # a device keeps it there
    return mul(div(dloss, total_weight if total is None else wrap(total.astype(dloss._a.dtype, copy=False))), d)


def _from_probabilities(input, target, weight, reduction, label_smoothing):
    """-Σ_c w[c]·target[c]·ln softmax(input)[c]; 'mean' divides by the number of rows."""
    dim = 0 if input._a.ndim == 1 else 1
    classes = input._a.shape[dim]
    if label_smoothing:
        target = add(mul(target, 1 - label_smoothing), label_smoothing / classes)
    products = mul(log_softmax(input, dim), target)
    if weight is not None:
        if weight._a.shape != (classes,):
            raise RuntimeError("cross_entropy: weight tensor should be defined either for all or no classes")
        products = mul(products, reshape(weight, (-1,) + (1,) * (input._a.ndim - 1 - dim)))
    if reduction == "none":
        return neg(sum(products, dim))
    loss = neg(sum(products))
    return div(loss, float(input._a.size // max(classes, 1))) if reduction == "mean" else loss


# ---------------------------------------------------------------- nll_loss


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """-weight[target]·input[target], input holding log-probabilities with the classes along dimension 1 (dimension 0 of
    a 1-D input). Raises IndexError for an id outside [0, C)."""
    if _autocast.depth:
        (input,) = _autocast.full(input)
    reduction = reduction_name(size_average, reduce, reduction)
    rows, ids, shape = _as_rows(operand(input, "nll_loss"), operand(target, "nll_loss"), "nll_loss")
    x = rows._a
    w = _class_weights(weight, x, "nll_loss")
    try:
        safe, factors = Tensor._k.target_factors(ids, w, ignore_index, x.shape[1], x.dtype)
    except IndexError:
        raise _out_of_bounds(ids, x.shape[1], ignore_index) from None
    total = None
    if reduction == "mean":
        total = Tensor._k.sum(factors, None, False)
    # Only the targets' entries are read: elsewhere input may hold infinities.
    loss = Tensor._k.neg(Tensor._k.pick_rows(x, safe, factors))
    if reduction != "none":
        loss = Tensor._k.loss_sum(loss)
        if total is not None:
            loss = Tensor._k.div(loss, total)
    r = wrap(loss)
    if rows._fn is not None and grad_mode.enabled:
        record(r, nll_loss_rule, (rows._fn,), (safe, factors, total, x.shape), ())
    return reshape(r, shape) if reduction == "none" else r


def nll_loss_rule(k, dy, saved, needs):
    ids, factors, total, shape = saved
    if total is not None:
        dy = k.div(dy, total if k is not GRAPH else wrap(total))
    if not len(dy.shape):
        dy = k.expand(dy, (shape[0],))
    return (k.pick_rows_backward(k.neg(dy), ids, factors, shape),)


def pick_rows(x, ids, factors):
    """x[i, ids[i]]·factors[i], and 0 where the factor is 0."""
    r = wrap(Tensor._k.pick_rows(x._a, ids, factors))
    if x._fn is not None and grad_mode.enabled:
        record(r, pick_rows_rule, (x._fn,), (ids, factors, x._a.shape), ())
    return r


def pick_rows_rule(k, dy, saved, needs):
    return (k.pick_rows_backward(dy, *saved),)


def pick_rows_backward(dy, ids, factors, shape):
    """Zeros of `shape` with dy[i]·factors[i] at [i, ids[i]]."""
    r = wrap(Tensor._k.pick_rows_backward(dy._a, ids, factors, shape))
    if dy._fn is not None and grad_mode.enabled:
        record(r, pick_rows_backward_rule, (dy._fn,), (ids, factors), ())
    return r


def pick_rows_backward_rule(k, g, saved, needs):
    return (k.pick_rows(g, *saved),)
