"""Convolution of volumes: forward and both gradients, against loops over outputs in float64; errors as for conv2d."""

import numpy as np

from . import Case
from .conv2d import _act, _bound


def _size(x, w, stride, padding, dilation):
    return [(x[2 + a] + 2 * padding[a] - dilation[a] * (w[2 + a] - 1) - 1) // stride[a] + 1 for a in range(3)]


def _places(x, w, stride, padding, dilation, groups):
    """(group, place, taps inside, where they read) of each output place: index grids that broadcast to [T, R, S]."""
    for place in np.ndindex(*_size(x, w, stride, padding, dilation)):
        taps, at = [], []
        for a in range(3):
            origin = place[a] * stride[a] - padding[a]
            pairs = [(t, origin + t * dilation[a]) for t in range(w[2 + a]) if 0 <= origin + t * dilation[a] < x[2 + a]]
            taps.append([t for t, _ in pairs])
            at.append([h for _, h in pairs])
        if all(taps):
            for g in range(groups):
                yield g, place, np.ix_(*taps), np.ix_(*at)


def _parts(a, grid):
    """a[:, :, grid...]"""
    return a[(slice(None), slice(None), *grid)]


def _pre(x, w, bias, stride, padding, dilation, groups):
    y = np.zeros((x.shape[0], w.shape[0], *_size(x.shape, w.shape, stride, padding, dilation)))
    c, k = w.shape[1], w.shape[0] // groups
    for g, place, taps, at in _places(x.shape, w.shape, stride, padding, dilation, groups):
        part = np.einsum("nctrs,kctrs->nk", _parts(x[:, g * c : g * c + c], at), _parts(w[g * k : g * k + k], taps))
        y[(slice(None), slice(g * k, g * k + k), *place)] = part
    return y if bias is None else y + bias[:, None, None, None]


def _forward(x, w, bias, stride, padding, dilation, groups, act="none"):
    return _act(_pre(x, w, bias, stride, padding, dilation, groups), act)


def _input(dy, w, x_shape, stride, padding, dilation, groups):
    dx = np.zeros(x_shape)
    c, k = w.shape[1], w.shape[0] // groups
    for g, place, taps, at in _places(x_shape, w.shape, stride, padding, dilation, groups):
        d = dy[(slice(None), slice(g * k, g * k + k), *place)]
        view = dx[:, g * c : g * c + c]
        view[(slice(None), slice(None), *at)] += np.einsum("nk,kctrs->nctrs", d, _parts(w[g * k : g * k + k], taps))
    return dx


def _weight(dy, x, w_shape, stride, padding, dilation, groups):
    dw = np.zeros(w_shape)
    c, k = w_shape[1], w_shape[0] // groups
    for g, place, taps, at in _places(x.shape, w_shape, stride, padding, dilation, groups):
        d = dy[(slice(None), slice(g * k, g * k + k), *place)]
        view = dw[g * k : g * k + k]
        view[(slice(None), slice(None), *taps)] += np.einsum("nk,nctrs->kctrs", d, _parts(x[:, g * c : g * c + c], at))
    return dw


# name: x, w, stride, padding, dilation, groups
SHAPES = {
    "3x3x3p1": ((2, 5, 6, 7, 9), (7, 5, 3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
    "no_padding": ((1, 3, 5, 6, 20), (20, 3, 2, 3, 3), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1),
    "1x1x1": ((2, 9, 3, 4, 5), (8, 9, 1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1),
    "s2": ((1, 4, 7, 8, 9), (6, 4, 3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1), 1),
    "mixed": ((2, 4, 6, 7, 8), (6, 2, 2, 3, 1), (2, 1, 3), (1, 2, 0), (2, 1, 1), 2),
    "dilated": ((1, 2, 9, 9, 9), (3, 2, 3, 2, 3), (1, 2, 1), (2, 1, 2), (3, 2, 2), 1),
    "depthwise": ((2, 6, 4, 9, 17), (6, 1, 3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 6),
    "depth_only": ((1, 3, 8, 5, 6), (4, 3, 3, 1, 1), (1, 1, 1), (1, 0, 0), (1, 1, 1), 1),
    "flat": ((2, 3, 1, 9, 9), (4, 3, 1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1), 1),
    "pad_beyond": ((1, 2, 2, 3, 4), (3, 2, 2, 2, 2), (1, 1, 2), (4, 5, 4), (1, 2, 3), 1),
    "whole_volume": ((3, 4, 3, 4, 5), (6, 4, 3, 4, 5), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1),
    "stride_gaps": ((1, 2, 7, 8, 9), (3, 2, 1, 2, 1), (3, 3, 4), (0, 0, 1), (1, 1, 1), 1),
    "blocks": ((1, 40, 4, 6, 6), (24, 40, 3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
    "small_slices": ((3, 5, 4, 5, 6), (8, 5, 3, 3, 3), (1, 2, 2), (1, 1, 1), (1, 1, 1), 1),
    "taps_cut": ((2, 4, 2, 1, 3), (6, 4, 5, 3, 5), (1, 1, 1), (2, 1, 2), (1, 1, 1), 1),
    "empty_batch": ((0, 3, 4, 4, 4), (4, 3, 3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
    "no_channels": ((2, 0, 4, 4, 4), (4, 0, 3, 3, 3), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1),
}


def _cases(name, x, w, *how):
    y = (x[0], w[0], *_size(x, w, *how[:3]))

    def normal(rng, dtype, *shapes):
        return tuple(rng.standard_normal(s).astype(dtype) for s in shapes)

    yield Case(
        "conv3d", name, lambda rng, t: (*normal(rng, t, x, w, w[:1]), *how), _forward,
        _bound(_pre, lambda a, b, c: b[0].size + 1),
    )  # fmt: skip
    yield Case(
        "conv3d_backward_input", name, lambda rng, t: (*normal(rng, t, y, w), x, *how), _input,
        _bound(_input, lambda a, b, c: b.shape[0] * np.prod(b.shape[2:]) + 1),
    )  # fmt: skip
    yield Case(
        "conv3d_backward_weight", name, lambda rng, t: (*normal(rng, t, y, x), w, *how), _weight,
        _bound(_weight, lambda a, b, c: a[:, 0].size + 1),
    )  # fmt: skip


CASES = [case for name, row in SHAPES.items() for case in _cases(name, *row)] + [
    Case(
        "conv3d", "3x3x3p1_gelu",
        lambda rng, t: (*(rng.standard_normal(s).astype(t) for s in (*SHAPES["3x3x3p1"][:2], (7,))),
                        *SHAPES["3x3x3p1"][2:], "gelu"),
        _forward, _bound(_pre, lambda a, b, c: b[0].size + 1),
    )
]  # fmt: skip
