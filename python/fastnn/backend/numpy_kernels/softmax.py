"""NumPy twins of softmax and cross-entropy: the readable definition of each, and what runs where nothing is compiled.

A row with a NaN, with +inf, or of -inf alone is NaN throughout, as in torch.
"""

import numpy as np


def _shifted(x, dim):
    return x - np.maximum.reduce(x, dim, None, None, True, -np.inf)


def softmax(x, dim):
    if x.ndim == 0:
        return softmax(x.reshape(1), 0).reshape(())
    e = np.exp(_shifted(x, dim))
    e /= np.add.reduce(e, dim, None, None, True)
    return e


def softmax_backward(dy, y, dim):
    if y.ndim == 0:
        return softmax_backward(dy.reshape(1), y.reshape(1), 0).reshape(())
    g = dy * y
    g -= y * np.add.reduce(g, dim, None, None, True)
    return g


def log_softmax(x, dim):
    if x.ndim == 0:
        return log_softmax(x.reshape(1), 0).reshape(())
    s = _shifted(x, dim)
    s -= np.log(np.add.reduce(np.exp(s), dim, None, None, True))
    return s


def log_softmax_backward(dy, y, dim):
    if y.ndim == 0:
        return log_softmax_backward(dy.reshape(1), y.reshape(1), 0).reshape(())
    return dy - np.exp(y) * np.add.reduce(dy, dim, None, None, True)


def checked_targets(target, classes, ignore_index):
    """target; IndexError for an id outside [0, classes) that is not ignore_index."""
    bad = (target != ignore_index) & ((target < 0) | (target >= classes))
    if bad.any():
        raise IndexError(f"cross_entropy: target {int(target[bad][0])} is out of bounds for {classes} classes")
    return target


def _targets(logits, target, ignore_index):
    """(kept rows as bool, target with 0 at the rows that are ignored)."""
    kept = checked_targets(target, logits.shape[1], ignore_index) != ignore_index
    return kept, np.where(kept, target, 0)


def loss_sum(losses):
    """The losses of a batch, [N], added in torch's order: the first apart, then sixteen at a time, sixteen of these sums,
    and so on up to seven levels; what each level leaves is added from the lowest up."""
    if losses.dtype.kind != "f" or losses.itemsize < 4:
        return np.asarray(np.add.reduce(losses, dtype=np.float32).astype(losses.dtype))
    parts, level = [], losses[1:]
    for _ in range(6):
        whole = level.size - level.size % 16
        parts.append(level[whole:])
        level = np.add.accumulate(level[:whole].reshape(-1, 16), 1)[:, -1]  # one by one; reduce would go pairwise
    total = losses.dtype.type(0)
    for part in (*parts, level, losses[:1]):
        sum_of_part = losses.dtype.type(0)
        for x in part:
            sum_of_part += x
        total += sum_of_part
    return np.asarray(total)


def pixel_rows(logits):
    """[N, C, L] as rows [N·L, C]; rows as they are."""
    return logits if logits.ndim == 2 else logits.swapaxes(1, 2).reshape(-1, logits.shape[1])


def rows_to_pixels(rows, shape):
    """pixel_rows undone: contiguous."""
    return np.ascontiguousarray(rows.reshape(shape[0], shape[2], shape[1]).swapaxes(1, 2))


def cross_entropy(logits, target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """From logits [N, C] (or [N, C, L], the pixels of images) and class ids [N] (or [N·L]): (loss, logsumexp of each row,
    sum of the weights that 'mean' divides by).

    loss_i = (1 - s) w[t] (lse - x[t]) + s / C * sum_c w[c] (lse - x[c]), and 0 where t is ignore_index.
    """
    logits = pixel_rows(logits)
    n, classes = logits.shape
    kept, safe = _targets(logits, target, ignore_index)
    m = np.maximum.reduce(logits, 1, None, None, True, -np.inf)
    lse = np.log(np.add.reduce(np.exp(logits - m), 1)) + m[:, 0]
    rows = np.arange(n)
    loss = lse - (logits[rows, safe] if classes else lse)
    if weight is not None:
        loss = loss * weight[safe]
    if label_smoothing:
        away = lse[:, None] - logits
        smooth = (away if weight is None else away * weight).sum(1) * (label_smoothing / classes)
        loss = loss * (1 - label_smoothing) + smooth
    loss = np.where(kept, loss, 0).astype(logits.dtype, copy=False)
    total = float(np.where(kept, 1 if weight is None else weight[safe], 0).sum(dtype=np.float64))
    if reduction != "none":
        loss = loss_sum(loss)
        if reduction == "mean":
            loss = np.true_divide(loss, total, dtype=logits.dtype)  # 0 / 0 where every row is ignored: NaN, as torch
    return np.asarray(loss), lse, total


def cross_entropy_backward(dloss, logits, target, weight, ignore_index, label_smoothing, reduction, lse, total_weight):
    """dlogits: for a kept row g ((a + b) softmax - a onehot - s / C w), a = (1 - s) w[t], b = s / C sum(w)."""
    if logits.ndim == 3:
        how = (weight, ignore_index, label_smoothing, reduction, lse, total_weight)
        return rows_to_pixels(cross_entropy_backward(dloss, pixel_rows(logits), target, *how), logits.shape)
    n, classes = logits.shape
    kept, safe = _targets(logits, target, ignore_index)
    g = np.broadcast_to(dloss / total_weight if reduction == "mean" else dloss, (n,))
    a = np.full(n, 1 - label_smoothing) if weight is None else weight[safe] * (1 - label_smoothing)
    uniform = 0 if not label_smoothing else label_smoothing / classes
    dx = np.exp(logits - lse[:, None])
    b = uniform * (classes if weight is None else weight.sum())
    dx *= (g * (a + b))[:, None].astype(dx.dtype, copy=False)
    if uniform:
        dx -= g[:, None] * (uniform if weight is None else uniform * weight)
    if classes:
        dx[np.arange(n), safe] -= g * a
    dx[~kept] = 0
    return dx


__all__ = [
    "softmax", "softmax_backward", "log_softmax", "log_softmax_backward", "loss_sum", "cross_entropy",
    "cross_entropy_backward",
]  # fmt: skip
