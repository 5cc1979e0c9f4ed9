"""Activation functions, with their gradients, and their in-place forms."""

import math

from .. import random as generators
from .._tape import grad_mode, own_version, record
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import check_writable, in_place, rebase
from .elementwise import add, div, ge, gt, le, logical_and, logical_or, lt, mul, sub, where
from .unary import clamp, exp, neg, operand, sigmoid, tanh


def _floating_input(input, function):
    """Raises NotImplementedError for integers, as torch does."""
    t = input if isinstance(input, Tensor) else operand(input, function)
    if t._a.dtype.kind in "iub":
        raise NotImplementedError(f"\"{function}\" not implemented for '{t.dtype.short}'")
    return t


# ---------------------------------------------------------------- relu


def relu(input, inplace=False):
    """max(input, 0). The gradient reads the result, not the input."""
    if inplace:
        return relu_(input)
    if not isinstance(input, Tensor):
        input = operand(input, "relu")
    x = input._a
    if x.dtype.kind == "b":
        raise RuntimeError("Boolean inputs not supported for relu")
    r = wrap(Tensor._k.relu(x))
    fn = input._fn
    if fn is not None and grad_mode.enabled:
        record(r, relu_rule, (fn,), (r._a,), (own_version(r),))
    return r


def recorded_relu(r):
    """r, a fresh result of a kernel that applied ReLU on the way, with relu on the tape after what made it."""
    if r._fn is None:
        return r
    y = wrap(r._a)
    return record(y, relu_rule, (r._fn,), (y._a,), (own_version(y),))


def relu_rule(k, dy, saved, needs):
    return (k.relu_backward(dy, saved[0]),)


def relu_backward(dy, y):
    """dy where y > 0, else 0; y is relu's result or its input."""
    return where(le(y, 0.0), 0.0, dy)


def relu_(input):
    """relu, in place."""
    a = input._a
    if a.dtype.kind not in "fiu":
        return in_place(input, relu)
    check_writable(input)
    fn = input._fn if grad_mode.enabled else None
    Tensor._k.relu(a, a)
    input._bump()
    if fn is not None:
        r = wrap(a)
        r._ver = input._ver
        rebase(input, record(r, relu_rule, (fn,), (a,), (input._ver,))._fn)
    return input


# ---------------------------------------------------------------- kernels of their own


def _smooth(name, rule, numbers=()):
    """One recorded op of a kernel: x and the numbers that it takes besides."""

    def op(input, *values):
        t = _floating_input(input, name)
        x = t._a
        r = wrap(getattr(Tensor._k, name)(x, *values))
        if t._fn is not None and grad_mode.enabled:
            record(r, rule, (t._fn,), (x, *values), (t, *(None for _ in values)))
        return r

    return op


def _kernel_in_place(input, kernel, rule, *numbers):
    """A kernel of its own, in place, for an op whose gradient may read the result where it would read the input."""
    check_writable(input)
    a = input._a
    fn = input._fn if grad_mode.enabled else None
    getattr(Tensor._k, kernel)(a, *numbers, a)
    input._bump()
    if fn is not None:
        r = wrap(a)
        r._ver = input._ver
        rebase(input, record(r, rule, (fn,), (a, *numbers), (input._ver, *(None for _ in numbers)))._fn)
    return input


def leaky_relu_rule(k, dy, saved, needs):
    return (k.leaky_relu_backward(dy, *saved),)


def leaky_relu_backward(dy, x, slope):
    """dy where x > 0, else slope·dy."""
    return where(gt(x, 0.0), dy, mul(dy, slope))


_leaky_relu = _smooth("leaky_relu", leaky_relu_rule)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """input where positive, else negative_slope·input."""
    if inplace:
        if negative_slope > 0 and input._a.dtype.kind == "f":  # the result has the input's signs
            return _kernel_in_place(input, "leaky_relu", leaky_relu_rule, float(negative_slope))
        return in_place(input, _leaky_relu, float(negative_slope))
    return _leaky_relu(input, float(negative_slope))


def elu_rule(k, dy, saved, needs):
    return (k.elu_backward(dy, *saved),)


def elu_backward(dy, x, alpha):
    """dy where x > 0, else dy·alpha·e^x."""
    return where(gt(x, 0.0), dy, mul(dy, mul(exp(clamp(x, max=0.0)), alpha)))


_elu = _smooth("elu", elu_rule)


