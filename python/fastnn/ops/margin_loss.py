"""Losses with a margin between classes or distances."""

from ..backend import xp
from ..tensor import wrap
from . import _autocast
from .activation import _floating_input, logsigmoid, relu
from .elementwise import add, div, minimum, mul, sub, where
from .gather import gather, index_select
from .loss import pairwise_distance, reduced, reduction_name
from .reduce import sum
from .shape import reshape, unsqueeze
from .unary import clamp, neg, operand, square


def _rows(input, target, function, labels):
    """(input as [N, C], target's array as [N] or, with several labels, [N, C], whether there was one row alone)."""
    x, y = _floating_input(operand(input, function), function), operand(target, function)
    a, t = x._a, y._a
    if a.ndim == 0:
        x = reshape(x, (1,))
        a = x._a
    if a.ndim > 2 or a.shape[-1] == 0:
        raise RuntimeError(
            f"{function}: Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(a.shape)}"
        )
    if t.dtype != xp.dtype("int64"):
        raise RuntimeError(f"expected scalar type Long but found {y.dtype.short}")
    single = a.ndim == 1
    n, classes = (1, a.shape[0]) if single else a.shape
    expected = a.shape if labels else (n,)
    if t.shape != expected and not (single and t.ndim <= 1 and t.size == (classes if labels else 1)):
        raise RuntimeError(f"{function}: inconsistent target size, expected {list(expected)} but got {list(t.shape)}")
    rows = reshape(x, (1, classes)) if single else x
    return rows, t.reshape((n, classes) if labels else (n,)), single


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Σ over i ≠ y of weight[y]·max(0, margin - input[y] + input[i])^p / C; input [N, C] or [C], class ids y [N] or []."""
    if _autocast.depth:
        (input,) = _autocast.full(input)
    reduction = reduction_name(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight._a.ndim != 1:
        raise ValueError(f"weight must be one-dimensional, got {weight._a.ndim}-dimensional")
    x, ids, single = _rows(input, target, "multi_margin_loss", False)
    n, classes = x._a.shape
    if ids.size and (ids.min() < 0 or ids.max() >= classes):
        raise RuntimeError(f"multi_margin_loss: target out of range: a class id must lie in [0, {classes})")
    if weight is not None and weight._a.shape != (classes,):
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    at = wrap(ids.reshape(n, 1))
    z = relu(add(sub(x, gather(x, 1, at)), float(margin)))
    if p == 2:
        z = square(z)
    if weight is not None:
        z = mul(z, unsqueeze(index_select(weight, 0, wrap(ids)), 1))
    own = wrap(xp.on(at._a).arange(classes) == at._a)
    loss = div(sum(where(own, 0.0, z), 1), float(classes))
    return reduced(reshape(loss, ()) if single else loss, reduction)


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Σ over the targets j and the classes i that are none of max(0, 1 - input[y[j]] + input[i]) / C; the class ids y of
    a row end at its first -1. input and y: [N, C] or [C]."""
    if _autocast.depth:
        (input,) = _autocast.full(input)
    reduction = reduction_name(size_average, reduce, reduction)
    x, ids, single = _rows(input, target, "multilabel_margin_loss", True)
    n, classes = x._a.shape
    if ids.size and (ids.min() < -1 or ids.max() >= classes):
        raise RuntimeError(f"multilabel_margin_loss: target out of range: class ids must lie in [-1, {classes})")
    valid = (ids < 0).cumsum(1) == 0
    ids = xp.where(valid, ids, 0)
    chosen = xp.on(ids).zeros((n, classes), "bool")
    rows, places = xp.nonzero(valid)
    chosen[rows, ids[rows, places]] = True
    # z[n, j, i]: target j against class i
    z = relu(add(sub(unsqueeze(x, 1), unsqueeze(gather(x, 1, wrap(ids)), 2)), 1.0))
    counts = wrap(valid[:, :, None] & ~chosen[:, None, :])
    loss = div(sum(where(counts, z, 0.0), (1, 2)), float(classes))
    return reduced(reshape(loss, ()) if single else loss, reduction)


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The mean over the last dimension of -weight·(target·ln σ(input) + (1 - target)·ln σ(-input))."""
    reduction = reduction_name(size_average, reduce, reduction)
    loss = neg(add(mul(target, logsigmoid(input)), mul(sub(1.0, target), logsigmoid(neg(input)))))
    if weight is not None:
        loss = mul(loss, weight)
    return reduced(div(sum(loss, -1), float(input._a.shape[-1] if input._a.ndim else 1)), reduction)


def _triplet(near, far, between, margin, reduction):
    """between: the distance from positive to negative, or None."""
    if between is not None:
        far = minimum(far, between)
    return reduced(clamp(add(sub(near, far), float(margin)), min=0.0), reduction)


def _check_triplet(anchor, positive, negative, margin, function):
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    ndim = {operand(v, function)._a.ndim for v in (anchor, positive, negative)}
    if len(ndim) > 1:
        raise RuntimeError(
            f"The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor._a.ndim}D, positive {positive._a.ndim}D, and negative {negative._a.ndim}D inputs"
        )


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"
):
    """max(0, |anchor - positive| - |anchor - negative| + margin); swap takes the smaller distance to negative."""
    if _autocast.depth:
        anchor, positive, negative = _autocast.full(anchor, positive, negative)
    reduction = reduction_name(size_average, reduce, reduction)
    _check_triplet(anchor, positive, negative, margin, "triplet_margin_loss")
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    return _triplet(near, far, pairwise_distance(positive, negative, p, eps) if swap else None, margin, reduction)


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """triplet_margin_loss by a distance of the caller's, a function of two tensors; pairwise_distance unless given."""
    reduction = reduction_name(None, None, reduction)
    _check_triplet(anchor, positive, negative, margin, "triplet_margin_with_distance_loss")
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    return _triplet(near, far, distance(positive, negative) if swap else None, margin, reduction)


__all__ = [
    "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip
