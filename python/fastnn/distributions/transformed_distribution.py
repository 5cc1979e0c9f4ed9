"""Distributions of what invertible maps make of another's values."""

import fastnn

from .distribution import Distribution
from .independent import Independent, sum_rightmost
from .transforms import ComposeTransform, Transform

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """Values of base_distribution, mapped by `transforms` one after another."""

    arg_constraints: dict = {}

    def __init__(self, base_distribution, transforms, validate_args=None):
        if isinstance(transforms, Transform):
            transforms = [transforms]
        elif not isinstance(transforms, list) or not all(isinstance(t, Transform) for t in transforms):
            raise ValueError(f"transforms must be a Transform or a list of Transforms, but was {transforms}")
        self.transforms = transforms
        base_event = len(base_distribution.event_shape)
        event_dim = max([base_event, *(t.event_dim for t in transforms)])
        if event_dim > base_event:
            base_distribution = Independent(base_distribution, event_dim - base_event)
        self.base_dist = base_distribution
        super().__init__(base_distribution.batch_shape, base_distribution.event_shape, validate_args=validate_args)

    @property
    def has_rsample(self):
        return self.base_dist.has_rsample

    @property
    def support(self):
        return self.transforms[-1].codomain if self.transforms else self.base_dist.support

    def __repr__(self):
        return f"{type(self).__name__}()"

    def expand(self, batch_shape, _instance=None):
        new = type(self).__new__(type(self)) if _instance is None else _instance
        new.transforms, new.base_dist = self.transforms, self.base_dist.expand(batch_shape)
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _map(self, x):
        for t in self.transforms:
            x = t(x)
        return x

    def sample(self, sample_shape=()):
        with fastnn.no_grad():
            return self._map(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()):
        return self._map(self.base_dist.rsample(sample_shape))

    def log_prob(self, value):
        if self._validate_args:
            n = len(self._event_shape)
            if self.transforms and n < self.support.event_dim:
                raise ValueError(f"log_prob: a value of {n} event dimensions, {self.support.event_dim} expected")
        event_dim, total, y = len(self.event_shape), 0.0, value
        for t in reversed(self.transforms):
            x = t.inv(y)
            total = total - sum_rightmost(t.log_abs_det_jacobian(x, y), event_dim - t.event_dim)
            y = x
        own = event_dim - len(self.base_dist.event_shape)
        return total + sum_rightmost(self.base_dist.log_prob(y), own)

    def _by_sign(self, p):
        """1 - p where the maps turn the order around."""
        sign = ComposeTransform(self.transforms).sign
        if isinstance(sign, int) and sign == 1:
            return p
        return sign * (p - 0.5) + 0.5

    def cdf(self, value):
        for t in reversed(self.transforms):
            value = t.inv(value)
        return self._by_sign(self.base_dist.cdf(value))

    def icdf(self, value):
        return self._map(self.base_dist.icdf(self._by_sign(value)))
