"""NumPy twins of the elementwise kernels: the readable definition of each, and what runs where nothing is compiled.

Operands of a binary function come in with equal dtypes, or one is a Python scalar, which never decides the dtype.
Every result is an ndarray: a ufunc of 0-d arrays returns a scalar, so those are wrapped again.
"""

import math
import warnings

import numpy as np
from numpy import ndarray

# Infinities and NaN are results here, as in torch, not reasons to warn. A filter costs nothing a call; np.errstate
# costs three small ufuncs.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"fastnn\.backend\.")


def _binary(ufunc):
    def f(x, y, out=None):
        r = ufunc(x, y, out=out)
        return r if type(r) is ndarray else np.asarray(r)

    f.__name__ = f.__qualname__ = ufunc.__name__
    return f


def _unary(ufunc):
    def f(x, out=None):
        r = ufunc(x, out)
        return r if type(r) is ndarray else np.asarray(r)

    f.__name__ = f.__qualname__ = ufunc.__name__
    return f


def _give(r, out):
    """A composite's result: into `out` where one was given, and always an ndarray."""
    if out is not None:
        np.copyto(out, r, casting="same_kind")
        return out
    return r if type(r) is ndarray else np.asarray(r)


def _as(x, r):
    """r in x's dtype (NumPy before 2.0 widens where a 0-d array meets a scalar)."""
    return r if r.dtype == x.dtype else r.astype(x.dtype)


# ---- binary ----

add, sub, mul, div = map(_binary, (np.add, np.subtract, np.multiply, np.true_divide))
maximum, minimum = _binary(np.maximum), _binary(np.minimum)  # both propagate NaN
fmod, remainder, floor_divide = _binary(np.fmod), _binary(np.remainder), _binary(np.floor_divide)
atan2 = _binary(np.arctan2)
eq, ne, lt, le, gt, ge = map(_binary, (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal))
logical_and, logical_or, logical_xor = map(_binary, (np.logical_and, np.logical_or, np.logical_xor))
bitwise_and, bitwise_or, bitwise_xor = map(_binary, (np.bitwise_and, np.bitwise_or, np.bitwise_xor))
bitwise_left_shift, bitwise_right_shift = _binary(np.left_shift), _binary(np.right_shift)


def pow(x, y, out=None):
    """x ** y; integers to negative integers as torch: 1 / x ** -y rounded to zero, and 0 for 0."""
    base = np.asarray(x)
    if base.dtype.kind in "iu" and np.asarray(y).dtype.kind in "iu" and np.any(np.asarray(y) < 0):
        y = np.asarray(y)
        unit = np.where(base == 1, 1, np.where(base == -1, 1 - 2 * (y & 1), 0))
        return _give(np.where(y < 0, unit, np.power(base, np.maximum(y, 0))).astype(base.dtype), out)
    r = np.power(x, y, out)
    return r if type(r) is ndarray else np.asarray(r)


def where(c, a, b, out=None):
    return _give(np.where(c, a, b), out)


def axpy_(y, x, alpha):
    """y += alpha * x."""
    return np.add(y, x if alpha == 1 else np.multiply(x, alpha), y)


# ---- unary ----

neg, exp, exp2, expm1 = map(_unary, (np.negative, np.exp, np.exp2, np.expm1))
log, log1p, log2, log10 = map(_unary, (np.log, np.log1p, np.log2, np.log10))
sqrt, square, reciprocal = map(_unary, (np.sqrt, np.square, np.reciprocal))
sin, cos, tan, asin, acos, atan = map(_unary, (np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan))
sinh, cosh, tanh, asinh, acosh, atanh = map(_unary, (np.sinh, np.cosh, np.tanh, np.arcsinh, np.arccosh, np.arctanh))
logical_not, bitwise_not = _unary(np.logical_not), _unary(np.invert)
isnan, isinf, isfinite = _unary(np.isnan), _unary(np.isinf), _unary(np.isfinite)
abs = _unary(np.absolute)


def _rounding(ufunc):
    def f(x, out=None):
        r = ufunc(x, out) if x.dtype.kind not in "biu" else _give(x.copy(), out)
        return r if type(r) is ndarray else np.asarray(r)

    f.__name__ = f.__qualname__ = ufunc.__name__
    return f


