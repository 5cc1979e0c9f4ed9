"""The Gumbel distribution."""

import math

import fastnn

from . import constraints
from ._simple import LocationScale

__all__ = ["Gumbel"]
_EULER = 0.57721566490153286060


class Gumbel(LocationScale):
    """The distribution of the largest of many: cdf exp(-exp(-(x - loc)/scale))."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc, scale, validate_args=None):
        super().__init__(loc, scale, validate_args=validate_args)

    @property
    def mean(self):
        return self.loc + self.scale * _EULER

    @property
    def mode(self):
        return self.loc

    @property
    def stddev(self):
        return (math.pi / math.sqrt(6)) * self.scale

    @property
    def variance(self):
        return self.stddev.pow(2)

    def rsample(self, sample_shape=()):
        info = fastnn.finfo(self.loc.dtype)
        drawn = fastnn.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        u = info.tiny + drawn * ((1 - info.eps) - info.tiny)
        return self.loc - self.scale * (-u.log()).log()

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return (y - y.exp()) - self.scale.log()

    def cdf(self, value):
        return (-((self.loc - value) / self.scale).exp()).exp()

    def icdf(self, value):
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self):
        return self.scale.log() + (1 + _EULER)
