"""Pooling over [batch, rows, columns, channels]."""

import math

import fastnn
from fastnn.nn import functional as F  # noqa: N812

from .base import Layer
from .convolution import check_format, check_padding, pad_same, pair

__all__ = ["AveragePooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D"]


class _Pooling2D(Layer):
    def __init__(self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, **kwargs):
        super().__init__(**kwargs)
        check_format(data_format)
        self.pool_size = pair(pool_size, "pool_size")
        self.strides = self.pool_size if strides is None else pair(strides, "strides")
        self.padding = check_padding(padding)
        self._config = {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}

    def call(self, inputs):
        return self._pool(inputs.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class MaxPooling2D(_Pooling2D):
    """The largest value of each window."""

    def _pool(self, x):
        if self.padding == "same":
            x = pad_same(x, self.pool_size, self.strides, value=-math.inf)
        return F.max_pool2d(x, self.pool_size, self.strides)


class AveragePooling2D(_Pooling2D):
    """The mean of each window; padding does not count."""

    def _pool(self, x):
        if self.padding == "valid":
            return F.avg_pool2d(x, self.pool_size, self.strides)
        padded = pad_same(x, self.pool_size, self.strides)
        if padded is x:
            return F.avg_pool2d(x, self.pool_size, self.strides)
        inside = pad_same(fastnn.ones(1, 1, *x.shape[2:], dtype=x.dtype), self.pool_size, self.strides)
        share = F.avg_pool2d(inside, self.pool_size, self.strides)
        return F.avg_pool2d(padded, self.pool_size, self.strides) / share


class _Global(Layer):
    _dims: tuple = (1, 2)

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        check_format(data_format)
        self.keepdims = keepdims
        self._config = {"keepdims": keepdims}


class GlobalAveragePooling2D(_Global):
    """The mean over rows and columns."""

    def call(self, inputs):
        return inputs.mean(self._dims, keepdim=self.keepdims)


class GlobalMaxPooling2D(_Global):
    """The largest value over rows and columns."""

    def call(self, inputs):
        return inputs.amax(self._dims, keepdim=self.keepdims)


class GlobalAveragePooling1D(GlobalAveragePooling2D):
    """The mean over the steps."""

    _dims = (1,)
