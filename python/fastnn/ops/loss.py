"""Losses of a prediction and a target: one recorded op each where training loops use them, composites elsewhere."""

import warnings

from .._tape import grad_mode, record
from ..tensor import Tensor, wrap
from . import _autocast
from .activation import logsigmoid, sigmoid
from .elementwise import add, div, eq, le, mul, ne, sub, where
from .normalization import unit_rows
from .reduce import mean, sum
from .shape import broadcast_tensors
from .spread import vector_norm
from .unary import clamp, exp, log, neg, operand, sign, sqrt, square


def reduction_name(size_average, reduce, reduction):
    """'none', 'mean' or 'sum' from torch's arguments, the two deprecated ones included."""
    if size_average is not None or reduce is not None:
        if reduce is not None and not reduce:
            reduction = "none"
        else:
            reduction = "mean" if size_average is None or size_average else "sum"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=3,
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(loss, reduction):
    """The mean or sum of `loss`, or itself."""
    return mean(loss) if reduction == "mean" else sum(loss) if reduction == "sum" else loss


def _same_shape(input, target, function):
    """Both arguments broadcast to one shape; torch's warning where they differ."""
    x, y = operand(input, function), operand(target, function)
    if x._a.shape == y._a.shape:
        return x, y
    warnings.warn(
        f"Using a target size ({y.shape}) that is different to the input size ({x.shape}). This will likely lead to "
        "incorrect results due to broadcasting. Please ensure they have the same size.",
        stacklevel=3,
    )
    return broadcast_tensors(x, y)


def _pairwise(name, kernel, target_slope=None):
    """A loss Σ kernel(x, y) or its mean as one recorded op. <kernel>_backward gives the gradient by x; target_slope, of
    the backend or fastnn.ops and what the loss takes, the derivative by y, that by x negated unless given."""
    gradient = kernel + "_backward"

    def op(x, y, reduction, *numbers):
        if x._a.dtype != y._a.dtype or x._a.dtype.kind in "iub":
            from ._common import operands

            x, y, _, _ = operands(x, y, name, floating=True)
        k = Tensor._k
        a, b = x._a, y._a
        loss = getattr(k, kernel)(a, b, *numbers)
        if reduction != "none":
            loss = k.mean(loss, None, False) if reduction == "mean" else k.sum(loss, None, False)
        r = wrap(loss)
        if (x._fn is not None or y._fn is not None) and grad_mode.enabled:
            saved = (a, b, reduction, *numbers)
            record(r, rule, (x._fn, y._fn), saved, (x, y) + (None,) * (len(saved) - 2))
        return r

    def rule(k, dy, saved, needs):
        x, y, reduction, *numbers = saved
        if reduction == "mean":
            dy = k.div(dy, float(_numel(x) or 1))
        dx = dz = None
        if needs[0] is not None or target_slope is None:
            dx = getattr(k, gradient)(dy, x, y, *numbers)
        if needs[1] is not None:
            dz = k.neg(dx) if target_slope is None else k.mul(target_slope(k, x, y, *numbers), dy)
        return dx, dz

    rule.__name__ = rule.__qualname__ = name + "_rule"
    return op


def _numel(x):
    n = 1
    for s in x.shape:
        n *= s
    return n


# The kernels' gradients, for rules that run on Tensors.


def squared_difference_backward(dy, x, y):
    return mul(mul(sub(x, y), 2.0), dy)


def absolute_difference_backward(dy, x, y):
    return mul(sign(sub(x, y)), dy)


def huber_backward(dy, x, y, delta, divisor=1.0):
    return mul(div(clamp(sub(x, y), -delta, delta), divisor), dy)


def bce_backward(dy, x, y):
    return mul(div(sub(x, y), clamp(mul(sub(1.0, x), x), 1e-12, None)), dy)


def bce_with_logits_backward(dy, x, y):
    return mul(sub(sigmoid(x), y), dy)


_mse = _pairwise("mse_loss", "squared_difference")
_l1 = _pairwise("l1_loss", "absolute_difference")
_huber = _pairwise("huber_loss", "huber")  # (delta)
_smooth_l1 = _pairwise("smooth_l1_loss", "huber")  # (beta, beta)
_bce = _pairwise("binary_cross_entropy", "bce", lambda k, x, y: k.sub(k.log1p(k.neg(x)), k.log(x)))
_bce_logits = _pairwise("binary_cross_entropy_with_logits", "bce_with_logits", lambda k, x, y: k.neg(x))


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """(input - target)²"""
    if _autocast.depth:
        input, target = _autocast.full(input, target)
    if size_average is not None or reduce is not None or reduction != "mean":
        reduction = reduction_name(size_average, reduce, reduction)
    input, target = _same_shape(input, target, "mse_loss")
    if weight is not None:
        return _weighted(_mse(input, target, "none"), weight, reduction)
    return _mse(input, target, reduction)


