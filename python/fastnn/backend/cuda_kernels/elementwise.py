"""Elementwise kernels, under their twins' names; operands of several dtypes, and dtypes that they do not take, are
composed on the device."""

import numpy as np

from ._composed import package as twin
from ._native import arrays, code, described, has, is_float, native, ndarray, ran, stream

_ops = native.elementwise_ops if has("elementwise") else {}
_INT = (np.dtype(np.int64), np.dtype(np.int32))
_BOOL = np.dtype(np.bool_)
_LARGE = 1 << 1000  # beyond, an int has no float
_INTEGER_OPS = ("add", "sub", "mul", "maximum", "minimum", "neg", "abs", "sign", "square", "bitwise_not")


def _number(v, dtype):
    """A Python number for an operand of this dtype; None where it is none that the kernel could take."""
    if isinstance(v, np.generic):
        v = v.item()
    if isinstance(v, (bool, int)) and (dtype.kind == "f" or -(1 << 63) <= v < 1 << 63):
        return v if dtype.kind in "iu" else float(v) if -_LARGE < v < _LARGE else None
    return v if isinstance(v, float) and dtype.kind not in "iub" else None


def run(name, out, a, b, c, p0, p1, dtype):
    native.elementwise(
        _ops[name], described(out), described(a) if isinstance(a, ndarray) else a,
        described(b) if isinstance(b, ndarray) else b, described(c), p0, p1, code(dtype), stream(),
    )  # fmt: skip
    ran(name)
    return out


def _takes(name, dtype):
    return is_float(dtype) or (dtype in _INT and name in _INTEGER_OPS)


def _empty(shape, dtype, *operands):
    """A new array in the memory order of the first operand of its size, so that channels which lie last stay so."""
    for a in operands:
        if isinstance(a, ndarray) and a.shape == shape and (a.flags.c_contiguous or 0 not in a.strides):
            if a.flags.c_contiguous:
                break
            outermost = sorted(range(a.ndim), key=[max(s, -s) for s in a.strides].__getitem__, reverse=True)
            places = sorted(range(a.ndim), key=outermost.__getitem__)
            return arrays.empty([shape[d] for d in outermost], dtype).transpose(places)
    return arrays.empty(shape, dtype)


def _shape(*operands):
    """The shape that they broadcast to."""
    shapes = {a.shape for a in operands if isinstance(a, ndarray)}
    return shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)


def _binary(name, result=None, p=lambda *more: (0.0, 0.0), kernel=None):
    composed = getattr(twin, name)
    kernel = kernel or name
    compares = result is not None

    def f(x, y, *more, out=None):
        if len(more) and isinstance(more[-1], ndarray):
            *more, out = more
        a, b = x, y
        if isinstance(x, ndarray):
            dtype = x.dtype
            if isinstance(y, ndarray):
                if y.dtype != dtype:
                    b = None
            else:
                b = _number(y, dtype)
        elif isinstance(y, ndarray):
            dtype = y.dtype
            a = _number(x, dtype)
        else:
            dtype = None
        known = dtype is not None and (_takes(kernel, dtype) or (compares and (dtype in _INT or dtype == _BOOL)))
        if not known or a is None or b is None or (out is not None and out.dtype != (result or dtype)):
            return composed(x, y, *more) if out is None else composed(x, y, *more, out=out)
        if out is None:
            out = _empty(_shape(a, b), result or dtype, a, b)
        return run(kernel, out, a, b, None, *p(*more), dtype)

    f.__name__ = f.__qualname__ = name
    return f


def _unary(name, result=None, p=lambda *more: (0.0, 0.0), kernel=None):
    composed = getattr(twin, name)
    kernel = kernel or name

    def f(x, *more, out=None):
        if len(more) and (isinstance(more[-1], ndarray) or more[-1] is None):
            *more, out = more
        if not _takes(kernel, x.dtype) or (
            out is not None and (out.dtype != (result or x.dtype) or out.shape != x.shape)
        ):
            return composed(x, *more) if out is None else composed(x, *more, out=out)
        if out is None:
            out = _empty(x.shape, result or x.dtype, x)
        return run(kernel, out, x, None, None, *p(*more), x.dtype)

    f.__name__ = f.__qualname__ = name
    return f


def _one(number):
    return float(number), 0.0


def _two(first=1.0, second=20.0):
    return float(first), float(second)


def _unit_bounds(lo=-1.0, hi=1.0):
    return float(lo), float(hi)


def _bounds(lo, hi):
    return (-np.inf if lo is None else float(lo)), (np.inf if hi is None else float(hi))


_numbers = (int, float, np.generic, type(None))


def clamp(x, lo=None, hi=None, out=None):
    if not is_float(x.dtype) or not (isinstance(lo, _numbers) and isinstance(hi, _numbers)):
        return twin.clamp(x, lo, hi, out)
    target = _empty(x.shape, x.dtype, x) if out is None else out
    return run("clamp", target, x, None, None, *_bounds(lo, hi), x.dtype)


