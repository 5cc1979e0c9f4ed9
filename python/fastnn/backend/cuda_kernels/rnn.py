"""Recurrent layers, under their twins' names: the input's share of all steps in one product, then one kernel for the whole
sequence, or a product and a kernel a step, as csrc/cuda/rnn*.cu decide. `steps`, projections and empty batches are the
twins' loop over the steps, over our products and device memory."""

from functools import partial

import numpy as np

from .. import cuda_runtime as rt
from .. import variants
from ._composed import module
from ._native import arrays, contiguous, described, has, is_float, native, ran, stream, wide
from .gemm import gemm as _native_gemm
from .gemm import gemm_wide
from .reduce import sum as reduce_sum

__all__ = ["rnn_layer", "rnn_layer_backward"]

_twin = module("rnn")
_gemm = _native_gemm if has("gemm") else module("gemm").gemm
_steps = _twin.Layer(
    _gemm,
    module("reduce").sum,
    rt.arrays.empty,
    partial(_twin.steps_forward, _gemm),
    partial(_twin.steps_backward, _gemm),
)
_FAMILY = {"RNN_TANH": "rnn", "RNN_RELU": "rnn", "LSTM": "lstm", "GRU": "gru"}


def _starts(sizes):
    """The row where each step begins, and the rows, on the device; None where all steps have as many."""
    return None if sizes[-1] == sizes[0] else rt.upload(np.cumsum((0, *sizes)).astype(np.int32))


def _zeros(size):
    memory = arrays.zeros(max(size, 1), np.uint8)
    return memory, memory.data.ptr


def _rows(a):
    return a if a is None or a.shape[1] == 1 or a.strides[1] == a.itemsize else contiguous(a)


def _backward(cell, gates, w_hh, w_hr, y, cells, hn, h0, c0, dy, dh, dc, sizes, reverse):
    rows, hidden = len(gates), w_hh.shape[1]
    dgates = arrays.empty((rows, hidden if cell.startswith("RNN") else 4 * hidden), w_hh.dtype)
    carry = arrays.empty((sizes[0], hidden), gates.dtype) if cell in ("LSTM", "GRU") else None
    arguments = [described(gates), described(contiguous(w_hh)), described(_rows(y)), described(cells), described(hn)]
    arguments += [described(contiguous(a)) for a in (h0, c0)] + [described(_rows(dy))]
    arguments += [described(contiguous(a)) for a in (dh, dc)]
    arguments += [sizes, described(_starts(sizes)), reverse, described(dgates), described(carry), 0]
    cell = native.rnn_cells[cell]
    memory, address = _zeros(native.rnn_backward(cell, *arguments, None, 0))
    native.rnn_backward(cell, *arguments, address, stream())
    ran("rnn_backward")
    return dgates, None if carry is None else carry.astype(w_hh.dtype, copy=False), None


class _Fused(_twin.Layer):
    halves = True

    def direction(self, cell, x, h0, c0, weights, sizes, places, reverse, keep, y):
        w_ih, w_hh, b_ih, b_hh, _ = weights
        hidden, of_sums = w_hh.shape[1], wide(x.dtype)
        bias = b_hn = None
        if b_ih is not None:
            bias = b_ih.astype(of_sums)
            if cell == "GRU":
                b_hn = b_hh[2 * hidden :].astype(of_sums)
                bias[: 2 * hidden] += b_hh[: 2 * hidden].astype(of_sums)
            else:
                bias += b_hh.astype(of_sums)
        gates = gemm_wide(x, w_ih.T)
        fresh = lambda n: arrays.empty((n, hidden), of_sums)  # noqa: E731
        cells = fresh(len(x)) if keep and cell == "LSTM" else None
        hn = fresh(len(x)) if keep and cell == "GRU" else None
        state = fresh(sizes[0]) if cell in ("LSTM", "GRU") else None
        arguments = [described(gates)] + [described(contiguous(a)) for a in (w_hh, bias, b_hn, h0, c0)]
        arguments += [sizes, described(_starts(sizes)), reverse, keep]
        arguments += [described(a) for a in (y, cells, hn, state)] + [0]
        number = native.rnn_cells[cell]
        memory, address = _zeros(native.rnn(number, *arguments, None, 0))
        native.rnn(number, *arguments, address, stream())
        ran("rnn")
        end = slice(0, sizes[0]) if reverse else places.tail
        c = state.astype(x.dtype, copy=False) if cell == "LSTM" else None
        return y[end], c, (gates, cells, hn, None) if keep else None


_fused = _Fused(_gemm, reduce_sum, rt.arrays.empty, None, _backward) if has("rnn") else _steps


def _layer(cell, x, weights, sizes):
    plain = sizes[0] and weights[0][4] is None and weights[0][1].size and is_float(x.dtype)
    return _fused if plain and variants.current(_FAMILY[cell]) != "steps" else _steps


def rnn_layer(cell, x, h0, c0, weights, sizes, keep):
    return _layer(cell, x, weights, sizes).forward(cell, x, h0, c0, weights, sizes, keep)


def rnn_layer_backward(cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, needs):
    layer = _layer(cell, x, weights, sizes)
    return layer.backward(cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, needs)
