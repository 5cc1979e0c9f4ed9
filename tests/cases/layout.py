"""Copies, padding by index, windows added into images, and adaptive maxima: exact, or against loops in float64."""

import itertools

import numpy as np

from . import Case

CASES = []
for order, shape in (
    ((1, 0), (70, 130)), ((0, 2, 1), (3, 33, 18)), ((0, 2, 3, 1), (2, 5, 7, 9)), ((2, 1, 0), (17, 3, 40)), ((0,), (9,)),
    ((0, 2, 1, 3), (2, 6, 3, 16)), ((1, 0), (0, 3)),
):  # fmt: skip
    label = f"{'x'.join(map(str, shape))}_{''.join(map(str, order))}"
    CASES += [
        Case("copy", label, lambda rng, d, o=order, s=shape: (rng.standard_normal(s).astype(d).transpose(o),), np.array),
        Case(
            "reshape",
            label,
            lambda rng, d, o=order, s=shape: (rng.standard_normal(s).astype(d).transpose(o), (s[o[0]] * 1, -1)[: len(s)]),
            lambda x, shape: x.reshape(x.shape[0], x.size // max(x.shape[0], 1)) if x.ndim > 1 else x,
        ),
    ]  # fmt: skip
CASES[:] = [c for c in CASES if c.op != "reshape" or "0x3" not in c.name]
CASES.append(
    Case(
        "copy",
        "bench_1024x1024_10",
        lambda rng, d: (rng.standard_normal((1024, 1024)).astype(d).T,),
        np.array,
        bytes=8.0 * 1024 * 1024,
        bench=True,
        dtypes=("float32",),
    )
)
for label, shapes, dim in (
    ("rows", ((3, 5), (1, 5), (0, 5)), 0), ("columns", ((4, 3), (4, 17), (4, 1)), 1), ("middle", ((2, 3, 7), (2, 5, 7)), 1),
    ("vectors", ((70000,), (3,)), 0), ("tasks", ((300, 64), (300, 200), (300, 1)), 1), ("empty", ((0, 3), (0, 2)), 1),
):  # fmt: skip
    CASES.append(
        Case(
            "cat",
            label,
            lambda rng, d, s=shapes, i=dim: ([rng.standard_normal(x).astype(d) for x in s], i),
            lambda arrays, dim: np.concatenate(arrays, dim),
        )
    )
for label, shape, view in (
    ("spread", (70, 130), lambda x: np.broadcast_to(x[:, :1], x.shape)),
    ("flipped", (33, 70), lambda x: x[:, ::-1]),
    ("flipped_long", (1, 70001), lambda x: x[:, ::-1]),
):
    CASES.append(Case("copy", label, lambda rng, d, s=shape, v=view: (v(rng.standard_normal(s).astype(d)),), np.array))


def _reflected(n, before, after):
    """(the index of each element of a padded row of n, its stretch that counts up)."""
    index = np.array([abs(i) if i < n else 2 * (n - 1) - i for i in range(-before, n + after)])
    return index, (before, before + n, 0)


for shape, rows, cols in (((2, 5, 7), (2, 1), (3, 4)), ((4, 20), (0, 0), (1, 19)), ((1, 2, 3, 3), (1, 2), (0, 0))):
    how = (*_reflected(shape[-2], *rows), *_reflected(shape[-1], *cols))

    def pad_backward(dy, row, row_inside, col, col_inside, size):
        dx = np.zeros((*dy.shape[:-2], *size))
        for p, q in np.ndindex(*dy.shape[-2:]):
            dx[..., row[p], col[q]] += dy[..., p, q]
        return dx

    label = "x".join(map(str, shape))
    padded = (*shape[:-2], how[0].size, how[2].size)
    CASES += [
        Case(
            "index_pad2d",
            label,
            lambda rng, d, s=shape, how=how: (rng.standard_normal(s).astype(d), *how),
            lambda x, row, row_inside, col, col_inside: x[..., row, :][..., col],
        ),
        Case(
            "index_pad2d_backward",
            label,
            lambda rng, d, s=padded, how=how, size=shape[-2:]: (rng.standard_normal(s).astype(d), *how, size),
            pad_backward,
        ),
    ]


def _col2im(columns, size, kernel, dilation, padding, stride):
    n, rows, _ = columns.shape
    out = [
        (s + 2 * p - d * (k - 1) - 1) // st + 1
        for s, p, d, k, st in zip(size, padding, dilation, kernel, stride, strict=True)
    ]
    windows = columns.reshape(n, -1, *kernel, *out)
    images = np.zeros((n, windows.shape[1], *size))
    for r, s, p, q in np.ndindex(*kernel, *out):
        h, w = p * stride[0] - padding[0] + r * dilation[0], q * stride[1] - padding[1] + s * dilation[1]
        if 0 <= h < size[0] and 0 <= w < size[1]:
            images[:, :, h, w] += windows[:, :, r, s, p, q]
    return images


for size, kernel, dilation, padding, stride, length in (
    ((5, 6), (3, 3), (1, 1), (1, 1), (1, 1), 30), ((7, 21), (2, 3), (2, 1), (0, 2), (3, 2), 24),
    ((3, 40), (1, 5), (1, 3), (0, 6), (1, 1), 120),
):  # fmt: skip
    CASES.append(
        Case(
            "col2im",
            f"{size[0]}x{size[1]}_{kernel[0]}x{kernel[1]}",
            lambda rng, d, s=(2, 2 * kernel[0] * kernel[1], length), how=(size, kernel, dilation, padding, stride): (
                rng.standard_normal(s).astype(d),
                *how,
            ),
            _col2im,
        )
    )


def _adaptive(x, size):
    y, index = np.empty((*x.shape[:2], *size)), np.empty((*x.shape[:2], *size), np.int64)
    for n, c, i, j in np.ndindex(*y.shape):
        rows, cols = (
            range(k * m // s, -(-(k + 1) * m // s)) for k, m, s in zip((i, j), x.shape[2:], size, strict=True)
        )
        best, at = -np.inf, (rows[0], cols[0])
        for h, w in itertools.product(rows, cols):
            v = x[n, c, h, w]
            if v > best or np.isnan(v):
                best, at = v, (h, w)
        y[n, c, i, j], index[n, c, i, j] = best, at[0] * x.shape[3] + at[1]
    return y, index


def _adaptive_backward(dy, index, size):
    dx = np.zeros((*dy.shape[:2], size[0] * size[1]))
    for n, c, i, j in np.ndindex(*dy.shape):
        dx[n, c, index[n, c, i, j]] += dy[n, c, i, j]
    return dx.reshape(*dy.shape[:2], *size)


def _with_nan(shape):
    def make(rng, d):
        x = np.round(4 * rng.standard_normal(shape))  # equal values: the first counts
        x[0, 0, 0, :2] = np.nan
        return x.astype(d)

    return make


for shape, size in (((2, 3, 7, 5), (3, 2)), ((1, 2, 4, 6), (1, 1)), ((2, 1, 3, 4), (5, 4)), ((3, 2, 1, 20), (1, 3))):
    label = f"{'x'.join(map(str, shape))}_{size[0]}x{size[1]}"
    CASES += [
        Case("adaptive_max_pool2d", label, lambda rng, d, s=shape, o=size: (_with_nan(s)(rng, d), o), _adaptive),
        Case(
            "adaptive_max_pool2d_backward",
            label,
            lambda rng, d, s=shape, o=size: (
                rng.standard_normal((*s[:2], *o)).astype(d),
                _adaptive(_with_nan(s)(rng, np.float64), o)[1],
                s[2:],
            ),
            _adaptive_backward,
        ),
    ]
