"""Attention: masks, causal, dropout, grouped heads, any sizes and orders of memory, against plain sums in float64."""

import itertools
import math

import numpy as np

from . import Case

CASES = []


def _probabilities(q, k, mask, causal, scale):
    """Row by row, each score a plain sum; a row that sees nothing is 0."""
    group = q.shape[1] // k.shape[1]
    s = np.einsum("bhle,bhse->bhls", q, np.repeat(k, group, 1)) * scale
    hidden = np.zeros(s.shape, bool)
    if mask is not None and mask.dtype == np.bool_:
        hidden |= ~mask
    elif mask is not None:
        s = s + mask
    if causal:
        hidden |= np.arange(s.shape[3]) > np.arange(s.shape[2])[:, None]
    s[hidden] = -np.inf
    top = s.max(3, keepdims=True)
    top[top == -np.inf] = 0
    e = np.exp(s - top)
    total = e.sum(3, keepdims=True)
    lse = np.where(total > 0, top + np.log(np.maximum(total, 1e-300)), np.inf)[..., 0]
    return e / np.where(total > 0, total, 1), lse


def _attention(q, k, v, mask, causal, scale, kept, kept_scale):
    p, lse = _probabilities(q, k, mask, causal, scale)
    if kept is not None:
        p = p * kept * kept_scale
    return np.einsum("bhls,bhse->bhle", p, np.repeat(v, q.shape[1] // k.shape[1], 1)), lse


def _backward(dout, q, k, v, mask, causal, scale, kept, kept_scale, out, lse, wanted):
    """Through the softmax's Jacobian, without D = sum dout out."""
    group, heads = q.shape[1] // k.shape[1], k.shape[1]
    p, _ = _probabilities(q, k, mask, causal, scale)
    factor = 1.0 if kept is None else kept * kept_scale
    dp = np.einsum("bhle,bhse->bhls", dout, np.repeat(v, group, 1)) * factor
    ds = (p * dp - p * (p * dp).sum(3, keepdims=True)) * scale

    def grouped(x):
        return x.reshape(x.shape[0], heads, group, *x.shape[2:]).sum(2)

    dq = np.einsum("bhls,bhse->bhle", ds, np.repeat(k, group, 1))
    dk = grouped(np.einsum("bhls,bhle->bhse", ds, q))
    dv = grouped(np.einsum("bhls,bhle->bhse", p * factor, dout))
    return tuple(x if w else None for x, w in zip((dq, dk, dv), wanted, strict=True))


def _mask(kind, rng, d, shape):
    b, h, rows, keys = shape
    if kind is None:
        return None
    if kind == "bool":
        m = rng.random(shape) < 0.7
        m[:, :, rows // 2] = False  # a row that sees nothing
        return m
    if kind == "padding":  # [B, 1, 1, S], broadcast
        m = rng.random((b, 1, 1, keys)) < 0.6
        m[..., 0] = True
        return np.broadcast_to(m, shape)
    m = rng.standard_normal((rows, keys)).astype(d)
    m[rng.random((rows, keys)) < 0.2] = -np.inf
    m[-1] = -np.inf
    return np.broadcast_to(m, shape)


def _make(b, heads, groups, rows, keys, e, ev, kind, dropout, swapped):
    def make(rng, d):
        def draw(h, n, width):
            x = rng.standard_normal((b, n, h, width) if swapped else (b, h, n, width)).astype(d)
            return x.swapaxes(1, 2) if swapped else x

        q, k, v = draw(heads, rows, e), draw(groups, keys, e), draw(groups, keys, ev)
        kept = rng.random((b, heads, rows, keys)) < 0.8 if dropout else None
        return q, k, v, _mask(kind, rng, d, (b, heads, rows, keys)), kept

    return make


def _bounds(q, v, keys):
    """A score's error grows with its sum of |q||k|, a result's with the values'."""
    size = 64.0 * math.sqrt(q.shape[3]) * max(1.0, math.sqrt(keys) / 8)
    return size


SHAPES = [  # B, H, G, L, S, E, Ev
    (1, 1, 1, 1, 1, 1, 1), (2, 3, 3, 7, 5, 4, 6), (1, 2, 2, 6, 64, 64, 64), (1, 4, 2, 13, 70, 17, 33),
    (2, 1, 1, 100, 65, 32, 32), (1, 2, 1, 97, 200, 8, 80), (1, 1, 1, 200, 600, 16, 16), (3, 6, 2, 5, 3, 3, 130),
    (1, 1, 1, 130, 1100, 72, 72),
]  # fmt: skip
for shape in SHAPES:
    b, heads, groups, rows, keys, e, ev = shape
    small = rows * keys < 30000
    for kind, causal, dropout, swapped in itertools.product(
        (None, "bool", "padding", "add"), (False, True), (False, True), (False, True)
    ):
        if (kind and causal) or (swapped and (dropout or kind)) or (not small and (kind, dropout) != (None, False)):
            continue
        make = _make(*shape, kind, dropout, swapped)
        label = "x".join(map(str, shape)) + f"_{kind}{'_causal' * causal}{'_dropout' * dropout}{'_swapped' * swapped}"
        scale = 1 / math.sqrt(e)

        def args(rng, d, make=make, causal=causal, scale=scale):
            q, k, v, mask, kept = make(rng, d)
            return q, k, v, mask, causal, scale, kept, 1.25

        def back(rng, d, make=make, causal=causal, scale=scale):
            q, k, v, mask, kept = make(rng, d)
            wide = [x.astype(np.float64) for x in (q, k, v)]
            m = mask if mask is None or mask.dtype == np.bool_ else mask.astype(np.float64)
            out, lse = _attention(*wide, m, causal, scale, kept, 1.25)
            dout = rng.standard_normal(out.shape).astype(d)
            return dout, q, k, v, mask, causal, scale, kept, 1.25, out.astype(d), lse.astype(d), (True, True, True)

        CASES.append(
            Case(
                "attention", label, args, _attention,
                lambda q, k, v, *_: (np.full(1, _bounds(q, v, k.shape[2])), np.full(1, 64.0 * math.sqrt(q.shape[3]))),
            )
        )  # fmt: skip
        CASES.append(
            Case(
                "attention_backward", label, back, _backward,
                lambda dout, q, k, v, *_: (np.full(1, 256.0 * math.sqrt(max(q.shape[3], q.shape[2], k.shape[2]))),) * 3,
            )
        )  # fmt: skip


def _bench():
    def qkv(rng, d, shape):
        return tuple(rng.standard_normal(shape).astype(d) for _ in range(3))

    loose = lambda *a: (np.full(1, 512.0), np.full(1, 512.0))  # noqa: E731
    loose3 = lambda *a: (np.full(1, 4096.0),) * 3  # noqa: E731
    for label, shape, causal in (("B1H4L512", (1, 4, 512, 64), False), ("B12H4L64causal", (12, 4, 64, 32), True)):
        b, h, n, e = shape
        flops = 4.0 * b * h * n * n * e * (0.5 if causal else 1)

        def args(rng, d, shape=shape, causal=causal):
            return *qkv(rng, d, shape), None, causal, shape[3] ** -0.5, None, 1.0

        def back(rng, d, args=args):
            given = args(rng, d)
            out, lse = _attention(*(x.astype(np.float64) for x in given[:3]), *given[3:])
            dout = rng.standard_normal(out.shape).astype(d)
            return dout, *given, out.astype(d), lse.astype(d), (True, True, True)

        how = {"bench": True, "dtypes": ("float32",)}
        CASES.append(Case("attention", f"bench_{label}", args, _attention, loose, flops=flops, **how))
        CASES.append(Case("attention_backward", f"bench_{label}", back, _backward, loose3, flops=2.5 * flops, **how))


_bench()
