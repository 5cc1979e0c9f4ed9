"""The base of all distributions."""

import fastnn
from fastnn.tensor import Size, Tensor

from . import constraints
from .utils import lazy_property

__all__ = ["Distribution"]


class Distribution:
    """A batch of distributions: batch_shape many, each over events of event_shape.

    A subclass gives rsample (has_rsample) or sample, log_prob, and what it has of mean, mode, variance, entropy, cdf,
    icdf and enumerate_support. With validation (the default) parameters and values that lie outside raise ValueError.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: dict = {}
    support = None
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether parameters and values are checked where validate_args is not given."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: expected True or False, got {value!r}")
        Distribution._validate_args = value

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            for name, constraint in self.arg_constraints.items():
                if constraints.is_dependent(constraint):
                    continue
                if name not in self.__dict__ and isinstance(getattr(type(self), name, None), lazy_property):
                    continue
                value = getattr(self, name)
                if not bool(constraint.check(value).all()):
                    raise ValueError(
                        f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of "
                        f"distribution {self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n"
                        f"{value}"
                    )

    @property
    def batch_shape(self) -> Size:
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        return self._event_shape

    def _missing(self, what):
        raise NotImplementedError(f"{type(self).__name__} has no {what}")

    @property
    def mean(self):
        return self._missing("mean")

    @property
    def mode(self):
        return self._missing("mode")

    @property
    def variance(self):
        return self._missing("variance")

    @property
    def stddev(self):
        return self.variance.sqrt()

    def expand(self, batch_shape, _instance=None):
        """The same distributions, their batch dimensions stretched to batch_shape."""
        return self._missing("expand()")

    def sample(self, sample_shape=()):
        """sample_shape draws of each distribution, without gradients."""
        with fastnn.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """Draws that gradients reach the parameters through."""
        return self._missing("rsample()")

    def sample_n(self, n):
        """n draws."""
        return self.sample(Size((n,)))

    def log_prob(self, value):
        """The logarithm of the density, or probability, at `value`."""
        return self._missing("log_prob()")

    def cdf(self, value):
        """The probability of at most `value`."""
        return self._missing("cdf()")

    def icdf(self, value):
        """The quantile: the inverse of cdf."""
        return self._missing("icdf()")

    def enumerate_support(self, expand=True):
        """All values of a discrete distribution, along the first dimension."""
        return self._missing("enumerate_support()")

    def entropy(self):
        return self._missing("entropy()")

    def perplexity(self):
        """exp(entropy)"""
        return fastnn.exp(self.entropy())

    def _extended_shape(self, sample_shape=()) -> Size:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _validate_sample(self, value) -> None:
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        n = value.dim() - len(self._event_shape)
        if value.shape[n:] != self._event_shape:
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{tuple(value.shape)} vs {tuple(self._event_shape)}."
            )
        expected = self._batch_shape + self._event_shape
        for i, j in zip(reversed(value.shape), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {tuple(value.shape)} vs {tuple(expected)}."
                )
        support = self.support
        if support is None or constraints.is_dependent(support):
            return
        if not bool(support.check(value).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the "
                f"support ({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _expanded(self, cls, _instance, batch_shape, *names):
        """A copy whose parameters `names` (those that exist) are expanded to batch_shape."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        batch_shape = Size(batch_shape)
        for name, event_dims in names:
            if name in self.__dict__:
                value = self.__dict__[name]
                shape = batch_shape + value.shape[value.dim() - event_dims :]
                setattr(new, name, value.expand(shape))
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def __repr__(self):
        names = [name for name in self.arg_constraints if name in self.__dict__]
        shown = []
        for name in names:
            value = self.__dict__[name]
            shown.append(f"{name}: {value if value.numel() == 1 else value.size()}")
        return f"{type(self).__name__}({', '.join(shown)})"
