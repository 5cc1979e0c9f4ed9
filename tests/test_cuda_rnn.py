"""Recurrent layers on device "cuda" against the CPU in float64: every cell, dtype and option, values and gradients."""

import emulation
import numpy as np
import pytest

import fastnn as T
from fastnn import nn
from fastnn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

# The spacing of numbers near 1, some of which the gates' and h's roundings add up to over a few steps.
TOLERANCE = {T.float64: 1e-11, T.float32: 2e-5, T.float16: 1e-2, T.bfloat16: 6e-2}


@pytest.fixture(autouse=True, scope="module")
def device():
    emulation.install()
    yield
    emulation.uninstall()


def kernels():
    from fastnn.backend import cuda_runtime
    from fastnn.backend.cuda_kernels._native import launched

    if cuda_runtime.native is None:
        return None
    launched.clear()
    return launched


def outcome(net, x, lengths, states):
    """The results and all gradients, in float64 on the host."""
    x = x.detach().requires_grad_()
    states = tuple(s.detach().requires_grad_() for s in states)
    given = states if isinstance(net, nn.LSTM) else states[0]
    if lengths is None:
        y, last = net(x, given)
    else:
        packed, last = net(pack_padded_sequence(x, lengths, enforce_sorted=False), given)
        y = pad_packed_sequence(packed)[0]
    results = [y, *(last if isinstance(last, tuple) else (last,))]
    total = sum((r.double() * T.linspace(-1.0, 1.5, r.numel(), dtype=T.float64, device=r.device).reshape(r.shape)).sum()
                for r in results)  # fmt: skip
    total.backward()
    used = states if isinstance(net, nn.LSTM) else states[:1]
    found = results + [x.grad] + [s.grad for s in used] + [p.grad for p in net.parameters()]
    return [a.detach().double().cpu().numpy() for a in found]


def compare(make, dtype, steps=5, batch=7, features=6, lengths=None):
    if dtype is T.bfloat16:
        pytest.importorskip("ml_dtypes")
    T.manual_seed(3)
    net = make().to(dtype)
    proj = net.proj_size or net.hidden_size
    d = net.num_layers * (2 if net.bidirectional else 1)
    x = T.randn(steps, batch, features).to(dtype)
    states = (T.randn(d, batch, proj).to(dtype), T.randn(d, batch, net.hidden_size).to(dtype))
    want = outcome(make_like(make, net), x.double(), lengths, tuple(s.double() for s in states))
    launched = kernels()
    got = outcome(net.to("cuda"), x.to("cuda"), lengths, tuple(s.to("cuda") for s in states))
    for a, b in zip(got, want, strict=True):
        scale = max(1.0, np.abs(b).max())
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * scale)
    return launched


def make_like(make, net):
    copy = make().double()
    copy.load_state_dict({k: v.double() for k, v in net.state_dict().items()})
    return copy


CELLS = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "tanh": nn.RNN,
    "relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k),
}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_a_layer(cell, dtype):
    if cell == "relu" and dtype.itemsize == 2:
        pytest.skip("a rounding may move a sum across relu's kink, and the gradient with it")
    launched = compare(lambda: CELLS[cell](6, 21), dtype)
    if launched is not None:
        assert launched["rnn"] == 1 and launched["rnn_backward"] == 1


@pytest.mark.parametrize("cell", CELLS)
def test_layers_in_both_directions_of_packed_sequences(cell):
    launched = compare(
        lambda: CELLS[cell](6, 10, num_layers=2, bidirectional=True), T.float32, lengths=[3, 5, 1, 5, 2, 4, 3]
    )
    if launched is not None:
        assert launched["rnn"] == 4 and launched["rnn_backward"] == 4
    compare(lambda: CELLS[cell](6, 10, bidirectional=True, bias=False), T.float64, lengths=[3, 5, 1, 5, 2, 4, 3])


@pytest.mark.parametrize("dtype", [T.float32, T.bfloat16], ids=str)
def test_projections(dtype):
    compare(lambda: nn.LSTM(6, 12, num_layers=2, proj_size=5, bidirectional=True), dtype)


