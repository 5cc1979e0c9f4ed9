"""Comparing whole tensors, and questions about tensors and dtypes: equal, allclose, isclose, can_cast ..."""

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


def is_signed(input):
    return input.is_signed()


def is_inference(input):
    return input.is_inference()


def is_nonzero(input):
    """Whether the single element is not 0. RuntimeError for more or fewer elements."""
    return bool(input)


def is_same_size(input, other):
    return input._a.shape == other._a.shape


def can_cast(from_, to):
    """Whether a result of dtype from_ may be written to dtype to: never to a lower category."""
    return from_.category <= to.category and not (
        from_.category == to.category == 1 and from_.is_signed and not to.is_signed
    )


def broadcast_shapes(*shapes):
    """The common shape that shapes (tuples or ints) broadcast to."""
    from ..tensor import Size

    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    for s in given:
        if any(n < 0 for n in s):
            raise RuntimeError(f"Trying to create tensor with negative dimension ({min(s)}): ({min(s)})")
    try:
        return Size(xp.broadcast_shapes(*given))
    except ValueError:
        raise RuntimeError(f"Shape mismatch: objects cannot be broadcast to a single shape, got {given}") from None


def detach(input):
    """The same memory outside the graph."""
    return input.detach()
