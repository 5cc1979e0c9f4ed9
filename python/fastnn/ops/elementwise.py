"""Elementwise arithmetic and comparisons of two operands, with their gradients.

Operands broadcast, and promote by torch's table. Rules sum a gradient down to its operand's shape with `sum_to`.
"""

from .. import dtypes as dt
from .._tape import CONST, grad_mode, record
from ..backend import xp
from ..tensor import Tensor, wrap
from ._common import broadcast_error, check_overlap, check_writable, in_place, operands, write_out

# ---------------------------------------------------------------- add, sub, mul, div: the hot four, written out


def add(input, other, *, alpha=1, out=None):
    """input + alpha·other."""
    if alpha != 1:
        other = mul(other, alpha) if isinstance(other, Tensor) else other * alpha
    if isinstance(other, Tensor) and isinstance(input, Tensor) and (x := input._a).dtype is (y := other._a).dtype:
        a, b = input, other
    else:
        a, b, x, y = operands(input, other, "add")
    try:
        r = wrap(Tensor._k.add(x, y))
    except ValueError:
        raise broadcast_error(x, y) from None
    fa, fb = a._fn, b._fn
    if (fa is not None or fb is not None) and grad_mode.enabled:
        record(r, add_rule, (fa, fb), (x.__class__ is float or x.shape, y.__class__ is float or y.shape), ())
    return r if out is None else write_out(out, r)


def add_rule(k, dy, saved, needs):
    sx, sy = saved
    s = dy.shape
    return (
        None if needs[0] is None else dy if s == sx else k.sum_to(dy, sx),
        None if needs[1] is None else dy if s == sy else k.sum_to(dy, sy),
    )


def sub(input, other, *, alpha=1, out=None):
    """input - alpha·other. Raises RuntimeError for two bools: use ^ or logical_xor."""
    if alpha != 1:
        other = mul(other, alpha) if isinstance(other, Tensor) else other * alpha
    if isinstance(other, Tensor) and isinstance(input, Tensor) and (x := input._a).dtype is (y := other._a).dtype:
        a, b = input, other
    else:
        a, b, x, y = operands(input, other, "sub")
        if any(isinstance(v, Tensor) and v._a.dtype.kind == "b" for v in (input, other)):
            raise RuntimeError(
                "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
                "use the `~` or `logical_not()` operator instead."
            )
    if x.__class__ is not float and x.dtype.kind == "b":
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    try:
        r = wrap(Tensor._k.sub(x, y))
    except ValueError:
        raise broadcast_error(x, y) from None
    fa, fb = a._fn, b._fn
    if (fa is not None or fb is not None) and grad_mode.enabled:
        record(r, sub_rule, (fa, fb), (x.__class__ is float or x.shape, y.__class__ is float or y.shape), ())
    return r if out is None else write_out(out, r)


def sub_rule(k, dy, saved, needs):
    sx, sy = saved
    dx = dz = None
    if needs[0] is not None:
        dx = dy if dy.shape == sx else k.sum_to(dy, sx)
    if needs[1] is not None:
        dz = k.neg(dy if dy.shape == sy else k.sum_to(dy, sy))
    return dx, dz


def mul(input, other, *, out=None):
    """input · other."""
    if isinstance(other, Tensor) and isinstance(input, Tensor) and (x := input._a).dtype is (y := other._a).dtype:
        a, b = input, other
    else:
        a, b, x, y = operands(input, other, "mul")
    try:
        r = wrap(Tensor._k.mul(x, y))
    except ValueError:
        raise broadcast_error(x, y) from None
    fa, fb = a._fn, b._fn
    if (fa is not None or fb is not None) and grad_mode.enabled:
        record(r, mul_rule if r._a.dtype.kind != "c" else mul_of_complex_rule, (fa, fb), (x, y), (a, b))
    return r if out is None else write_out(out, r)


def mul_rule(k, dy, saved, needs):
    x, y = saved
    dx = dz = None
    if needs[0] is not None:
        dx = k.mul(dy, y)
        if dx.shape != x.shape:
            dx = k.sum_to(dx, x.shape)
    if needs[1] is not None:
        dz = k.mul(dy, x)
        if dz.shape != y.shape:
            dz = k.sum_to(dz, y.shape)
    return dx, dz


