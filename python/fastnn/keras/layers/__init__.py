"""Layers, images channels last."""

from .base import Input, InputLayer, Layer
from .convolution import Conv1D, Conv2D, ZeroPadding2D
from .core import (
    Activation,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    LeakyReLU,
    Permute,
    ReLU,
    Rescaling,
    Reshape,
    Softmax,
)
from .normalization import BatchNormalization, LayerNormalization
from .pooling import (
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)
from .recurrent import GRU, LSTM, Bidirectional, SimpleRNN

AvgPool2D, MaxPool2D, Convolution2D = AveragePooling2D, MaxPooling2D, Conv2D

__all__ = [
    "GRU", "LSTM", "Activation", "AveragePooling2D", "AvgPool2D", "BatchNormalization", "Bidirectional", "Conv1D",
    "Conv2D", "Convolution2D", "Dense", "Dropout", "Embedding", "Flatten", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalMaxPooling2D", "Input", "InputLayer", "Layer", "LayerNormalization", "LeakyReLU",
    "MaxPool2D", "MaxPooling2D", "Permute", "ReLU", "Rescaling", "Reshape", "SimpleRNN", "Softmax", "ZeroPadding2D",
]  # fmt: skip
