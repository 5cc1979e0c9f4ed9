"""Comparing whole tensors: equal, allclose, isclose."""

from ..backend import xp
from ..tensor import Tensor, wrap


def equal(input, other):
    """Whether both have the same shape and elements."""
    return input._a.shape == other._a.shape and bool((input._a == other._a).all())


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """|input - other| <= atol + rtol·|other|, elementwise; bool."""
    if input._a.dtype != other._a.dtype:
        raise RuntimeError(f"{input.dtype} and {other.dtype} do not match: isclose needs one dtype")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"rtol and atol must be non-negative, got rtol={rtol}, atol={atol}")
    return wrap(xp.asarray(xp.isclose(input._a, other._a, rtol, atol, equal_nan)))


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close (isclose)."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._a.all())


def is_tensor(obj):
    return isinstance(obj, Tensor)


def numel(input):
    return input._a.size


def is_floating_point(input):
    return input.is_floating_point()


def is_complex(input):
    return input.is_complex()
