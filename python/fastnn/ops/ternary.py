"""lerp, addcmul, addcdiv: ops of three tensors, in one pass where all have one floating dtype."""

from .._tape import grad_mode, record
from ..tensor import Tensor, wrap
from ._common import broadcast_error, check_overlap, check_writable, in_place, write_out
from .elementwise import add, div, mul, sub


def _plain(*operands):
    """Whether the kernel takes them: arrays of one floating dtype, on one device."""
    first = operands[0]
    if not (isinstance(first, Tensor) and first._a.dtype.kind == "f"):
        return False
    a = first._a
    return all(isinstance(t, Tensor) and t._a.dtype is a.dtype and t._a.__class__ is a.__class__ for t in operands[1:])


def _run(name, arrays, numbers, out=None):
    try:
        return getattr(Tensor._k, name)(*arrays, *numbers, out)
    except ValueError:
        shapes = [a for a in arrays if getattr(a, "ndim", 0)]
        raise broadcast_error(shapes[0], next((a for a in shapes[1:] if not _fits(shapes[0], a)), shapes[-1])) from None


def _fits(a, b):
    return all(m == n or 1 in (m, n) for m, n in zip(a.shape[::-1], b.shape[::-1], strict=False))


def _recorded(name, rule, tensors, numbers):
    arrays = [t._a if isinstance(t, Tensor) else t for t in tensors]
    r = wrap(_run(name, arrays, numbers))
    nodes = tuple(t._fn if isinstance(t, Tensor) else None for t in tensors)
    if grad_mode.enabled and any(f is not None for f in nodes):
        kept = tuple(t if isinstance(t, Tensor) else None for t in tensors)
        record(r, rule, nodes, (*arrays, *numbers), (*kept, *(None for _ in numbers)))
    return r


def _to(k, g, like):
    return g if g.shape == like.shape else k.sum_to(g, like.shape)


def lerp(input, end, weight, *, out=None):
    """input + weight·(end - input); `weight` is a number or a tensor."""
    if _plain(input, end, *((weight,) if isinstance(weight, Tensor) else ())):
        r = _recorded("lerp", lerp_rule, (input, end, weight if isinstance(weight, Tensor) else float(weight)), ())
    else:
        r = add(input, mul(weight if isinstance(weight, Tensor) else float(weight), sub(end, input)))
    return r if out is None else write_out(out, r)


def lerp_rule(k, dy, saved, needs):
    x, y, w = saved
    return (
        None if needs[0] is None else _to(k, k.mul(dy, k.sub(1.0, w) if hasattr(w, "shape") else 1.0 - w), x),
        None if needs[1] is None else _to(k, k.mul(dy, w), y),
        None if needs[2] is None else _to(k, k.mul(dy, k.sub(y, x)), w),
    )


def addcmul(input, tensor1, tensor2, *, value=1, out=None):
    """input + value·tensor1·tensor2."""
    if _plain(input, tensor1, tensor2):
        r = _recorded("addcmul", addcmul_rule, (input, tensor1, tensor2), (float(value),))
    else:
        product = mul(tensor1, tensor2)
        r = add(input, product if value == 1 else mul(product, value))
    return r if out is None else write_out(out, r)


def addcmul_rule(k, dy, saved, needs):
    x, y, z, value = saved
    scaled = dy if value == 1 else k.mul(dy, value)
    return (
        None if needs[0] is None else _to(k, dy, x),
        None if needs[1] is None else _to(k, k.mul(scaled, z), y),
        None if needs[2] is None else _to(k, k.mul(scaled, y), z),
    )


def addcdiv(input, tensor1, tensor2, *, value=1, out=None):
    """input + value·tensor1/tensor2."""
    if _plain(input, tensor1, tensor2):
        r = _recorded("addcdiv", addcdiv_rule, (input, tensor1, tensor2), (float(value),))
    else:
        quotient = div(tensor1, tensor2)
        r = add(input, quotient if value == 1 else mul(quotient, value))
    return r if out is None else write_out(out, r)


def addcdiv_rule(k, dy, saved, needs):
    x, y, z, value = saved
    by_z = k.div(dy if value == 1 else k.mul(dy, value), z)
    return (
        None if needs[0] is None else _to(k, dy, x),
        None if needs[1] is None else _to(k, by_z, y),
        None if needs[2] is None else _to(k, k.neg(k.mul(by_z, k.div(y, z))), z),
    )


# ---------------------------------------------------------------- in place


def _in_place(name, op):
    def inplace(self, tensor1, last, *, value=1):
        """`op`, into self: without a graph in one pass, each element being read before it is written."""
        number = not isinstance(last, Tensor)
        others = (tensor1,) if number else (tensor1, last)
        tensors = (self, *others)
        graph = grad_mode.enabled and any(isinstance(t, Tensor) and t._fn is not None for t in tensors)
        if graph or not _plain(*tensors) or any(t._a.shape != self._a.shape for t in others):
            more = {} if name == "lerp" else {"value": value}
            return in_place(self, lambda t, *a: op(t, *a, **more), tensor1, last)
        check_writable(self)
        for t in others:
            if t._ver is not None and t._ver is self._ver:
                check_overlap(self, t)
        numbers = () if name == "lerp" else (float(value),)
        _run(name, (self._a, tensor1._a, float(last) if number else last._a), numbers, self._a)
        self._bump()
        return self

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__doc__ = f"{name}, in place."
    return inplace


lerp_, addcmul_, addcdiv_ = _in_place("lerp", lerp), _in_place("addcmul", addcmul), _in_place("addcdiv", addcdiv)
