"""The multinomial distribution."""

import math

import fastnn
from fastnn.tensor import Size

from . import constraints
from .binomial import Binomial
from .categorical import Categorical
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """How often each of K categories is drawn in total_count draws."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args=validate_args)

    def __repr__(self):
        return f"{type(self).__name__}()"

    @property
    def probs(self):
        return self._categorical.probs

    @property
    def logits(self):
        return self._categorical.logits

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self):
        return constraints.multinomial(self.total_count)

    @property
    def param_shape(self):
        return self._categorical.param_shape

    @property
    def mean(self):
        return self.probs * self.total_count

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def expand(self, batch_shape, _instance=None):
        new = type(self).__new__(type(self)) if _instance is None else _instance
        new.total_count, new._categorical = self.total_count, self._categorical.expand(batch_shape)
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def sample(self, sample_shape=()):
        sample_shape = Size(sample_shape)
        drawn = self._categorical.sample(Size((self.total_count,)) + sample_shape)
        drawn = drawn.permute(*range(1, drawn.dim()), 0)
        counts = fastnn.zeros(self._extended_shape(sample_shape), dtype=self._categorical._param.dtype)
        return counts.scatter_add_(-1, drawn, fastnn.ones(drawn.shape, dtype=counts.dtype))

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        logits = logits.clone().masked_fill((value == 0) & (logits == -fastnn.inf), 0)
        factorials = fastnn.lgamma(value.sum(-1) + 1) - fastnn.lgamma(value + 1).sum(-1)
        return factorials + (logits * value).sum(-1)

    def entropy(self):
        n = self.total_count
        each = Binomial(n, probs=self.probs)  # of the count of one category
        counts = each.enumerate_support(expand=False)[1:]
        beyond = fastnn.exp(each.log_prob(counts)) * fastnn.lgamma(counts + 1)
        return n * self._categorical.entropy() - math.lgamma(n + 1) + beyond.sum([0, -1])
