"""All layers, losses and containers."""

from fastnn.nn.modules.activation import (
    ELU,
    GELU,
    Hardtanh,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from fastnn.nn.modules.batchnorm import BatchNorm1d, BatchNorm2d
from fastnn.nn.modules.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from fastnn.nn.modules.conv import Conv1d, Conv2d
from fastnn.nn.modules.dropout import Dropout, Dropout1d, Dropout2d
from fastnn.nn.modules.flatten import Flatten, Unflatten
from fastnn.nn.modules.linear import Identity, Linear
from fastnn.nn.modules.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from fastnn.nn.modules.module import Module
from fastnn.nn.modules.normalization import LayerNorm
from fastnn.nn.modules.pooling import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from fastnn.nn.modules.sparse import Embedding

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d",
    "BatchNorm1d", "BatchNorm2d", "BCELoss", "BCEWithLogitsLoss",
    "Conv1d", "Conv2d",
    "CrossEntropyLoss", "Dropout", "Dropout1d", "Dropout2d", "ELU", "Embedding", "Flatten", "GELU", "Hardtanh",
    "Identity", "L1Loss", "LayerNorm", "LeakyReLU", "Linear", "LogSoftmax", "MaxPool1d", "MaxPool2d", "Module",
    "ModuleDict", "ModuleList", "MSELoss", "NLLLoss", "ParameterDict", "ParameterList", "PReLU", "ReLU", "ReLU6",
    "Sequential", "Sigmoid", "SiLU", "SmoothL1Loss", "Softmax", "Softplus", "Tanh", "Unflatten",
]  # fmt: skip
