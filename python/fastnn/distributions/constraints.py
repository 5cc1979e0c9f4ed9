"""Where parameters and values of distributions may lie. check(value) gives booleans, one an event."""

import fastnn

__all__ = [
    "Constraint", "boolean", "dependent", "dependent_property", "greater_than", "greater_than_eq", "half_open_interval",
    "independent", "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky", "multinomial",
    "nonnegative", "nonnegative_integer", "one_hot", "positive", "positive_definite", "positive_integer", "real",
    "real_vector", "simplex", "unit_interval",
]  # fmt: skip


class Constraint:
    """A region. event_dim: how many of the last dimensions are one event; is_discrete: whether it is countable."""

    is_discrete = False
    event_dim = 0

    def __init__(self, test=None, name="", event_dim=0, is_discrete=False):
        self._test, self._name = test, name
        self.event_dim, self.is_discrete = event_dim, is_discrete

    def check(self, value):
        """Whether each event of `value` lies in it."""
        return self._test(value)

    def __repr__(self):
        return self._name


class _Dependent(Constraint):
    """A region that the other parameters decide."""

    def __init__(self, *, event_dim=0, is_discrete=False):
        super().__init__(None, "Dependent()", event_dim, is_discrete)

    def __call__(self, *, event_dim=0, is_discrete=False):
        return _Dependent(event_dim=event_dim, is_discrete=is_discrete)

    def check(self, x):
        raise ValueError("Cannot determine validity of dependent constraint")


class dependent_property(property, _Dependent):
    """A property of a distribution that gives a constraint of its parameters."""

    def __init__(self, fn=None, *, is_discrete=False, event_dim=0):
        property.__init__(self, fn)
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, fn):
        return dependent_property(fn, is_discrete=self.is_discrete, event_dim=self.event_dim)

    __repr__ = object.__repr__


def is_dependent(constraint) -> bool:
    """Whether check needs a distribution first."""
    return isinstance(constraint, _Dependent)


class independent(Constraint):
    """A constraint whose last dimensions count as one event: it holds where all of theirs do."""

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims
        super().__init__(
            None,
            f"Independent({base_constraint!r}, {reinterpreted_batch_ndims})",
            base_constraint.event_dim + reinterpreted_batch_ndims,
            base_constraint.is_discrete,
        )

    def check(self, value):
        result = self.base_constraint.check(value)
        n = self.reinterpreted_batch_ndims
        if result.dim() < n:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.dim()}")
        return result if n == 0 else result.reshape(*result.shape[: result.dim() - n], -1).all(-1)


def _is_integer(v):
    return v % 1 == 0


def interval(lower_bound, upper_bound):
    """[lower_bound, upper_bound]"""
    name = f"Interval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    made = Constraint(lambda v: (lower_bound <= v) & (v <= upper_bound), name)
    made.lower_bound, made.upper_bound = lower_bound, upper_bound
    return made


def half_open_interval(lower_bound, upper_bound):
    """[lower_bound, upper_bound)"""
    name = f"HalfOpenInterval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(lambda v: (lower_bound <= v) & (v < upper_bound), name)


def greater_than(lower_bound):
    """(lower_bound, inf]"""
    return Constraint(lambda v: v > lower_bound, f"GreaterThan(lower_bound={lower_bound})")


def greater_than_eq(lower_bound):
    """[lower_bound, inf]"""
    return Constraint(lambda v: v >= lower_bound, f"GreaterThanEq(lower_bound={lower_bound})")


def less_than(upper_bound):
    """[-inf, upper_bound)"""
    return Constraint(lambda v: v < upper_bound, f"LessThan(upper_bound={upper_bound})")


def integer_interval(lower_bound, upper_bound):
    """The integers from lower_bound to upper_bound."""
    name = f"IntegerInterval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(
        lambda v: _is_integer(v) & (lower_bound <= v) & (v <= upper_bound), name, is_discrete=True
    )  # fmt: skip


def multinomial(upper_bound):
    """Counts that sum to upper_bound."""
    return Constraint(
        lambda x: (x >= 0).all(-1) & (x.sum(-1) <= upper_bound), "Multinomial()", event_dim=1, is_discrete=True
    )


def _is_simplex(v):
    return (v >= 0).all(-1) & ((v.sum(-1) - 1).abs() < 1e-6)


def _is_positive_definite(v):
    symmetric = fastnn.isclose(v, v.mT, atol=1e-6).all(-2).all(-1)
    return symmetric if not bool(symmetric.all()) else symmetric & (fastnn.linalg.cholesky_ex(v).info == 0)


def _is_lower_cholesky(v):
    return (v.tril() == v).flatten(-2).all(-1) & (v.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


dependent = _Dependent()
boolean = Constraint(lambda v: (v == 0) | (v == 1), "Boolean()", is_discrete=True)
real = Constraint(lambda v: v == v, "Real()")  # NaN is none
real_vector = independent(real, 1)
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
nonnegative_integer = Constraint(
    lambda v: _is_integer(v) & (v >= 0), "IntegerGreaterThan(lower_bound=0)", is_discrete=True
)
positive_integer = Constraint(
    lambda v: _is_integer(v) & (v >= 1), "IntegerGreaterThan(lower_bound=1)", is_discrete=True
)
simplex = Constraint(_is_simplex, "Simplex()", event_dim=1)
one_hot = Constraint(
    lambda v: ((v == 0) | (v == 1)).all(-1) & (v.sum(-1) == 1), "OneHot()", event_dim=1, is_discrete=True
)
positive_definite = Constraint(_is_positive_definite, "PositiveDefinite()", event_dim=2)
lower_cholesky = Constraint(_is_lower_cholesky, "LowerCholesky()", event_dim=2)
