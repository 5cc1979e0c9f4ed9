"""Draws from gamma, Dirichlet, Poisson and binomial distributions, element by element, with torch's CPU numbers."""

from .. import random as generators
from .._tape import grad_mode, record
from ..tensor import Tensor, wrap
from ._common import GRAPH

__all__ = ["_dirichlet", "_standard_gamma", "binomial", "poisson"]


def _floating(t, function, name):
    if not isinstance(t, Tensor):
        raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(t).__name__}")
    if t._a.dtype.kind != "f" or t._a.dtype.itemsize < 4:
        raise NotImplementedError(f"\"{function}\" not implemented for '{t.dtype.short}'; use float32 or float64")
    return t


def _constant_rule(k, dy, saved, needs):
    """Counts do not move with their parameters."""
    return tuple(None if n is None else k.zeros(dy.shape, dy.dtype) for n in needs)


def poisson(input, generator=None):
    """A Poisson draw of each rate in `input`, in its shape and dtype. Raises RuntimeError for a negative rate."""
    _floating(input, "poisson", "input")
    if not bool((input._a >= 0).all()):
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    r = wrap(Tensor._k.poisson(generators.engine(generator, input._a), input._a))
    if input._fn is not None and grad_mode.enabled:
        record(r, _constant_rule, (input._fn,), (), ())
    return r


def binomial(count, prob, generator=None):
    """A binomial draw for each pair of `count` and `prob`, which broadcast."""
    from .shape import broadcast_tensors

    _floating(count, "binomial", "count")
    _floating(prob, "binomial", "prob")
    if count._a.dtype != prob._a.dtype:
        raise RuntimeError(f"Found dtype {prob.dtype.short} but expected {count.dtype.short}")
    count, prob = broadcast_tensors(count, prob)
    r = wrap(Tensor._k.binomial(generators.engine(generator, count._a), count._a, prob._a))
    if (count._fn is not None or prob._fn is not None) and grad_mode.enabled:
        record(r, _constant_rule, (count._fn, prob._fn), (), ())
    return r


def _standard_gamma(concentration, generator=None):
    """A Gamma(concentration, 1) draw of each element; differentiable once."""
    _floating(concentration, "_standard_gamma", "concentration")
    r = wrap(Tensor._k.standard_gamma(generators.engine(generator, concentration._a), concentration._a))
    if concentration._fn is not None and grad_mode.enabled:
        record(r, standard_gamma_rule, (concentration._fn,), (concentration._a, r._a), (concentration, None))
    return r


def standard_gamma_rule(k, dy, saved, needs):
    """dx/dalpha: minus the derivative of the distribution function by alpha, over the density."""
    alpha, x = saved
    if k is GRAPH:
        raise RuntimeError("derivative for _standard_gamma_grad is not implemented")
    return (dy * k.standard_gamma_grad(alpha, x),)


def _dirichlet(concentration, generator=None):
    """A point of the simplex for each row of the last dimension; differentiable once."""
    _floating(concentration, "_sample_dirichlet", "concentration")
    r = wrap(Tensor._k.sample_dirichlet(generators.engine(generator, concentration._a), concentration._a))
    if concentration._fn is not None and grad_mode.enabled:
        record(r, dirichlet_rule, (concentration._fn,), (concentration._a, r._a), (concentration, None))
    return r


def dirichlet_rule(k, dy, saved, needs):
    """Each coordinate moves with its own parameter, and the others make room."""
    alpha, x = saved
    if k is GRAPH:
        raise RuntimeError("derivative for _dirichlet_grad is not implemented")
    total = alpha.sum(-1, keepdims=True) + 0 * alpha
    return (k.dirichlet_grad(x, alpha, total) * (dy - (x * dy).sum(-1, keepdims=True)),)
