"""Keras's shape over fastnn: Sequential models with compile, fit, evaluate and predict, images channels last."""

from fastnn.torch_version import TorchVersion

from . import activations, callbacks, datasets, initializers, layers, losses, metrics, models, optimizers, utils
from .layers import Input, Layer
from .models import Model, Sequential

__version__ = TorchVersion("3.12.0+fastnn.0.1.0")
__all__ = ["Input", "Layer", "Model", "Sequential", "activations", "callbacks", "datasets", "initializers", "layers",
           "losses", "metrics", "models", "optimizers", "utils"]  # fmt: skip
