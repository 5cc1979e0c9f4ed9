"""Student's t distribution."""

import math

import fastnn

from . import constraints
from ._simple import LocationScale
from .chi2 import Chi2
from .utils import standard_normal

__all__ = ["StudentT"]


class StudentT(LocationScale):
    """loc + scale·t with df degrees of freedom."""

    _names = ("df", "loc", "scale")
    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        super().__init__(df, loc, scale, validate_args=validate_args)

    @property
    def mean(self):
        return self.loc.masked_fill(self.df <= 1, math.nan)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        full = self.scale.pow(2) * self.df / (self.df - 2)
        return full.masked_fill(self.df <= 2, math.inf).masked_fill(self.df <= 1, math.nan)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        x = standard_normal(shape, self.df.dtype)
        z = Chi2(self.df, validate_args=False).rsample(sample_shape)
        return self.loc + self.scale * (x * fastnn.rsqrt(z / self.df))

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        y = (value - self.loc) / self.scale
        z = (
            self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi)
            + fastnn.lgamma(0.5 * self.df) - fastnn.lgamma(0.5 * (self.df + 1.0))
        )  # fmt: skip
        return -0.5 * (self.df + 1.0) * fastnn.log1p(y**2.0 / self.df) - z

    def entropy(self):
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        beta = fastnn.lgamma(half) + math.lgamma(0.5) - fastnn.lgamma(half + 0.5)
        return self.scale.log() + more * (fastnn.digamma(more) - fastnn.digamma(half)) + 0.5 * self.df.log() + beta
