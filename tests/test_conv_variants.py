"""Convolution by variant: each agrees with its definition, forward and in both gradients; what Winograd must keep of the
direct sum: infinities and NaN where they belong, exact small integers, the choice kept for the backward pass."""

import functools

import numpy as np
import pytest
from cases.conv2d import SHAPES, _bound, _forward, _input, _pre, _weight
from conftest import tables

import fastnn
from fastnn import backend
from fastnn.backend import variants

NAMES = ("naive", "im2col", "packed", "winograd")
SOME = (
    "3x3p1",
    "3x3_blocks",
    "3x3_pad2",
    "3x3_wide_tiles",
    "3x3_groups",
    "1x1",
    "dilated_s2",
    "depthwise",
    "depthwise_7",
    "small_s2",
    "small_blocks",
    "small_taps_cut",
)
compiled = [t for t in tables() if t != "numpy"]


def _available(name):
    return name in variants.available("conv")


@pytest.mark.parametrize("variant", NAMES)
@pytest.mark.parametrize("name", SOME)
def test_variants_agree(table, variant, name):
    if not _available(variant):
        pytest.skip("not a variant of this backend")
    x, w, *how = SHAPES[name]
    rng = np.random.default_rng(0)
    a, b, bias = (rng.standard_normal(s).astype(np.float32) for s in (x, w, w[:1]))
    wide = [v.astype(np.float64) for v in (a, b, bias)]
    with variants.kernels(conv=variant):
        y = table.conv2d(a, b, bias, *how, "relu")
        dy = rng.standard_normal(y.shape).astype(np.float32)
        dx = table.conv2d_backward_input(dy, b, x, *how)
        dw = table.conv2d_backward_weight(dy, a, w, *how)
    eps, d = 4 * np.finfo(np.float32).eps, dy.astype(np.float64)
    bound = _bound(_pre, lambda p, q, r: q[0].size + 1)(*wide, *how)
    assert np.all(np.abs(y - _forward(*wide, *how, "relu")) <= eps * bound)
    bound = _bound(_input, lambda p, q, r: q.shape[0] * q.shape[2] * q.shape[3] + 1)(d, wide[1], x, *how)
    assert np.all(np.abs(dx - _input(d, wide[1], x, *how)) <= eps * bound)
    bound = _bound(_weight, lambda p, q, r: p[:, 0].size + 1)(d, wide[0], w, *how)
    assert np.all(np.abs(dw - _weight(d, wide[0], w, *how)) <= eps * bound)


def _drawn(count):
    """Shapes drawn at random whose products take more than one block of channels: what waits between two blocks, or lies
    beside what is packed, must not be written over."""
    rng = np.random.default_rng(12)
    shapes = []
    while len(shapes) < count:
        groups = int(rng.choice([1, 1, 2, 3]))
        window = tuple(int(v) for v in rng.integers(1, 7, 2))
        depth = int(rng.integers(200, 1500) / (window[0] * window[1]))
        channels, filters = (depth, int(rng.integers(1, 30)))[:: int(rng.choice([1, -1]))]
        stride, dilation = (
            tuple(int(v) for v in rng.integers(1, 4, 2)),
            tuple(int(v) for v in rng.choice([1, 1, 2, 3], 2)),
        )
        padding, image = tuple(int(v) for v in rng.integers(0, 4, 2)), tuple(int(v) for v in rng.integers(4, 30, 2))
        places = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(image, padding, dilation, window, stride, strict=True)
        ]
        n = int(rng.integers(1, 8))
        if min(channels, *places) > 0 and n * groups * channels * filters * np.prod([*window, *places]) < 2e7:
            x, w = (n, groups * channels, *image), (groups * filters, channels, *window)
            shapes.append((x, w, stride, padding, dilation, groups))
    return shapes


@functools.cache
def _drawn_case(i):
    """(arguments, results in float64, by a loop over places, and their bounds) of the i-th shape, for all instruction sets."""
    x, w, *how = DRAWN[i]
    rng = np.random.default_rng(i)
    a, b, bias = (rng.standard_normal(s) for s in (x, w, w[:1]))
    y = _forward(a, b, bias, *how)
    dy = rng.standard_normal(y.shape)
    results = y, _input(dy, b, x, *how), _weight(dy, a, w, *how)
    bounds = (
        _bound(_pre, lambda p, q, r: q[0].size + 1)(a, b, bias, *how),
        _bound(_input, lambda p, q, r: q.shape[0] * q.shape[2] * q.shape[3] + 1)(dy, b, x, *how),
        _bound(_weight, lambda p, q, r: p[:, 0].size + 1)(dy, a, w, *how),
    )
    return (a, b, bias, dy), results, bounds


DRAWN = _drawn(40)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_drawn_at_random(table, dtype):
    for i, (x, w, *how) in enumerate(DRAWN):
        arrays, results, bounds = _drawn_case(i)
        a, b, bias, dy = (v.astype(dtype) for v in arrays)
        # The arguments' own rounding is one more of as many relative errors as there are terms.
        got = (
            table.conv2d(a, b, bias, *how),
            table.conv2d_backward_input(dy, b, x, *how),
            table.conv2d_backward_weight(dy, a, w, *how),
        )
        for name, value, expected, bound in zip(("y", "dx", "dw"), got, results, bounds, strict=True):
            off = np.abs(value - expected) > 8 * np.finfo(dtype).eps * bound
            assert not off.any(), f"{name} of {DRAWN[i]}: {off.sum()} of {off.size} values off"


