"""Losses of a prediction x and a target y, element by element, and their gradients by x times dy."""

import numpy as np

from .elementwise import _as, _give

__all__ = [
    "absolute_difference", "absolute_difference_backward", "bce", "bce_backward", "bce_with_logits",
    "bce_with_logits_backward", "huber", "huber_backward", "squared_difference", "squared_difference_backward",
]  # fmt: skip


def squared_difference(x, y, out=None):
    d = np.asarray(x - y)
    return _give(d * d, out)


def squared_difference_backward(dy, x, y):
    d = np.asarray(x - y)
    return _as(x, np.asarray((d + d) * dy))


def absolute_difference(x, y, out=None):
    return _give(np.absolute(np.asarray(x - y)), out)


def absolute_difference_backward(dy, x, y):
    """The slope is 0 where the two are equal, and at NaN."""
    d = np.asarray(x - y)
    return _as(x, np.asarray(((d > 0).astype(x.dtype) - (d < 0)) * dy))


def huber(x, y, delta, divisor=1.0, out=None):
    """c·(d - c/2) / divisor, d = x - y and c = d kept within ±delta: d²/2 inside, delta·(|d| - delta/2) outside."""
    d = np.asarray(x - y)
    c = np.minimum(np.maximum(d, -delta), delta)
    return _give(_as(x, np.asarray((d - 0.5 * c) * c / divisor)), out)


def huber_backward(dy, x, y, delta, divisor=1.0):
    return _as(x, np.asarray(np.minimum(np.maximum(np.asarray(x - y), -delta), delta) / divisor * dy))


def bce(x, y, out=None):
    """-(y·ln x + (1 - y)·ln(1 - x)), the logarithms kept above -100; NaN where x lies outside [0, 1]."""
    yes, no = np.maximum(np.log(x), -100.0), np.maximum(np.log1p(-x), -100.0)
    return _give(_as(x, np.asarray((y - 1) * no - y * yes)), out)


def bce_backward(dy, x, y):
    return _as(x, np.asarray((x - y) / np.maximum((1 - x) * x, 1e-12) * dy))


def bce_with_logits(x, y, out=None):
    """max(x, 0) - x·y + ln(1 + e^-|x|)"""
    return _give(_as(x, np.asarray(np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.absolute(x))))), out)


def bce_with_logits_backward(dy, x, y):
    e = np.exp(-np.absolute(x))  # sigmoid x from the exponential that does not overflow
    return _as(x, np.asarray((np.where(x >= 0, 1, e) / (1 + e) - y) * dy))
