"""Functions of one tensor, elementwise, with their gradients, and their in-place forms.

Most come from one pattern: a kernel's name, what the gradient reads (the input, the result, or nothing) and the
gradient itself. Where a kernel has no integer form, integers and bools become the default dtype first.
"""

import math

from .. import dtypes as dt
from .._tape import grad_mode, own_version, record
from ..backend import xp
from ..tensor import Tensor, wrap
from ._common import broadcast_error, check_writable, in_place, rebase, result_dtype, write_out
from .elementwise import _holomorphic, ge, gt, le, logical_and, lt, mul, sub, where

NOTHING, INPUT, RESULT = range(3)  # what a gradient reads


def operand(input, function):
    """The argument `input` where it is not a plain floating tensor: an array (a constant in a rule) as a Tensor."""
    if isinstance(input, Tensor):
        return input
    if isinstance(input, xp.ndarray):
        return wrap(input)
    raise TypeError(f"{function}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")


def _rule(name, gradient, reads):
    if reads == NOTHING:

        def rule(k, dy, saved, needs):
            return (gradient(k, dy),)
    else:

        def rule(k, dy, saved, needs):
            return (gradient(k, dy, saved[0]),)

    rule.__name__ = rule.__qualname__ = name + "_rule"
    return rule


def _abs_of_complex_rule(k, dy, saved, needs):
    """dy·z/|z|, 0 at 0."""
    (z,) = saved
    size = k.abs(z)
    scale = k.where(k.eq(size, 0.0), 0.0, k.div(dy, k.where(k.eq(size, 0.0), 1.0, size)))
    return (k.make_complex(k.mul(scale, k.real_part(z)), k.mul(scale, k.imag_part(z))),)


_abs_of_complex_rule.__name__ = "abs_rule"


def _without_float(x, name):
    """Integers, for a kernel that has a form for them. Raises for bools, but sign and square take them as 0 and 1."""
    if x.dtype.kind != "b" or name == "sign":
        return x
    if name == "square":
        return x.astype("int64")
    if name == "neg":
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the"
            " `~` or `logical_not()` operator instead."
        )
    raise NotImplementedError(f"\"{name}_cpu\" not implemented for 'Bool'")


def _op(name, doc, reads, gradient, keeps_integers=False):
    rule = _rule(name, gradient, reads)
    of_complex = _abs_of_complex_rule if name == "abs" else _holomorphic(rule)

    def op(input, *, out=None):
        if not isinstance(input, Tensor):
            input = operand(input, name)
        x = input._a
        if x.dtype.kind in "iub":
            x = _without_float(x, name) if keeps_integers else x.astype(dt.get_default_dtype().np)
        r = wrap(getattr(Tensor._k, name)(x))
        fn = input._fn
        if fn is not None and grad_mode.enabled:
            used = rule if x.dtype.kind != "c" else of_complex
            if reads == INPUT:
                record(r, used, (fn,), (x,), (input,))
            elif reads == RESULT:
                record(r, used, (fn,), (r._a,), (own_version(r),))
            else:
                record(r, used, (fn,), (), ())
        return r if out is None else write_out(out, r)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = doc
    op.rule, op.reads = rule, reads
    return op


def in_place_form(name, op):
    """name_ for an op of the pattern. Where the gradient does not read the input, no copy of it is made."""
    rule, reads = op.rule, op.reads

    def inplace(self):
        a = self._a
        recorded = self._fn is not None and grad_mode.enabled
        if a.dtype.kind != "f" or (recorded and reads == INPUT):
            return in_place(self, op)
        check_writable(self)
        fn = self._fn
        getattr(Tensor._k, name)(a, a)
        self._bump()
        if recorded:
            r = wrap(a)
            r._ver = self._ver
            saved = (a,) if reads == RESULT else ()
            rebase(self, record(r, rule, (fn,), saved, (self._ver,) * len(saved))._fn)
        return self

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__doc__ = f"{name}, in place."
    return inplace


def _zeros(k, dy):
    return k.zeros(dy.shape, dy.dtype)


