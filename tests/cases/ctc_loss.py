"""CTC by its definition: the sum over all paths, of few steps and classes, that collapse to the target, in float64."""

import itertools
import math

import numpy as np

from . import Case


def _paths(steps, classes, target, blank):
    for path in itertools.product(range(classes), repeat=steps):
        if [c for c, _ in itertools.groupby(path) if c != blank] == list(target):
            yield path


def _loss(log_probs, targets, inputs, lengths, blank):
    out = []
    for n, (steps, length) in enumerate(zip(inputs, lengths, strict=True)):
        total = math.fsum(
            math.exp(sum(log_probs[t, n, c] for t, c in enumerate(path)))
            for path in _paths(steps, log_probs.shape[2], targets[n, :length], blank)
        )
        out.append(-math.log(total) if total else math.inf)
    return np.array(out), None


def _backward(dloss, log_probs, targets, inputs, lengths, blank, loss, alpha, zero_infinity):
    """(e^log_probs - the share of the paths through each class)·dloss."""
    grad = np.zeros(log_probs.shape)
    for n, (steps, length) in enumerate(zip(inputs, lengths, strict=True)):
        if math.isinf(loss[n]):
            grad[:steps, n] = 0 if zero_infinity else np.nan
            continue
        grad[:steps, n] = np.exp(log_probs[:steps, n])
        for path in _paths(steps, log_probs.shape[2], targets[n, :length], blank):
            p = math.exp(sum(log_probs[t, n, c] for t, c in enumerate(path)) + loss[n])
            for t, c in enumerate(path):
                grad[t, n, c] -= p
        grad[:, n] *= dloss[n]
    return grad


def _make(steps, classes, longest, blank):
    def make(rng, d):
        n = 4
        x = rng.standard_normal((steps, n, classes))
        log_probs = x - np.log(np.exp(x).sum(2, keepdims=True))
        targets = rng.integers(0, classes - 1, (n, longest))
        targets += targets >= blank
        if longest > 1:
            targets[0, :2] = targets[0, 0]  # repeated: a blank must come between
        inputs = np.array([steps, max(steps - 1, 0), steps, min(1, steps)])
        lengths = np.array([longest, max(longest - 1, 0), 0, longest])
        return log_probs.astype(d), targets, inputs, lengths, blank

    return make


def _make_backward(make, zero_infinity):
    def backward(rng, d):
        from fastnn.backend import numpy_kernels as twins

        given = make(rng, d)
        loss, alpha = twins.ctc_loss(*given)
        return rng.standard_normal(4).astype(d), *given, loss, alpha, zero_infinity

    return backward


CASES = []
for steps, classes, longest, blank in ((5, 3, 2, 0), (5, 4, 3, 3), (6, 3, 3, 1), (1, 2, 1, 0), (4, 2, 0, 0)):
    make = _make(steps, classes, longest, blank)
    label = f"{steps}x{classes}_{longest}_{blank}"
    CASES.append(Case("ctc_loss", label, make, _loss))
    for zero in (False, True):
        name = label + ("_zero" if zero else "")
        CASES.append(Case("ctc_loss_backward", name, _make_backward(make, zero), _backward))
