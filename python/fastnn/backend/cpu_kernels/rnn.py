"""The compiled recurrent kernels, under their twins' names. Without a variant named float32 and float64 take the whole
sequence in one kernel (16-bit types as float32); `steps` is the twin's loop over compiled products."""

from functools import partial

from ... import _cpu
from .. import variants
from ..numpy_kernels import rnn as twin
from .gemm import gemm
from .reduce import sum as reduce_sum

__all__ = ["rnn_layer", "rnn_layer_backward"]

_FAMILY = {"RNN_TANH": "rnn", "RNN_RELU": "rnn", "LSTM": "lstm", "GRU": "gru"}
_fused = twin.Layer(gemm, reduce_sum, _cpu.empty, _cpu.rnn, _cpu.rnn_backward)
_steps = twin.Layer(gemm, reduce_sum, _cpu.empty, partial(twin.steps_forward, gemm), partial(twin.steps_backward, gemm))


def _layer(cell, sizes):
    if sizes[0] == 0:  # nothing to compute
        return _steps
    return _steps if variants.current(_FAMILY[cell]) == "steps" else _fused


def rnn_layer(cell, x, h0, c0, weights, sizes, keep):
    return _layer(cell, sizes).forward(cell, x, h0, c0, weights, sizes, keep)


def rnn_layer_backward(cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, needs):
    return _layer(cell, sizes).backward(cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, needs)