def test_without_states_and_gradients():
    net = nn.GRU(6, 9, num_layers=2, dropout=0.5, batch_first=True).to("cuda").eval()
    x = T.randn(3, 4, 6)
    with T.no_grad():
        y, h = net(x.to("cuda"))
    want, last = net.cpu()(x)
    np.testing.assert_allclose(y.cpu().numpy(), want.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(h.cpu().numpy(), last.detach().numpy(), atol=1e-5)


def test_dropout_between_layers():
    net = nn.LSTM(6, 9, num_layers=2, dropout=0.5).to("cuda")
    x = T.randn(4, 3, 6, device="cuda")
    T.manual_seed(1)
    first = net(x)[0]
    T.manual_seed(1)
    assert T.equal(first, net(x)[0]) and not T.equal(first, net(x)[0])


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_single_cells(cell):
    launched = kernels()
    net = cell(6, 11)
    x, h, c = T.randn(5, 6), T.randn(5, 11), T.randn(5, 11)
    state = (h, c) if cell is nn.LSTMCell else h
    on_device = (h.to("cuda"), c.to("cuda")) if cell is nn.LSTMCell else h.to("cuda")
    want, got = net(x, state), net.to("cuda")(x.to("cuda"), on_device)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().numpy(), atol=1e-5)
    if launched is not None:
        assert launched["rnn"] == 1


def test_same_bits_again():
    net = nn.LSTM(8, 24).to("cuda")
    x = T.randn(4, 6, 8, device="cuda")
    found = []
    for _ in range(2):
        net.zero_grad()
        y = net(x)[0]
        y.sum().backward()
        found.append([y.detach().cpu().numpy()] + [p.grad.cpu().numpy() for p in net.parameters()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_steps_by_name():
    launched = kernels()
    net = nn.LSTM(5, 8).to("cuda")
    x = T.randn(3, 2, 5, device="cuda")
    whole = net(x)[0].detach().cpu().numpy()
    if launched is not None:
        assert launched["rnn"] == 1
    with T.kernels(lstm="steps"):
        steps = net(x)[0].detach().cpu().numpy()
    np.testing.assert_allclose(steps, whole, atol=1e-6)
    if launched is not None:
        assert launched["rnn"] == 1


def test_refusals():
    from fastnn.backend import cuda_runtime as rt

    if rt.native is None:
        pytest.skip("the emulated kernels were not built: cmake -DFASTNN_CUDA=EMU")
    from fastnn.backend.cuda_kernels._native import described

    def zeros(*shape, dtype="f4"):
        return described(rt.arrays.zeros(shape, dtype))

    def rnn(gates=(6, 12), w=(12, 3), sizes=(3, 3), starts=None, h0=None, y=(6, 3), cells=(6, 3), scratch=None):
        return rt.native.rnn(
            2, zeros(*gates), zeros(*w), None, None, h0, None, sizes, starts, False, True, zeros(*y),
            cells and zeros(*cells), None, zeros(3, 3), 0, scratch, 0,
        )  # fmt: skip

    assert rnn() > 0
    for message, wrong in {
        "w_hh must be": {"w": (12, 4)},
        "gates must be": {"gates": (6, 9)},
        "must be positive and not increase": {"sizes": (2, 4)},
        "sizes do not add up": {"sizes": (3, 2, 2)},
        "need their starts": {"sizes": (3, 2, 1)},
        "starts has another dtype": {"starts": zeros(3)},
        "h0 has 4 elements": {"h0": zeros(4)},
        "y and dy must be": {"y": (5, 3)},
        "cells is None": {"cells": None},
        "cells has 3 elements": {"cells": (1, 3)},
    }.items():
        with pytest.raises(ValueError, match=message):
            rnn(**wrong)


def test_packed_sequences_move():
    x = T.randn(5, 3, 2)
    packed = pack_padded_sequence(x, [2, 5, 3], enforce_sorted=False)
    moved = packed.cuda()
    assert moved.is_cuda and moved.sorted_indices.is_cuda and moved.unsorted_indices.is_cuda and not packed.is_cuda
    assert not moved.batch_sizes.is_cuda and not moved.cpu().is_cuda
    want, lengths = pad_packed_sequence(packed)
    got, on_host = pad_packed_sequence(moved)
    assert T.equal(got.cpu(), want) and T.equal(lengths, on_host) and not on_host.is_cuda
    made = pack_padded_sequence(x.to("cuda"), [2, 5, 3], enforce_sorted=False)
    assert made.sorted_indices.is_cuda and T.equal(made.data.cpu(), packed.data)
    with pytest.raises(RuntimeError, match="lengths on the CPU"):
        pack_padded_sequence(x.to("cuda"), T.tensor([5, 3, 2], device="cuda"))
