"""The negative binomial distribution."""

import fastnn
from fastnn.nn.functional import logsigmoid

from . import constraints
from .distribution import Distribution
from .gamma import Gamma
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["NegativeBinomial"]


class NegativeBinomial(Distribution):
    """How many trials succeed, each with probability probs, until total_count have failed."""

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        self.total_count, param = broadcast_all(total_count, probs if probs is not None else logits)
        setattr(self, "probs" if probs is not None else "logits", param)
        self.total_count = self.total_count.type_as(param)
        self._param = param
        super().__init__(param.shape, validate_args=validate_args)

    @lazy_property
    def logits(self):
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self):
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self):
        return self._param.size()

    @property
    def mean(self):
        return self.total_count * self.logits.exp()

    @property
    def mode(self):
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self):
        return self.mean / (-self.logits).sigmoid()

    def expand(self, batch_shape, _instance=None):
        names = ("total_count", "probs", "logits", "_param")
        return self._expanded(NegativeBinomial, _instance, batch_shape, *((name, 0) for name in names))

    def sample(self, sample_shape=()):
        """A Poisson number whose rate is a gamma number."""
        with fastnn.no_grad():
            gamma = Gamma(self.total_count, (-self.logits).exp(), validate_args=False)
            return fastnn.poisson(gamma.sample(sample_shape))

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        odds = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        ways = (n + value).lgamma() - (1.0 + value).lgamma() - n.lgamma()
        return odds + ways.masked_fill(n + value == 0, 0.0)