neg = _op("neg", "-input. Raises RuntimeError for bool.", NOTHING, lambda k, dy: k.neg(dy), keeps_integers=True)
abs = _op("abs", "|input|; its gradient is 0 at 0.", INPUT, lambda k, dy, x: k.mul(dy, k.sign(x)), keeps_integers=True)
sign = _op("sign", "-1, 0 or 1; 0 for NaN.", NOTHING, _zeros, keeps_integers=True)
floor = _op("floor", "The integer below.", NOTHING, _zeros, keeps_integers=True)
ceil = _op("ceil", "The integer above.", NOTHING, _zeros, keeps_integers=True)
trunc = _op("trunc", "The integer towards zero.", NOTHING, _zeros, keeps_integers=True)
square = _op(
    "square", "input²", INPUT, lambda k, dy, x: k.mul(dy, k.mul(x, 2.0)), keeps_integers=True
)  # fmt: skip
exp = _op("exp", "e^input", RESULT, lambda k, dy, y: k.mul(dy, y))
exp2 = _op("exp2", "2^input", RESULT, lambda k, dy, y: k.mul(dy, k.mul(y, math.log(2))))
expm1 = _op("expm1", "e^input - 1, exact near 0.", RESULT, lambda k, dy, y: k.mul(dy, k.add(y, 1.0)))
log = _op("log", "ln input", INPUT, lambda k, dy, x: k.div(dy, x))
log1p = _op("log1p", "ln(1 + input), exact near 0.", INPUT, lambda k, dy, x: k.div(dy, k.add(x, 1.0)))
log2 = _op("log2", "The logarithm to base 2.", INPUT, lambda k, dy, x: k.div(dy, k.mul(x, math.log(2))))
log10 = _op("log10", "The logarithm to base 10.", INPUT, lambda k, dy, x: k.div(dy, k.mul(x, math.log(10))))
sqrt = _op("sqrt", "√input", RESULT, lambda k, dy, y: k.div(dy, k.mul(y, 2.0)))
rsqrt = _op("rsqrt", "1/√input", RESULT, lambda k, dy, y: k.mul(dy, k.mul(k.mul(y, k.mul(y, y)), -0.5)))
reciprocal = _op("reciprocal", "1/input", RESULT, lambda k, dy, y: k.neg(k.mul(dy, k.mul(y, y))))
sin = _op("sin", "The sine.", INPUT, lambda k, dy, x: k.mul(dy, k.cos(x)))
cos = _op("cos", "The cosine.", INPUT, lambda k, dy, x: k.neg(k.mul(dy, k.sin(x))))
tan = _op("tan", "The tangent.", RESULT, lambda k, dy, y: k.mul(dy, k.add(k.mul(y, y), 1.0)))
asin = _op("asin", "The arc sine.", INPUT, lambda k, dy, x: k.mul(dy, k.rsqrt(k.sub(1.0, k.mul(x, x)))))
acos = _op("acos", "The arc cosine.", INPUT, lambda k, dy, x: k.neg(k.mul(dy, k.rsqrt(k.sub(1.0, k.mul(x, x))))))
atan = _op("atan", "The arc tangent.", INPUT, lambda k, dy, x: k.div(dy, k.add(k.mul(x, x), 1.0)))
sinh = _op("sinh", "The hyperbolic sine.", INPUT, lambda k, dy, x: k.mul(dy, k.cosh(x)))
cosh = _op("cosh", "The hyperbolic cosine.", INPUT, lambda k, dy, x: k.mul(dy, k.sinh(x)))
tanh = _op("tanh", "The hyperbolic tangent.", RESULT, lambda k, dy, y: k.tanh_backward(dy, y))
asinh = _op("asinh", "The inverse of sinh.", INPUT, lambda k, dy, x: k.mul(dy, k.rsqrt(k.add(k.mul(x, x), 1.0))))
acosh = _op("acosh", "The inverse of cosh.", INPUT, lambda k, dy, x: k.mul(dy, k.rsqrt(k.sub(k.mul(x, x), 1.0))))
atanh = _op("atanh", "The inverse of tanh.", INPUT, lambda k, dy, x: k.div(dy, k.sub(1.0, k.mul(x, x))))
sigmoid = _op("sigmoid", "1/(1 + e^-input)", RESULT, lambda k, dy, y: k.sigmoid_backward(dy, y))


