"""Sampling at the points of a grid in NumPy: all points at once, one combination of neighbouring pixels after the other."""

import itertools
import math

import numpy as np

__all__ = ["grid_sample", "grid_sample_backward"]

_NEAREST = 1
_ZEROS, _REFLECTION = 0, 2


def _places(g, n, padding, align):
    """(coordinates in pixels, their derivatives by g): reflected and clipped as `padding` says, NaN to pixel 0."""
    unit = (n - 1) / 2 if align else n / 2
    p = ((g + 1) * unit if align else ((g + 1) * n - 1) * 0.5).astype(g.dtype, copy=False)
    slope = np.full(p.shape, unit, p.dtype)
    low, span = (0.0, n - 1) if align else (-0.5, n)
    if padding == _REFLECTION and span:
        distance = np.absolute(p - low)
        turns = np.floor(distance / span)
        rest = distance - turns * span
        even = turns % 2 == 0
        slope = np.where((p < low) == even, -slope, slope)
        p = np.where(even, low + rest, low + span - rest).astype(g.dtype, copy=False)
    if padding != _ZEROS:
        slope = np.where((p > 0) & (p < n - 1), slope, 0).astype(g.dtype, copy=False)
        p = np.where(p > 0, np.where(p < n - 1, p, n - 1), 0).astype(g.dtype, copy=False)
    return p, slope


def _axis(g, n, mode, padding, align):
    """([(index, inside, weight)] of the pixels below and above each point along one axis, derivative of the place)."""
    p, slope = _places(g, n, padding, align)
    low = np.rint(p) if mode == _NEAREST else np.floor(p)
    part = p - low
    taps = []
    for at, weight in ((low, 1 - part), (low + 1, part))[: 1 if mode == _NEAREST else 2]:
        inside = (at >= 0) & (at <= n - 1)
        taps.append((np.where(inside, at, 0).astype(np.int64), inside, weight))
    return taps, slope


def _combinations(x, grid, mode, padding, align):
    """([(sides, flat index, inside, weights by axis)], slopes by axis), points flat: [N, P]."""
    sizes, n = x.shape[2:], x.shape[0]
    points = math.prod(grid.shape[1:-1])
    flat = grid.reshape(n, points, len(sizes))
    found = [_axis(flat[..., len(sizes) - 1 - d], s, mode, padding, align) for d, s in enumerate(sizes)]
    combined = []
    for sides in itertools.product(range(len(found[0][0])), repeat=len(sizes)):
        at, inside, weights = 0, True, []
        for (taps, _), side, size in zip(found, sides, sizes, strict=True):
            index, ok, weight = taps[side]
            at, inside = at * size + index, ok & inside
            weights.append(weight)
        combined.append((sides, at, inside, weights))
    return combined, [slope for _, slope in found]


def _read(flat, at, inside):
    """flat[n, c, at[n, p]], 0 outside."""
    index = np.broadcast_to(at[:, None], (flat.shape[0], flat.shape[1], at.shape[1]))
    return np.where(inside[:, None], np.take_along_axis(flat, index, 2), 0)


def grid_sample(x, grid, mode, padding, align):
    """x [N, C, *sizes] at grid [N, *places, d] -> [N, C, *places]. mode: 0 linear, 1 nearest; padding: 0 zeros, 1 border,
    2 reflection."""
    flat = x.reshape(x.shape[0], x.shape[1], math.prod(x.shape[2:]))
    y = 0
    for _, at, inside, weights in _combinations(x, grid, mode, padding, align)[0]:
        value = _read(flat, at, inside)
        y = value if mode == _NEAREST else y + value * math.prod(weights)[:, None]
    return y.astype(x.dtype, copy=False).reshape(x.shape[0], x.shape[1], *grid.shape[1:-1])


def grid_sample_backward(dy, x, grid, mode, padding, align, needs_x, needs_grid):
    """(dx, dgrid), None for what is not needed."""
    n, channels = x.shape[:2]
    volume = math.prod(x.shape[2:])
    flat, dy = x.reshape(n, channels, volume), dy.reshape(n, channels, math.prod(grid.shape[1:-1]))
    combined, slopes = _combinations(x, grid, mode, padding, align)
    dx = np.zeros(n * channels * volume) if needs_x else None
    by_axis = [0.0] * len(slopes)
    plane = np.arange(n * channels).reshape(n, channels, 1) * volume
    for sides, at, inside, weights in combined:
        if needs_x:
            share = dy if mode == _NEAREST else dy * math.prod(weights)[:, None]
            share = np.where(inside[:, None], share, 0)
            dx = dx + np.bincount((plane + at[:, None]).reshape(-1), share.reshape(-1), dx.size)
        if needs_grid and mode != _NEAREST:
            total = (_read(flat, at, inside) * dy).sum(1)
            for d in range(len(slopes)):
                others = [w for e, w in enumerate(weights) if e != d]
                by_axis[d] = by_axis[d] + (1 if sides[d] else -1) * math.prod(others) * total
    dgrid = None
    if needs_grid:
        dgrid = np.zeros((n, dy.shape[2], len(slopes)), x.dtype)
        for d, slope in enumerate(slopes):
            if mode != _NEAREST:
                dgrid[..., len(slopes) - 1 - d] = np.where(slope == 0, 0, by_axis[d] * slope)
        dgrid = dgrid.reshape(grid.shape)
    return None if dx is None else dx.reshape(x.shape).astype(x.dtype, copy=False), dgrid
