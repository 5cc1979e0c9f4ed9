"""More functions of two operands, elementwise: logaddexp, xlogy, hypot, gcd ... The common ones are in elementwise.py."""

import math

from .. import dtypes as dt
from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import GRAPH, in_place, numpy_dim, operands, write_out
from .cast import cast
from .elementwise import _kernel, _without_gradient, mul, pow, sub
from .reduce import _result

frexp_result = _result("frexp", ("mantissa", "exponent"))


def rsub(input, other, *, alpha=1):
    """other - alpha·input."""
    _tensors("rsub", input)
    return sub(other, input, alpha=alpha)


def float_power(input, exponent, *, out=None):
    """input ** exponent in float64 (or complex128)."""
    if not isinstance(input, Tensor) and not isinstance(exponent, Tensor):
        raise TypeError(f"float_power(): one of the arguments must be a Tensor, got {input!r} and {exponent!r}")

    def wide(v):
        if not isinstance(v, Tensor):
            return v
        return cast(v, dt.complex128 if v._a.dtype.kind == "c" else dt.float64)

    if not isinstance(input, Tensor):
        input = wrap(xp.asarray(input, "float64"))
    r = pow(wide(input), wide(exponent))
    if out is not None and out._a.dtype != r._a.dtype:
        raise RuntimeError(
            f"the output given to float_power has dtype {out.dtype} but the operation's result requires dtype {r.dtype}"
        )
    return r if out is None else write_out(out, r)


def _tensors(function, *values):
    for v, name in zip(values, ("input", "other"), strict=False):
        if not isinstance(v, Tensor):
            raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(v).__name__}")


def copysign(input, other, *, out=None):
    """|input| with other's sign (that of -0.0 counts)."""
    _tensors("copysign", input)
    a, b, x, y = operands(input, other, "copysign", floating=True)
    r = _kernel("copysign", x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, copysign_rule, (a._fn, b._fn), (x, r._a, getattr(y, "shape", ())), (a, None, None))
    return r if out is None else write_out(out, r)


def copysign_rule(k, dy, saved, needs):
    x, r, shape = saved
    r = r if k is not GRAPH else wrap(r)
    flip = k.mul(k.sign(x), k.sign(r))
    return (
        None if needs[0] is None else k.sum_to(k.mul(dy, flip), x.shape),
        None if needs[1] is None else k.zeros(shape, dy.dtype),
    )


def _one_sided(name, doc, loses):
    def rule(k, dy, saved, needs):
        x, y = saved
        first = getattr(k, loses)(y, x)
        first = k.logical_or(first, k.isnan(y))
        first = k.logical_or(first, k.eq(x, y))
        return (
            None if needs[0] is None else k.sum_to(k.where(first, dy, 0.0), x.shape),
            None if needs[1] is None else k.sum_to(k.where(first, 0.0, dy), y.shape),
        )

    rule.__name__ = rule.__qualname__ = name + "_rule"

    def extreme(input, other, *, out=None):
        _tensors(name, input, other)
        a, b, x, y = operands(input, other, name)
        r = _kernel(name, x, y)
        if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
            record(r, rule, (a._fn, b._fn), (x, y), (a, b))
        return r if out is None else write_out(out, r)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = doc
    return extreme


fmax = _one_sided("fmax", "The larger of the two; what is not NaN where one is.", "lt")
fmin = _one_sided("fmin", "The smaller of the two; what is not NaN where one is.", "gt")


def _log_of_sum(input, other, out, function, base):
    _tensors(function, input, other)
    a, b, x, y = operands(input, other, function)
    if x.dtype.kind not in "fVc":
        raise NotImplementedError(f"\"{function}_cpu\" not implemented for '{dt.from_np(x.dtype).short}'")
    r = _kernel(function, x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, logaddexp_rule, (a._fn, b._fn), (x, y, base), (a, b, None))
    return r if out is None else write_out(out, r)