def _normal_slope(k, dy, x, scale):
    """dy · scale · e^-x²"""
    return k.mul(dy, k.mul(k.exp(k.neg(k.mul(x, x))), scale))


erf = _op("erf", "2/√π ∫₀^input e^-t² dt", INPUT, lambda k, dy, x: _normal_slope(k, dy, x, 2 / math.sqrt(math.pi)))
erfc = _op(
    "erfc", "1 - erf(input), exact for large input.", INPUT,
    lambda k, dy, x: _normal_slope(k, dy, x, -2 / math.sqrt(math.pi)),
)  # fmt: skip
erfinv = _op(
    "erfinv", "The inverse of erf.", RESULT,
    lambda k, dy, y: k.mul(dy, k.mul(k.exp(k.mul(y, y)), math.sqrt(math.pi) / 2)),
)  # fmt: skip


def tanh_backward(dy, y):
    """dy·(1 - y²), y = tanh x."""
    return mul(dy, sub(1.0, mul(y, y)))


def sigmoid_backward(dy, y):
    """dy·y·(1 - y), y = sigmoid x."""
    return mul(dy, mul(y, sub(1.0, y)))


def positive(input):
    """input itself. Raises RuntimeError for bool."""
    if operand(input, "positive")._a.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


_rint = _op("round", "The nearest integer, halves to even.", NOTHING, _zeros, keeps_integers=True)


def round(input, *, decimals=0, out=None):
    """The nearest number of `decimals` decimal places, halves to even."""
    if decimals == 0:
        return _rint(input, out=out)
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    down, up = (mul, _divide) if decimals > 0 else (_divide, mul)
    r = up(_rint(down(operand(input, "round"), scale)), scale)
    return r if out is None else write_out(out, r)


def _divide(x, scale):
    from .elementwise import div

    return div(x, scale)


def frac(input, *, out=None):
    """What trunc takes off: input - trunc(input)."""
    t = operand(input, "frac")
    if t._a.dtype.kind in "iub":
        raise NotImplementedError(f"\"frac_cpu\" not implemented for '{t.dtype.short}'")
    return sub(t, trunc(t), out=out)


def deg2rad(input, *, out=None):
    """Degrees as radians."""
    return mul(input, math.pi / 180, out=out)


def rad2deg(input, *, out=None):
    """Radians as degrees."""
    return mul(input, 180 / math.pi, out=out)


def logit(input, eps=None, *, out=None):
    """ln(x / (1 - x)), the inverse of sigmoid; with eps, x is first clamped to [eps, 1 - eps]."""
    x = input if eps is None else clamp(input, eps, 1 - eps)
    return sub(log(x), log1p(neg(x)), out=out)


absolute, negative, fix = abs, neg, trunc
expit = sigmoid
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh

# ---------------------------------------------------------------- tests of each element: bool, no gradient


def _test(name, doc):
    def test(input, *, out=None):
        r = wrap(getattr(Tensor._k, name)(operand(input, name)._a))
        return r if out is None else write_out(out, r)

    test.__name__ = test.__qualname__ = name
    test.__doc__ = doc
    return test


isnan = _test("isnan", "Whether each element is NaN.")
isinf = _test("isinf", "Whether each element is infinite.")
isfinite = _test("isfinite", "Whether each element is neither infinite nor NaN.")
logical_not = _test("logical_not", "Whether each element is zero.")


def isposinf(input):
    """Whether each element is +infinity."""
    return logical_and(isinf(input), gt(input, 0))


def isneginf(input):
    """Whether each element is -infinity."""
    return logical_and(isinf(input), lt(input, 0))


def bitwise_not(input, *, out=None):
    """The complement of integers or bools. Raises TypeError for floating point."""
    x = operand(input, "bitwise_not")._a
    if x.dtype.kind not in "iub":
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors, not "
            f"{dt.from_np(x.dtype)} (bitwise_not)"
        )
    r = wrap(Tensor._k.bitwise_not(x))
    return r if out is None else write_out(out, r)


