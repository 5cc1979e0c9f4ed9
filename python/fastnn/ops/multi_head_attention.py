"""The whole of a multi-head attention layer: projections, heads, masks, attention, output projection."""

from ..backend import xp
from ..tensor import Tensor, wrap
from .attention import scaled_dot_product_attention
from .dropout import dropout
from .join import cat
from .linear import linear
from .matmul import matmul
from .pad import pad
from .softmax import softmax


def _additive(mask, name, like):
    """A mask as what is added to the scores: of a bool mask -inf where it is True."""
    if mask is None:
        return None
    d = mask._a.dtype
    if d.kind == "b":
        k = Tensor._k
        at = xp.on(mask._a)
        zeros = at.zeros(mask._a.shape, like._a.dtype)
        return wrap(k.where(mask._a, at.full(mask._a.shape, -float("inf"), like._a.dtype), zeros))
    if mask.dtype.category != 2:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    return mask if mask.dtype is like.dtype else mask.to(like.dtype)


def _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads):
    """Whether there is a batch dimension; AssertionError where the ranks do not go together."""
    n = query._a.ndim
    if n not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {n}-D query tensor")
    kind = "batched" if n == 3 else "unbatched"
    if key._a.ndim != n or value._a.ndim != n:
        raise AssertionError(
            f"For {kind} ({n}-D) `query`, expected `key` and `value` to be {n}-D but found {key._a.ndim}-D and "
            f"{value._a.ndim}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask._a.ndim != n - 1:
        raise AssertionError(
            f"For {kind} ({n}-D) `query`, expected `key_padding_mask` to be `None` or {n - 1}-D but found "
            f"{key_padding_mask._a.ndim}-D tensor instead"
        )
    if attn_mask is not None:
        if attn_mask._a.ndim not in (2, 3):
            raise AssertionError(
                f"For {kind} ({n}-D) `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
                f"{attn_mask._a.ndim}-D tensor instead"
            )
        if n == 2 and attn_mask._a.ndim == 3:
            wanted = (num_heads, query._a.shape[0], key._a.shape[0])
            if attn_mask._a.shape != wanted:
                raise AssertionError(f"Expected `attn_mask` shape to be {wanted} but got {tuple(attn_mask._a.shape)}")
    return n == 3


def _project(q, k, v, weight, bias, separate):
    """The three projections [rows, batch, E]; inputs that are one tensor share one product."""
    if separate is not None:
        wq, wk, wv = separate
        embed, width = q._a.shape[-1], k._a.shape[-1]
        for w, name, wanted in ((wq, "q", embed), (wk, "k", width), (wv, "v", v._a.shape[-1])):
            if w._a.shape != (embed, wanted):
                raise AssertionError(f"expecting {name} weights shape of {(embed, wanted)}, but got {w._a.shape}")
        bq, bk, bv = (None,) * 3 if bias is None else bias.chunk(3)
        return linear(q, wq, bq), linear(k, wk, bk), linear(v, wv, bv)
    embed = q._a.shape[-1]
    if q is k and k is v:
        return linear(q, weight, bias).chunk(3, -1)
    if k is v:
        wq, wkv = weight.split([embed, 2 * embed])
        bq, bkv = (None, None) if bias is None else bias.split([embed, 2 * embed])
        return linear(q, wq, bq), *linear(k, wkv, bkv).chunk(2, -1)
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    return tuple(linear(x, w, b) for x, w, b in zip((q, k, v), weight.chunk(3), biases, strict=True))


def multi_head_attention_forward(
    query,
    key,
    value,
    embed_dim_to_check,
    num_heads,
    in_proj_weight,
    in_proj_bias,
    bias_k,
    bias_v,
    add_zero_attn,
    dropout_p,
    out_proj_weight,
    out_proj_bias,
    training=True,
    key_padding_mask=None,
    need_weights=True,
    attn_mask=None,
    use_separate_proj_weight=False,
    q_proj_weight=None,
    k_proj_weight=None,
    v_proj_weight=None,
    static_k=None,
    static_v=None,
    average_attn_weights=True,
    is_causal=False,
):
    """(result, weights): query [L, N, E], key [S, N, Ek], value [S, N, Ev] -> [L, N, E], all without N if unbatched.

    key_padding_mask [N, S] and attn_mask [L, S] or [N·heads, L, S]: bool, True where a key is hidden, or numbers that are
    added. is_causal says that attn_mask is the causal one. weights: the probabilities [N, L, S], their mean over the
    heads, or [N, heads, L, S]; None unless need_weights, without which they are never in memory."""
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        same_key, same_value = key is query, value is key
        query = query.unsqueeze(1)
        key = query if same_key else key.unsqueeze(1)
        value = key if same_value else value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    rows, batch, embed = query._a.shape
    keys = key._a.shape[0]
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    key_padding_mask = _additive(key_padding_mask, "key_padding_mask", query)
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None
    else:
        attn_mask, is_causal = _additive(attn_mask, "attn_mask", query), False
    if embed != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed}")
    head = embed // num_heads
    if head * num_heads != embed:
        raise AssertionError(f"embed_dim {embed} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        if key._a.shape[:2] != value._a.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key._a.shape[:2]} do not match value's {value._a.shape[:2]}"
            )
        if None in (q_proj_weight, k_proj_weight, v_proj_weight):
            raise AssertionError("use_separate_proj_weight is True but one of the projection weights is None")
        separate = q_proj_weight, k_proj_weight, v_proj_weight
    else:
        if key._a.shape != value._a.shape:
            raise AssertionError(f"key shape {key._a.shape} does not match value shape {value._a.shape}")
        if in_proj_weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        separate = None
    q, k, v = _project(query, key, value, in_proj_weight, in_proj_bias, separate)

    if attn_mask is not None:
        wanted = (rows, keys) if attn_mask._a.ndim == 2 else (batch * num_heads, rows, keys)
        if attn_mask._a.shape != wanted:
            raise RuntimeError(
                f"The shape of the {attn_mask._a.ndim}D attn_mask is {tuple(attn_mask._a.shape)}, but should be {wanted}."
            )
        if attn_mask._a.ndim == 2:
            attn_mask = attn_mask.unsqueeze(0)
    if (bias_k is None) != (bias_v is None):
        raise AssertionError("bias_k and bias_v must both be given, or neither")
    if bias_k is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError("bias cannot be added to static key or value")
        k, v = cat([k, bias_k.repeat(1, batch, 1)]), cat([v, bias_v.repeat(1, batch, 1)])

    # As [N, heads, rows, head]: views of the projections, which attention reads where they lie.
    def heads(x):
        return x.reshape(x._a.shape[0], batch, num_heads, head).permute(1, 2, 0, 3)

    q = heads(q)
    given = []
    for x, static in ((k, static_k), (v, static_v)):
        if static is None:
            given.append(heads(x))
            continue
        if static._a.shape[0] != batch * num_heads or static._a.shape[2] != head:
            raise AssertionError(
                f"expecting static key and value of {batch * num_heads} heads of size {head}, got {static._a.shape}"
            )
        given.append(static.reshape(batch, num_heads, static._a.shape[1], head))
    k, v = given
    if add_zero_attn:
        k, v = (cat([x, wrap(Tensor._k.zeros((batch, num_heads, 1, head), x._a.dtype))], 2) for x in (k, v))
    more = k._a.shape[2] - keys  # what bias_k and add_zero_attn added is seen by all
    if static_k is not None:
        keys, more = static_k._a.shape[1], int(bool(add_zero_attn))
    if more:
        attn_mask = None if attn_mask is None else pad(attn_mask, (0, more))
        key_padding_mask = None if key_padding_mask is None else pad(key_padding_mask, (0, more))
        if is_causal:
            raise RuntimeError("multi_head_attention_forward: is_causal does not go with bias_k or add_zero_attn")
    if key_padding_mask is not None:
        if key_padding_mask._a.shape != (batch, keys + more):
            raise AssertionError(
                f"expecting key_padding_mask shape of {(batch, keys)}, but got "
                f"{(key_padding_mask._a.shape[0], key_padding_mask._a.shape[1] - more)}"
            )
        padding = key_padding_mask.reshape(batch, 1, 1, keys + more)
    mask = attn_mask
    if mask is not None:
        mask = mask.unsqueeze(0) if mask._a.shape[0] == 1 else mask.reshape(batch, num_heads, rows, keys + more)
    if key_padding_mask is not None:
        mask = padding if mask is None else mask + padding
    p = float(dropout_p) if training else 0.0
    weights = None
    if need_weights:
        scores = matmul(q * head**-0.5, k.transpose(-2, -1))
        weights = softmax(scores if mask is None else scores + mask, -1)
        if p > 0.0:
            weights = dropout(weights, p)
        y = matmul(weights, v)
    else:
        y = scaled_dot_product_attention(q, k, v, mask, p, is_causal)
    y = linear(y.permute(2, 0, 1, 3).reshape(rows, batch, embed), out_proj_weight, out_proj_bias)
    if need_weights and average_attn_weights:
        weights = weights.mean(1)
    if batched:
        return y, weights
    return y.squeeze(1), None if weights is None else weights.squeeze(0)