def elu(input, alpha=1.0, inplace=False):
    """input where positive, else alpha·(e^input - 1)."""
    return in_place(input, _elu, float(alpha)) if inplace else _elu(input, float(alpha))


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def selu(input, inplace=False):
    """scale·(input where positive, else alpha·(e^input - 1)), by constants that keep mean 0 and variance 1."""
    if inplace:
        return in_place(input, selu)
    return mul(_elu(input, _SELU_ALPHA), _SELU_SCALE)


def celu(input, alpha=1.0, inplace=False):
    """input where positive, else alpha·(e^(input/alpha) - 1). Raises RuntimeError for alpha = 0."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    if inplace:
        return in_place(input, celu, alpha)
    t = _floating_input(input, "celu")
    if alpha == 1:
        return _elu(t, 1.0)
    k, x, alpha = Tensor._k, t._a, float(alpha)
    r = wrap(k.where(k.gt(x, 0.0), x, k.mul(k.expm1(k.div(x, alpha)), alpha)))
    if t._fn is not None and grad_mode.enabled:
        record(r, celu_rule, (t._fn,), (x, alpha), (t, None))
    return r


def celu_rule(k, dy, saved, needs):
    x, alpha = saved
    low = k.exp(k.div(k.clamp(x, None, 0.0), alpha))
    return (k.where(k.gt(x, 0.0), dy, k.mul(dy, low)),)


def silu_rule(k, dy, saved, needs):
    return (k.silu_backward(dy, saved[0]),)


def silu_backward(dy, x):
    """dy·s·(1 + x·(1 - s)), s = sigmoid x."""
    s = sigmoid(x)
    return mul(dy, mul(s, add(mul(x, sub(1.0, s)), 1.0)))


_silu = _smooth("silu", silu_rule)


def silu(input, inplace=False):
    """input·sigmoid(input), also called swish."""
    return in_place(input, _silu) if inplace else _silu(input)


def gelu_rule(k, dy, saved, needs):
    return (k.gelu_backward(dy, *saved),)


_HALF_ROOT, _DENSITY = 0.7071067811865476, 0.3989422804014327  # √½, 1/√2π
_TANH_SCALE, _TANH_CUBIC = 0.7978845608028654, 0.044715  # √(2/π)


def gelu_backward(dy, x, approximate="none"):
    """dy·(Φ(x) + x·φ(x)), or the derivative of the tanh form."""
    from .unary import erf

    if approximate == "none":
        cdf = mul(add(erf(mul(x, _HALF_ROOT)), 1.0), 0.5)
        return mul(dy, add(cdf, mul(x, mul(exp(mul(mul(x, x), -0.5)), _DENSITY))))
    xx = mul(x, x)
    t = tanh(mul(mul(x, add(mul(xx, _TANH_CUBIC), 1.0)), _TANH_SCALE))
    inner = mul(add(mul(xx, 3 * _TANH_CUBIC), 1.0), _TANH_SCALE)
    slope = mul(mul(x, 0.5), mul(sub(1.0, mul(t, t)), inner))
    return mul(dy, add(mul(add(t, 1.0), 0.5), slope))


_gelu = _smooth("gelu", gelu_rule)


def gelu(input, *, approximate="none"):
    """input·Φ(input), Φ the normal distribution's function; approximate='tanh' takes its tanh form."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}.")
    return _gelu(input, approximate)


def softplus_rule(k, dy, saved, needs):
    return (k.softplus_backward(dy, *saved),)


def softplus_backward(dy, x, beta=1.0, threshold=20.0):
    """dy·sigmoid(beta·x), and dy above the threshold."""
    z = mul(x, beta)
    return where(gt(z, threshold), dy, mul(dy, sigmoid(z)))


_softplus = _smooth("softplus", softplus_rule)


def softplus(input, beta=1.0, threshold=20.0):
    """ln(1 + e^(beta·input))/beta, and input itself where beta·input > threshold."""
    return _softplus(input, float(beta), float(threshold))


def hardtanh_rule(k, dy, saved, needs):
    return (k.hardtanh_backward(dy, *saved),)


def hardtanh_backward(dy, x, lo=-1.0, hi=1.0):
    """dy strictly between the bounds, else 0."""
    return where(logical_or(le(x, lo), ge(x, hi)), 0.0, dy)