def div(input, other, *, rounding_mode=None, out=None):
    """input / other; integers give the default dtype. rounding_mode 'trunc' or 'floor' rounds, and keeps integers."""
    if rounding_mode is not None:
        r = _div_rounded(input, other, rounding_mode)
        return r if out is None else write_out(out, r)
    if (
        isinstance(other, Tensor)
        and isinstance(input, Tensor)
        and (x := input._a).dtype is (y := other._a).dtype
        and x.dtype.kind == "f"
    ):
        a, b = input, other
    else:
        a, b, x, y = operands(input, other, "div", floating=True)
    try:
        r = wrap(Tensor._k.div(x, y))
    except ValueError:
        raise broadcast_error(x, y) from None
    fa, fb = a._fn, b._fn
    if (fa is not None or fb is not None) and grad_mode.enabled:
        record(r, div_rule if r._a.dtype.kind != "c" else div_of_complex_rule, (fa, fb), (x, y), (a, b))
    return r if out is None else write_out(out, r)


def div_rule(k, dy, saved, needs):
    x, y = saved
    dx = k.div(dy, y)
    dz = None
    if needs[1] is not None:
        dz = k.neg(k.mul(dx, k.div(x, y)))
        if dz.shape != y.shape:
            dz = k.sum_to(dz, y.shape)
    if needs[0] is None:
        dx = None
    elif dx.shape != x.shape:
        dx = k.sum_to(dx, x.shape)
    return dx, dz


def _holomorphic(rule):
    """The rule for complex operands: what multiplies dy in the real rule is conjugated."""

    def conjugated(k, dy, saved, needs):
        return tuple(None if g is None else k.conj(g) for g in rule(k, k.conj(dy), saved, needs))

    conjugated.__name__ = conjugated.__qualname__ = rule.__name__
    return conjugated


mul_of_complex_rule, div_of_complex_rule = _holomorphic(mul_rule), _holomorphic(div_rule)


def _div_rounded(input, other, mode):
    if mode == "floor":
        return floor_divide(input, other)
    if mode != "trunc":
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{mode}'")
    a, b, x, y = operands(input, other, "div")
    if _is_integer(x):
        _check_zero(y)
        q = wrap(Tensor._k.div_trunc(x, y))
    else:
        q = wrap(Tensor._k.trunc(Tensor._k.div(x, y)))
    return _without_gradient(q, (a, b), x, y)


# ---------------------------------------------------------------- the others, from one pattern


def _kernel(name, x, y):
    try:
        return wrap(getattr(Tensor._k, name)(x, y))
    except ValueError:
        raise broadcast_error(x, y) from None


def _shape(v):
    return getattr(v, "shape", ())


def _is_integer(v):
    return getattr(v, "dtype", None) is not None and v.dtype.kind in "iub"


def check_not_number(v, function, argument="input"):
    """Raise TypeError where an argument that must be a Tensor is a Python number."""
    if isinstance(v, (int, float, complex)):
        raise TypeError(f"{function}(): argument '{argument}' must be Tensor, not {type(v).__name__}")


def _check_one_tensor(input, other, function):
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        check_not_number(input, function)


def _check_zero(y):
    if (y == 0).any() if hasattr(y, "any") else y == 0:
        raise RuntimeError("ZeroDivisionError")


def _without_gradient(r, sources, x, y):
    """A result that is piecewise constant: its gradients are zeros, as torch's."""
    fa, fb = sources[0]._fn, sources[1]._fn
    if (fa is not None or fb is not None) and grad_mode.enabled and r._a.dtype.kind == "f":
        record(r, zero_rule, (fa, fb), (_shape(x), _shape(y)), ())
    return r


def zero_rule(k, dy, saved, needs):
    return tuple(None if n is None else k.zeros(s, dy.dtype) for n, s in zip(needs, saved, strict=True))


def floor_divide(input, other, *, out=None):
    """floor(input / other). Raises RuntimeError for an integer division by zero."""
    a, b, x, y = operands(input, other, "floor_divide")
    if _is_integer(x):
        _check_zero(y)
    r = _without_gradient(_kernel("floor_divide", x, y), (a, b), x, y)
    return r if out is None else write_out(out, r)


