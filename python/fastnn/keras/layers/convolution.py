"""Convolutions over [batch, rows, columns, channels].

They compute channels first. What they hand on is a view with the channels last, and the next one turns it back: between
convolutions and poolings nothing is copied.
"""

from fastnn.nn import functional as F  # noqa: N812

from .. import activations
from .base import Layer
from .core import saved_name

__all__ = ["Conv1D", "Conv2D", "ZeroPadding2D"]


def pair(value, name) -> tuple:
    value = (value, value) if isinstance(value, int) else tuple(value)
    if len(value) != 2 or any(not isinstance(v, int) or v <= 0 for v in value):
        raise ValueError(f"The `{name}` argument must be a positive integer or a tuple of 2 of them. Received: {value}")
    return value


def check_padding(padding) -> str:
    padding = str(padding).lower()
    if padding not in ("valid", "same"):
        raise ValueError(f'The `padding` argument must be one of "valid", "same". Received: {padding}')
    return padding


def check_format(data_format) -> None:
    if data_format not in (None, "channels_last"):
        raise NotImplementedError(f"data_format={data_format!r}: images are channels last here")


def same_margins(size, kernel, stride, dilation=1) -> tuple:
    """How much "same" padding goes before and after, so that the output has ceil(size/stride) places."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def pad_same(x, kernel, stride, dilation=(1, 1), value=0.0):
    """x [N, C, H, W], padded so that strides fit ("same")."""
    top, bottom = same_margins(x.shape[2], kernel[0], stride[0], dilation[0])
    left, right = same_margins(x.shape[3], kernel[1], stride[1], dilation[1])
    return F.pad(x, (left, right, top, bottom), value=value) if top or bottom or left or right else x


class Conv2D(Layer):
    """activation(filters over windows of kernel_size + bias); kernel [rows, columns, channels, filters] to the outside."""

    _dims = 2

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_format(data_format)
        if not isinstance(filters, int) or filters <= 0:
            raise ValueError(
                f"Invalid value for argument `filters`. Expected a strictly positive value. Received {filters}."
            )
        self.filters, self.padding, self.groups = filters, check_padding(padding), groups
        one = (lambda v, name: (1, v if isinstance(v, int) else v[0])) if self._dims == 1 else pair
        self.kernel_size, self.strides = one(kernel_size, "kernel_size"), one(strides, "strides")
        self.dilation_rate = one(dilation_rate, "dilation_rate")
        self.activation, self.use_bias = activations.get(activation), use_bias
        self._initializers = kernel_initializer, bias_initializer
        self._config = {
            "filters": filters,
            "kernel_size": self.kernel_size[-self._dims :],
            "strides": self.strides[-self._dims :],
            "padding": self.padding,
            "dilation_rate": self.dilation_rate[-self._dims :],
            "groups": groups,
            "activation": saved_name(self.activation),
            "use_bias": use_bias,
        }

    def build(self, input_shape):
        from .. import initializers

        channels = input_shape[-1]
        if len(input_shape) != self._dims + 2:
            raise ValueError(
                f'Input 0 of layer "{self.name}" is incompatible with the layer: expected min_ndim={self._dims + 2}, '
                f"found ndim={len(input_shape)}. Full shape received: {input_shape}"
            )
        kernel, bias = self._initializers
        drawn = initializers.get(kernel)((*self.kernel_size, channels // self.groups, self.filters))
        from fastnn.nn import Parameter

        self.kernel = Parameter(drawn.permute(3, 2, 0, 1).contiguous())
        self.bias = self.add_weight((self.filters,), bias, name="bias") if self.use_bias else None

    def _weight_list(self):
        if not self.built:
            return []
        kernel = (self.kernel, (2, 3, 1, 0))
        return [kernel] if self.bias is None else [kernel, (self.bias, None)]

    def get_weights(self):
        found = super().get_weights()
        return [w.squeeze(0) if self._dims == 1 and w.ndim == 4 else w for w in found]

    def set_weights(self, weights):
        super().set_weights([w[None] if self._dims == 1 and w.ndim == 3 else w for w in weights])

    def _convolve(self, x):
        """x [N, C, H, W]"""
        if self.padding == "same":
            x = pad_same(x, self.kernel_size, self.strides, self.dilation_rate)
        return F.conv2d(x, self.kernel, self.bias, self.strides, 0, self.dilation_rate, self.groups)

    def call(self, inputs):
        return self.activation(self._convolve(inputs.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)


class Conv1D(Conv2D):
    """The same over [batch, steps, channels]."""

    _dims = 1

    def call(self, inputs):
        y = self._convolve(inputs.permute(0, 2, 1).unsqueeze(2))
        return self.activation(y.squeeze(2)).permute(0, 2, 1)


class ZeroPadding2D(Layer):
    """Zeros around an image: a number, (rows, columns), or ((top, bottom), (left, right))."""

    def __init__(self, padding=(1, 1), data_format=None, **kwargs):
        super().__init__(**kwargs)
        check_format(data_format)
        padding = (padding, padding) if isinstance(padding, int) else tuple(padding)
        self.padding = tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)
        self._config = {"padding": self.padding}

    def call(self, inputs):
        (top, bottom), (left, right) = self.padding
        return F.pad(inputs, (0, 0, left, right, top, bottom))