_hardtanh = _smooth("hardtanh", hardtanh_rule)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """input within [min_val, max_val]; the gradient stops at the bounds."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if inplace:
        if input._a.dtype.kind == "f":  # the result stands at a bound where the input does, or beyond
            return _kernel_in_place(input, "hardtanh", hardtanh_rule, float(min_val), float(max_val))
        return in_place(input, hardtanh, min_val, max_val)
    t = operand(input, "hardtanh")
    if t._a.dtype.kind == "u" and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    if t._a.dtype.kind in "iu":
        return clamp(t, int(min_val), int(max_val))
    return _hardtanh(t, float(min_val), float(max_val))


def relu6(input, inplace=False):
    """input within [0, 6]"""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid_rule(k, dy, saved, needs):
    return (k.hardsigmoid_backward(dy, saved[0]),)


def hardsigmoid_backward(dy, x):
    """dy/6 for x strictly between -3 and 3, else 0."""
    return where(logical_and(gt(x, -3.0), lt(x, 3.0)), mul(dy, 1 / 6), 0.0)


_hardsigmoid = _smooth("hardsigmoid", hardsigmoid_rule)


def hardsigmoid(input, inplace=False):
    """(input + 3)/6 within [0, 1]"""
    return in_place(input, _hardsigmoid) if inplace else _hardsigmoid(input)


def hardswish_rule(k, dy, saved, needs):
    return (k.hardswish_backward(dy, saved[0]),)


def hardswish_backward(dy, x):
    """dy·(x/3 + 1/2) between -3 and 3, 0 below, dy above."""
    middle = mul(dy, add(div(x, 3.0), 0.5))
    return where(le(x, -3.0), 0.0, where(lt(x, 3.0), middle, dy))


_hardswish = _smooth("hardswish", hardswish_rule)


def hardswish(input, inplace=False):
    """input·hardsigmoid(input)"""
    return in_place(input, _hardswish) if inplace else _hardswish(input)


def mish_rule(k, dy, saved, needs):
    return (k.mish_backward(dy, saved[0]),)


def mish_backward(dy, x):
    """dy·(t + x·s·(1 - t²)), t = tanh(softplus x), s = sigmoid x."""
    t = tanh(softplus(x))
    return mul(dy, add(t, mul(mul(x, sigmoid(x)), sub(1.0, mul(t, t)))))


_mish = _smooth("mish", mish_rule)


def mish(input, inplace=False):
    """input·tanh(softplus(input))"""
    return in_place(input, _mish) if inplace else _mish(input)


def logsigmoid_rule(k, dy, saved, needs):
    return (k.logsigmoid_backward(dy, saved[0]),)


def logsigmoid_backward(dy, x):
    """dy·sigmoid(-x)"""
    return mul(dy, sigmoid(neg(x)))


_logsigmoid = _smooth("logsigmoid", logsigmoid_rule)


def logsigmoid(input):
    """ln sigmoid(input), as min(x, 0) - ln(1 + e^-|x|)."""
    return _logsigmoid(input)


def softshrink_rule(k, dy, saved, needs):
    return (k.shrink_backward(dy, *saved),)


def hardshrink_rule(k, dy, saved, needs):
    return (k.shrink_backward(dy, *saved),)


def shrink_backward(dy, x, lambd):
    """0 within lambd of 0, else dy."""
    return where(logical_and(ge(x, -lambd), le(x, lambd)), 0.0, dy)


_softshrink, _hardshrink = _smooth("softshrink", softshrink_rule), _smooth("hardshrink", hardshrink_rule)


def softshrink(input, lambd=0.5):
    """input moved by lambd towards 0, and 0 within lambd of it."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return _softshrink(input, float(lambd))


def hardshrink(input, lambd=0.5):
    """input, and 0 within lambd of 0."""
    return _hardshrink(input, float(lambd))


def threshold_rule(k, dy, saved, needs):
    return (k.threshold_backward(dy, *saved[:2]),)


def threshold_backward(dy, x, threshold):
    """dy where x is above the threshold or NaN, else 0."""
    return where(le(x, threshold), 0.0, dy)


_threshold = _smooth("threshold", threshold_rule)


def threshold(input, threshold, value, inplace=False):
    """input where above the threshold or NaN, else value."""
    if inplace:
        return in_place(input, globals()["threshold"], threshold, value)
    t = operand(input, "threshold")
    if t._a.dtype.kind == "b":
        raise NotImplementedError("\"threshold_cpu\" not implemented for 'Bool'")
    if t._a.dtype.kind != "f":
        return where(le(t, threshold), int(value), t)
    return _threshold(t, float(threshold), float(value))


def prelu(input, weight):
    """input where positive, else weight·input; one weight, or one for each channel (dimension 1)."""
    t, w = _floating_input(input, "prelu"), operand(weight, "prelu")
    if w._a.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w._a.ndim}")
    if t._a.dtype != w._a.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {t.dtype} and {w.dtype}")
    if w._a.size != 1:
        if t._a.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = t._a.shape[1] if t._a.ndim > 1 else 1
        if channels != w._a.size:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {w._a.size} and "
                f"channel size = {channels}."
            )
    from .shape import reshape

    ndim = t._a.ndim
    w = reshape(w, (1, -1) + (1,) * (ndim - 2) if ndim > 1 else (1,) * ndim)
    r = wrap(Tensor._k.prelu(t._a, w._a))
    if grad_mode.enabled and (t._fn is not None or w._fn is not None):
        record(r, prelu_rule, (t._fn, w._fn), (t._a, w._a), (t, w))
    return r


