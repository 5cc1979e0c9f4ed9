"""NumPy twins of the gemm kernels: the readable definition of each, and what runs where nothing is compiled."""

import math

import numpy as np

from .. import variants

__all__ = ["bmm", "gemm", "gemm_counters"]

_counters = {"naive": 0, "blas": 0}
_erf = np.frompyfunc(math.erf, 1, 1)


def _gelu(x):
    return x * 0.5 * (1 + _erf(x * math.sqrt(0.5)).astype(x.dtype))


def _gelu_tanh(x):
    return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def _sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


_ACTS = {
    "none": lambda x: x,
    "relu": lambda x: np.where(x <= 0, x.dtype.type(0), x),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
}


def gemm_counters() -> dict[str, int]:
    """Calls so far by the variant that ran."""
    return dict(_counters)


def _naive(a, b):
    """c[i, j] = sum over k of a[i, k] b[k, j], one element at a time."""
    c = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            for k in range(a.shape[1]):
                c[i, j] += a[i, k] * b[k, j]
    return c


def _product(a, b):
    """a @ b by the variant in force, accumulated in float32 where the operands have 16 bits."""
    narrow = a.dtype.itemsize == 2 and a.dtype.kind in "fV"
    if narrow:
        a, b = a.astype(np.float32), b.astype(np.float32)
    variant = variants.current()
    if variant is None or variant == "blas":
        _counters["blas"] += 1
        return np.matmul(a, b)
    if variant != "naive":
        raise RuntimeError(f"gemm: variant {variant!r} needs the cpu backend and float operands")
    _counters["naive"] += 1
    if a.ndim == 2:
        return _naive(a, b)
    return np.stack([_naive(x, y) for x, y in zip(a, b, strict=True)]) if len(a) else np.matmul(a, b)


def _check(fn, a, b, out, shape):
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"{fn}: a's columns must match b's rows, got {a.shape} and {b.shape}")
    if out is not None and out.shape != shape:
        raise ValueError(f"{fn}: out has shape {out.shape}, the product {shape}")


def gemm(a, b, bias=None, act="none", out=None, accumulate=False):
    """act(a @ b + bias) for matrices a [M, K], b [K, N] and a vector bias [N]; with accumulate, out += a @ b + bias."""
    for name, x in (("a", a), ("b", b)):
        if x.ndim != 2:
            raise ValueError(f"gemm: {name} must have 2 dimensions, has {x.ndim}")
    _check("gemm", a, b, out, (a.shape[0], b.shape[1]))
    if act not in _ACTS:
        raise ValueError(f"gemm: act must be one of {', '.join(_ACTS)}, got {act!r}")
    if bias is not None and bias.shape != (b.shape[1],):
        raise ValueError(f"gemm: bias has shape {bias.shape}, the product {b.shape[1]} columns")
    if accumulate and out is None:
        raise ValueError("gemm: accumulate needs out")
    if accumulate and act != "none":
        raise ValueError(f"gemm: accumulate takes no activation, got act={act!r}")
    c = _product(a, b)
    if bias is not None:
        c = c + bias.astype(c.dtype, copy=False)
    if act != "none":
        c = _ACTS[act](c)
    if out is None:
        return c.astype(a.dtype, copy=False)
    if accumulate:
        c = out.astype(c.dtype, copy=False) + c
    out[...] = c
    return out


def bmm(a, b, out=None):
    """a [B, M, K] @ b [B, K, N], one product for each index of the first dimension."""
    for name, x in (("a", a), ("b", b)):
        if x.ndim != 3:
            raise ValueError(f"bmm: {name} must have 3 dimensions, has {x.ndim}")
    if a.shape[0] != b.shape[0]:
        raise ValueError(f"bmm: batches must match, got {a.shape} and {b.shape}")
    _check("bmm", a, b, out, (a.shape[0], a.shape[1], b.shape[2]))
    c = _product(a, b)
    if out is None:
        return c.astype(a.dtype, copy=False)
    out[...] = c
    return out
