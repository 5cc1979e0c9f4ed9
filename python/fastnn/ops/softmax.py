"""softmax, log_softmax and softmin, each one op with its gradient kernel."""

import warnings

from .. import dtypes as dt
from .._tape import grad_mode, own_version, record
from ..tensor import Tensor, check_dim, wrap
from ._common import missing_dim, numpy_dim
from .cast import cast
from .elementwise import add, div, mul, sub
from .random import exponential_
from .reduce import sum
from .unary import exp, log, neg, operand

_NO_DIM = object()  # not None, which means torch's guess


def _prepare(input, dim, dtype, function):
    """The input in the dtype asked for, and dim from the front; torch's guess where dim is None, with its warning."""
    t = input if isinstance(input, Tensor) else operand(input, function)
    if dim is None:
        warnings.warn(
            f"Implicit dimension choice for {function} has been deprecated. Change the call to include dim=X as an "
            "argument.",
            stacklevel=3,
        )
        dim = 0 if t._a.ndim in (0, 1, 3) else 1
    if dtype is not None:
        t = cast(t, dt.as_dtype(dtype, function))
    if t._a.dtype.kind in "iub":
        raise NotImplementedError(f"\"{function}_kernel_impl\" not implemented for '{t.dtype.short}'")
    return t, check_dim(dim, t._a.ndim)


def softmax(input, dim=_NO_DIM, dtype=None, *, _stacklevel=3, **numpy):
    """e^x / Σ e^x along `dim`."""
    if numpy:
        dim = numpy_dim("softmax", numpy, dim, default=_NO_DIM)
    if dim is _NO_DIM:
        raise missing_dim("softmax")
    t, dim = _prepare(input, dim, dtype, "softmax")
    r = wrap(Tensor._k.softmax(t._a, dim))
    if t._fn is not None and grad_mode.enabled:
        record(r, softmax_rule, (t._fn,), (r._a, dim), (own_version(r), None))
    return r


def softmax_rule(k, dy, saved, needs):
    return (k.softmax_backward(dy, *saved),)


def softmax_backward(dy, y, dim):
    """y·(dy - Σ dy·y), y = softmax x."""
    g = mul(dy, y)
    return sub(g, mul(y, sum(g, dim, True)))


def log_softmax(input, dim=_NO_DIM, dtype=None, *, _stacklevel=3, **numpy):
    """x - ln Σ e^x along `dim`."""
    if numpy:
        dim = numpy_dim("log_softmax", numpy, dim, default=_NO_DIM)
    if dim is _NO_DIM:
        raise missing_dim("log_softmax")
    t, dim = _prepare(input, dim, dtype, "log_softmax")
    r = wrap(Tensor._k.log_softmax(t._a, dim))
    if t._fn is not None and grad_mode.enabled:
        record(r, log_softmax_rule, (t._fn,), (r._a, dim), (own_version(r), None))
    return r


def log_softmax_rule(k, dy, saved, needs):
    return (k.log_softmax_backward(dy, *saved),)


def log_softmax_backward(dy, y, dim):
    """dy - e^y·Σ dy, y = log_softmax x."""
    return sub(dy, mul(exp(y), sum(dy, dim, True)))


def softmin(input, dim=None, dtype=None, *, _stacklevel=3):
    """softmax of -input."""
    t, dim = _prepare(input, dim, dtype, "softmin")
    return softmax(neg(t), dim)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """softmax of (logits + Gumbel noise)/tau along `dim`; hard: one-hot, with the gradient of the soft result."""
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    t = operand(logits, "gumbel_softmax")
    noise = neg(log(exponential_(wrap(Tensor._k.zeros(t._a.shape, t._a.dtype)))))
    soft = softmax(div(add(t, noise), tau), dim)
    if not hard:
        return soft
    a = soft._a
    place = Tensor._k.argmax(a, check_dim(dim, a.ndim), True)
    one_hot = wrap(Tensor._k.scatter(Tensor._k.zeros(a.shape, a.dtype), check_dim(dim, a.ndim), place, 1.0))
    return add(sub(one_hot, soft.detach()), soft)
