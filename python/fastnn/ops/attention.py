"""Scaled dot-product attention: softmax(q·kᵀ·scale + mask)·v, one kernel that never holds the matrix of scores; or, under
kernels(attention="naive") and where the mask needs a gradient, made of ops."""

from .. import dtypes as dt
from .. import random as generators
from .._tape import grad_mode, record
from ..backend import variants, xp
from ..tensor import Tensor, wrap
from . import _autocast
from .cast import cast
from .dropout import dropout
from .elementwise import add, mul, sub
from .gather import masked_fill
from .matmul import matmul
from .reduce import sum
from .shape import expand, reshape, transpose
from .unary import logical_not, operand


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """softmax(query·keyᵀ·scale + attn_mask)·value: query [*, L, E], key [*, S, E], value [*, S, Ev] -> [*, L, Ev].

    attn_mask, broadcast to [*, L, S]: bool, True where a query may see a key, or numbers that are added. is_causal:
    query i sees the keys up to i. scale: 1/√E unless given. dropout_p: always applied. enable_gqa: key and value
    [B, G, S, ...] of fewer heads, each for H/G heads of query. A query that sees nothing gets 0."""
    q, k, v = (operand(x, "scaled_dot_product_attention") for x in (query, key, value))
    if _autocast.depth:
        q, k, v = _autocast.low(q, k, v)
    _check(q, k, v, attn_mask, is_causal)
    p = float(dropout_p)
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    scale = q._a.shape[-1] ** -0.5 if scale is None and q._a.shape[-1] else 1.0 if scale is None else float(scale)
    q, k, v, shape = _four_dimensions(q, k, v, enable_gqa)
    (batch, heads, rows, _), keys = q._a.shape, k._a.shape[2]
    scores = (batch, heads, rows, keys)
    mask = None if attn_mask is None else _as_mask(attn_mask, (*shape[:-2], rows, keys), scores, q.dtype)
    if p == 1.0 or 0 in scores or 0 in v._a.shape or q._a.shape[3] == 0:
        return reshape(_from_ops(q, k, v, mask, is_causal, scale, p), shape)
    by_mask = mask is not None and mask._fn is not None and grad_mode.enabled
    if by_mask or variants.current("attention") == "naive":
        return reshape(_from_ops(q, k, v, mask, is_causal, scale, p), shape)
    kept = generators.engine(None, q._a).dropout_mask(scores, p) if p else None
    how = (None if mask is None else mask._a, bool(is_causal), scale, kept, 1 / (1 - p) if p else 1.0)
    out, lse = Tensor._k.attention(q._a, k._a, v._a, *how)
    r = wrap(out)
    nodes = (q._fn, k._fn, v._fn)
    if grad_mode.enabled and nodes != (None, None, None):
        saved = (q._a, k._a, v._a, *how, out, lse)
        record(r, scaled_dot_product_attention_rule, nodes, saved, (q, k, v, mask) + (None,) * 6)
    return r if r._a.shape == shape else reshape(r, shape)


def scaled_dot_product_attention_rule(k, dy, saved, needs):
    wanted = needs[0] is not None, needs[1] is not None, needs[2] is not None
    return k.attention_backward(dy, *saved, wanted)


def _check(q, k, v, mask, is_causal):
    x, y, z = q._a, k._a, v._a
    if min(x.ndim, y.ndim, z.ndim) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be at least 2 dimensional, but got query.dim: {x.ndim} key.dim: "
            f"{y.ndim} and value.dim: {z.ndim} instead."
        )
    if x.dtype != y.dtype or x.dtype != z.dtype:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {q.dtype.short} key.dtype: "
            f"{k.dtype.short} and value.dtype: {v.dtype.short} instead."
        )
    if q.dtype.category != 2:
        raise RuntimeError(f"scaled_dot_product_attention: expected floating-point inputs, but got {q.dtype.short}")
    if x.shape[-1] != y.shape[-1]:
        raise RuntimeError(
            f"scaled_dot_product_attention: query and key have rows of different size: {x.shape[-1]} and {y.shape[-1]}"
        )
    if y.shape[-2] != z.shape[-2]:
        raise RuntimeError(
            f"scaled_dot_product_attention: as many rows of key as of value are expected, got {y.shape[-2]} and "
            f"{z.shape[-2]}"
        )
    if mask is None:
        return
    if is_causal:
        raise RuntimeError(
            "scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True: put the causal "
            "triangle into the mask"
        )
    if not isinstance(mask, Tensor):
        raise TypeError(
            f"scaled_dot_product_attention(): argument 'attn_mask' must be Tensor, not {type(mask).__name__}"
        )
    if mask.dtype is not dt.bool_ and mask.dtype is not q.dtype and mask.dtype is not dt.float32:
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{mask.dtype.short} and  query.dtype: {q.dtype.short} instead."
        )


