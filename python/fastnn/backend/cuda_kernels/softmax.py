"""Softmax and cross-entropy, under their twins' names."""

import numpy as np

from .. import cuda_runtime as rt
from ._composed import module
from ._composed import package as twin
from ._native import arrays, contiguous, described, has, is_float, native, ran, scratch, stream, wide

_INT64 = np.dtype(np.int64)
_twins = module("softmax")


def _softmax(name, op):
    composed = getattr(twin, name)

    def forward(x, dim):
        if not is_float(x.dtype) or x.ndim == 0:
            return composed(x, dim)
        x = contiguous(x)
        out = arrays.empty(x.shape, x.dtype)
        native.softmax(op, described(x), None, dim % x.ndim, described(out), stream())
        ran("softmax")
        return out

    def backward(dy, y, dim):
        if not is_float(y.dtype) or dy.dtype != y.dtype or y.ndim == 0:
            return composed(dy, y, dim)
        dy, y = contiguous(arrays.broadcast_to(dy, y.shape)), contiguous(y)
        out = arrays.empty(y.shape, y.dtype)
        native.softmax(op, described(dy), described(y), dim % y.ndim, described(out), stream())
        ran("softmax")
        return out

    return forward if op < 2 else backward


softmax, log_softmax = _softmax("softmax", 0), _softmax("log_softmax", 1)
softmax_backward, log_softmax_backward = _softmax("softmax_backward", 2), _softmax("log_softmax_backward", 3)


def logsumexp(x, dim=None, keepdim=False):
    """Rows of -inf give -inf, +inf gives +inf."""
    one = dim[0] if isinstance(dim, tuple) and len(dim) == 1 else 0 if dim is None and x.ndim == 1 else None
    if one is None or not is_float(x.dtype) or x.ndim == 0 or x.shape[one] == 0:
        return twin.logsumexp(x, dim, keepdim)
    x = contiguous(x)
    shape = tuple(1 if i == one else n for i, n in enumerate(x.shape) if keepdim or i != one)
    out = arrays.empty(shape, x.dtype)
    native.logsumexp(described(x), one, described(out), stream())
    ran("logsumexp")
    return out


_REDUCTION = {"none": 0, "mean": 1, "sum": 2}


class _Total:
    """What 'mean' divides by: a number in device memory, read where one is wanted on the host."""

    __slots__ = ("array",)

    def __init__(self, array):
        self.array = array

    def __float__(self):
        return float(self.array)

    def __rtruediv__(self, x):
        return x / self.array.astype(x.dtype)


def checked_targets(target, classes, ignore_index):
    """target; IndexError for an id outside [0, classes) that is not ignore_index. While a step is being recorded nobody waits
    for the answer: such a row is left out, and a later replay raises."""
    bad = (target != ignore_index) & ((target < 0) | (target >= classes))
    if rt.recording() is not None:
        rt.capture.check(bad, IndexError, f"cross_entropy: a target was out of bounds for {classes} classes")
        return arrays.where(bad, ignore_index, target)
    if bad.any():
        raise IndexError(f"cross_entropy: target {int(target[bad][0])} is out of bounds for {classes} classes")
    return target


def _taken(logits, target, weight):
    return is_float(logits.dtype) and target.dtype == _INT64 and (weight is None or weight.dtype == logits.dtype)


def cross_entropy(logits, target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """From logits [N, C] and class ids [N]: (loss, logsumexp of each row, sum of the weights that 'mean' divides by).

    Raises IndexError for an id outside [0, C): that much is looked at before the kernel runs."""
    logits = _twins.pixel_rows(logits)
    n, classes = logits.shape
    if not _taken(logits, target, weight) or n == 0 or classes == 0:
        return twin.cross_entropy(logits, target, weight, ignore_index, label_smoothing, reduction)
    target = checked_targets(target, classes, ignore_index)
    d = wide(logits.dtype)
    logits, target, weight = contiguous(logits), contiguous(target), contiguous(weight)
    lse, losses, total = arrays.empty(n, d), arrays.empty(n, d), arrays.empty((), d)
    loss = None if reduction == "none" else arrays.empty((), d)
    given = (
        described(logits), described(target), described(weight), ignore_index, label_smoothing, _REDUCTION[reduction],
        described(lse), described(losses), described(loss), described(total), None,
    )  # fmt: skip
    memory, address = scratch(native.cross_entropy(*given, None, stream()))
    native.cross_entropy(*given, address, stream())
    ran("cross_entropy")
    return (losses if loss is None else loss).astype(logits.dtype, copy=False), lse, _Total(total)


def cross_entropy_backward(dloss, logits, target, weight, ignore_index, label_smoothing, reduction, lse, total_weight):
    """dlogits: for a kept row g ((a + b) softmax - a onehot - s / C w), a = (1 - s) w[t], b = s / C sum(w)."""
    if logits.ndim == 3:
        how = (weight, ignore_index, label_smoothing, reduction, lse, total_weight)
        rows = cross_entropy_backward(dloss, _twins.pixel_rows(logits), target, *how)
        return _twins.rows_to_pixels(rows, logits.shape)
    if not _taken(logits, target, weight) or not logits.size or dloss.dtype != logits.dtype:
        return twin.cross_entropy_backward(
            dloss, logits, target, weight, ignore_index, label_smoothing, reduction, lse, total_weight
        )
    d = wide(logits.dtype)
    total = total_weight.array if isinstance(total_weight, _Total) else arrays.asarray(total_weight, d)
    logits, target, weight = contiguous(logits), contiguous(target), contiguous(weight)
    lse = contiguous(lse.astype(d, copy=False))
    dloss = arrays.asarray(dloss) if reduction != "none" else contiguous(arrays.broadcast_to(dloss, target.shape))
    dlogits = arrays.empty(logits.shape, logits.dtype)
    given = (
        described(dloss), described(logits), described(target), described(weight), ignore_index, label_smoothing,
        _REDUCTION[reduction], described(lse), described(total.reshape(())), described(dlogits),
    )  # fmt: skip
    memory, address = scratch(native.cross_entropy_backward(*given, None, stream()))
    native.cross_entropy_backward(*given, address, stream())
    ran("cross_entropy_backward")
    return dlogits


__all__ = []
if has("softmax"):
    __all__ += ["log_softmax", "log_softmax_backward", "logsumexp", "softmax", "softmax_backward"]
if has("cross_entropy"):
    __all__ += ["cross_entropy", "cross_entropy_backward"]
