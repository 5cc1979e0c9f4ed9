"""Sampling at the points of a grid, against loops over points in float64 (away from the steps: a place that rounds to the
other side of a pixel's border in float32 would be another value)."""

import itertools
import math

import numpy as np

from . import Case


def _place(g, n, padding, align):
    """(place in pixels, its derivative by g) along an axis of n pixels."""
    unit = (n - 1) / 2 if align else n / 2
    p = (g + 1) * unit - (0 if align else 0.5)
    if padding == 2:
        low, high = (0.0, n - 1.0) if align else (-0.5, n - 0.5)
        if low == high:
            return 0.0, 0.0
        while not low <= p <= high:
            p, unit = (2 * low - p if p < low else 2 * high - p), -unit
    if padding and not 0 < p < n - 1:
        return float(min(max(p, 0), n - 1)), 0.0
    return p, unit


def _pixels(point, sizes, mode, padding, align):
    """[(pixel, weight, derivative of the weight by each coordinate of the point)]; the point has the last axis first."""
    axes = []
    for d, n in enumerate(sizes):
        p, slope = _place(float(point[len(sizes) - 1 - d]), n, padding, align)
        if mode == 1:
            axes.append([(int(np.rint(p)), 1.0, 0.0)])
        else:
            low = math.floor(p)
            axes.append([(low, 1 - (p - low), -slope), (low + 1, p - low, slope)])
    for taps in itertools.product(*axes):
        pixel = tuple(at for at, _, _ in taps)
        if all(0 <= at < n for at, n in zip(pixel, sizes, strict=True)):
            slopes = [
                math.prod(t[2] if e == d else t[1] for e, t in enumerate(taps)) for d in reversed(range(len(sizes)))
            ]
            yield pixel, math.prod(t[1] for t in taps), slopes


def _forward(x, grid, mode, padding, align):
    y = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for n, *at in np.ndindex(*grid.shape[:-1]):
        for pixel, weight, _ in _pixels(grid[(n, *at)], x.shape[2:], mode, padding, align):
            y[(n, slice(None), *at)] += weight * x[(n, slice(None), *pixel)]
    return y


def _backward(dy, x, grid, mode, padding, align, needs_x, needs_grid):
    dx, dgrid = np.zeros(x.shape), np.zeros(grid.shape)
    for n, *at in np.ndindex(*grid.shape[:-1]):
        g = dy[(n, slice(None), *at)]
        for pixel, weight, slopes in _pixels(grid[(n, *at)], x.shape[2:], mode, padding, align):
            dx[(n, slice(None), *pixel)] += weight * g
            dgrid[(n, *at)] += np.array(slopes) * (x[(n, slice(None), *pixel)] @ g)
    return dx if needs_x else None, dgrid if needs_grid else None


def _smooth(grid, sizes, align):
    """The grid moved so that no place is within 0.02 of a pixel, the middle between two, or the border."""
    for d, n in enumerate(reversed(sizes)):
        unit = max((n - 1) / 2 if align else n / 2, 0.25)
        places = (grid[..., d] + 1) * unit - (0 if align else 0.5)
        quarter = np.floor(places * 2) / 2 + 0.25
        grid[..., d] = (quarter + np.clip(places - quarter, -0.2, 0.2) + (0 if align else 0.5)) / unit - 1
    return grid


def _make(c, sizes, places, align):
    def make(rng, d):
        grid = 1.4 * rng.standard_normal((2, *places, len(sizes)))
        return rng.standard_normal((2, c, *sizes)).astype(d), _smooth(grid, sizes, align).astype(d)

    return make


CASES = []
for (c, sizes, places), mode, padding, align in itertools.product(
    ((1, (5, 7), (3, 4)), (3, (1, 6), (5, 14)), (2, (3, 4, 5), (2, 3, 3))), (0, 1), (0, 1, 2), (False, True)
):
    make = _make(c, sizes, places, align)
    label = f"{c}x{'x'.join(map(str, sizes))}_{('linear', 'nearest')[mode]}_{padding}{'_align' if align else ''}"

    def forward(rng, d, make=make, how=(mode, padding, align)):
        return *make(rng, d), *how

    def backward(rng, d, make=make, how=(mode, padding, align)):
        x, grid = make(rng, d)
        return rng.standard_normal((*x.shape[:2], *grid.shape[1:-1])).astype(d), x, grid, *how, True, True

    def loose(*args, f=None):
        """Weights come from places in pixels: some ulps of the largest."""
        want = f(*args)
        return tuple(100 * (1 + np.abs(w)) for w in want) if isinstance(want, tuple) else 100 * (1 + np.abs(want))

    CASES += [
        Case("grid_sample", label, forward, _forward, lambda *a: loose(*a, f=_forward)),
        Case("grid_sample_backward", label, backward, _backward, lambda *a: loose(*a, f=_backward)),
    ]
CASES.append(
    Case(
        "grid_sample",
        "bench_16x3x28x28",
        lambda rng, d: (*(a.repeat(8, 0) for a in _make(3, (28, 28), (28, 28), False)(rng, d)), 0, 0, False),
        _forward,
        lambda *a: 100 * (1 + np.abs(_forward(*a))),
        bench=True,
        dtypes=("float32",),
    )
)