floor, ceil, trunc = map(_rounding, (np.floor, np.ceil, np.trunc))
round = _rounding(np.rint)  # halves to even


def sign(x, out=None):
    """-1, 0 or 1; 0 for NaN, as torch."""
    return _give(np.subtract(x > 0, x < 0, dtype=x.dtype) if x.dtype.kind != "b" else x.copy(), out)


def rsqrt(x, out=None):
    r = np.reciprocal(np.sqrt(x), out)
    return r if type(r) is ndarray else np.asarray(r)


def sigmoid(x, out=None):
    """1 / (1 + exp(-x)), by exp(-|x|), so that no side loses the small results to an overflow."""
    e = np.exp(-np.absolute(x))
    return _give(np.where(x >= 0, 1, e) / (1 + e), out)


# erf(x) / x in powers of x^2 for |x| < 1, and exp(x^2) erfc(x) in powers of (x - 3.75) / (x + 3.75) for 1 <= x <= 27
# (Schonfelder's variable, Math. Comp. 32, 1978): interpolation at Chebyshev nodes in 60 digits, errors under 2e-19.
_ERF = (
    1.1283791670955126, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792, 0.0052239776248180145,
    -0.000854832698083379, 0.0001205533111164271, -1.4925595266831182e-05, 1.6461000484121368e-06,
    -1.6350312701054695e-07, 1.4659775274047436e-08, -1.1372848856791674e-09, 5.957176147748911e-11,
)  # fmt: skip
_ERFC = (
    0.14558972127503855, -0.2734219314954265, 0.2260080669166215, -0.16357189552392382, 0.10260431203219397,
    -0.054802326694983125, 0.024143223972539717, -0.008220621154051299, 0.0018029624156285001,
    -2.553533191311816e-05, -0.0001524626569222856, 4.7898787048455076e-05, 3.583679779356254e-06,
    -6.1834540029254106e-06, 7.486503115625202e-07, 6.594905645691429e-07, -1.836103276331457e-07,
    -7.260901498249272e-08, 3.175966468957365e-08, 9.010095677850153e-09, -5.092954600015351e-09,
    -1.0405634599489217e-09, 6.7491428723752e-10,
)  # fmt: skip


def _horner(coefficients, t):
    r = np.full_like(t, coefficients[-1])
    for c in coefficients[-2::-1]:
        r *= t
        r += c
    return r


def _erfc_positive(a):
    """erfc(a) for a >= 1."""
    a = np.minimum(a, 28)  # where exp(-a * a) is 0 in float64
    return _horner(_ERFC, (a - 3.75) / (a + 3.75)) * np.exp(-a * a)


def erf(x, out=None):
    a = np.absolute(x)
    tail = np.copysign(1 - _erfc_positive(np.maximum(a, 1)), x)
    return _give(np.where(a < 1, x * _horner(_ERF, np.minimum(a * a, 1)), tail), out)


def erfc(x, out=None):
    a = np.absolute(x)
    tail = _erfc_positive(np.maximum(a, 1))
    tail = np.where(x < 0, 2 - tail, tail)
    return _give(np.where(a < 1, 1 - x * _horner(_ERF, np.minimum(a * a, 1)), tail), out)


def erfinv(x, out=None):
    """Winitzki's closed form, then Newton steps on erf, or on erfc where x is near 1; +-1 give the infinities."""
    v = x.astype(np.float64)
    a = np.minimum(np.absolute(v), 1)
    log = np.log1p(-a * a)
    b = 2 / (math.pi * 0.147) + log / 2
    r = np.sqrt(np.sqrt(b * b - log / 0.147) - b)
    for _ in range(3):
        error = np.where(a < 0.5, erf(r) - a, (1 - a) - erfc(r))
        step = error / (2 / math.sqrt(math.pi) * np.exp(-r * r))
        r = r - np.where(a < 1, step / (1 + r * step), 0)  # Halley's: third order
    r = np.where(a == 1, np.inf, r)
    r = np.where(np.absolute(v) <= 1, np.copysign(r, v), np.nan)
    return _give(r.astype(x.dtype), out)


# ---- activations and their gradients ----


