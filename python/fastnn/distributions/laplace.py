"""The Laplace distribution."""

import fastnn

from . import constraints
from ._simple import LocationScale

__all__ = ["Laplace"]


class Laplace(LocationScale):
    """Density exp(-|x - loc|/scale)/(2·scale)."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc, scale, validate_args=None):
        super().__init__(loc, scale, validate_args=validate_args)

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        return 2 * self.scale.pow(2)

    @property
    def stddev(self):
        return 2**0.5 * self.scale

    def rsample(self, sample_shape=()):
        shape, dtype = self._extended_shape(sample_shape), self.loc.dtype
        u = fastnn.empty(shape, dtype=dtype).uniform_(fastnn.finfo(dtype).eps - 1, 1)
        return self.loc - self.scale * u.sign() * fastnn.log1p(-u.abs())

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        return -fastnn.log(2 * self.scale) - fastnn.abs(value - self.loc) / self.scale

    def cdf(self, value):
        if self._validate_args:
            self._validate_sample(value)
        d = value - self.loc
        return 0.5 - 0.5 * d.sign() * fastnn.expm1(-d.abs() / self.scale)

    def icdf(self, value):
        term = value - 0.5
        return self.loc - self.scale * term.sign() * fastnn.log1p(-2 * term.abs())

    def entropy(self):
        return 1 + fastnn.log(2 * self.scale)
