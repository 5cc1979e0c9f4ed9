"""The affine map of a layer, one op: product and bias in one kernel call."""

from .._tape import grad_mode, record
from ..backend import variants
from ..tensor import Tensor, wrap
from . import _autocast
from .activation import recorded_relu, relu
from .elementwise import add
from .matmul import matmul
from .unary import operand


def linear(input, weight, bias=None):
    """input·weightᵀ + bias: input [..., K], weight [N, K], bias [N] -> [..., N]."""
    return _linear(input, weight, bias, "none")


def linear_relu(input, weight, bias=None):
    """relu(linear(input, weight, bias)), clamped where the product is written; the tape has both ops."""
    if not isinstance(weight, Tensor) or weight._a.ndim != 2 or weight._a.dtype.kind != "f":
        return relu(linear(input, weight, bias))
    return recorded_relu(_linear(input, weight, bias, "relu"))


def _linear(input, weight, bias, act):
    if _autocast.depth:
        input, weight, bias = _autocast.low(input, weight, bias)
    if input.__class__ is not Tensor and not isinstance(input, Tensor):
        operand(input, "linear")
    if not isinstance(weight, Tensor):
        raise TypeError(f"linear(): argument 'weight' (position 2) must be Tensor, not {type(weight).__name__}")
    x, w = input._a, weight._a
    b = None if bias is None else bias._a
    n = x.ndim
    if (
        w.ndim != 2
        or n == 0
        or x.shape[-1] != w.shape[1]
        or x.dtype is not w.dtype
        or (b is not None and (b.shape != w.shape[:1] or b.dtype is not x.dtype))
    ):
        _check(input, weight, bias)
        if w.ndim != 2:
            return matmul(input, weight) if bias is None else add(matmul(input, weight), bias)
    if n == 2:
        r = wrap(Tensor._k.gemm(x, w.T, b, act))
    else:
        r = wrap(Tensor._k.gemm(x.reshape(_rows(x), w.shape[1]), w.T, b, act).reshape(x.shape[:-1] + (w.shape[0],)))
    fx, fw, fb = input._fn, weight._fn, None if bias is None else bias._fn
    if (fx is not None or fw is not None or fb is not None) and grad_mode.enabled:
        record(r, linear_rule, (fx, fw, fb), (x, w, variants.current()), (input, weight, None))
    return r


def _rows(x):
    """How many rows x has (a reshape to -1 fails where the rows are empty)."""
    n = 1
    for s in x.shape[:-1]:
        n *= s
    return n


def _check(input, weight, bias):
    """Raise where the three do not fit."""
    x, w = input._a, weight._a
    b = None if bias is None else bias._a
    if x.dtype != w.dtype or (b is not None and b.dtype != x.dtype):
        other = weight if x.dtype != w.dtype else bias
        raise RuntimeError(
            f"mat1 and mat2 must have the same dtype, but got {input.dtype.short} and {other.dtype.short}"
        )
    if w.ndim == 0 or w.ndim > 2 or x.ndim == 0:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, and weight at most 2D, but they are {x.ndim}D and "
            f"{w.ndim}D"
        )
    if w.ndim == 2:
        if x.shape[-1] != w.shape[1]:
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({_rows(x)}x{x.shape[-1]} and {w.shape[1]}x{w.shape[0]})"
            )
        if b is not None and b.shape != (w.shape[0],):
            raise RuntimeError(
                f"The expanded size of the tensor ({w.shape[0]}) must match the existing size ({b.size}) at "
                f"non-singleton dimension 1: bias of shape {list(b.shape)} for weight of shape {list(w.shape)}"
            )


def linear_rule(k, dy, saved, needs):
    """dx = dy·w, dw = dyᵀ·x, db = Σ dy over the rows."""
    x, w, variant = saved
    if variant is not None:
        with variants.kernels(gemm=variant):
            return linear_rule(k, dy, (x, w, None), needs)
    shape = x.shape
    if len(shape) != 2:
        dy = k.reshape(dy, (_rows(x), w.shape[0]))
    dx = dw = db = None
    if needs[0] is not None:
        dx = k.gemm(dy, w)
        if len(shape) != 2:
            dx = k.reshape(dx, shape)
    if needs[1] is not None:
        dw = k.gemm(dy.T, x if len(shape) == 2 else k.reshape(x, (_rows(x), w.shape[1])))
    if needs[2] is not None:
        db = k.sum_to(dy, (w.shape[0],))
    return dx, dw, db


def bilinear(input1, input2, weight, bias=None):
    """Σ_ij input1[i]·weight[n, i, j]·input2[j] + bias: [..., I], [..., J], weight [N, I, J] -> [..., N]."""
    from .elementwise import mul
    from .reduce import sum
    from .shape import reshape, unsqueeze

    w = weight._a.shape
    if len(w) != 3 or input1._a.shape[:-1] != input2._a.shape[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {list(input1.shape)}, {list(input2.shape)} and "
            f"weight {list(w)}"
        )
    if input1._a.shape[-1] != w[1] or input2._a.shape[-1] != w[2]:
        raise RuntimeError(
            f"bilinear(): input sizes {input1._a.shape[-1]} and {input2._a.shape[-1]} do not match weight {list(w)}"
        )
    # [.., I] x [I, N·J] -> [.., N, J], times input2, summed over J
    flat = reshape(weight.permute(1, 0, 2), (w[1], w[0] * w[2]))
    left = reshape(matmul(input1, flat), (*input1._a.shape[:-1], w[0], w[2]))
    r = sum(mul(left, unsqueeze(input2, -2)), -1)
    return r if bias is None else add(r, bias)
