"""Complex tensors: making them, their parts, and the gradients of functions that are not holomorphic.

A gradient of a real result with respect to z is dL/d(re z) + i·dL/d(im z), torch's convention: the rule of a
holomorphic f multiplies by the conjugate of f'.
"""

from .. import dtypes as dt
from .._tape import grad_mode, record
from ..tensor import Tensor, wrap
from ._common import broadcast_error, view_of, write_out
from .cast import cast

_COMPLEX = {"float32": dt.complex64, "float64": dt.complex128, "float16": dt.complex64}


def _is_complex(t):
    return t._a.dtype.kind == "c"


def complex(real, imag, *, out=None):
    """real + i·imag, of two tensors of one floating dtype."""
    for t, name in ((real, "real"), (imag, "imag")):
        if not isinstance(t, Tensor):
            raise TypeError(f"complex(): argument '{name}' must be Tensor, not {type(t).__name__}")
        if t._a.dtype.name not in _COMPLEX:
            raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {real.dtype.short} and "
                               f"{getattr(getattr(imag, 'dtype', None), 'short', imag)}")  # fmt: skip
    if real._a.dtype != imag._a.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {real.dtype.short} but got scalar type {imag.dtype.short} for second argument"
        )
    try:
        r = wrap(Tensor._k.make_complex(real._a, imag._a))
    except ValueError:
        raise broadcast_error(real._a, imag._a) from None
    if (real._fn is not None or imag._fn is not None) and grad_mode.enabled:
        record(r, complex_rule, (real._fn, imag._fn), (real._a.shape, imag._a.shape), ())
    if out is not None and out._a.dtype != r._a.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {r.dtype.short} but got {out.dtype.short} for argument 'out'"
        )
    return r if out is None else write_out(out, r)


make_complex = complex


def complex_rule(k, dy, saved, needs):
    sx, sy = saved
    return (
        None if needs[0] is None else k.sum_to(k.real_part(dy), sx),
        None if needs[1] is None else k.sum_to(k.imag_part(dy), sy),
    )


def polar(abs, angle, *, out=None):
    """abs·e^(i·angle)"""
    from .elementwise import mul
    from .unary import cos, sin

    for t in (abs, angle):
        if t._a.dtype.name not in _COMPLEX:
            raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {t.dtype.short}")
    if abs._a.dtype != angle._a.dtype:
        raise RuntimeError(f"Expected object of scalar type {abs.dtype.short} but got scalar type {angle.dtype.short}")
    r = complex(mul(abs, cos(angle)), mul(abs, sin(angle)))
    if out is not None and out._a.dtype != r._a.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {r.dtype.short} but got {out.dtype.short} for argument 'out'"
        )
    return r if out is None else write_out(out, r)


def conj(input):
    """The complex conjugate; a real tensor itself."""
    if not _is_complex(input):
        return input
    r = wrap(Tensor._k.conj(input._a))
    if input._fn is not None and grad_mode.enabled:
        record(r, conj_rule, (input._fn,), (), ())
    return r


def conj_rule(k, dy, saved, needs):
    return (k.conj(dy),)


conj_physical = conj


def resolve_conj(input):
    """input: conjugates are never kept lazily."""
    return input


def resolve_neg(input):
    """input: negations are never kept lazily."""
    return input


def is_conj(input):
    return False


def is_neg(input):
    return False


def _part(name, doc):
    def part(input):
        if not _is_complex(input):
            if name == "imag":
                raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
            return input
        r = view_of(input, getattr(input._a, name))
        if input._fn is not None and grad_mode.enabled:
            record(r, rule, (input._fn,), (), ())
        return r

    def rule(k, dy, saved, needs):
        zero = k.zeros(dy.shape, dy.dtype)
        return (k.make_complex(dy, zero) if name == "real" else k.make_complex(zero, dy),)

    rule.__name__ = rule.__qualname__ = name + "_rule"
    part.__name__ = part.__qualname__ = name
    part.__doc__ = doc
    return part


