"""The Dirichlet distribution."""

import fastnn
from fastnn.ops.sampling import _dirichlet

from . import constraints
from .exp_family import ExponentialFamily

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """Points of the simplex, with density Π x_i^(a_i - 1) over the beta function of the concentration a."""

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration, validate_args=None):
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    @property
    def mean(self):
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self):
        less = (self.concentration - 1).clamp(min=0.0)
        mode = less / less.sum(-1, True)
        flat = (self.concentration < 1).all(dim=-1, keepdim=True)
        at = fastnn.nn.functional.one_hot(mode.nan_to_num(-1).argmax(-1), less.shape[-1]).to(mode.dtype)
        return fastnn.where(flat, at, mode)

    @property
    def variance(self):
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def expand(self, batch_shape, _instance=None):
        return self._expanded(Dirichlet, _instance, batch_shape, ("concentration", 1))

    def rsample(self, sample_shape=()):
        return _dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return fastnn.xlogy(a - 1.0, value).sum(-1) + fastnn.lgamma(a.sum(-1)) - fastnn.lgamma(a).sum(-1)

    def entropy(self):
        a, k = self.concentration, self.concentration.size(-1)
        total = a.sum(-1)
        return (
            fastnn.lgamma(a).sum(-1)
            - fastnn.lgamma(total)
            - (k - total) * fastnn.digamma(total)
            - ((a - 1.0) * fastnn.digamma(a)).sum(-1)
        )
