"""The normal distribution of vectors."""

import math

import fastnn
from fastnn.tensor import Size

from . import constraints
from .distribution import Distribution
from .utils import lazy_property, standard_normal

__all__ = ["MultivariateNormal"]


def _apply(matrix, vector):
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _squared_length(lower, v):
    """|L⁻¹·v|² for each vector."""
    shape = fastnn.broadcast_shapes(lower.shape[:-2], v.shape[:-1])
    n = v.shape[-1]
    solved = fastnn.linalg.solve_triangular(lower.expand(shape + (n, n)), v.expand(shape + (n,)).unsqueeze(-1),
                                            upper=False)  # fmt: skip
    return solved.squeeze(-1).pow(2).sum(-1)


class MultivariateNormal(Distribution):
    """Vectors around loc, given by their covariance, by its inverse, or by its lower Cholesky factor scale_tril."""

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {
            "covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril,
        }  # fmt: skip
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        batch = Size(fastnn.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1]))
        setattr(self, name, matrix.expand(batch + matrix.shape[-2:]))
        self.loc = loc.expand(batch + loc.shape[-1:])
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = fastnn.linalg.cholesky(matrix)
        else:  # of the matrix turned around, whose factor, turned and inverted, is the one sought
            turned = fastnn.linalg.cholesky(matrix.flip(-2, -1))
            inverse = turned.flip(-2, -1).mT
            eye = fastnn.eye(matrix.shape[-1], dtype=matrix.dtype)
            self._unbroadcasted_scale_tril = fastnn.linalg.solve_triangular(inverse, eye, upper=False)

    @lazy_property
    def scale_tril(self):
        return self._unbroadcasted_scale_tril.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self):
        lower = self._unbroadcasted_scale_tril
        return (lower @ lower.mT).expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self):
        lower = self._unbroadcasted_scale_tril
        eye = fastnn.eye(lower.shape[-1], dtype=lower.dtype).expand(lower.shape)
        inverse = fastnn.linalg.solve_triangular(lower, eye, upper=False)
        return (inverse.mT @ inverse).expand(self._batch_shape + self._event_shape + self._event_shape)

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def expand(self, batch_shape, _instance=None):
        names = ("covariance_matrix", "precision_matrix", "scale_tril")
        new = self._expanded(
            MultivariateNormal, _instance, batch_shape, ("loc", 1), *((name, 2) for name in names)
        )  # fmt: skip
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        return new

    def rsample(self, sample_shape=()):
        eps = standard_normal(self._extended_shape(sample_shape), self.loc.dtype)
        return self.loc + _apply(self._unbroadcasted_scale_tril, eps)

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        lower = self._unbroadcasted_scale_tril
        half_log_det = lower.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + _squared_length(lower, value - self.loc)) - half_log_det

    def entropy(self):
        half_log_det = self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        value = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + half_log_det
        return value if len(self._batch_shape) == 0 else value.expand(self._batch_shape)