def relu(x, out=None):
    r = np.maximum(x, 0, out=out)  # keeps NaN
    return r if type(r) is ndarray else np.asarray(r)


def relu_backward(dy, y):
    """y is relu's input or its output; the gradient passes where y is NaN."""
    return _as(dy, np.where(y <= 0, 0, dy))


def leaky_relu(x, slope, out=None):
    return _give(_as(x, np.where(x > 0, x, x * slope)), out)


def leaky_relu_backward(dy, x, slope):
    return _as(dy, np.where(x > 0, dy, dy * slope))


def elu(x, alpha, out=None):
    return _give(_as(x, np.where(x > 0, x, np.expm1(np.minimum(x, 0)) * alpha)), out)


def elu_backward(dy, x, alpha):
    return _as(dy, np.where(x > 0, dy, dy * (np.exp(np.minimum(x, 0)) * alpha)))


def silu(x, out=None):
    return _give(x * sigmoid(x), out)


def silu_backward(dy, x):
    s = sigmoid(x)
    return _as(dy, np.asarray(dy * (s * (1 + x * (1 - s)))))


def _normal_cdf(x):
    return 0.5 * erfc(x * -math.sqrt(0.5))


_TANH_K, _TANH_C = math.sqrt(2 / math.pi), 0.044715


def gelu(x, approximate="none", out=None):
    if approximate == "none":
        return _give(_as(x, np.asarray(x * _normal_cdf(x))), out)
    return _give(_as(x, np.asarray(0.5 * x * (1 + np.tanh(_TANH_K * (x + _TANH_C * x * x * x))))), out)


def gelu_backward(dy, x, approximate="none"):
    if approximate == "none":
        density = np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
        return _as(dy, np.asarray(dy * (_normal_cdf(x) + x * density)))
    t = np.tanh(_TANH_K * (x + _TANH_C * x * x * x))
    slope = 0.5 * x * (1 - t * t) * (_TANH_K * (1 + 3 * _TANH_C * x * x))
    return _as(dy, np.asarray(dy * (0.5 * (1 + t) + slope)))


def tanh_backward(dy, y):
    return np.asarray(dy * (1 - y * y))


def sigmoid_backward(dy, y):
    return np.asarray(dy * (1 - y) * y)


def softplus(x, beta=1.0, threshold=20.0, out=None):
    z = x * beta
    return _give(_as(x, np.where(z > threshold, x, np.log1p(np.exp(np.minimum(z, threshold))) / beta)), out)


def softplus_backward(dy, x, beta=1.0, threshold=20.0):
    z = x * beta
    e = np.exp(np.minimum(z, threshold))
    return _as(dy, np.where(z > threshold, dy, dy * (e / (1 + e))))


def lerp(x, y, w, out=None):
    """x + w (y - x), from the end that is nearer: exact at w = 0 and at w = 1."""
    if not hasattr(w, "shape"):
        return _give(_as(x, np.asarray(x + w * (y - x) if abs(w) < 0.5 else y + (w - 1) * (y - x))), out)
    near = np.absolute(w) < 0.5
    return _give(_as(x, np.where(near, w, w - 1) * (y - x) + np.where(near, x, y)), out)


def addcmul(x, y, z, value=1.0, out=None):
    return _give(_as(x, np.asarray(x + value * y * z)), out)


def addcdiv(x, y, z, value=1.0, out=None):
    return _give(_as(x, np.asarray(x + value * y / z)), out)


def clamp(x, lo=None, hi=None, out=None):
    """Bounds are numbers, arrays or None; hi wins over lo, NaN stays NaN."""
    if lo is not None:
        x = np.maximum(x, lo, out=out)
    if hi is not None:
        x = np.minimum(x, hi, out=out)
    return _give(x if lo is not None or hi is not None else x.copy(), None)


def clamp_backward(dy, x, lo=None, hi=None):
    """Passes at the bounds, stops at NaN."""
    inside = True
    if lo is not None:
        inside = x >= lo
    if hi is not None:
        inside = inside & (x <= hi)
    return _as(dy, np.where(inside, dy, 0))


def hardtanh(x, lo=-1.0, hi=1.0, out=None):
    return clamp(x, lo, hi, out)