def _weighted(loss, weight, reduction):
    if weight._a.shape != loss._a.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = mul(loss, weight)
    return div(sum(loss), sum(weight)) if reduction == "mean" else reduced(loss, reduction)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """|input - target|"""
    if _autocast.depth:
        input, target = _autocast.full(input, target)
    reduction = reduction_name(size_average, reduce, reduction)
    input, target = _same_shape(input, target, "l1_loss")
    if weight is not None:
        return _weighted(_l1(input, target, "none"), weight, reduction)
    return _l1(input, target, reduction)


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """d²/(2·beta) where d = |input - target| < beta, else d - beta/2."""
    if _autocast.depth:
        input, target = _autocast.full(input, target)
    reduction = reduction_name(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    input, target = _same_shape(input, target, "smooth_l1_loss")
    return (
        _l1(input, target, reduction) if beta == 0 else _smooth_l1(input, target, reduction, float(beta), float(beta))
    )


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """d²/2 where d = |input - target| <= delta, else delta·(d - delta/2)."""
    if _autocast.depth:
        input, target = _autocast.full(input, target)
    reduction = reduction_name(None, None, reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    input, target = _same_shape(input, target, "huber_loss")
    if weight is not None:
        if weight._a.shape != input._a.shape:
            raise ValueError("Weights and input must have the same size.")
        return reduced(mul(_huber(input, target, "none", float(delta)), weight), reduction)  # not by Σ weight, as torch
    return _huber(input, target, reduction, float(delta))


# ---------------------------------------------------------------- binary cross-entropy


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """-(target·ln input + (1 - target)·ln(1 - input)), of probabilities. Raises RuntimeError outside [0, 1]."""
    if _autocast.depth:
        input, target = _autocast.full(input, target)
    reduction = reduction_name(size_average, reduce, reduction)
    x, y = operand(input, "binary_cross_entropy"), operand(target, "binary_cross_entropy")
    if x._a.shape != y._a.shape:
        raise ValueError(
            f"Using a target size ({y.shape}) that is different to the input size ({x.shape}) is deprecated. Please "
            "ensure they have the same size."
        )
    if x._a.dtype != y._a.dtype:
        raise RuntimeError(f"Found dtype {y.dtype.short} but expected {x.dtype.short}")
    r = _bce(x, y, reduction if weight is None else "none")
    # An element outside is NaN in the loss: a sum that is no NaN has shown that there is none.
    if (r._a.ndim or r._a != r._a) and x._a.size and not (x._a.min() >= 0 and x._a.max() <= 1):
        raise RuntimeError("all elements of input should be between 0 and 1")
    return r if weight is None else reduced(mul(r, weight), reduction)


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """binary_cross_entropy of sigmoid(input), computed from input; pos_weight weighs the positive part."""
    if _autocast.depth:
        input, target = _autocast.full(input, target)
    reduction = reduction_name(size_average, reduce, reduction)
    function = "binary_cross_entropy_with_logits"
    x, y = operand(input, function), operand(target, function)
    if x._a.shape != y._a.shape:
        raise ValueError(f"Target size ({y.shape}) must be the same as input size ({x.shape})")
    if pos_weight is None and weight is None:
        return _bce_logits(x, y, reduction)
    if pos_weight is None:
        loss = _bce_logits(x, y, "none")
    else:
        positive = add(mul(sub(pos_weight, 1.0), y), 1.0)
        loss = sub(mul(sub(1.0, y), x), mul(positive, logsigmoid(x)))
    return reduced(loss if weight is None else mul(loss, weight), reduction)


# ---------------------------------------------------------------- composites


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target·(ln target - input), input being a logarithm; log_target: target is one too. 'batchmean' divides the sum
    by the first size."""
    batch = reduction == "batchmean"
    if batch and size_average is None and reduce is None:
        reduction = "sum"
    else:
        if reduction == "mean":
            warnings.warn(
                "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' "
                "divides only by the batch size, and aligns with the KL div math definition.'mean' will be changed "
                "to behave the same as 'batchmean' in the next major release.",
                stacklevel=2,
            )
        batch = False
        reduction = reduction_name(size_average, reduce, reduction)
    x, y = operand(input, "kl_div"), operand(target, "kl_div")
    if log_target:
        loss = mul(exp(y), sub(y, x))
    else:
        some = ne(y, 0.0)  # 0·ln 0 is 0
        loss = sub(where(some, mul(y, log(where(some, y, 1.0))), mul(y, 0.0)), mul(y, x))
    loss = reduced(loss, reduction)
    return div(loss, float(x._a.shape[0])) if batch and x._a.ndim else loss


def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """input where target is 1, max(0, margin - input) where it is -1."""
    if _autocast.depth:
        input, target = _autocast.full(input, target)
    reduction = reduction_name(size_average, reduce, reduction)
    far = where(ne(target, 1), clamp(sub(margin, input), min=0.0), 0.0)
    near = where(ne(target, -1), input, 0.0)
    return reduced(add(far, near), reduction)


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """ln(1 + e^(-target·input))"""
    if _autocast.depth:
        input, target = _autocast.full(input, target)
    reduction = reduction_name(size_average, reduce, reduction)
    if input._a.shape != target._a.shape:
        raise RuntimeError(f"soft_margin_loss: sizes differ: input {list(input.shape)}, target {list(target.shape)}")
    return reduced(neg(logsigmoid(mul(target, input))), reduction)


def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, -target·(input1 - input2) + margin)"""
    if _autocast.depth:
        input1, input2 = _autocast.full(input1, input2)
    reduction = reduction_name(size_average, reduce, reduction)
    if not input1._a.ndim == input2._a.ndim == target._a.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced(clamp(add(mul(neg(target), sub(input1, input2)), margin), min=0.0), reduction)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1·x2 / (max(|x1|, eps)·max(|x2|, eps)) along `dim`."""
    if x1._a.shape != x2._a.shape:  # before the norms: `dim` may be one that is stretched
        x1, x2 = broadcast_tensors(x1, x2)
    if isinstance(dim, int) and x1._a.ndim and x1._a.dtype.char in "fd" and x2._a.dtype.char in "fd":
        a, b = unit_rows(x1, dim, eps), unit_rows(x2, dim, eps)
    else:
        a = div(x1, clamp(vector_norm(x1, 2, dim, True), min=eps))
        b = div(x2, clamp(vector_norm(x2, 2, dim, True), min=eps))
    return sum(mul(a, b), dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps along the last dimension."""
    return vector_norm(add(sub(x1, x2), eps), p, -1, keepdim)


def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 - cos where target is 1, max(0, cos - margin) where it is -1; inputs [N, D] with target [N], or [D] with []."""
    if _autocast.depth:
        input1, input2 = _autocast.full(input1, input2)
    reduction = reduction_name(size_average, reduce, reduction)
    x, y, t = (operand(v, "cosine_embedding_loss") for v in (input1, input2, target))
    if t._a.ndim not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not x._a.ndim == y._a.ndim == t._a.ndim + 1:
        raise RuntimeError(
            f"{t._a.ndim}D target tensor expects {t._a.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(x.shape)} and {list(y.shape)}."
        )
    dim = t._a.ndim
    tiny = 1e-12  # under the root: the cosine of a zero vector is 0
    scale = sqrt(mul(add(sum(square(x), dim), tiny), add(sum(square(y), dim), tiny)))
    cos = div(sum(mul(x, y), dim), scale)
    loss = add(where(eq(t, 1), sub(1.0, cos), 0.0), where(eq(t, -1), clamp(sub(cos, margin), min=0.0), 0.0))
    return reduced(loss, reduction)


def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """e^input - target·input, or input - target·ln(input + eps); full adds Stirling's approximation of ln target!."""
    if _autocast.depth:
        input, target = _autocast.full(input, target)
    reduction = reduction_name(size_average, reduce, reduction)
    loss = sub(exp(input), mul(target, input)) if log_input else sub(input, mul(target, log(add(input, eps))))
    if full:
        stirling = add(sub(mul(target, log(target)), target), mul(log(mul(target, 6.283185307179586)), 0.5))
        loss = add(loss, where(le(target, 1), 0.0, stirling))
    return reduced(loss, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """(ln var + (input - target)²/var)/2, var kept above eps; full adds ln(2π)/2."""
    reduction = reduction_name(None, None, reduction)
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = wrap(Tensor._k.full(input._a.shape, float(var), input._a.dtype))
    elif (var._a < 0).any():
        raise ValueError("var has negative entry/entries")
    if var._a.ndim == input._a.ndim - 1:
        var = var.unsqueeze(-1)
    kept = add(var, clamp(sub(eps, var.detach()), min=0.0))  # max(var, eps); var's gradient passes everywhere
    loss = mul(add(log(kept), div(square(sub(input, target)), kept)), 0.5)
    return reduced(add(loss, 0.9189385332046727) if full else loss, reduction)
