"""Pooling: every window shape that torch allows, against loops over windows in float64."""

import numpy as np

from . import Case

ALL = slice(None)


def _out(size, k, s, p, d, ceil_mode):
    out = -(-(size + 2 * p - d * (k - 1) - 1) // s) + 1 if ceil_mode else (size + 2 * p - d * (k - 1) - 1) // s + 1
    return out - 1 if ceil_mode and (out - 1) * s >= size + p else out


def _window(start, k, d, size):
    """(tap, position) of the taps of one window that lie inside the image, along one axis."""
    return [(t, start + t * d) for t in range(k) if 0 <= start + t * d < size]


def _each(shape, k, s, p, d, ceil_mode):
    for i in range(_out(shape[2], k[0], s[0], p[0], d[0], ceil_mode)):
        for j in range(_out(shape[3], k[1], s[1], p[1], d[1], ceil_mode)):
            yield i, j, _window(i * s[0] - p[0], k[0], d[0], shape[2]), _window(j * s[1] - p[1], k[1], d[1], shape[3])


def _choose(image, rows, cols):
    """(tap r, tap s, h, w) of the maximum: torch's loop."""
    best, at = -np.inf, None
    for r, h in rows:
        for s, w in cols:
            v = image[h, w]
            if at is None or v > best or np.isnan(v):
                best, at = (v if at is None or v > best or np.isnan(v) else best), (r, s, h, w)
    return at


def _max(x, k, s, p, d, ceil_mode):
    n, c = x.shape[:2]
    sizes = [_out(x.shape[2 + a], k[a], s[a], p[a], d[a], ceil_mode) for a in (0, 1)]
    y, idx = np.empty((n, c, *sizes)), np.empty((n, c, *sizes), np.int64)
    flat = np.empty_like(idx)
    for i, j, rows, cols in _each(x.shape, k, s, p, d, ceil_mode):
        for a in range(n):
            for b in range(c):
                r, t, h, w = _choose(x[a, b], rows, cols)
                y[a, b, i, j], idx[a, b, i, j], flat[a, b, i, j] = x[a, b, h, w], r * k[1] + t, h * x.shape[3] + w
    return y, (idx.astype(np.uint8) if k[0] * k[1] <= 256 else flat), flat


def _max_forward(*args):
    return _max(*args)[:2]


def _average_divisor(i, j, rows, cols, shape, k, s, p, include_pad, override):
    if override is not None:
        return override
    if not include_pad:
        return len(rows) * len(cols)
    ends = [min(at * s[a] - p[a] + k[a], shape[2 + a] + p[a]) - (at * s[a] - p[a]) for a, at in ((0, i), (1, j))]
    return ends[0] * ends[1]


def _average(x, k, s, p, ceil_mode, include_pad, override):
    y = np.empty((*x.shape[:2], *(_out(x.shape[2 + a], k[a], s[a], p[a], 1, ceil_mode) for a in (0, 1))))
    for i, j, rows, cols in _each(x.shape, k, s, p, (1, 1), ceil_mode):
        total = x[:, :, rows[0][1] : rows[-1][1] + 1, cols[0][1] : cols[-1][1] + 1].sum((2, 3))
        y[:, :, i, j] = total / _average_divisor(i, j, rows, cols, x.shape, k, s, p, include_pad, override)
    return y


def _average_backward(dy, shape, k, s, p, ceil_mode, include_pad, override):
    dx = np.zeros(shape)
    for i, j, rows, cols in _each(shape, k, s, p, (1, 1), ceil_mode):
        share = dy[:, :, i, j] / _average_divisor(i, j, rows, cols, shape, k, s, p, include_pad, override)
        dx[:, :, rows[0][1] : rows[-1][1] + 1, cols[0][1] : cols[-1][1] + 1] += share[:, :, None, None]
    return dx


def _max_backward(dy, idx, shape, k, s, p, d):
    dx = np.zeros(shape)
    for a, b, i, j in np.ndindex(*dy.shape):
        if k[0] * k[1] <= 256:
            r, t = divmod(int(idx[a, b, i, j]), k[1])
            dx[a, b, i * s[0] - p[0] + r * d[0], j * s[1] - p[1] + t * d[1]] += dy[a, b, i, j]
        else:
            dx[a, b].reshape(-1)[idx[a, b, i, j]] += dy[a, b, i, j]
    return dx


def _flat(idx, shape, k, s, p, d):
    if k[0] * k[1] > 256:
        return idx
    flat = np.empty(idx.shape, np.int64)
    for a, b, i, j in np.ndindex(*idx.shape):
        r, t = divmod(int(idx[a, b, i, j]), k[1])
        flat[a, b, i, j] = (i * s[0] - p[0] + r * d[0]) * shape[3] + j * s[1] - p[1] + t * d[1]
    return flat


def _input(rng, dtype, shape, kind):
    x = rng.standard_normal(shape).astype(dtype)
    if kind == "ties":
        x = np.round(x)
    elif kind == "nan":
        x[rng.random(shape) < 0.2] = np.nan
    elif kind == "inf":
        x[rng.random(shape) < 0.8] = -np.inf
    return x


# name: shape, kernel, stride, padding, dilation, ceil_mode, values
SHAPES = {
    "2x2": ((2, 3, 8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False, ""),
    "2x2_odd": ((1, 2, 9, 37), (2, 2), (2, 2), (0, 0), (1, 1), False, ""),
    "2x2_ceil": ((1, 2, 9, 37), (2, 2), (2, 2), (0, 0), (1, 1), True, ""),
    "2x2_pad": ((2, 1, 7, 41), (2, 2), (2, 2), (1, 1), (1, 1), True, ""),
    "3x3s2p1": ((1, 3, 15, 36), (3, 3), (2, 2), (1, 1), (1, 1), False, ""),
    "3x3s1p1": ((2, 2, 6, 19), (3, 3), (1, 1), (1, 1), (1, 1), False, ""),
    "3x3s3": ((1, 2, 10, 52), (3, 3), (3, 3), (0, 0), (1, 1), True, ""),
    "5x2s4x1": ((1, 2, 13, 20), (5, 2), (4, 1), (2, 1), (1, 1), False, ""),
    "2x3_gaps": ((1, 2, 17, 40), (2, 3), (5, 7), (1, 1), (1, 1), False, ""),
    "dilated": ((1, 2, 14, 23), (3, 2), (2, 1), (1, 0), (2, 3), False, ""),
    "dilated_s3": ((1, 2, 14, 23), (3, 3), (3, 3), (1, 1), (2, 2), True, ""),
    "ties": ((1, 2, 12, 33), (3, 3), (2, 2), (1, 1), (1, 1), False, "ties"),
    "nan": ((1, 2, 12, 33), (3, 3), (1, 2), (1, 1), (1, 1), False, "nan"),
    "inf": ((1, 2, 12, 33), (2, 2), (2, 2), (0, 0), (1, 1), False, "inf"),
    "global": ((2, 3, 9, 7), (9, 7), (1, 1), (0, 0), (1, 1), False, ""),
    "1x1": ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0), (1, 1), False, ""),
    "row": ((2, 2, 1, 50), (1, 4), (1, 4), (0, 2), (1, 1), False, ""),
    "row_pairs": ((3, 5, 1, 70), (1, 2), (1, 2), (0, 0), (1, 1), False, "nan"),
    "row_threes": ((2, 3, 1, 37), (1, 3), (1, 1), (0, 1), (1, 1), False, "ties"),
    "rows_1x3": ((1, 2, 5, 20), (1, 3), (2, 2), (0, 1), (1, 1), True, ""),
    "taps_289": ((1, 2, 20, 21), (17, 17), (3, 2), (8, 8), (1, 1), False, ""),
    "stride_20": ((1, 2, 6, 70), (2, 3), (2, 20), (0, 1), (1, 1), False, ""),
    "large_plane": ((1, 1, 190, 181), (2, 2), (2, 2), (0, 0), (1, 1), False, ""),
    "empty_batch": ((0, 3, 8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False, ""),
}


def _cases(name, shape, k, s, p, d, ceil_mode, values):
    geometry = (k, s, p, d)

    def taken(rng, dtype):
        _, idx, flat = _max(_input(rng, np.float64, shape, values), *geometry, ceil_mode)
        return rng.standard_normal(idx.shape).astype(dtype), idx

    yield Case("max_pool2d", name, lambda rng, t: (_input(rng, t, shape, values), *geometry, ceil_mode), _max_forward)
    yield Case("max_pool2d_backward", name, lambda rng, t: (*taken(rng, t), shape, *geometry), _max_backward)
    yield Case("max_pool2d_indices", name, lambda rng, t: (taken(rng, t)[1], shape, *geometry), _flat)
    if d != (1, 1) or values:
        return
    for variant, include_pad, override in (("", True, None), ("_exclude_pad", False, None), ("_by_3", True, 3)):
        tail = (k, s, p, ceil_mode, include_pad, override)
        out = tuple(_out(shape[2 + a], k[a], s[a], p[a], 1, ceil_mode) for a in (0, 1))
        yield Case("avg_pool2d", name + variant, lambda rng, t, tail=tail: (_input(rng, t, shape, ""), *tail), _average)
        yield Case(
            "avg_pool2d_backward",
            name + variant,
            lambda rng, t, tail=tail, out=out: (rng.standard_normal((*shape[:2], *out)).astype(t), shape, *tail),
            _average_backward,
        )


CASES = [case for name, row in SHAPES.items() for case in _cases(name, *row)]
