"""The half-Cauchy distribution."""

import math

import fastnn

from . import constraints
from ._simple import LocationScale
from .cauchy import Cauchy

__all__ = ["HalfCauchy"]


class HalfCauchy(LocationScale):
    """The absolute value of a Cauchy number around 0; it has no mean."""

    _names = ("scale",)
    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, scale, validate_args=None):
        super().__init__(scale, validate_args=validate_args)

    @property
    def _base(self):
        return Cauchy(fastnn.zeros_like(self.scale), self.scale, validate_args=False)

    def __repr__(self):
        return f"{type(self).__name__}()"

    @property
    def mean(self):
        return fastnn.full(self._extended_shape(), math.inf, dtype=self.scale.dtype)

    @property
    def mode(self):
        return fastnn.zeros_like(self.scale)

    @property
    def variance(self):
        return self._base.variance

    def rsample(self, sample_shape=()):
        return self._base.rsample(sample_shape).abs()

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        return fastnn.where(value >= 0, self._base.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value):
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self._base.cdf(value) - 1

    def icdf(self, value):
        return self._base.icdf((value + 1) / 2)

    def entropy(self):
        return self._base.entropy() - math.log(2)