def logaddexp(input, other, *, out=None):
    """ln(e^input + e^other), without overflow."""
    return _log_of_sum(input, other, out, "logaddexp", 1.0)


def logaddexp2(input, other, *, out=None):
    """log₂(2^input + 2^other), without overflow."""
    return _log_of_sum(input, other, out, "logaddexp2", math.log(2))


def logaddexp_rule(k, dy, saved, needs):
    x, y, base = saved
    share = k.sigmoid(k.mul(k.sub(x, y), base))
    share = k.where(k.eq(x, y), 0.5, share)  # also where both are the same infinity
    return (
        None if needs[0] is None else k.sum_to(k.mul(dy, share), x.shape),
        None if needs[1] is None else k.sum_to(k.mul(dy, k.sub(1.0, share)), y.shape),
    )


def hypot(input, other, *, out=None):
    """√(input² + other²), without overflow."""
    _tensors("hypot", input, other)
    a, b, x, y = operands(input, other, "hypot")
    r = _kernel("hypot", x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, hypot_rule, (a._fn, b._fn), (x, y), (a, b))
    return r if out is None else write_out(out, r)


def hypot_rule(k, dy, saved, needs):
    x, y = saved
    scale = k.div(dy, k.sqrt(k.add(k.mul(x, x), k.mul(y, y))))
    return (
        None if needs[0] is None else k.sum_to(k.mul(scale, x), x.shape),
        None if needs[1] is None else k.sum_to(k.mul(scale, y), y.shape),
    )


def _constant(name, doc, kinds, floating=False):
    """A function of two tensors without a gradient worth the name: zeros, where it is floating."""

    def f(input, other, *, out=None):
        _tensors(name, input, other)
        if name == "heaviside" and input._a.dtype != other._a.dtype:
            raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
        a, b, x, y = operands(input, other, name, floating=floating)
        if x.dtype.kind not in kinds:
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{dt.from_np(x.dtype).short}'")
        r = _without_gradient(_kernel(name, x, y), (a, b), x, y)
        return r if out is None else write_out(out, r)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


heaviside = _constant("heaviside", "0 below 0, 1 above, `other` at 0.", "fiubV")
gcd = _constant("gcd", "The greatest common divisor of integers, not negative.", "iu")
lcm = _constant("lcm", "The least common multiple of integers, not negative.", "iu")


def nextafter(input, other, *, out=None):
    """The number after input on the way to other."""
    _tensors("nextafter", input, other)
    a, b, x, y = operands(input, other, "nextafter")
    if x.dtype.kind != "f":
        raise NotImplementedError(f"\"nextafter_cpu\" not implemented for '{dt.from_np(x.dtype).short}'")
    r = _kernel("nextafter", x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, nextafter_rule, (a._fn, b._fn), (x.shape, y.shape), ())
    return r if out is None else write_out(out, r)


def nextafter_rule(k, dy, saved, needs):
    sx, sy = saved
    return k.sum_to(dy, sx), k.zeros(sy, dy.dtype)


def ldexp(input, other, *, out=None):
    """input · 2^other"""
    _tensors("ldexp", input, other)
    return mul(input, pow(2.0, other), out=out)


def frexp(input, *, out=None):
    """(mantissa, exponent): input = mantissa · 2^exponent, 0.5 <= |mantissa| < 1."""
    if input._a.dtype.kind != "f":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    m, e = Tensor._k.frexp(input._a)
    m = wrap(m)
    if input._fn is not None and grad_mode.enabled:
        record(m, frexp_rule, (input._fn,), (e,), ())
    return frexp_result(m, wrap(e))


def frexp_rule(k, dy, saved, needs):
    (e,) = saved
    scale = 2.0 ** (-e).astype(dy.dtype if k is not GRAPH else dy._a.dtype)
    return (k.mul(dy, scale if k is not GRAPH else wrap(scale)),)