def _four_dimensions(q, k, v, enable_gqa):
    """The three as [B, H, rows, columns], and the result's shape."""
    a, b, c = q._a.shape, k._a.shape, v._a.shape
    if len(a) == len(b) == len(c) == 4 and a[:2] == b[:2] == c[:2]:
        return q, k, v, (*a[:3], c[3])
    if enable_gqa:
        if min(len(a), len(b), len(c)) < 3:
            raise RuntimeError(
                "scaled_dot_product_attention: enable_gqa needs inputs [*, heads, rows, columns], got "
                f"{len(a)}, {len(b)} and {len(c)} dimensions"
            )
        if b[-3] == 0 or b[-3] != c[-3] or a[-3] % b[-3]:
            raise RuntimeError(
                "Number of heads in key and value must divide the number of heads in query, got "
                f"{b[-3]}, {c[-3]} and {a[-3]}"
            )
        heads, ends = a[-3], 3
    else:
        heads, ends = None, 2
    try:
        batch = xp.broadcast_shapes(a[:-ends], b[:-ends], c[:-ends])
    except ValueError:
        raise RuntimeError(
            f"scaled_dot_product_attention: the batch dimensions of query {list(a)}, key {list(b)} and value "
            f"{list(c)} do not broadcast"
        ) from None
    shape = (*batch, *(() if heads is None else (heads,)), a[-2], c[-1])
    if heads is None:
        whole = batch if len(batch) == 2 else (1, *batch) if len(batch) == 1 else (_size(batch), 1)
    else:
        whole = (_size(batch),)

    def four(t):
        s = t._a.shape
        if s[:-ends] != batch:
            t = expand(t, batch + s[-ends:])
        wanted = whole + s[-ends:]
        return t if t._a.shape == wanted else reshape(t, wanted)

    return four(q), four(k), four(v), shape


def _size(shape):
    n = 1
    for s in shape:
        n *= s
    return n


def _as_mask(mask, want, scores, dtype):
    """The mask expanded to `want`, in the four dimensions of the scores, bool or of that dtype."""
    if mask.dtype is not dt.bool_ and mask.dtype is not dtype:
        mask = cast(mask, dtype)
    try:
        xp.broadcast_to(mask._a, want)
    except ValueError:
        raise RuntimeError(
            f"scaled_dot_product_attention: attn_mask of shape {list(mask._a.shape)} does not broadcast to the scores' "
            f"{list(want)}"
        ) from None
    mask = expand(mask, want)
    return mask if mask._a.shape == scores else reshape(mask, scores)


def _probabilities(q, k, mask, causal, scale):
    """softmax(q·kᵀ·scale + mask), 0 where a query sees nothing."""
    s = matmul(mul(q, scale), transpose(k, -1, -2))
    hidden = None
    if mask is not None and mask.dtype is dt.bool_:
        hidden = logical_not(mask)
    elif mask is not None:
        s = add(s, mask)
    if causal:
        rows, keys = s._a.shape[-2:]
        hidden = wrap(xp.on(q._a).tri_mask((rows, keys), 1, False))
    if hidden is not None:
        s = masked_fill(s, hidden, -float("inf"))
    if mask is None and not causal:
        return _softmax(s)
    empty = wrap(Tensor._k.eq(Tensor._k.amax(s._a, (3,), True), -float("inf"))) if s._a.shape[3] else None
    if empty is None or not empty._a.any():
        return _softmax(s)
    return masked_fill(_softmax(masked_fill(s, empty, 0.0)), empty, 0.0)


def _softmax(s):
    from .softmax import softmax

    return softmax(s, -1)


def _repeated(t, heads):
    """Each key head for its query heads: [B, G, S, E] -> [B, H, S, E]."""
    b, g, rows, width = t._a.shape
    if g == heads:
        return t
    return reshape(expand(reshape(t, (b, g, 1, rows, width)), (b, g, heads // g, rows, width)), (b, heads, rows, width))


def _from_ops(q, k, v, mask, causal, scale, p):
    heads = q._a.shape[1]
    weights = _probabilities(q, _repeated(k, heads), mask, causal, scale)
    return matmul(dropout(weights, p) if p else weights, _repeated(v, heads))


def attention_backward(dout, q, k, v, mask, causal, scale, kept, kept_scale, out, lse, wanted):
    """Differentiable: the probabilities p are computed again. dv = pᵀ·dout, ds = p·(dout·vᵀ - Σ p·dout·vᵀ),
    dk = dsᵀ·q·scale, dq = ds·k·scale."""
    heads, groups = q._a.shape[1], k._a.shape[1]
    keys, values = _repeated(k, heads), _repeated(v, heads)
    if mask is not None and not isinstance(mask, Tensor):
        mask = wrap(mask)
    p = _probabilities(q, keys, mask, causal, scale)
    dp, dropped = matmul(dout, transpose(values, -1, -2)), p
    if kept is not None:
        if hasattr(kept, "array"):  # drawn by the kernels where they need it
            kept = kept.array()
        factor = wrap(Tensor._k.mul(Tensor._k.cast(kept, q._a.dtype), kept_scale))
        dp, dropped = mul(dp, factor), mul(p, factor)
    g = mul(p, dp)
    ds = mul(sub(g, mul(p, sum(g, -1, True))), scale)

    def grouped(t):
        if groups == heads:
            return t
        b, _, rows, width = t._a.shape
        return sum(reshape(t, (b, groups, heads // groups, rows, width)), 2)

    dq = matmul(ds, keys) if wanted[0] else None
    dk = grouped(matmul(transpose(ds, -1, -2), q)) if wanted[1] else None
    dv = grouped(matmul(transpose(dropped, -1, -2), dout)) if wanted[2] else None
    return dq, dk, dv