@pytest.mark.skipif(not compiled, reason="the extension is not built")
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("at", [(0, 0, 0, 0), (1, 7, 5, 6), (1, 15, 12, 10)])
def test_winograd_spreads_nothing(table, value, at):
    """What is not finite reaches the windows that contain it, as what the direct sum makes of it, and no others."""
    if not _available("winograd"):
        pytest.skip("not a variant of this backend")
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((2, 16, 13, 11), (17, 16, 3, 3)))
    x[at] = value
    dy = rng.standard_normal((2, 17, 13, 11)).astype(np.float32)
    how = ((1, 1), (1, 1), (1, 1), 1)
    got = {}
    for name in ("packed", "winograd"):
        with variants.kernels(conv=name):
            got[name] = table.conv2d(x, w, None, *how), table.conv2d_backward_weight(dy, x, w.shape, *how)
    for a, b in zip(got["winograd"], got["packed"], strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        np.testing.assert_array_equal(np.isinf(a), np.isinf(b))
        assert not np.isfinite(b).all()


@pytest.mark.skipif(not compiled, reason="the extension is not built")
def test_winograd_is_exact_on_small_integers(table):
    if not _available("winograd"):
        pytest.skip("not a variant of this backend")
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-9, 10, s).astype(np.float32) for s in ((2, 20, 13, 11), (17, 20, 3, 3)))
    dy = rng.integers(-9, 10, (2, 17, 13, 11)).astype(np.float32)
    how = ((1, 1), (1, 1), (1, 1), 1)
    with variants.kernels(conv="winograd"):
        y, dx = table.conv2d(x, w, None, *how), table.conv2d_backward_input(dy, w, x.shape, *how)
        dw = table.conv2d_backward_weight(dy, x, w.shape, *how)
    np.testing.assert_array_equal(y, _forward(x.astype(float), w.astype(float), None, *how))
    np.testing.assert_array_equal(dx, _input(dy.astype(float), w.astype(float), x.shape, *how))
    np.testing.assert_array_equal(dw, _weight(dy.astype(float), x.astype(float), w.shape, *how))


@pytest.mark.skipif(not compiled, reason="the extension is not built")
def test_winograd_is_chosen_and_can_be_refused():
    """Float32 of many channels takes Winograd by itself (other bits than `packed`), float64 does not."""
    before = backend.active().name
    backend.use("cpu")
    try:
        rng = np.random.default_rng(0)
        for dtype, same in ((np.float32, False), (np.float64, True)):
            x = fastnn.from_numpy(rng.standard_normal((2, 48, 20, 20)).astype(dtype)).requires_grad_()
            w = fastnn.from_numpy(rng.standard_normal((48, 48, 3, 3)).astype(dtype)).requires_grad_()
            found = {}
            for name in ("auto", "packed", "winograd"):
                x.grad = w.grad = None
                with variants.kernels(conv=name):
                    y = fastnn.nn.functional.conv2d(x, w, padding=1)
                y.sum().backward()  # outside: the choice is kept on the tape
                found[name] = y.detach().numpy(), x.grad.numpy(), w.grad.numpy()
            for i in range(3):
                assert np.array_equal(found["auto"][i], found["packed" if same else "winograd"][i])
                if not same and i < 1:
                    assert not np.array_equal(found["auto"][i], found["packed"][i])
    finally:
        backend.use(before)


@pytest.mark.skipif(not compiled, reason="the extension is not built")
def test_unknown_variant_and_dtype():
    from fastnn import _cpu

    x, w = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32)
    with pytest.raises(ValueError, match="fft"):
        _cpu.conv2d(x, w, None, [1, 1], [0, 0], [1, 1], 1, "none", "fft")
    before = backend.active().name
    backend.use("cpu")
    try:
        with variants.kernels(conv="winograd"), pytest.raises(RuntimeError, match="winograd"):
            backend.active().conv2d(x.astype(int), w.astype(int), None, (1, 1), (0, 0), (1, 1), 1)
    finally:
        backend.use(before)


@pytest.mark.skipif(not compiled, reason="the extension is not built")
@pytest.mark.parametrize("taps", [(3, 3), (5, 2), (7, 7)])
def test_depthwise_of_large_planes(table, taps):
    """Planes that are cut into blocks of rows, and rows longer than any tile, against the products."""
    if not _available("packed"):
        pytest.skip("not a variant of this backend")
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((1, 16, 61, 601), (16, 1, *taps)))
    how = ((1, 1), (1, 2), (1, 1), 16)
    y = table.conv2d(x, w, None, *how)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    found = y, table.conv2d_backward_input(dy, w, x.shape, *how), table.conv2d_backward_weight(dy, x, w.shape, *how)
    with variants.kernels(conv="packed"):
        expected = (
            table.conv2d(x, w, None, *how),
            table.conv2d_backward_input(dy, w, x.shape, *how),
            table.conv2d_backward_weight(dy, x, w.shape, *how),
        )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())