def _modulus(name, kernel_rounding, doc):
    """input - other·q, q the quotient rounded: remainder and fmod differ in that alone."""

    def rule(k, dy, saved, needs):
        x, y = saved
        dx = dz = None
        if needs[0] is not None:
            dx = k.sum_to(dy, x.shape)
        if needs[1] is not None:
            dz = k.sum_to(k.neg(k.mul(dy, getattr(k, kernel_rounding)(k.div(x, y)))), y.shape)
        return dx, dz

    rule.__name__ = rule.__qualname__ = name + "_rule"

    def modulus(input, other, *, out=None):
        _check_one_tensor(input, other, name)
        if name == "fmod":
            check_not_number(input, "fmod")
        a, b, x, y = operands(input, other, name)
        if _is_integer(x):
            _check_zero(y)
        r = _kernel(name, x, y)
        if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
            record(r, rule, (a._fn, b._fn), (x, y), (a, b))
        return r if out is None else write_out(out, r)

    modulus.__name__ = modulus.__qualname__ = name
    modulus.__doc__ = doc
    return modulus


remainder = _modulus(
    "remainder", "floor", "input - other·floor(input/other): the sign of other. RuntimeError for an integer zero."
)
fmod = _modulus(
    "fmod", "trunc", "input - other·trunc(input/other): the sign of input. RuntimeError for an integer zero."
)


def pow(input, exponent, *, out=None):
    """input ** exponent. Raises RuntimeError for integers to a negative integer power."""
    if isinstance(input, Tensor) and exponent.__class__ in (int, float) and input._a.dtype.kind in "fc":
        a, b, x, y = input, CONST, input._a, float(exponent)
        if y == 2.0:
            r = wrap(Tensor._k.square(x))
        elif y == 0.5:
            r = wrap(Tensor._k.sqrt(x))
        else:
            r = wrap(Tensor._k.pow(x, y))
    else:
        _check_one_tensor(input, exponent, "pow")
        a, b, x, y = operands(input, exponent, "pow")
        if _is_integer(x) and (y < 0).any():
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        r = _kernel("pow", x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, pow_rule if r._a.dtype.kind != "c" else pow_of_complex_rule, (a._fn, b._fn), (x, y), (a, b))
    return r if out is None else write_out(out, r)


def pow_rule(k, dy, saved, needs):
    x, y = saved
    dx = dz = None
    if needs[0] is not None:
        if y.__class__ is float:
            if y == 0.0:
                dx = k.zeros(x.shape, dy.dtype)
            elif y == 2.0:
                dx = k.mul(dy, k.mul(x, 2.0))
            else:
                dx = k.mul(dy, k.mul(k.pow(x, y - 1.0), y))
        else:  # 0 · x^-1 would be NaN at x = 0: the derivative of x^0 is 0
            slope = k.mul(y, k.pow(x, k.sub(y, 1.0)))
            dx = k.sum_to(k.mul(dy, k.where(k.eq(y, 0.0), 0.0, slope)), x.shape)
    if needs[1] is not None:
        # x^y·ln x; at x = 0 its limit 0 for y >= 0
        if x.__class__ is float:
            slope = k.mul(k.pow(x, y), _log(x))
            if x == 0.0:
                slope = k.where(k.ge(y, 0.0), 0.0, slope)
        else:
            zero = k.logical_and(k.eq(x, 0.0), k.ge(y, 0.0))
            slope = k.where(zero, 0.0, k.mul(k.pow(x, y), k.log(x)))
        dz = k.sum_to(k.mul(dy, slope), y.shape)
    return dx, dz


pow_of_complex_rule = _holomorphic(pow_rule)


def _log(v):
    import math

    return math.log(v) if v > 0 else -math.inf if v == 0 else math.nan


def maximum(input, other, *, out=None):
    """The larger of the two, NaN where either is; equal values share the gradient evenly."""
    check_not_number(input, "maximum")
    check_not_number(other, "maximum", "other")
    a, b, x, y = operands(input, other, "maximum")
    r = _kernel("maximum", x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, maximum_rule, (a._fn, b._fn), (x, y), (a, b))
    return r if out is None else write_out(out, r)


def minimum(input, other, *, out=None):
    """The smaller of the two, NaN where either is; equal values share the gradient evenly."""
    check_not_number(input, "minimum")
    check_not_number(other, "minimum", "other")
    a, b, x, y = operands(input, other, "minimum")
    r = _kernel("minimum", x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, minimum_rule, (a._fn, b._fn), (x, y), (a, b))
    return r if out is None else write_out(out, r)


def maximum_rule(k, dy, saved, needs):
    x, y = saved
    return _extremum_gradients(k, dy, x, y, k.lt, k.gt, needs)


