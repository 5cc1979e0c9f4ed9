"""Special functions: the gamma function's family, Bessel's, the normal distribution's; fastnn.special names them too."""

import math

from .. import dtypes as dt
from .._tape import grad_mode, record
from ..tensor import Tensor, wrap
from ._common import operands, write_out
from .cast import cast
from .elementwise import _check_one_tensor, _kernel
from .unary import INPUT, RESULT, _op, in_place_form, operand

lgamma = _op("lgamma", "ln |Γ(input)|", INPUT, lambda k, dy, x: k.mul(dy, k.digamma(x)))
digamma = _op("digamma", "The derivative of lgamma.", INPUT, lambda k, dy, x: k.mul(dy, k.polygamma(x, 1)))
i0 = _op("i0", "The modified Bessel function of order 0.", INPUT, lambda k, dy, x: k.mul(dy, k.i1(x)))


def _over(k, y, x, at_zero):
    """y/x, `at_zero` at 0."""
    zero = k.eq(x, 0.0)
    return k.where(zero, at_zero, k.div(y, k.where(zero, 1.0, x)))


i1 = _op(
    "i1", "The modified Bessel function of order 1.", INPUT,
    lambda k, dy, x: k.mul(dy, k.sub(k.i0(x), _over(k, k.i1(x), x, 0.5))),
)  # fmt: skip
i0e = _op("i0e", "e^-|input|·i0(input)", INPUT, lambda k, dy, x: k.mul(dy, k.sub(k.i1e(x), k.mul(k.sign(x), k.i0e(x)))))
i1e = _op(
    "i1e", "e^-|input|·i1(input)", INPUT,
    lambda k, dy, x: k.mul(
        dy, k.sub(k.sub(k.i0e(x), k.mul(k.sign(x), k.i1e(x))), _over(k, k.i1e(x), x, 0.5))
    ),
)  # fmt: skip
erfcx = _op(
    "erfcx", "e^(input²)·erfc(input)", INPUT,
    lambda k, dy, x: k.mul(dy, k.sub(k.mul(k.mul(x, 2.0), k.erfcx(x)), 2 / math.sqrt(math.pi))),
)  # fmt: skip
ndtr = _op(
    "ndtr", "The standard normal distribution function.", INPUT,
    lambda k, dy, x: k.mul(dy, k.mul(k.exp(k.mul(k.mul(x, x), -0.5)), 1 / math.sqrt(2 * math.pi))),
)  # fmt: skip
log_ndtr = _op(
    "log_ndtr", "ln ndtr(input)", INPUT,
    lambda k, dy, x: k.mul(dy, k.div(math.sqrt(2 / math.pi), k.erfcx(k.mul(x, -math.sqrt(0.5))))),
)  # fmt: skip
ndtri = _op(
    "ndtri", "The inverse of ndtr.", RESULT,
    lambda k, dy, y: k.mul(dy, k.mul(k.exp(k.mul(k.mul(y, y), 0.5)), math.sqrt(2 * math.pi))),
)  # fmt: skip
entr = _op("entr", "-input·ln input", INPUT, lambda k, dy, x: k.neg(k.mul(dy, k.add(k.log(x), 1.0))))


def _sinc_slope(k, dy, x):
    """(cos πx - sinc x)/x, 0 at 0."""
    return k.mul(dy, _over(k, k.sub(k.cos(k.mul(x, math.pi)), k.sinc(x)), x, 0.0))


sinc = _op("sinc", "sin(π·input)/(π·input), 1 at 0.", INPUT, _sinc_slope)
lgamma_, digamma_, i0_, sinc_ = (in_place_form(f.__name__, f) for f in (lgamma, digamma, i0, sinc))


def polygamma(n, input, *, out=None):
    """The n-th derivative of digamma. (Rules call it as the kernel: polygamma(x, n).)"""
    if isinstance(n, Tensor):
        n, input = input, n
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    t = operand(input, "polygamma")
    if t._a.dtype.kind in "iub":
        t = cast(t, dt.get_default_dtype())
    r = wrap(Tensor._k.polygamma(t._a, n))
    if t._fn is not None and grad_mode.enabled:
        record(r, polygamma_rule, (t._fn,), (t._a, n), (t, None))
    return r if out is None else write_out(out, r)


def polygamma_rule(k, dy, saved, needs):
    x, n = saved
    return (k.mul(dy, k.polygamma(x, n + 1)),)


def mvlgamma(input, p):
    """The multivariate log-gamma function of dimension p: Σ ln Γ(input - i/2) + p(p-1)/4·ln π."""
    from .elementwise import add, sub
    from .reduce import sum as sum_
    from .shape import unsqueeze

    t = operand(input, "mvlgamma")
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    if t._a.dtype.kind in "iub":
        t = cast(t, dt.get_default_dtype())
    from .create import tensor

    offsets = tensor([i / 2 for i in range(p)], dtype=t.dtype, device=t.device)
    return add(sum_(lgamma(sub(unsqueeze(t, -1), offsets)), -1), p * (p - 1) / 4 * math.log(math.pi))


multigammaln = mvlgamma


def zeta(input, other, *, out=None):
    """Hurwitz's ζ(input, other); differentiable with respect to `other` alone."""
    _check_one_tensor(input, other, "zeta")
    a, b, x, y = operands(input, other, "zeta", floating=True)
    r = _kernel("zeta", x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, zeta_rule, (a._fn, b._fn), (x, y), (a, b))
    return r if out is None else write_out(out, r)


def zeta_rule(k, dy, saved, needs):
    x, y = saved
    if needs[0] is not None:
        raise NotImplementedError(
            "the derivative for 'special_zeta' with respect to its first argument is not implemented."
        )
    return None, k.sum_to(k.neg(k.mul(dy, k.mul(x, k.zeta(k.add(x, 1.0), y)))), y.shape)


def _incomplete(name, sign, doc):
    def rule(k, dy, saved, needs):
        a, x = saved
        if needs[0] is not None:
            raise NotImplementedError(f"the derivative for '{name}: input' is not implemented.")
        density = k.exp(k.sub(k.sub(k.mul(k.sub(a, 1.0), k.log(x)), x), k.lgamma(a)))
        return None, k.sum_to(k.mul(dy, k.mul(density, sign)), x.shape)

    rule.__name__ = rule.__qualname__ = name + "_rule"

    def f(input, other, *, out=None):
        for v in (input, other):
            if not isinstance(v, Tensor):
                raise TypeError(f"{name}(): arguments must be Tensors, not {type(v).__name__}")
        a, b, x, y = operands(input, other, name, floating=True)
        r = _kernel(name, x, y)
        if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
            record(r, rule, (a._fn, b._fn), (x, y), (a, b))
        return r if out is None else write_out(out, r)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


igamma = _incomplete("igamma", 1.0, "The regularised lower incomplete gamma function P(input, other).")
igammac = _incomplete("igammac", -1.0, "The regularised upper incomplete gamma function Q(input, other).")
gammainc, gammaincc, psi, gammaln = igamma, igammac, digamma, lgamma
