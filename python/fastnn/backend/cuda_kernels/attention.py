"""Fused attention on the device, under its twin's names. float64, and heads of more than 128, are the twin's, composed."""

import numpy as np

from ._composed import module
from ._native import arrays, contiguous, described, has, is_float, native, ran, stream

twin = module("attention")
_BOOL, _FLOAT32 = np.dtype(np.bool_), np.dtype(np.float32)


class Kept:
    """The mask of dropout on scores [B, H, L, S], drawn by the kernels where they need it instead of being stored: keep is
    2**32 times the probability. Each 16 x 16 of a head's scores take 64 blocks of Philox: block r·8 + c serves rows r,
    r + 8 and columns c, c + 8, word 2·(row // 8 % 2) + column // 8 % 2. Made where the kernels are (rng.py)."""

    __slots__ = ("keep", "offset", "seed", "shape", "state")

    def __init__(self, seed, offset, state, keep, shape):
        self.seed, self.offset, self.state, self.keep, self.shape = seed, offset, state, keep, shape

    @property
    def blocks(self):
        heads, rows, keys = self.shape[0] * self.shape[1], self.shape[2], self.shape[3]
        return heads * -(-rows // 16) * -(-keys // 16) * 64

    @property
    def numbers(self):
        return self.seed, self.offset, self.state, self.keep

    def array(self):
        """The mask in memory, bool [B, H, L, S]."""
        out = arrays.empty(self.shape, _BOOL)
        native.attention_kept(self.numbers, described(out), stream())
        return out


def _array(kept):
    return kept.array() if kept.__class__ is Kept else kept


def _taken(q, k, v, mask):
    d = q.dtype
    if not is_float(d) or d.itemsize > 4 or k.dtype != d or v.dtype != d or not (q.size and k.size and v.size):
        return False
    return max(q.shape[3], v.shape[3]) <= native.attention_head and (mask is None or mask.dtype in (_BOOL, d))


def _rows(a):
    """With contiguous columns: as it lies, if it can be."""
    return a if a.shape[-1] == 1 or a.strides[-1] == a.itemsize else contiguous(a)


def _fresh(like, columns):
    """A new array of like's shape but for the columns, in its order of memory where that is [B, rows, heads, ...]: as a model
    that transposes its heads out and back wants it."""
    b, heads, rows, _ = like.shape
    if heads > 1 and rows > 1 and like.strides[1] < like.strides[2]:
        return arrays.empty((b, rows, heads, columns), like.dtype).swapaxes(1, 2)
    return arrays.empty((b, heads, rows, columns), like.dtype)


def _dropout(kept):
    return kept.numbers if kept.__class__ is Kept else described(contiguous(kept))


def attention(q, k, v, mask, causal, scale, kept, kept_scale):
    """(out, lse): out = softmax(q·kᵀ·scale + mask)·v, as the twin; lse is float32. kept may be a Kept."""
    if not _taken(q, k, v, mask):
        return twin.attention(q, k, v, mask, causal, scale, _array(kept), kept_scale)
    q, k, v = _rows(q), _rows(k), _rows(v)
    out, lse = _fresh(q, v.shape[3]), arrays.empty(q.shape[:3], _FLOAT32)
    native.attention(
        described(q), described(k), described(v), described(mask), causal, scale, _dropout(kept), kept_scale,
        described(out), described(lse), stream(),
    )  # fmt: skip
    ran("attention")
    return out, lse


def attention_backward(dout, q, k, v, mask, causal, scale, kept, kept_scale, out, lse, wanted):
    """(dq, dk, dv), None for what is not wanted."""
    if not _taken(q, k, v, mask) or dout.dtype != q.dtype or lse.dtype != _FLOAT32:
        return twin.attention_backward(dout, q, k, v, mask, causal, scale, _array(kept), kept_scale, out, lse, wanted)
    dout, q, k, v, out = map(_rows, (dout, q, k, v, out))
    dq, dk, dv = (_fresh(x, x.shape[3]) if w else None for x, w in zip((q, k, v), wanted, strict=True))
    native.attention_backward(
        described(dout), described(q), described(k), described(v), described(mask), causal, scale, _dropout(kept),
        kept_scale, described(out), described(contiguous(lse)), described(arrays.empty(q.shape[:3], _FLOAT32)),
        described(dq), described(dk), described(dv), stream(),
    )  # fmt: skip
    ran("attention_backward")
    return dq, dk, dv


__all__ = ["attention", "attention_backward"] if has("attention") else []
