"""Distances of rows from rows, against loops in float64."""

import numpy as np

from . import Case


def _distances(x, z, p):
    y = np.zeros((*x.shape[:-1], z.shape[-2]))
    for *b, i, j in np.ndindex(*y.shape):
        d = np.abs(x[(*b, i)] - z[(*b, j)])
        y[(*b, i, j)] = 0 if not d.size else d.max() if p == np.inf else (d**p).sum() ** (1 / p)
    return y


def _backward(dy, x, z, y, p):
    dx, dz = np.zeros(x.shape), np.zeros(z.shape)
    for *b, i, j in np.ndindex(*y.shape):
        d, norm = x[(*b, i)] - z[(*b, j)], y[(*b, i, j)]
        if norm == 0:
            continue
        if p == np.inf:
            g = np.sign(d) * (np.abs(d) == norm)
        else:
            g = np.sign(d) * np.abs(d) ** (p - 1) / norm ** (p - 1)
        dx[(*b, i)] += dy[(*b, i, j)] * g
        dz[(*b, j)] -= dy[(*b, i, j)] * g
    return dx, dz


def _make(batch, m, r, k, p):
    def make(rng, d):
        # Multiples of 1/8: every difference is exact, and so is which of them is the largest.
        x, z = (np.round(8 * rng.standard_normal((*batch, n, k))) / 8 for n in (m, r))
        x[..., 0, :] = z[..., 0, :]  # a distance of 0
        return x.astype(d), z.astype(d), p

    return make


def _make_backward(make):
    def backward(rng, d):
        x, z, p = make(rng, d)
        y = _distances(x.astype(np.float64), z.astype(np.float64), p).astype(d)
        return rng.standard_normal(y.shape).astype(d), x, z, y, p

    return backward


def _bound(dy, x, z, y, p):
    most = np.abs(dy).sum() + 1
    return most * np.ones(x.shape), most * np.ones(z.shape)


CASES = []
for batch, m, r, k in (((), 3, 4, 5), ((2,), 5, 35, 17), ((), 9, 1, 140), ((2, 1), 4, 70, 3), ((), 2, 3, 0)):
    for p in (1.0, 2.0, 3.0, np.inf):
        make = _make(batch, m, r, k, p)
        label = f"{'x'.join(map(str, (*batch, m, r, k)))}_{p:g}"
        CASES.append(Case("cdist", label, make, _distances, lambda x, z, p: 8 * (1 + _distances(x, z, p))))
        CASES.append(Case("cdist_backward", label, _make_backward(make), _backward, _bound))
CASES.append(
    Case(
        "cdist",
        "bench_256x256x64",
        _make((), 256, 256, 64, 2.0),
        lambda x, z, p: np.sqrt(np.square(x[:, None] - z[None]).sum(-1)),
        flops=3.0 * 256 * 256 * 64,
        bench=True,
        dtypes=("float32",),
    )
)
