"""Matrix products, under their twins' names. The ladder: `naive`, `tiled`, `warptiled`, `tensorcore`, `3xtf32`
(float32's accuracy from tensor cores, which TF32 alone does not have); without a choice the best that takes the operands.
`backends.cuda.matmul.allow_3xtf32 = False` leaves float32 to the ordinary units."""

import numpy as np

from ... import _settings
from ...backends import cuda as _switches
from .. import variants
from ..numpy_kernels.gemm import _ACTS, _check
from ._composed import module
from ._native import arrays, contiguous, described, has, is_float, native, ran, stream

twin = module("gemm")
_ACT = {name: i for i, name in enumerate(("none", "relu", "gelu", "gelu_tanh", "tanh", "sigmoid"))}
_VARIANTS = ("naive", "tiled", "warptiled", "tensorcore", "3xtf32")
_counters: dict = {}


def gemm_counters() -> dict[str, int]:
    """Calls so far by the variant that was asked for."""
    return dict(_counters)


def tf32() -> bool:
    """Whether the script lets float32 products be rounded to TF32."""
    return bool(_switches.matmul.allow_tf32) or _settings.get_float32_matmul_precision() != "highest"


def options():
    """(the variant's number, whether float32 may be rounded to TF32)."""
    variant = variants.current()
    _counters[variant or "auto"] = _counters.get(variant or "auto", 0) + 1
    return native.gemm_variants[variant or ("auto" if _switches.matmul.allow_3xtf32 else "auto_simt")], tf32()


def _variant_is_here():
    variant = variants.current()
    return variant is None or variant in _VARIANTS


def _rows(out):
    return out.ndim < 2 or out.shape[-1] <= 1 or out.strides[-1] == out.itemsize


def gemm(a, b, bias=None, act="none", out=None, accumulate=False):
    """act(a @ b + bias) for matrices a [M, K], b [K, N] and a vector bias [N]; with accumulate, out += a @ b + bias."""
    covered = is_float(a.dtype) and a.dtype == b.dtype and (bias is None or bias.dtype == a.dtype) and act in _ACTS
    if not covered or not _variant_is_here() or (out is not None and (out.dtype != a.dtype or not _rows(out))):
        return twin.gemm(a, b, bias, act, out, accumulate)
    if a.ndim != 2 or b.ndim != 2 or (accumulate and (out is None or act != "none")):
        return twin.gemm(a, b, bias, act, out, accumulate)  # raises
    shape = (a.shape[0], b.shape[1])
    _check("gemm", a, b, out, shape)
    if bias is not None and bias.shape != shape[1:]:
        raise ValueError(f"gemm: bias has shape {bias.shape}, the product {shape[1]} columns")
    c = arrays.empty(shape, a.dtype) if out is None else out
    native.gemm(
        described(a),
        described(b),
        described(contiguous(bias)),
        described(c),
        _ACT[act],
        accumulate,
        *options(),
        stream(),
    )
    ran("gemm")
    return c


def gemm_wide(a, b):
    """a @ b of 16-bit floats in float32, as it is summed; of others as gemm's."""
    if a.dtype.itemsize != 2:
        return gemm(a, b)
    c = arrays.empty((a.shape[0], b.shape[1]), np.float32)
    native.gemm(described(a), described(b), None, described(c), 0, False, *options(), stream())
    ran("gemm")
    return c


def bmm(a, b, out=None):
    """a [B, M, K] @ b [B, K, N], one product for each index of the first dimension."""
    covered = is_float(a.dtype) and a.dtype == b.dtype and a.ndim == 3 and b.ndim == 3 and a.shape[0] == b.shape[0]
    if not covered or not _variant_is_here() or (out is not None and (out.dtype != a.dtype or not _rows(out))):
        return twin.bmm(a, b, out)
    shape = (a.shape[0], a.shape[1], b.shape[2])
    _check("bmm", a, b, out, shape)
    c = arrays.empty(shape, a.dtype) if out is None else out
    native.gemm(described(a), described(b), None, described(c), 0, False, *options(), stream())
    ran("gemm")
    return c


__all__ = ["bmm", "gemm", "gemm_counters"] if has("gemm") else []