def hardtanh_backward(dy, x, lo=-1.0, hi=1.0):
    """Stops at the bounds, passes at NaN."""
    return _as(dy, np.where((x <= lo) | (x >= hi), 0, dy))


def hardsigmoid(x, out=None):
    return _give(_as(x, np.minimum(np.maximum(x + 3, 0), 6) / 6), out)


def hardsigmoid_backward(dy, x):
    return _as(dy, np.where((x > -3) & (x < 3), dy * (1 / 6), 0))


def hardswish(x, out=None):
    return _give(_as(x, x * np.minimum(np.maximum(x + 3, 0), 6) / 6), out)


def hardswish_backward(dy, x):
    return _as(dy, np.where(x <= -3, 0, np.where(x < 3, dy * (x / 3 + 0.5), dy)))


def _tanh_softplus(x):
    """tanh(ln(1 + e^x)) = n / (n + 2), n = e^x (e^x + 2); from 20 on it is 1. In float16 it is 1 from 4.5
    on, and n is infinite from 5.6 on: there x is cut at 5."""
    e = np.exp(np.minimum(x, 20 if x.dtype != np.float16 else 5))
    n = e * (e + 2)
    return n / (n + 2)


def mish(x, out=None):
    return _give(_as(x, np.asarray(x * _tanh_softplus(x))), out)


def mish_backward(dy, x):
    t = _tanh_softplus(x)
    return _as(dy, np.asarray(dy * (t + x * sigmoid(x) * (1 - t * t))))


def logsigmoid(x, out=None):
    return _give(_as(x, np.asarray(np.minimum(x, 0) - np.log1p(np.exp(-np.absolute(x))))), out)


def logsigmoid_backward(dy, x):
    return _as(dy, np.asarray(dy * sigmoid(-x)))


def softshrink(x, lambd, out=None):
    return _give(_as(x, np.where(x > lambd, x - lambd, np.where(x >= -lambd, x * 0, x + lambd))), out)


def hardshrink(x, lambd, out=None):
    return _give(_as(x, np.where((x >= -lambd) & (x <= lambd), 0, x)), out)


def shrink_backward(dy, x, lambd):
    """Of softshrink and hardshrink: stops within lambd of 0, passes at NaN."""
    return _as(dy, np.where((x >= -lambd) & (x <= lambd), 0, dy))


def threshold(x, threshold, value, out=None):
    return _give(_as(x, np.where(x <= threshold, value, x)), out)


def threshold_backward(dy, x, threshold):
    return _as(dy, np.where(x <= threshold, 0, dy))


def prelu(x, w, out=None):
    """w broadcasts against x."""
    return _give(_as(x, np.where(x > 0, x, x * w)), out)


def prelu_backward(dy, x, w):
    return _as(dy, np.where(x > 0, dy, dy * w))


def prelu_backward_weight(dy, x):
    """dy times prelu's derivative in its weight, not yet summed to the weight's shape."""
    return _as(dy, np.where(x > 0, 0, dy * x))


__all__ = [
    "add", "sub", "mul", "div", "maximum", "minimum", "pow", "fmod", "remainder", "floor_divide", "atan2", "eq",
    "ne", "lt", "le", "gt", "ge", "where", "axpy_", "logical_and", "logical_or", "logical_xor", "logical_not",
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_left_shift", "bitwise_right_shift", "neg",
    "abs", "sign", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal",
    "square", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "sigmoid", "erf", "erfc", "erfinv", "floor", "ceil", "round", "trunc", "isnan", "isinf", "isfinite", "relu",
    "leaky_relu", "elu", "silu", "gelu", "softplus", "clamp", "hardtanh", "relu_backward", "leaky_relu_backward",
    "elu_backward", "silu_backward", "gelu_backward", "tanh_backward", "sigmoid_backward", "softplus_backward",
    "clamp_backward", "hardtanh_backward", "hardsigmoid", "hardsigmoid_backward", "hardswish", "hardswish_backward",
    "mish", "mish_backward", "logsigmoid", "logsigmoid_backward", "softshrink", "hardshrink", "shrink_backward",
    "threshold", "threshold_backward", "prelu", "prelu_backward", "prelu_backward_weight", "lerp", "addcmul", "addcdiv",
]  # fmt: skip
