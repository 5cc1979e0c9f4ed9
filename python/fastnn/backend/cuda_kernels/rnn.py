"""Recurrent layers on the device: the twins' loop over the steps, over our products and device memory."""

from functools import partial

from .. import cuda_runtime as rt
from ._composed import module
from ._native import has
from .gemm import gemm

__all__ = ["rnn_layer", "rnn_layer_backward"]

_twin = module("rnn")
_gemm = gemm if has("gemm") else module("gemm").gemm
_layer = _twin.Layer(
    _gemm,
    module("reduce").sum,
    rt.arrays.empty,
    partial(_twin.steps_forward, _gemm),
    partial(_twin.steps_backward, _gemm),
)
rnn_layer, rnn_layer_backward = _layer.forward, _layer.backward
