"""Recurrent layers: gradients of every table against the twin's in float64, variants, threads, what is refused."""

import numpy as np
import pytest
from cases.rnn import GATES, SHAPES, arguments

import fastnn
from fastnn import backend, nn
from fastnn.backend import numpy_kernels

cpu = pytest.mark.skipif("cpu" not in backend.available(), reason="the extension is not built")
SOME = ("small", "packed", "one_row", "one_step", "projected", "h256")


def gradients(kernels, given, dtype, rng):
    """What rnn_layer_backward makes of random gradients of all outputs."""
    cell, x, h0, c0, weights, sizes = given
    x, h0, c0 = (None if a is None else a.astype(dtype) for a in (x, h0, c0))
    weights = [[None if w is None else w.astype(dtype) for w in one] for one in weights]
    y, h, c, kept = kernels.rnn_layer(cell, x, h0, c0, weights, sizes, True)
    dy, dh, dc = (
        None if a is None else rng.standard_normal(a.shape).astype(np.float32).astype(dtype) for a in (y, h, c)
    )
    needs = [a is not None for a in (x, h0, c0, *(w for one in weights for w in one))]
    return kernels.rnn_layer_backward(cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, needs)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("cell", GATES)
def test_gradients(cell, name, table):
    if SHAPES[name][3] and cell != "LSTM":
        pytest.skip("only an LSTM is projected")
    given = arguments(np.random.default_rng(0), np.float32, cell, *SHAPES[name])
    wanted = gradients(numpy_kernels, given, np.float64, np.random.default_rng(1))
    for dtype in (np.float32, np.float64):
        got = gradients(table, given, dtype, np.random.default_rng(1))
        assert len(got) == len(wanted)
        for a, b in zip(got, wanted, strict=True):
            if b is None:
                assert a is None
                continue
            assert a.dtype == dtype and a.shape == b.shape
            scale = np.abs(b).max()
            assert np.abs(a - b).max() <= (2e-5 if dtype == np.float32 else 1e-12) * scale * len(given[5])


@cpu
@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("cell", GATES)
def test_same_bits_at_any_number_of_threads(cell, name, table):
    if table.name == "numpy" or (SHAPES[name][3] and cell != "LSTM"):
        pytest.skip("nothing to compare")
    from fastnn import _cpu

    before = _cpu.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            _cpu.set_num_threads(threads)
            given = arguments(np.random.default_rng(0), np.float32, cell, *SHAPES[name])
            out = table.rnn_layer(*given, False)[:3]
            found.append([*out, *gradients(table, given, np.float32, np.random.default_rng(1))])
    finally:
        _cpu.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert (a is None and b is None) or a.tobytes() == b.tobytes()


@cpu
@pytest.mark.parametrize("cell", GATES)
def test_weights_of_any_layout(cell):
    given = arguments(np.random.default_rng(0), np.float32, cell, *SHAPES["small"])
    strange = [[None if w is None else np.asfortranarray(np.repeat(w, 2, 0)[::2]) for w in one] for one in given[4]]
    kernels = backend.active()
    for a, b in zip(
        kernels.rnn_layer(*given, False)[:3], kernels.rnn_layer(*given[:4], strange, given[5], False)[:3], strict=True
    ):
        assert (a is None and b is None) or np.abs(a - b).max() < 1e-6


@cpu
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_variants_agree_and_hold_in_backward(kind):
    results = []
    for name in ("steps", "fused", "auto"):
        fastnn.manual_seed(0)
        layer, x = getattr(nn, kind)(5, 6, bidirectional=True), fastnn.randn(4, 3, 5, requires_grad=True)
        with fastnn.kernels(**{kind.lower(): name}):
            y = layer(x)[0]
        y.square().sum().backward()
        results.append([y, x.grad, *(p.grad for p in layer.parameters())])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert (a - b).abs().max().item() < 1e-5


def test_variants_that_do_not_exist():
    with pytest.raises(ValueError, match="unknown lstm variant 'naive'"):
        fastnn.kernels(lstm="naive")
    with pytest.raises(TypeError, match="no family 'rnns'"):
        fastnn.kernels(rnns="steps")


def test_half_is_computed_in_float32():
    for kind in ("LSTM", "GRU"):
        fastnn.manual_seed(0)
        layer, x = getattr(nn, kind)(3, 4), fastnn.randn(5, 2, 3)
        half, x16 = getattr(nn, kind)(3, 4).to(fastnn.float16), x.half().requires_grad_()
        half.load_state_dict({name: p.half() for name, p in layer.state_dict().items()})
        layer.load_state_dict({name: p.float() for name, p in half.state_dict().items()})
        y, y16 = layer(x16.detach().float())[0], half(x16)[0]
        assert y16.dtype == fastnn.float16
        assert (y16.float() - y).abs().max().item() < 1e-3
        y16.sum().backward()
        y.sum().backward()
        for a, b in zip(half.parameters(), layer.parameters(), strict=True):
            assert (a.grad.float() - b.grad).abs().max().item() < 1e-2


def test_empty_batch():
    y, (h, c) = nn.LSTM(3, 4)(fastnn.zeros(5, 0, 3))
    assert tuple(y.shape) == (5, 0, 4) and tuple(h.shape) == (1, 0, 4) == tuple(c.shape)


def test_changed_output_is_noticed():
    layer = nn.GRU(3, 4)
    y, _ = layer(fastnn.randn(2, 1, 3))
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_too_long():
    with pytest.raises(RuntimeError, match="at most 5"):
        nn.utils.rnn.pack_padded_sequence(fastnn.zeros(5, 2, 3), [6, 5])


def test_nan_stays():
    for kind in ("RNN", "LSTM", "GRU"):
        x = fastnn.zeros(3, 2, 4)
        x[1, 0, 0] = float("nan")
        y = getattr(nn, kind)(4, 20)(x)[0]
        assert not y[0].isnan().any() and y[1:, 0].isnan().all() and not y[:, 1].isnan().any()


@cpu
def test_what_the_binding_refuses():
    from fastnn import _cpu

    f = np.zeros
    good = dict(
        cell="LSTM", gates=f((6, 8), "f4"), w_hh=f((8, 2), "f4"), w_hr=None, b_hn=None, h0=None, c0=None, gh=None,
        sizes=[3, 3], reverse=False, keep=False, y=f((6, 2), "f4"),
    )  # fmt: skip
    _cpu.rnn(**good)
    for change in (
        {"cell": "lstm"}, {"gates": f((6, 7), "f4")}, {"gates": f((6, 8), "i4")}, {"gates": f((6, 8), "f8")},
        {"w_hh": f((8, 3), "f4")}, {"w_hh": f((8, 2), "f8")}, {"w_hr": f((2, 3), "f4")}, {"w_hr": f((0, 2), "f4")},
        {"h0": f((2, 2), "f4")}, {"c0": f((3, 3), "f4")}, {"gh": f((3, 8), "f4")}, {"sizes": []}, {"sizes": [3, 4]},
        {"sizes": [6, 0]}, {"sizes": [-1, 7]}, {"sizes": [2, 3]}, {"y": f((6, 2), "f8")}, {"y": f((5, 2), "f4")},
        {"y": f((2, 6), "f4").T}, {"y": np.broadcast_to(f((1, 2), "f4"), (6, 2))}, {"b_hn": f(3, "f4")},
    ):  # fmt: skip
        with pytest.raises((RuntimeError, ValueError, TypeError)):
            _cpu.rnn(**(good | change))