def prelu_rule(k, dy, saved, needs):
    x, w = saved
    return (
        None if needs[0] is None else k.prelu_backward(dy, x, w),
        None if needs[1] is None else k.sum_to(k.prelu_backward_weight(dy, x), w.shape),
    )


def prelu_backward(dy, x, w):
    """dy where x is positive, else w·dy."""
    return where(gt(x, 0.0), dy, mul(dy, w))


def prelu_backward_weight(dy, x):
    """dy·x where x is not positive, else 0: not yet summed to the weight's shape."""
    return where(gt(x, 0.0), 0.0, mul(dy, x))


# ---------------------------------------------------------------- composites


def softsign(input):
    """input/(1 + |input|)"""
    from .unary import abs

    return div(input, add(abs(input), 1.0))


def tanhshrink(input):
    """input - tanh(input)"""
    return sub(input, tanh(input))


def glu(input, dim=-1):
    """a·sigmoid(b), where a and b are the halves of `input` along `dim`. Raises RuntimeError for an odd size."""
    from .join import narrow

    t = operand(input, "glu")
    if t._a.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    dim = check_dim(dim, t._a.ndim)
    n = t._a.shape[dim]
    if n % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {n}")
    left, right = narrow(t, dim, 0, n // 2), narrow(t, dim, n // 2, n // 2)
    k = Tensor._k
    gate = k.sigmoid(right._a)
    r = wrap(k.mul(left._a, gate))
    if t._fn is not None and grad_mode.enabled:
        record(r, glu_rule, (t._fn,), (t._a, dim), (t, None))
    return r


def glu_rule(k, dy, saved, needs):
    """(dy·s, dy·a·s·(1 - s)) along `dim`, s = sigmoid b."""
    x, dim = saved
    lead = (slice(None),) * dim
    n = x.shape[dim] // 2
    a, b = x[(*lead, slice(0, n))], x[(*lead, slice(n, None))]
    s = k.sigmoid(b)
    return (k.cat([k.mul(dy, s), k.sigmoid_backward(k.mul(dy, a), s)], dim),)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """input where positive, else a·input; a is drawn from U(lower, upper) for each such element in training, else it is
    the mean of the bounds. Raises RuntimeError where lower > upper."""
    if inplace:
        return in_place(input, rrelu, lower, upper, training)
    t = _floating_input(input, "rrelu_with_noise_out_cpu")
    lower, upper = float(lower), float(upper)
    if lower > upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound, got {lower} and {upper}")
    if not (math.isfinite(lower) and math.isfinite(upper)):
        raise RuntimeError(f"rrelu: bounds must be finite, got {lower} and {upper}")
    if not training:
        return _leaky_relu(t, (lower + upper) / 2)
    a = t._a
    if a.__class__ is not xp.ndarray:
        noise = xp.on(a).empty(a.shape, a.dtype)
        generators.engine(None, a).uniform_(noise, lower, upper)
        return mul(t, wrap(Tensor._k.where(a <= 0, noise, 1.0)))
    # One double for each element at or below 0, in the order of memory of a contiguous input, as torch draws them.
    noise = xp.ones(a.size, a.dtype)
    low = xp.nonzero(xp.contiguous(a).reshape(-1) <= 0)[0]
    draws = xp.empty(low.size, "float64")
    bounds = xp.asarray([lower, upper]).astype(a.dtype)
    generators.engine(None).uniform_(draws, float(bounds[0]), float(bounds[1]))
    noise[low] = draws
    return mul(t, wrap(noise.reshape(a.shape)))


def _in_place_form(op):
    def inplace(input, *args):
        return in_place(input, op, *args)

    inplace.__name__ = inplace.__qualname__ = op.__name__ + "_"
    inplace.__doc__ = f"{op.__name__}, in place."
    return inplace


leaky_relu_, elu_, selu_, celu_ = map(_in_place_form, (leaky_relu, elu, selu, celu))
relu6_, silu_, hardtanh_, threshold_ = map(_in_place_form, (relu6, silu, hardtanh, threshold))
hardsigmoid_, hardswish_, mish_, rrelu_ = map(_in_place_form, (hardsigmoid, hardswish, mish, rrelu))
