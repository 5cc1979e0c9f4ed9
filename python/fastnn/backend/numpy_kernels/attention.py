"""NumPy twin of attention: the readable definition. This one does hold the matrix of scores, a head at a time."""

import numpy as np


def _scores(q, k, mask, causal, scale):
    """[H, L, S] of one sample, -inf where a key is hidden."""
    s = np.matmul(q * q.dtype.type(scale), k.swapaxes(-1, -2))
    if mask is not None:
        s = np.where(mask, s, -np.inf).astype(s.dtype, copy=False) if mask.dtype == np.bool_ else s + mask
    if causal:
        rows, columns = s.shape[-2:]
        s[..., np.arange(columns) > np.arange(rows)[:, None]] = -np.inf
    return s


def _one(x, b, h):
    return None if x is None else x[b, h]


def _wide(x):
    """16-bit floats are computed with as 32-bit ones."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def attention(q, k, v, mask, causal, scale, kept, kept_scale):
    """(out, lse): out = softmax(q·kᵀ·scale + mask)·v, q [B, H, L, E], k [B, G, S, E], v [B, G, S, Ev]; query head h sees
    key head h // (H/G). mask: None, bool (False hides) or what is added, [B, H, L, S]. causal: query i sees the keys up to
    i. kept: None, or which of the probabilities dropout keeps, times kept_scale. lse [B, H, L] is the logarithm of each
    row's sum of exponentials; +inf where a row sees nothing, whose result is 0."""
    batch, heads, rows, _ = q.shape
    group = heads // k.shape[1]
    wide = np.dtype(np.float32) if q.dtype.itemsize == 2 else q.dtype
    out = np.empty((batch, heads, rows, v.shape[3]), q.dtype)
    lse = np.empty((batch, heads, rows), wide)
    for b, h in np.ndindex(batch, heads):
        s = _scores(_wide(q[b, h]), _wide(k[b, h // group]), _one(mask, b, h), causal, scale)
        largest = np.maximum.reduce(s, -1, None, None, True, -np.inf)
        shift = np.where(largest == -np.inf, 0, largest).astype(wide, copy=False)
        p = np.exp(s - shift)
        total = np.add.reduce(p, -1, None, None, True)
        seen = total != 0
        p /= np.where(seen, total, 1)
        if kept is not None:
            p *= kept[b, h] * wide.type(kept_scale)
        out[b, h] = np.where(seen, np.matmul(p, _wide(v[b, h // group])), 0)
        lse[b, h] = np.where(seen, shift + np.log(np.where(seen, total, 1)), np.inf)[:, 0]
    return out, lse


def attention_backward(dout, q, k, v, mask, causal, scale, kept, kept_scale, out, lse, wanted):
    """(dq, dk, dv), None for what is not wanted. With the probabilities p = exp(score - lse), D = Σ dout·out of a row and
    ds = p·(dout·vᵀ - D): dv = pᵀ·dout, dk = dsᵀ·q·scale, dq = ds·k·scale."""
    batch, heads, rows, _ = q.shape
    group = heads // k.shape[1]
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for b, h in np.ndindex(batch, heads):
        g = h // group
        qh, kh, vh, dh = (_wide(x) for x in (q[b, h], k[b, g], v[b, g], dout[b, h]))
        p = np.exp(_scores(qh, kh, _one(mask, b, h), causal, scale) - lse[b, h][:, None])
        dp = np.matmul(dh, vh.swapaxes(-1, -2))
        dropped = p
        if kept is not None:
            factor = kept[b, h] * p.dtype.type(kept_scale)
            dp *= factor
            dropped = p * factor
        ds = p * (dp - np.add.reduce(dh * _wide(out[b, h]), -1, None, None, True))
        ds *= p.dtype.type(scale)
        dq[b, h] = np.matmul(ds, kh)
        dk[b, g] += np.matmul(ds.swapaxes(-1, -2), qh).astype(k.dtype, copy=False)
        dv[b, g] += np.matmul(dropped.swapaxes(-1, -2), dh).astype(v.dtype, copy=False)
    return tuple(x if w else None for x, w in zip((dq, dk, dv), wanted, strict=True))


__all__ = ["attention", "attention_backward"]
