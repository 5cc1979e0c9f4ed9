"""Layers, losses, containers and their initialisation, under torch.nn's names."""

from fastnn.nn import functional, init, utils
from fastnn.nn.modules import *  # noqa: F403
from fastnn.nn.modules import __all__ as _layers
from fastnn.nn.parameter import Buffer, Parameter

__all__ = [*_layers, "Buffer", "Parameter", "functional", "init", "utils"]