def minimum_rule(k, dy, saved, needs):
    x, y = saved
    return _extremum_gradients(k, dy, x, y, k.gt, k.lt, needs)


def _extremum_gradients(k, dy, x, y, loses, wins, needs):
    shared = k.where(k.eq(x, y), k.mul(dy, 0.5), dy)
    return (
        None if needs[0] is None else k.sum_to(k.where(loses(x, y), 0.0, shared), _shape(x)),
        None if needs[1] is None else k.sum_to(k.where(wins(x, y), 0.0, shared), _shape(y)),
    )


def atan2(input, other, *, out=None):
    """The angle of the point (other, input), in radians."""
    check_not_number(input, "atan2")
    check_not_number(other, "atan2", "other")
    a, b, x, y = operands(input, other, "atan2", floating=True)
    r = _kernel("atan2", x, y)
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, atan2_rule, (a._fn, b._fn), (x, y), (a, b))
    return r if out is None else write_out(out, r)


def atan2_rule(k, dy, saved, needs):
    x, y = saved
    square = k.add(k.mul(x, x), k.mul(y, y))
    scale = k.where(k.eq(square, 0.0), 0.0, k.div(dy, square))  # torch's convention at the origin
    return (
        None if needs[0] is None else k.sum_to(k.mul(scale, y), _shape(x)),
        None if needs[1] is None else k.sum_to(k.neg(k.mul(scale, x)), _shape(y)),
    )


def where(condition, input=None, other=None, *, out=None):
    """input where condition, else other. With the condition alone: its non-zero indices."""
    if not isinstance(condition, Tensor):
        condition = wrap(condition)
    if input is None and other is None:
        from .gather import nonzero

        return nonzero(condition, as_tuple=True)
    c = condition._a
    if c.dtype.kind != "b":
        if c.dtype != dt.uint8.np:
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
            )
        c = c.astype(bool)
    a, b, x, y = operands(input, other, "where")
    try:
        r = wrap(Tensor._k.where(c, x, y))
    except ValueError:
        raise broadcast_error(x, y) from None
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, where_rule, (a._fn, b._fn), (c, _shape(x), _shape(y)), (None, None, None))
    return r if out is None else write_out(out, r)


def where_rule(k, dy, saved, needs):
    c, sx, sy = saved
    return (
        None if needs[0] is None else k.sum_to(k.where(c, dy, 0.0), sx),
        None if needs[1] is None else k.sum_to(k.where(c, 0.0, dy), sy),
    )


# ---------------------------------------------------------------- comparisons and logic: bool, no gradient


def _comparison(name, symbol):
    def compare(input, other, *, out=None):
        if isinstance(other, Tensor) and isinstance(input, Tensor) and (x := input._a).dtype is (y := other._a).dtype:
            pass
        else:
            check_not_number(input, name)
            _, _, x, y = operands(input, other, name)
        r = _kernel(name, x, y)
        return r if out is None else write_out(out, r)

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"input {symbol} other, elementwise; bool."
    return compare


eq, ne = _comparison("eq", "=="), _comparison("ne", "!=")
lt, le = _comparison("lt", "<"), _comparison("le", "<=")
gt, ge = _comparison("gt", ">"), _comparison("ge", ">=")


def _logical(name):
    def logical(input, other, *, out=None):
        check_not_number(input, name)
        check_not_number(other, name, "other")
        x, y = (v._a if isinstance(v, Tensor) else v for v in (input, other))
        r = _kernel(name, x, y)
        return r if out is None else write_out(out, r)

    logical.__name__ = logical.__qualname__ = name
    logical.__doc__ = f"{name} of the truth values; bool."
    return logical


logical_and, logical_or, logical_xor = _logical("logical_and"), _logical("logical_or"), _logical("logical_xor")


def _bitwise(name):
    def bitwise(input, other, *, out=None):
        _check_one_tensor(input, other, name)
        _, _, x, y = operands(input, other, name)
        if not _is_integer(x):
            raise RuntimeError(f"\"{name}_cpu\" not implemented for '{dt.from_np(getattr(x, 'dtype', None)).short}'")
        r = _kernel(name, x, y)
        return r if out is None else write_out(out, r)

    bitwise.__name__ = bitwise.__qualname__ = name
    bitwise.__doc__ = f"{name} of integers or bools."
    return bitwise


