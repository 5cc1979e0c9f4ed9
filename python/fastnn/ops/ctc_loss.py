"""Connectionist temporal classification: the loss of unaligned sequences."""

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from .activation import _floating_input
from .cast import cast
from .elementwise import div
from .loss import reduced, reduction_name
from .reduce import mean
from .shape import reshape
from .unary import operand


def _lengths(values, n, name):
    a = xp.asarray(xp.host(values._a) if isinstance(values, Tensor) else values)
    if a.dtype.kind not in "iu":
        raise RuntimeError(f"{name} must be integral")
    a = a.reshape(-1).astype("int64")
    if a.size != n:
        raise RuntimeError(f"Expected {name} to have value of size {n}, but got {a.size}: one length a sequence")
    if a.size and a.min() < 0:
        raise RuntimeError(f"Expected {name} to have value at least 0, but got value {int(a.min())}")
    return a


def _matrix(targets, lengths, n):
    """The targets as [N, longest], 0 where a sequence has ended."""
    longest = int(lengths.max()) if n else 0
    out = xp.on(targets).zeros((n, longest), "int64")
    if targets.ndim == 1:
        if int(lengths.sum()) > targets.size:
            raise RuntimeError(
                f"Expected targets of at least {int(lengths.sum())} elements, the sum of target_lengths, but got "
                f"{targets.size}"
            )
        start = 0
        for i, m in enumerate(lengths):
            out[i, :m] = targets[start : start + m]
            start += m
        return out
    if targets.ndim != 2 or targets.shape[0] != n:
        raise RuntimeError(f"Expected targets of shape [{n}, S] or joined in one dimension, got {list(targets.shape)}")
    if longest > targets.shape[1]:
        raise RuntimeError(
            f"Expected tensor to have size at least {longest} at dimension 1, but got size {targets.shape[1]} for "
            "argument 'targets'"
        )
    kept = xp.on(targets).asarray(xp.arange(longest) < lengths[:, None])
    out[...] = xp.where(kept, targets[:, :longest], 0)
    return out


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """-ln of the probability of each target over all its alignments; log_probs [T, N, C] or [T, C], as log_softmax gives
    them; targets [N, S], or all joined in one dimension. 'mean' divides each by its target's length first.

    zero_infinity: a target that no alignment fits counts 0, with gradient 0. Not twice differentiable."""
    reduction = reduction_name(None, None, reduction)
    x, ids = _floating_input(operand(log_probs, "ctc_loss"), "ctc_loss"), operand(targets, "ctc_loss")
    if x._a.ndim not in (2, 3):
        raise RuntimeError(f"log_probs tensor must be 2-D or 3-D, got {list(x.shape)}")
    if ids._a.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss(): targets must be integers, got {ids.dtype}")
    single = x._a.ndim == 2
    rows = reshape(x, (x._a.shape[0], 1, x._a.shape[1])) if single else x
    steps, n, classes = rows._a.shape
    if not 0 <= blank < classes:
        raise RuntimeError(f"blank must be in label range [0, {classes}), got {blank}")
    inputs, lengths = _lengths(input_lengths, n, "input_lengths"), _lengths(target_lengths, n, "target_lengths")
    if inputs.size and inputs.max() > steps:
        raise RuntimeError(f"Expected input_lengths to have value at most {steps}, but got value {int(inputs.max())}")
    labels = ids._a.reshape(1, -1) if single and ids._a.ndim == 1 else ids._a
    labels = _matrix(labels, lengths, n)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise RuntimeError(f"ctc_loss: the targets must be class ids in [0, {classes})")
    inputs, lengths = xp.on(labels).asarray(inputs), xp.on(labels).asarray(lengths)
    loss, alpha = Tensor._k.ctc_loss(rows._a, labels, inputs, lengths, blank)
    zero = bool(zero_infinity)
    r = wrap(Tensor._k.where(xp.isfinite(loss) | xp.isnan(loss), loss, 0.0) if zero else loss)
    if rows._fn is not None and grad_mode.enabled:
        saved = (rows._a, labels, inputs, lengths, blank, loss, alpha, zero)
        record(r, ctc_loss_rule, (rows._fn,), saved, (rows,) + (None,) * 7)
    if reduction == "mean":
        shortest = wrap(xp.where(lengths == 0, 1, lengths))
        return mean(div(r, cast(shortest, r.dtype)))
    return reshape(r, ()) if single and reduction == "none" else reduced(r, reduction)


def ctc_loss_rule(k, dy, saved, needs):
    return (k.ctc_loss_backward(dy, *saved),)


def ctc_loss_backward(dloss, log_probs, targets, input_lengths, target_lengths, blank, loss, alpha, zero_infinity):
    """The gradient by log_probs; raises RuntimeError, as torch, where it is itself to be differentiated."""
    r = wrap(
        Tensor._k.ctc_loss_backward(
            dloss._a, log_probs._a, targets, input_lengths, target_lengths, blank, loss, alpha, zero_infinity
        )
    )
    if (dloss._fn is not None or log_probs._fn is not None) and grad_mode.enabled:
        record(r, ctc_loss_backward_rule, (dloss._fn, log_probs._fn), (), ())
    return r


def ctc_loss_backward_rule(k, g, saved, needs):
    raise RuntimeError("derivative for _ctc_loss_backward is not implemented")


__all__ = ["ctc_loss", "ctc_loss_backward"]