def xlogy(input, other, *, out=None):
    """input · ln other, 0 where input is 0 and other is not NaN."""
    return _times_log(input, other, "xlogy", 0.0, out)


def xlog1py(input, other, *, out=None):
    """input · ln(1 + other), 0 where input is 0 and other is not NaN."""
    return _times_log(input, other, "xlog1py", 1.0, out)


def _times_log(input, other, name, shift, out):
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    a, b, x, y = operands(input, other, name, floating=True)
    r = _kernel(name, x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        d = r._a.dtype
        x, y = xp.asarray(x, d), xp.asarray(y, d)
        record(r, xlogy_rule, (a._fn, b._fn), (x, y, shift), (a, b, None))
    return r if out is None else write_out(out, r)


def xlogy_rule(k, dy, saved, needs):
    x, y, shift = saved
    y = k.add(y, shift)
    dx = dz = None
    if needs[0] is not None:  # the logarithm; 0 where both the factor and it are cut off
        cut = k.logical_and(k.eq(x, 0.0), k.le(y, 0.0))
        dx = k.sum_to(k.mul(dy, k.where(cut, 0.0, k.log(k.where(cut, 1.0, y)))), x.shape)
    if needs[1] is not None:
        dz = k.sum_to(k.mul(dy, k.div(x, y)), y.shape)
    return dx, dz


def cross(input, other, dim=None, *, out=None, **numpy):
    """The cross product along a dimension of size 3 (the first such one, if `dim` is not given)."""
    if numpy:
        dim = numpy_dim("cross", numpy, dim)
    if dim is None:
        _tensors("cross", input, other)
        if input._a.ndim != other._a.ndim:
            raise RuntimeError(f"inconsistent tensors dimensions input: {input._a.ndim} other: {other._a.ndim}")
        sizes = input._a.shape
        if 3 not in sizes:
            raise RuntimeError("no dimension of size 3 in input")
        dim = sizes.index(3)
    return linalg_cross(input, other, dim=dim, out=out)


def linalg_cross(input, other, *, dim=-1, out=None):
    """linalg.cross: along `dim`, of size 3 in both."""
    from .arrange import roll
    from .shape import broadcast_tensors

    _tensors("linalg.cross", input, other)
    if input._a.ndim != other._a.ndim:
        raise RuntimeError(
            f"linalg.cross: inputs must have the same number of dimensions, got {input._a.ndim} and {other._a.ndim}"
        )
    i = check_dim(dim, input._a.ndim)
    if not input._a.ndim or input._a.shape[i] != 3 or other._a.shape[i] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got sizes {list(input._a.shape)} and "
            f"{list(other._a.shape)}"
        )
    a, b = broadcast_tensors(input, other)
    r = sub(mul(roll(a, -1, i), roll(b, 1, i)), mul(roll(a, 1, i), roll(b, -1, i)))
    return r if out is None else write_out(out, r)


def signbit(input, *, out=None):
    """Whether each element is negative, -0.0 included."""
    r = wrap(Tensor._k.signbit(input._a))
    return r if out is None else write_out(out, r)


def vdot(input, other, *, out=None):
    """Σ conj(input)·other of two vectors."""
    from .complex import conj
    from .matmul import dot

    r = dot(conj(input), other)
    return r if out is None else write_out(out, r)


def _in_place_form(name, op):
    def inplace(self, *args, **keywords):
        return in_place(self, lambda t, *a: op(t, *a, **keywords), *args)

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__doc__ = f"{name}, in place."
    return inplace


copysign_, float_power_, hypot_ = (_in_place_form(f.__name__, f) for f in (copysign, float_power, hypot))
gcd_, lcm_, heaviside_, nextafter_ = (_in_place_form(f.__name__, f) for f in (gcd, lcm, heaviside, nextafter))
xlogy_, ldexp_ = _in_place_form("xlogy", xlogy), _in_place_form("ldexp", ldexp)
