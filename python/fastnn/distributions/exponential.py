"""The exponential distribution."""

import fastnn

from . import constraints
from ._simple import LocationScale
from .exp_family import ExponentialFamily

__all__ = ["Exponential"]


class Exponential(LocationScale, ExponentialFamily):
    """Density rate·exp(-rate·x) for x >= 0."""

    _names = ("rate",)
    arg_constraints = {"rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, rate, validate_args=None):
        super().__init__(rate, validate_args=validate_args)

    @property
    def mean(self):
        return self.rate.reciprocal()

    @property
    def mode(self):
        return fastnn.zeros_like(self.rate)

    @property
    def stddev(self):
        return self.rate.reciprocal()

    @property
    def variance(self):
        return self.rate.pow(-2)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        return fastnn.empty(shape, dtype=self.rate.dtype).exponential_() / self.rate

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value):
        if self._validate_args:
            self._validate_sample(value)
        return 1 - fastnn.exp(-self.rate * value)

    def icdf(self, value):
        return -fastnn.log1p(-value) / self.rate

    def entropy(self):
        return 1.0 - fastnn.log(self.rate)