def clamp_backward(dy, x, lo=None, hi=None):
    if not is_float(x.dtype) or dy.dtype != x.dtype or not (isinstance(lo, _numbers) and isinstance(hi, _numbers)):
        return twin.clamp_backward(dy, x, lo, hi)
    return run("clamp_backward", _empty(_shape(dy, x), x.dtype, dy, x), dy, x, None, *_bounds(lo, hi), x.dtype)


def gelu(x, approximate="none", out=None):
    if not is_float(x.dtype):
        return twin.gelu(x, approximate, out)
    target = _empty(x.shape, x.dtype, x) if out is None else out
    return run("gelu" if approximate == "none" else "gelu_tanh", target, x, None, None, 0.0, 0.0, x.dtype)


def gelu_backward(dy, x, approximate="none"):
    if not is_float(x.dtype) or dy.dtype != x.dtype:
        return twin.gelu_backward(dy, x, approximate)
    name = "gelu_backward" if approximate == "none" else "gelu_tanh_backward"
    return run(name, _empty(_shape(dy, x), x.dtype, dy, x), dy, x, None, 0.0, 0.0, x.dtype)


def where(c, a, b, out=None):
    if not isinstance(c, ndarray) or c.dtype != _BOOL or out is not None:
        return twin.where(c, a, b, out)
    dtype = next((v.dtype for v in (a, b) if isinstance(v, ndarray)), None)
    if dtype is None or code(dtype) is None:
        return twin.where(c, a, b, out)
    x, y = ((v if v.dtype == dtype else None) if isinstance(v, ndarray) else _number(v, dtype) for v in (a, b))
    if x is None or y is None:
        return twin.where(c, a, b, out)
    return run("where", _empty(_shape(c, a, b), dtype, a, b, c), x, y, c, 0.0, 0.0, dtype)


def axpy_(y, x, alpha):
    """y += alpha * x."""
    if not is_float(y.dtype) or not isinstance(x, ndarray) or x.dtype != y.dtype or not isinstance(alpha, _numbers):
        return twin.axpy_(y, x, alpha)
    return run("axpy", y, y, x, None, float(alpha), 0.0, y.dtype)


def copy(x):
    """A C-contiguous copy."""
    if code(x.dtype) is None:
        return twin.copy(x)
    out = arrays.empty(x.shape, x.dtype)
    native.copy(described(x), described(out), stream())
    ran("copy")
    return out


def cast(x, dtype):
    """x in `dtype`."""
    to = np.dtype(dtype)
    if x.dtype.kind == "c" or code(to) is None or code(x.dtype) is None:
        return twin.cast(x, dtype)
    out = _empty(x.shape, to, x)
    native.copy(described(x), described(out), stream())
    ran("copy")
    return out


__all__ = []
if has("elementwise"):
    for _name in "add sub mul div maximum minimum fmod remainder floor_divide atan2 pow".split():
        globals()[_name] = _binary(_name)
    for _name in "eq ne lt le gt ge".split():
        globals()[_name] = _binary(_name, _BOOL)
    for _name in (
        "relu_backward silu_backward tanh_backward sigmoid_backward hardsigmoid_backward hardswish_backward mish_backward "
        "logsigmoid_backward prelu prelu_backward_weight squared_difference absolute_difference bce bce_with_logits"
    ).split():
        globals()[_name] = _binary(_name)
    for _name in "leaky_relu_backward elu_backward shrink_backward threshold_backward".split():
        globals()[_name] = _binary(_name, p=_one)
    huber = _binary("huber", p=lambda delta, divisor=1.0: _two(delta, divisor))
    softplus_backward = _binary("softplus_backward", p=_two)
    hardtanh_backward = _binary("hardtanh_backward", p=_unit_bounds)
    for _name in (
        "neg abs sign sqrt rsqrt reciprocal square floor ceil round trunc exp exp2 expm1 log log1p log2 log10 tanh sigmoid "
        "erf erfc relu silu hardsigmoid hardswish mish logsigmoid sin cos tan sinh cosh asinh acosh atanh asin acos atan erfinv"
    ).split():
        globals()[_name] = _unary(_name)
    for _name in "isnan isinf isfinite".split():
        globals()[_name] = _unary(_name, _BOOL)
    for _name in "leaky_relu elu softshrink hardshrink".split():
        globals()[_name] = _unary(_name, p=_one)
    softplus = _unary("softplus", p=_two)
    threshold = _unary("threshold", p=_two)
    hardtanh = _unary("hardtanh", p=_unit_bounds, kernel="clamp")
    __all__ = [n for n, v in globals().items() if callable(v) and not n.startswith("_") and hasattr(twin, n)]
