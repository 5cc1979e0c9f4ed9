"""The exponential family, as a class to test for."""

from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Distributions of the form exp(η(θ)·t(x) - F(θ) + k(x))."""