# ---------------------------------------------------------------- bounds


def clamp(input, min=None, max=None, *, out=None):
    """Each element within [min, max], numbers or tensors; max wins where they cross. The gradient passes at the bounds.

    Raises RuntimeError where both are None."""
    t = operand(input, "clamp")
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        r = _clamp_tensors(t, min, max)
        return r if out is None else write_out(out, r)
    x = t._a
    if x.dtype.kind != "f":
        d = result_dtype(t, *(b for b in (min, max) if b is not None), function="clamp").np
        if d != x.dtype:
            x = x.astype(d)
    lo, hi = _bound(min, x), _bound(max, x)
    r = wrap(Tensor._k.clamp(x, lo, hi))
    if t._fn is not None and grad_mode.enabled:
        record(r, clamp_rule, (t._fn,), (x, lo, hi), (t, None, None))
    return r if out is None else write_out(out, r)


def _bound(b, x):
    if b is None:
        return None
    if isinstance(b, xp.generic):
        b = b.item()
    if isinstance(b, (int, float)):
        if x.dtype.kind not in "iu":
            return float(b)
        limits = dt.iinfo(dt.from_np(x.dtype))
        if b < 0 and limits.min == 0:
            b += limits.max + 1  # as C converts it
        if not limits.min <= b <= limits.max:
            raise RuntimeError(f"clamp: the bound {b} cannot be converted to {dt.from_np(x.dtype)} without overflow")
        return b
    raise TypeError(f"clamp(): argument 'min' or 'max' must be Number or Tensor, not {type(b).__name__}")


def clamp_rule(k, dy, saved, needs):
    return (k.clamp_backward(dy, *saved),)


def clamp_backward(dy, x, lo=None, hi=None):
    """dy where lo <= x <= hi, else 0."""
    if lo is None:
        return where(le(x, hi), dy, 0.0)
    if hi is None:
        return where(ge(x, lo), dy, 0.0)
    return where(logical_and(ge(x, lo), le(x, hi)), dy, 0.0)


def _clamp_tensors(t, lo, hi):
    from .cast import to

    bounds = [b if b is None or isinstance(b, Tensor) else wrap(xp.on(t._a).asarray(b, t._a.dtype)) for b in (lo, hi)]
    d = result_dtype(t, *(b for b in bounds if b is not None), function="clamp")
    t, lo, hi = (v if v is None or v._a.dtype == d.np else to(v, d) for v in (t, *bounds))
    x, low, high = (None if v is None else v._a for v in (t, lo, hi))
    r = x
    try:
        if lo is not None:
            r = Tensor._k.maximum(r, low)
        if hi is not None:
            r = Tensor._k.minimum(r, high)
    except ValueError:
        raise broadcast_error(r, low if r is x and lo is not None else high) from None
    r = wrap(r)
    nodes = tuple(None if v is None else v._fn for v in (t, lo, hi))
    if grad_mode.enabled and nodes != (None, None, None):
        record(r, clamp_tensors_rule, nodes, (x, low, high), (t, lo, hi))
    return r


def clamp_tensors_rule(k, dy, saved, needs):
    """What is inside goes to the input, what a bound replaced to that bound."""
    x, lo, hi = saved
    dx = dlo = dhi = None
    if needs[0] is not None:
        inside = k.le(x, hi) if lo is None else k.ge(x, lo)
        if lo is not None and hi is not None:
            inside = k.logical_and(inside, k.le(x, hi))
        dx = k.sum_to(k.where(inside, dy, 0.0), x.shape)
    if needs[1] is not None:
        below = k.lt(x, lo)
        if hi is not None:
            below = k.logical_and(below, k.lt(lo, hi))
        dlo = k.sum_to(k.where(below, dy, 0.0), lo.shape)
    if needs[2] is not None:
        above = k.gt(x, hi)
        if lo is not None:
            above = k.logical_or(above, k.lt(hi, lo))
        dhi = k.sum_to(k.where(above, dy, 0.0), hi.shape)
    return dx, dlo, dhi


