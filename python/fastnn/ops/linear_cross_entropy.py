"""Cross-entropy of linear logits, which are made tile by tile and never lie in memory as a whole."""

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from . import _autocast
from ._common import GRAPH
from .cross_entropy import _class_weights, _out_of_bounds, cross_entropy
from .linear import linear
from .loss import reduction_name
from .shape import reshape

__all__ = ["linear_cross_entropy", "linear_cross_entropy_rule"]


def linear_cross_entropy(
    input,
    linear_weight,
    target,
    *,
    linear_bias=None,
    weight=None,
    reduction="mean",
    ignore_index=None,
    label_smoothing=0.0,
    options=None,
):
    """cross_entropy(linear(input, linear_weight, linear_bias), target, ...) without the logits in memory: in forward a tile
    of them at a time, and in backward the same tiles once more.

    input [N, D] or [D], linear_weight [C, D], linear_bias [C], target: class ids [N] or (); weight [C], ignore_index (None:
    -100), label_smoothing and reduction as in cross_entropy. linear_weight [C, d1, ..., D] with target [N, d1, ...] and
    targets of probabilities, which are as large as the logits, make the logits. options.batch_chunk_size limits the rows of a
    tile; the rest of `options` chooses among torch's implementations and is checked alone. Under create_graph the backward
    pass makes the logits. Raises RuntimeError where shapes do not fit, IndexError for an id outside [0, C)."""
    for name, t in (("input", input), ("linear_weight", linear_weight), ("target", target)):
        if not isinstance(t, Tensor):
            raise TypeError(f"linear_cross_entropy(): argument '{name}' must be Tensor, not {type(t).__name__}")
    classes, outer, probabilities = _shapes(input, linear_weight, target, linear_bias)
    if probabilities and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    ignore_index = -100 if ignore_index is None else ignore_index
    how = {"reduction": reduction, "ignore_index": ignore_index, "label_smoothing": label_smoothing}
    if _autocast.depth:
        input, linear_weight, linear_bias = _autocast.low(input, linear_weight, linear_bias)
    if outer or probabilities or input.dtype != linear_weight.dtype or not input.is_floating_point():
        return cross_entropy(_logits(input, linear_weight, linear_bias), target, weight, **how)
    reduction = reduction_name(None, None, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    alone = input.dim() == 1
    if target.shape != input.shape[:-1]:
        if not alone and target.dim() and len(target) != len(input):
            raise ValueError(f"Expected input batch_size ({len(input)}) to match target batch_size ({len(target)}).")
        raise RuntimeError(f"Expected target size {list(input.shape[:-1])}, got {list(target.shape)}")
    if target._a.dtype.name not in ("int64", "uint8"):
        raise RuntimeError(f"expected scalar type Long but found {target.dtype.short}")
    rows = reshape(input, (1, -1)) if alone else input
    chunk = None if options is None else options.batch_chunk_size
    loss = _fused(rows, linear_weight, linear_bias, target, weight, ignore_index, label_smoothing, reduction, chunk)
    return reshape(loss, ()) if alone and reduction == "none" else loss


def _shapes(x, w, target, bias):
    """(C, d1, ...; whether the target holds probabilities); RuntimeError where they do not fit."""
    if x.dim() not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {x.dim()}")
    if w.dim() < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {w.dim()}")
    if x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{x.shape[-1]} and {w.shape[-1]}, respectively"
        )
    classes, *outer = w.shape[:-1]
    if bias is not None and tuple(bias.shape) != (classes, *outer):
        raise RuntimeError(f"expected linear_bias shape {(classes, *outer)}, got {tuple(bias.shape)}")
    if outer and x.dim() == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(w.shape)} requires batched input, "
            f"(N, {x.shape[-1]}), got unbatched input with shape {tuple(x.shape)}"
        )
    return classes, outer, tuple(target.shape) == (*x.shape[:-1], classes, *outer)


def _logits(x, w, bias):
    """[..., C, d1, ...] for w [C, d1, ..., D]."""
    flat = reshape(w, (-1, w.shape[-1]))
    z = linear(x, flat, None if bias is None else reshape(bias, (-1,)))
    return reshape(z, (*x.shape[:-1], *w.shape[:-1])) if w.dim() > 2 else z


def _fused(x, w, bias, target, weight, ignore_index, label_smoothing, reduction, rows):
    a, c, b = x._a, w._a, None if bias is None else bias._a
    ids = target._a.astype("int64", copy=False).reshape(-1)
    # Under autocast the logits are lowered, and the loss, with its weights, is float32's.
    like = xp.on(c).empty((0, c.shape[0]), "float32" if _autocast.depth and c.dtype.itemsize == 2 else c.dtype)
    scale = None if weight is None else _class_weights(weight, like, "cross_entropy_loss")
    how = (float(label_smoothing), reduction)
    try:
        loss, lse, total = Tensor._k.linear_cross_entropy(a, c, b, ids, scale, ignore_index, *how, rows)
    except IndexError:
        raise _out_of_bounds(ids, c.shape[0], ignore_index) from None
    r = wrap(loss if _autocast.depth else loss.astype(a.dtype, copy=False))
    inputs = x._fn, w._fn, None if bias is None else bias._fn
    if grad_mode.enabled and any(f is not None for f in inputs):
        record(
            r,
            linear_cross_entropy_rule,
            inputs,
            (a, c, b, ids, scale, ignore_index, *how, lse, total, rows),
            (x, w, bias, None, None, None, None, None, None, None, None),
        )
    return r


def linear_cross_entropy_rule(k, dy, saved, needs):
    x, w, b, ids, scale, ignore_index, label_smoothing, reduction, lse, total, rows = saved
    wanted = tuple(n is not None for n in needs)
    if k is not GRAPH:
        return k.linear_cross_entropy_backward(
            dy, x, w, b, ids, scale, ignore_index, label_smoothing, reduction, lse, total, rows, wanted
        )
    from ..autograd import enable_grad, grad

    with enable_grad():
        loss = cross_entropy(
            linear(x, w, b), wrap(ids), None if scale is None else wrap(scale), ignore_index=ignore_index,
            label_smoothing=label_smoothing, reduction=reduction,
        )  # fmt: skip
        given = [t for t, yes in zip((x, w, b), wanted, strict=True) if yes]
        found = iter(grad(loss, given, dy, create_graph=True))
    return [next(found) if yes else None for yes in wanted]