real = _part("real", "The real part, as a view; a real tensor itself.")
imag = _part("imag", "The imaginary part, as a view. RuntimeError for a real tensor.")
real_part, imag_part = real, imag


def real_set(self, value):
    """x.real = value"""
    real(self).copy_(value if isinstance(value, Tensor) else wrap(self._a.real.dtype.type(value)))


def imag_set(self, value):
    """x.imag = value"""
    imag(self).copy_(value if isinstance(value, Tensor) else wrap(self._a.real.dtype.type(value)))


def view_as_real(input):
    """The complex tensor's memory as real pairs: one more dimension, of size 2."""
    x = input._a
    if not _is_complex(input):
        raise RuntimeError("view_as_real is only supported for complex tensors")
    r = view_of(input, Tensor._k.pairs_of_complex(x))
    if input._fn is not None and grad_mode.enabled:
        record(r, view_as_real_rule, (input._fn,), (), ())
    return r


def view_as_real_rule(k, dy, saved, needs):
    return (k.complex_of_pairs(dy),)


def view_as_complex(input):
    """Real pairs in the last dimension, which lie together in memory, as complex numbers."""
    x = input._a
    if x.dtype.name not in ("float32", "float64", "float16"):
        raise RuntimeError(
            f"view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
            f"{input.dtype.short}"
        )
    if x.ndim == 0:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if x.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if x.size and x.strides[-1] != x.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % (2 * x.itemsize) for s, n in zip(x.strides[:-1], x.shape, strict=False) if n > 1):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    r = view_of(input, Tensor._k.complex_of_pairs(x))
    if input._fn is not None and grad_mode.enabled:
        record(r, view_as_complex_rule, (input._fn,), (), ())
    return r


def view_as_complex_rule(k, dy, saved, needs):
    return (k.pairs_of_complex(dy),)


def complex_of_pairs(x):
    return view_as_complex(x)


def pairs_of_complex(x):
    return view_as_real(x)


def angle(input, *, out=None):
    """The argument of a complex number in radians; of a real one 0, or pi where it is negative."""
    t = input
    if t._a.dtype.kind in "iub":
        t = cast(t, dt.get_default_dtype())
    r = wrap(Tensor._k.angle(t._a))
    if t._fn is not None and grad_mode.enabled:
        record(r, angle_rule, (t._fn,), (t._a,), (t,))
    return r if out is None else write_out(out, r)


def angle_rule(k, dy, saved, needs):
    """i·dy·z/|z|², 0 at 0 and for real numbers."""
    (z,) = saved
    if not _complex_dtype(z.dtype):
        return (k.zeros(dy.shape, dy.dtype),)
    re, im = k.real_part(z), k.imag_part(z)
    size = k.add(k.mul(re, re), k.mul(im, im))
    scale = k.where(k.eq(size, 0.0), 0.0, k.div(dy, size))
    return (k.make_complex(k.neg(k.mul(scale, im)), k.mul(scale, re)),)


def _complex_dtype(d):
    return getattr(d, "kind", None) == "c" or getattr(d, "category", None) == 3


def sgn(input, *, out=None):
    """z/|z|, 0 at 0; sign for real numbers."""
    from .elementwise import div, where
    from .unary import abs as abs_
    from .unary import sign

    if not _is_complex(input):
        return sign(input, out=out)
    size = abs_(input)
    r = where(size == 0, 0.0, div(input, where(size == 0, 1.0, size)))
    return r if out is None else write_out(out, r)


def isreal(input):
    """Whether each element's imaginary part is 0."""
    from .create import ones_like

    return imag(input) == 0 if _is_complex(input) else ones_like(input, dtype=dt.bool_)


def adjoint(input):
    """The last two dimensions swapped, and conjugated."""
    from .shape import mT

    if input._a.ndim < 2:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {input._a.ndim}-D tensor."
        )
    return conj(mT(input))


def H(input):
    """The conjugate transpose of a matrix (x.H); a scalar is itself."""
    from .shape import transpose

    if input._a.ndim not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {input._a.ndim}-D tensor.")
    return conj(transpose(input, 0, 1) if input._a.ndim else input)
