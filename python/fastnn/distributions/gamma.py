"""The gamma distribution."""

import fastnn
from fastnn.ops.sampling import _standard_gamma

from . import constraints
from ._simple import LocationScale
from .exp_family import ExponentialFamily

__all__ = ["Gamma"]


class Gamma(LocationScale, ExponentialFamily):
    """Density rate^a·x^(a-1)·exp(-rate·x)/Γ(a), a the concentration."""

    _names = ("concentration", "rate")
    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, concentration, rate, validate_args=None):
        super().__init__(concentration, rate, validate_args=validate_args)

    @property
    def mean(self):
        return self.concentration / self.rate

    @property
    def mode(self):
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self):
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        value = _standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        value.detach().clamp_(min=fastnn.finfo(value.dtype).tiny)
        return value

    def log_prob(self, value):
        if not isinstance(value, fastnn.Tensor):
            value = fastnn.as_tensor(value, dtype=self.rate.dtype)
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration, self.rate
        return fastnn.xlogy(a, b) + fastnn.xlogy(a - 1, value) - b * value - fastnn.lgamma(a)

    def cdf(self, value):
        if self._validate_args:
            self._validate_sample(value)
        return fastnn.special.gammainc(self.concentration, self.rate * value)

    def entropy(self):
        a = self.concentration
        return a - fastnn.log(self.rate) + fastnn.lgamma(a) + (1.0 - a) * fastnn.digamma(a)
