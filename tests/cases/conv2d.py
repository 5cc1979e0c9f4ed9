"""Convolution: forward and both gradients, against loops over outputs in float64.

Sums run over many products, so the error allowed is sqrt(number of products) * sum |a| |b|: the same convolution of the
absolute values.
"""

import numpy as np

from . import Case


def _patches(x, w_shape, stride, padding, dilation, groups):
    """(p, q, taps inside): for each output pixel the (r, h), (s, w) pairs that lie inside the image."""
    out = [(x[2 + a] + 2 * padding[a] - dilation[a] * (w_shape[2 + a] - 1) - 1) // stride[a] + 1 for a in (0, 1)]
    for p in range(out[0]):
        for q in range(out[1]):
            h0, w0 = p * stride[0] - padding[0], q * stride[1] - padding[1]
            rows = [(r, h0 + r * dilation[0]) for r in range(w_shape[2]) if 0 <= h0 + r * dilation[0] < x[2]]
            cols = [(s, w0 + s * dilation[1]) for s in range(w_shape[3]) if 0 <= w0 + s * dilation[1] < x[3]]
            if rows and cols:
                (r, h), (s, c) = zip(*rows, strict=True), zip(*cols, strict=True)
                yield p, q, np.ix_(r, s), np.ix_(h, c)
            else:
                yield p, q, None, None


def _groups(x_channels, w_shape, groups):
    c, k = x_channels // groups, w_shape[0] // groups
    return [(slice(g * c, (g + 1) * c), slice(g * k, (g + 1) * k)) for g in range(groups)]


def _size(x, w_shape, stride, padding, dilation):
    return [(x[2 + a] + 2 * padding[a] - dilation[a] * (w_shape[2 + a] - 1) - 1) // stride[a] + 1 for a in (0, 1)]


def _pre(x, w, bias, stride, padding, dilation, groups):
    y = np.zeros((x.shape[0], w.shape[0], *_size(x.shape, w.shape, stride, padding, dilation)))
    for p, q, taps, at in _patches(x.shape, w.shape, stride, padding, dilation, groups):
        if taps is None:
            continue
        for c, k in _groups(x.shape[1], w.shape, groups):
            part, weight = x[:, c][:, :, at[0], at[1]], w[k][:, :, taps[0], taps[1]]
            y[:, k, p, q] = np.einsum("ncrs,kcrs->nk", part, weight)
    return y if bias is None else y + bias[:, None, None]


def _act(y, act):
    if act == "relu":
        return np.maximum(y, 0)
    if act == "tanh":
        return np.tanh(y)
    if act == "sigmoid":
        return 1 / (1 + np.exp(-y))
    if act == "gelu_tanh":
        return 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
    if act == "gelu":
        from math import erf

        return 0.5 * y * (1 + np.vectorize(erf)(y / np.sqrt(2)))
    return y


def _forward(x, w, bias, stride, padding, dilation, groups, act="none"):
    return _act(_pre(x, w, bias, stride, padding, dilation, groups), act)


def _input(dy, w, x_shape, stride, padding, dilation, groups):
    dx = np.zeros(x_shape)
    for p, q, taps, at in _patches(x_shape, w.shape, stride, padding, dilation, groups):
        if taps is None:
            continue
        for c, k in _groups(x_shape[1], w.shape, groups):
            weight = w[k][:, :, taps[0], taps[1]]
            dx[:, c][:, :, at[0], at[1]] += np.einsum("nk,kcrs->ncrs", dy[:, k, p, q], weight)
    return dx


def _weight(dy, x, w_shape, stride, padding, dilation, groups):
    dw = np.zeros(w_shape)
    for p, q, taps, at in _patches(x.shape, w_shape, stride, padding, dilation, groups):
        if taps is None:
            continue
        for c, k in _groups(x.shape[1], w_shape, groups):
            dw[k][:, :, taps[0], taps[1]] += np.einsum("nk,ncrs->kcrs", dy[:, k, p, q], x[:, c][:, :, at[0], at[1]])
    return dw


def _bound(function, products):
    def bound(a, b, third, *how):
        if isinstance(third, np.ndarray):
            third = np.abs(third)
        sums = function(np.abs(a), np.abs(b), third, *how[:4])
        return np.sqrt(products(a, b, third)) * sums + 1e-30 + (4 if len(how) > 4 else 0) * (1 + sums)

    return bound


# name: x, w, stride, padding, dilation, groups
SHAPES = {
    "lenet1": ((3, 1, 28, 28), (6, 1, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    "lenet2": ((3, 6, 12, 12), (16, 6, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    "3x3p1": ((2, 19, 14, 14), (33, 19, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "3x3_wide": ((1, 8, 30, 33), (20, 8, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "3x3_blocks": ((2, 130, 7, 7), (70, 130, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "3x3_pad2": ((9, 24, 7, 7), (34, 24, 3, 3), (1, 1), (2, 0), (1, 1), 1),
    "3x3_wide_tiles": ((1, 17, 7, 131), (20, 17, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "3x3_groups": ((3, 32, 15, 18), (40, 16, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    "stem": ((1, 3, 37, 35), (16, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
    "1x1": ((3, 40, 7, 9), (50, 40, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1s2": ((2, 9, 15, 14), (12, 9, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    "1x1p1": ((1, 3, 5, 6), (4, 3, 1, 1), (1, 1), (1, 1), (1, 1), 1),
    "depthwise": ((2, 17, 15, 20), (17, 1, 3, 3), (1, 1), (1, 1), (1, 1), 17),
    "depthwise_5": ((2, 16, 9, 19), (32, 1, 5, 4), (1, 1), (2, 3), (1, 2), 16),
    "depthwise_7": ((2, 16, 7, 7), (16, 1, 7, 7), (1, 1), (3, 3), (1, 1), 16),
    "depthwise_s2": ((1, 6, 15, 20), (12, 1, 3, 5), (2, 2), (1, 2), (1, 1), 6),
    "depthwise_s2p0": ((2, 3, 9, 37), (6, 1, 4, 3), (3, 2), (0, 0), (1, 1), 3),
    "depthwise_5s2": ((1, 4, 12, 70), (4, 1, 5, 5), (2, 2), (2, 2), (1, 1), 4),
    "groups": ((2, 12, 10, 11), (20, 3, 3, 3), (1, 1), (1, 1), (1, 1), 4),
    "dilated": ((1, 5, 20, 22), (7, 5, 3, 3), (1, 1), (2, 3), (2, 3), 1),
    "dilated_s2": ((1, 4, 21, 20), (5, 4, 3, 4), (2, 3), (3, 2), (3, 2), 1),
    "patches": ((2, 3, 16, 24), (10, 3, 8, 8), (8, 8), (0, 0), (1, 1), 1),
    "stride_gaps": ((1, 3, 23, 29), (4, 3, 2, 3), (5, 7), (0, 1), (1, 1), 1),
    "pad_beyond": ((1, 2, 3, 4), (3, 2, 2, 2), (1, 2), (5, 4), (2, 3), 1),
    "row": ((3, 5, 1, 300), (9, 5, 1, 7), (1, 2), (0, 3), (1, 1), 1),
    "long_row": ((1, 2, 1, 2500), (3, 2, 1, 4), (1, 1), (0, 2), (1, 1), 1),
    "whole_image": ((4, 6, 5, 5), (12, 6, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    "3x3s2_wide": ((1, 3, 9, 75), (5, 3, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    "3x3s2d2": ((2, 3, 19, 40), (4, 3, 3, 3), (2, 2), (2, 2), (2, 2), 1),
    "1_pixel": ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "many_phases": ((2, 2, 3, 210), (3, 2, 2, 66), (1, 70), (1, 3), (1, 1), 1),
    "empty_batch": ((0, 3, 8, 8), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "empty_batch_whole": ((0, 3, 4, 4), (2, 3, 4, 4), (1, 1), (0, 0), (1, 1), 1),
    "no_channels": ((2, 0, 6, 6), (4, 0, 3, 3), (1, 1), (0, 0), (1, 1), 1),
    # The gradient for the input, all residues of the stride from one staged tile.
    "together_4x4": ((9, 3, 22, 43), (8, 3, 4, 4), (2, 2), (1, 1), (1, 1), 1),
    "together_groups": ((4, 8, 26, 46), (6, 4, 3, 3), (2, 2), (1, 1), (1, 1), 2),
    "together_uneven": ((8, 7, 40, 61), (5, 7, 5, 6), (3, 2), (2, 0), (1, 1), 1),
    "together_dilated": ((8, 2, 20, 100), (3, 2, 3, 3), (2, 2), (3, 3), (3, 3), 1),
    "together_gaps": ((8, 2, 13, 75), (3, 2, 2, 3), (3, 2), (0, 1), (1, 1), 1),
    # The weights' gradient by blocks of output channels.
    "1x1_many": ((9, 70, 13, 12), (200, 70, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "3x3s2_many": ((6, 40, 9, 11), (90, 40, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    # Images of a few vectors, whose taps are picked by indices.
    "small_s2": ((9, 20, 7, 7), (26, 20, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    "small_blocks": ((5, 130, 4, 4), (70, 130, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    "small_5x5": ((3, 7, 6, 5), (9, 7, 5, 5), (1, 1), (2, 2), (1, 1), 1),
    "small_groups": ((7, 8, 8, 8), (24, 4, 2, 3), (2, 3), (0, 1), (1, 2), 2),
    "small_taps_cut": ((5, 24, 2, 2), (32, 24, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    # Kernels wider than the image: taps that no place of the output brings inside.
    "one_tap": ((3, 8, 1, 1), (6, 8, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "one_tap_strided": ((2, 4, 1, 2), (6, 2, 5, 7), (2, 3), (2, 3), (1, 1), 2),
    "few_taps_dilated": ((2, 3, 2, 1), (4, 3, 5, 3), (1, 1), (4, 2), (2, 2), 1),
}


def _cases(name, x, w, stride, padding, dilation, groups):
    how = (stride, padding, dilation, groups)
    y = (x[0], w[0], *_size(x, w, *how[:3]))
    flops = 2 * y[0] * y[1] * y[2] * y[3] * w[1] * w[2] * w[3]

    def normal(rng, dtype, *shapes):
        return tuple(rng.standard_normal(s).astype(dtype) for s in shapes)

    yield Case(
        "conv2d",
        name,
        lambda rng, t: (*normal(rng, t, x, w, w[:1]), *how),
        _forward,
        _bound(_pre, lambda a, b, c: b[0].size + 1),
        flops=flops,
    )
    yield Case(
        "conv2d_backward_input",
        name,
        lambda rng, t: (*normal(rng, t, y, w), x, *how),
        _input,
        _bound(_input, lambda a, b, c: b.shape[0] * b.shape[2] * b.shape[3] + 1),
        flops=flops,
    )
    yield Case(
        "conv2d_backward_weight",
        name,
        lambda rng, t: (*normal(rng, t, y, x), w, *how),
        _weight,
        _bound(_weight, lambda a, b, c: a[:, 0].size + 1),
        flops=flops,
    )


def _acts():
    for act in ("relu", "gelu", "gelu_tanh", "tanh", "sigmoid"):
        for name in ("lenet2", "3x3_blocks"):
            x, w, *how = SHAPES[name]
            yield Case(
                "conv2d",
                f"{name}_{act}",
                lambda rng, t, x=x, w=w, how=how, act=act: (
                    *(rng.standard_normal(s).astype(t) for s in (x, w, w[:1])),
                    *how,
                    act,
                ),
                _forward,
                _bound(_pre, lambda a, b, c: b[0].size + 1),
            )


def _sums():
    def reference(x, w, bias, z, alpha, *how):
        return np.maximum(_pre(x, w, bias, *how) + alpha * z, 0)

    def bound(x, w, bias, z, alpha, *how):
        sums = _pre(np.abs(x), np.abs(w), np.abs(bias), *how) + np.abs(alpha * z)
        return np.sqrt(w[0].size + 2) * sums

    for name, alpha in (("lenet2", 1.0), ("3x3_groups", -0.5), ("dilated_s2", 2.0)):
        x, w, *how = SHAPES[name]
        y = (x[0], w[0], *_size(x, w, *how[:3]))
        yield Case(
            "conv2d_add_relu",
            name,
            lambda rng, t, shapes=(x, w, w[:1], y), alpha=alpha, how=how: (
                *(rng.standard_normal(s).astype(t) for s in shapes),
                alpha,
                *how,
            ),
            reference,
            bound,
        )


CASES = [case for name, row in SHAPES.items() for case in _cases(name, *row)] + [*_acts(), *_sums()]