def clamp_min(input, min, *, out=None):
    """max(input, min)"""
    return clamp(input, min=min, out=out)


def clamp_max(input, max, *, out=None):
    """min(input, max)"""
    return clamp(input, max=max, out=out)


def clip(input, min=None, max=None, *, out=None):
    """clamp under NumPy's name."""
    return clamp(input, min, max, out=out)


def nan_to_num(input, nan=None, posinf=None, neginf=None, *, out=None):
    """NaN as `nan` (0), infinities as the dtype's largest and smallest numbers unless given."""
    t = operand(input, "nan_to_num")
    r = t
    if t._a.dtype.kind == "f":
        limits = dt.finfo(t.dtype)
        r = where(isnan(t), 0.0 if nan is None else float(nan), r)
        r = where(isposinf(t), limits.max if posinf is None else float(posinf), r)
        r = where(isneginf(t), limits.min if neginf is None else float(neginf), r)
    else:
        r = wrap(t._a.copy())
    return r if out is None else write_out(out, r)


# ---------------------------------------------------------------- in place

_PATTERN = {
    "neg": neg, "abs": abs, "sign": sign, "floor": floor, "ceil": ceil, "trunc": trunc, "round": _rint,
    "square": square, "exp": exp, "exp2": exp2, "expm1": expm1, "log": log, "log1p": log1p, "log2": log2,
    "log10": log10, "sqrt": sqrt, "rsqrt": rsqrt, "reciprocal": reciprocal, "sin": sin, "cos": cos, "tan": tan,
    "asin": asin, "acos": acos, "atan": atan, "sinh": sinh, "cosh": cosh, "tanh": tanh, "asinh": asinh,
    "acosh": acosh, "atanh": atanh, "sigmoid": sigmoid, "erf": erf, "erfc": erfc, "erfinv": erfinv,
}  # fmt: skip
_FORMS = {name: in_place_form(name, op) for name, op in _PATTERN.items()}
neg_, abs_, sign_, floor_, ceil_, trunc_ = (_FORMS[n] for n in ("neg", "abs", "sign", "floor", "ceil", "trunc"))
square_, exp_, exp2_, expm1_, log_, log1p_ = (_FORMS[n] for n in ("square", "exp", "exp2", "expm1", "log", "log1p"))
log2_, log10_, sqrt_, rsqrt_, reciprocal_ = (_FORMS[n] for n in ("log2", "log10", "sqrt", "rsqrt", "reciprocal"))
sin_, cos_, tan_, asin_, acos_, atan_ = (_FORMS[n] for n in ("sin", "cos", "tan", "asin", "acos", "atan"))
sinh_, cosh_, tanh_, asinh_, acosh_, atanh_ = (_FORMS[n] for n in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"))
sigmoid_, erf_, erfc_, erfinv_ = (_FORMS[n] for n in ("sigmoid", "erf", "erfc", "erfinv"))


def round_(self, *, decimals=0):
    """round, in place."""
    if decimals == 0:
        return _FORMS["round"](self)
    return in_place(self, lambda t: round(t, decimals=decimals))


def clamp_(self, min=None, max=None):
    """clamp, in place."""
    return in_place(self, clamp, min, max)


def clamp_min_(self, min):
    """clamp_min, in place."""
    return in_place(self, clamp, min)


def clamp_max_(self, max):
    """clamp_max, in place."""
    return in_place(self, clamp, None, max)


def nan_to_num_(self, nan=None, posinf=None, neginf=None):
    """nan_to_num, in place."""
    return in_place(self, nan_to_num, nan, posinf, neginf)


def frac_(self):
    """frac, in place."""
    return in_place(self, frac)


def logical_not_(self):
    """logical_not, in place."""
    check_writable(self)
    self._a[...] = Tensor._k.logical_not(self._a)
    self._bump()
    return self


def bitwise_not_(self):
    """bitwise_not, in place."""
    return in_place(self, bitwise_not)


clip_, absolute_, negative_ = clamp_, abs_, neg_
