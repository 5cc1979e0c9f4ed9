"""Connectionist temporal classification in NumPy: all sequences of a batch and all states at once, one step in time
after the other (Graves et al. 2006, in logarithms)."""

import numpy as np

__all__ = ["ctc_loss", "ctc_loss_backward"]


def _extended(targets, blank):
    """[N, 2S + 1]: the targets with blanks around each."""
    n, s = targets.shape
    ext = np.full((n, 2 * s + 1), blank, np.int64)
    ext[:, 1::2] = targets
    return ext


def _jumps(ext, blank):
    """Where a state may be reached from the last but one: it is no blank, and another class than that one."""
    may = np.zeros(ext.shape, bool)
    may[:, 2:] = (ext[:, 2:] != blank) & (ext[:, 2:] != ext[:, :-2])
    return may


def _log_sum(*terms):
    """ln Σ e^term; -inf where all are."""
    m = terms[0]
    for t in terms[1:]:
        m = np.maximum(m, t)
    base = np.where(np.isneginf(m), 0, m)
    total = np.exp(terms[0] - base)
    for t in terms[1:]:
        total += np.exp(t - base)
    return np.log(total) + base


def _shifted(a, by):
    """a moved to later (by > 0) or earlier states, -inf where nothing came from."""
    out = np.full_like(a, -np.inf)
    if abs(by) >= a.shape[1]:
        return out
    if by > 0:
        out[:, by:] = a[:, :-by]
    else:
        out[:, :by] = a[:, -by:]
    return out


def _of_states(log_probs, ext):
    """[T, N, 2S + 1]: the logarithm of each state's class at each step."""
    return np.take_along_axis(log_probs, np.broadcast_to(ext, (log_probs.shape[0], *ext.shape)), 2)


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank):
    """(-ln p of each sequence [N], alpha [T, N, 2S + 1]: -inf past the end of a sequence or its target). log_probs
    [T, N, C]; targets [N, S], of which the first target_lengths count."""
    steps, n, _ = log_probs.shape
    ext = _extended(targets, blank)
    states = ext.shape[1]
    may = _jumps(ext, blank)
    rows = np.arange(n)
    alpha = np.full((steps, n, states), -np.inf, log_probs.dtype)
    if steps:
        alpha[0, :, 0] = log_probs[0, :, blank]
        if states > 1:
            alpha[0, :, 1] = np.where(target_lengths > 0, log_probs[0, rows, ext[:, 1]], -np.inf)
    here = _of_states(log_probs, ext)
    for t in range(1, steps):
        before = alpha[t - 1]
        jump = np.where(may, _shifted(before, 2), -np.inf)
        alpha[t] = _log_sum(before, _shifted(before, 1), jump) + here[t]
    last = np.maximum(input_lengths, 1) - 1
    if steps == 0:
        return np.where(target_lengths == 0, 0, np.inf).astype(log_probs.dtype), alpha
    end = 2 * target_lengths
    loss = -_log_sum(alpha[last, rows, end], np.where(end > 0, alpha[last, rows, np.maximum(end - 1, 0)], -np.inf))
    empty = np.where(target_lengths == 0, 0, np.inf)
    here = (np.arange(steps)[:, None] < input_lengths)[..., None] & (np.arange(states) <= end[:, None])
    alpha = np.where(here, alpha, -np.inf).astype(log_probs.dtype, copy=False)
    return np.where(input_lengths == 0, empty, loss).astype(log_probs.dtype), alpha


def ctc_loss_backward(dloss, log_probs, targets, input_lengths, target_lengths, blank, loss, alpha, zero_infinity):
    """The gradient by log_probs, as if they were log_softmax's: (e^log_probs - the states' share)·dloss, 0 past the end
    of a sequence; NaN, or with zero_infinity 0, for the sequences that have no alignment."""
    steps, n, classes = log_probs.shape
    ext = _extended(targets, blank)
    states = ext.shape[1]
    may = _jumps(ext, blank)
    ahead = np.zeros(ext.shape, bool)  # may this state go on to the next but one
    ahead[:, :-2] = may[:, 2:]
    end = 2 * target_lengths
    inside = np.arange(states) <= end[:, None]
    last = inside & (np.arange(states) >= end[:, None] - 1)  # where an alignment may end
    here = _of_states(log_probs, ext)
    both = np.empty(alpha.shape, log_probs.dtype)
    beta = np.full((n, states), -np.inf, log_probs.dtype)
    for t in range(steps - 1, -1, -1):
        on = _log_sum(beta, _shifted(beta, -1), np.where(ahead, _shifted(beta, -2), -np.inf)) + here[t]
        beta = np.where((input_lengths - 1 > t)[:, None] & inside, on, -np.inf)
        beta = np.where((input_lengths - 1 == t)[:, None] & last, here[t], beta)
        np.add(alpha[t], beta, out=both[t])
    # The states of one class together: ln Σ e^(alpha + beta), by the largest of the row.
    top = np.maximum.reduce(both, 2, keepdims=True)
    base = np.where(np.isneginf(top), 0, top)
    row = np.arange(steps * n).reshape(steps, n, 1) * classes
    share = np.bincount((row + ext).reshape(-1), np.exp(both - base).reshape(-1), steps * n * classes)
    share = share.reshape(log_probs.shape).astype(log_probs.dtype)
    # Products of probabilities near 1 and of tiny shares stay finite: the exponent is joined before exp.
    with np.errstate(divide="ignore"):
        exponent = np.log(share) + (base + loss[:, None]) - log_probs
    grad = np.where(share > 0, np.exp(log_probs) - np.exp(exponent), np.exp(log_probs))
    grad = np.where(np.isposinf(loss)[:, None], np.nan, grad).astype(log_probs.dtype, copy=False)
    grad = np.where((input_lengths > np.arange(steps)[:, None])[..., None], grad, 0).astype(grad.dtype, copy=False)
    factor = dloss[None, :, None]
    if zero_infinity:
        return np.where(np.isinf(loss)[None, :, None], 0, grad * factor)
    return grad * factor
