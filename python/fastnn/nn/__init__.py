"""Layers, losses, containers and their initialisation, under torch.nn's names."""

from fastnn.nn import functional, init, parallel, utils
from fastnn.nn.modules import *  # noqa: F403
from fastnn.nn.modules import __all__ as _layers
from fastnn.nn.parallel import DataParallel
from fastnn.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    *_layers,
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "DataParallel",
    "functional",
    "init",
    "parallel",
    "utils",
]
