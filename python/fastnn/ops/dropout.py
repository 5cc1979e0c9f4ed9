"""Dropout: elements, or whole channels, zeroed at random and the rest scaled up. The draws are torch's."""

from .. import random as generators
from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from ._common import in_place
from .elementwise import add, mul
from .unary import operand


def _check_p(p, function):
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{function} probability has to be between 0 and 1, but got {p}")
    return float(p)


def dropout(input, p=0.5, training=True, inplace=False):
    """Each element 0 with probability p, else input/(1 - p); input itself unless training."""
    p = _check_p(p, "dropout")
    if inplace:
        return in_place(input, dropout, p, training) if training else input
    t = operand(input, "dropout")
    if not training or p == 0.0 or t._a.size == 0:
        return t if t._a.size == 0 or not training else mul(t, 1.0)
    if p == 1.0:
        return mul(t, wrap(xp.on(t._a).zeros(t._a.shape, t._a.dtype)))
    y, mask = Tensor._k.dropout(generators.engine(None, t._a), t._a, p)
    r = wrap(y)
    if t._fn is not None and grad_mode.enabled:
        record(r, dropout_rule, (t._fn,), (mask, p), ())
    return r


def dropout_rule(k, dy, saved, needs):
    return (k.dropout_backward(dy, *saved),)


def dropout_backward(dy, mask, p):
    """dy/(1 - p) where mask is set, else 0."""
    r = wrap(Tensor._k.dropout_backward(dy._a, mask, p))
    if dy._fn is not None and grad_mode.enabled:
        record(r, dropout_rule, (dy._fn,), (mask, p), ())
    return r


def _channel_mask(t, p, function):
    """The factors of [N, C] channels, 0 or 1/(1 - p), with 1 for the other dimensions."""
    shape = t._a.shape[:2] + (1,) * (t._a.ndim - 2)
    return dropout(wrap(xp.on(t._a).full(shape, 1, t._a.dtype)), p)


def _channels(name, batched):
    def drop(input, p=0.5, training=True, inplace=False):
        p = _check_p(p, "dropout")
        t = operand(input, name)
        if inplace:
            return in_place(input, drop, p, training) if training else input
        if not training:
            return t
        n = t._a.ndim
        if n == batched - 1 and name != "dropout2d":  # one image: its channels come first
            return mul(t, wrap(_channel_mask(wrap(t._a[None]), p, name)._a[0]))
        if n < 2:
            raise RuntimeError(f"{name}: Feature dropout requires at least 2 dimensions in the input")
        return mul(t, _channel_mask(t, p, name))

    drop.__name__ = drop.__qualname__ = name
    drop.__doc__ = "Each channel (dimension 1) 0 with probability p, else scaled by 1/(1 - p)."
    return drop


dropout1d, dropout2d, dropout3d = _channels("dropout1d", 3), _channels("dropout2d", 4), _channels("dropout3d", 5)

_ALPHA = -1.7580993408473766  # what selu tends to for large negative input: -scale·alpha


def _alpha(input, p, training, inplace, function, whole):
    p = _check_p(p, "dropout")
    if inplace:
        return in_place(input, lambda t: _alpha(t, p, training, False, function, whole)) if training else input
    t = operand(input, function)
    if not training or p == 0.0 or t._a.size == 0:
        return t
    if not whole and t._a.ndim < 2:
        raise RuntimeError(f"{function}: Feature dropout requires at least 2 dimensions in the input")
    if p == 1.0:
        return mul(t, 0.0)
    a = (1.0 / ((1.0 - p) * (1.0 + p * _ALPHA * _ALPHA))) ** 0.5
    like = xp.on(t._a).full(t._a.shape if whole else t._a.shape[:2] + (1,) * (t._a.ndim - 2), 1, t._a.dtype)
    kept = Tensor._k.cast(Tensor._k.dropout(generators.engine(None, like), like, p)[0] != 0, t._a.dtype)
    shift = Tensor._k.add(Tensor._k.mul(Tensor._k.sub(kept, 1.0), -a * _ALPHA), -a * _ALPHA * p)
    return add(mul(t, wrap(Tensor._k.mul(kept, a))), wrap(shift))


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout to selu's negative limit instead of 0, rescaled so that mean 0 and variance 1 stay."""
    return _alpha(input, p, training, inplace, "alpha_dropout", True)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """alpha_dropout of whole channels."""
    return _alpha(input, p, training, inplace, "feature_alpha_dropout", False)