bitwise_and, bitwise_or, bitwise_xor = _bitwise("bitwise_and"), _bitwise("bitwise_or"), _bitwise("bitwise_xor")
bitwise_left_shift, bitwise_right_shift = _bitwise("bitwise_left_shift"), _bitwise("bitwise_right_shift")

# ---------------------------------------------------------------- in place


def _plain(t, other):
    """Whether t op= other can go straight to the kernel: no graph, one dtype."""
    return t._a.dtype.kind == "f" and (
        other.__class__ in (int, float)
        or (isinstance(other, Tensor) and other._a.dtype is t._a.dtype and (other._fn is None or not grad_mode.enabled))
    )


def _in_place(name, op, needs_copy):
    def inplace(self, other, **keywords):
        if (self._fn is None or not grad_mode.enabled) and not keywords and _plain(self, other):
            check_writable(self)
            a = self._a
            if isinstance(other, Tensor):
                if other._ver is not None and other._ver is self._ver:
                    check_overlap(self, other)
                y = other._a
            else:
                y = float(other)
            try:
                getattr(Tensor._k, name)(a, y, a)
            except ValueError:
                if y.__class__ is float:
                    raise
                error = broadcast_error(a, y)
                if "must match" not in str(error):
                    error = RuntimeError(
                        f"output with shape {list(a.shape)} doesn't match the broadcast shape of {list(y.shape)}"
                    )
                raise error from None
            self._bump()
            return self
        if keywords:
            return in_place(self, lambda t, o: op(t, o, **keywords), other, needs_copy=needs_copy)
        return in_place(self, op, other, needs_copy=needs_copy)

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__doc__ = f"{name}, in place."
    return inplace


add_, sub_ = _in_place("add", add, False), _in_place("sub", sub, False)
mul_, div_ = _in_place("mul", mul, True), _in_place("div", div, True)


def _in_place_slow(name, op, needs_copy=True):
    def inplace(self, *args, **keywords):
        if keywords:
            return in_place(self, lambda t, *a: op(t, *a, **keywords), *args, needs_copy=needs_copy)
        return in_place(self, op, *args, needs_copy=needs_copy)

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__doc__ = f"{name}, in place."
    return inplace


pow_ = _in_place_slow("pow", pow)
remainder_, fmod_, floor_divide_ = (
    _in_place_slow("remainder", remainder),
    _in_place_slow("fmod", fmod),
    _in_place_slow("floor_divide", floor_divide),
)
bitwise_and_, bitwise_or_ = _in_place_slow("bitwise_and", bitwise_and), _in_place_slow("bitwise_or", bitwise_or)
bitwise_xor_ = _in_place_slow("bitwise_xor", bitwise_xor)
bitwise_left_shift_ = _in_place_slow("bitwise_left_shift", bitwise_left_shift)
bitwise_right_shift_ = _in_place_slow("bitwise_right_shift", bitwise_right_shift)
logical_and_, logical_or_ = _in_place_slow("logical_and", logical_and), _in_place_slow("logical_or", logical_or)


def copy_(self, src, non_blocking=False):
    """self takes src's values, broadcast and converted to self's dtype; differentiable with respect to src."""
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_(): argument 'other' must be Tensor, not {type(src).__name__}")
    if src is self:
        return self
    check_writable(self)
    check_overlap(self, src)
    if src._a.__class__ is not self._a.__class__:
        from .cast import move

        src = move(src, xp.on(self._a))
    a, s = self._a, src._a
    try:
        a[...] = s
    except ValueError:
        raise RuntimeError(
            f"The size of tensor a {list(a.shape)} must match the size of tensor b {list(s.shape)}: src does not "
            f"broadcast to self"
        ) from None
    self._bump()
    if grad_mode.enabled and (self._fn is not None or src._fn is not None):
        from ._common import rebase

        r = wrap(a)
        record(r, copy_rule, (src._fn,), (s.shape, s.dtype), ())
        rebase(self, r._fn)
    return self


def copy_rule(k, dy, saved, needs):
    shape, d = saved
    dy = k.sum_to(dy, shape)
    return (dy if dy.dtype == d else k.cast(dy, d),)


def _comparison_in_place(op):
    def compare(self, other):
        check_writable(self)
        r = op(self, other)
        self._a[...] = r._a
        self._bump()
        return self

    return compare


eq_, ne_, lt_, le_, gt_, ge_ = (_comparison_in_place(op) for op in (eq, ne, lt, le, gt, ge))
