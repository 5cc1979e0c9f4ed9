"""Convolution layers."""

import math

import fastnn
from fastnn.nn import functional as F
from fastnn.nn import init
from fastnn.nn.modules.module import Module
from fastnn.nn.parameter import Parameter


def _sizes(value, n: int, name: str, layer: str) -> tuple:
    """One int for all n axes, or n of them."""
    if isinstance(value, int):
        return (value,) * n
    if isinstance(value, (tuple, list)) and len(value) == n and all(isinstance(v, int) for v in value):
        return tuple(value)
    raise ValueError(f"{layer}: {name} must be an int or {n} of them, got {value!r}")


class _Conv(Module):
    __constants__ = [
        "stride", "padding", "dilation", "groups", "padding_mode", "in_channels", "out_channels", "kernel_size"
    ]  # fmt: skip
    _axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ):
        super().__init__()
        layer, n = type(self).__name__, self._axes
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                f"padding_mode must be one of {{'zeros', 'reflect', 'replicate', 'circular'}}, "
                f"but got padding_mode='{padding_mode}'"
            )
        if padding_mode != "zeros":
            raise NotImplementedError(f"{layer}: padding_mode='{padding_mode}' is not available; pad with zeros")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _sizes(kernel_size, n, "kernel_size", layer)
        self.stride = _sizes(stride, n, "stride", layer)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
            self.padding = padding
        else:
            self.padding = _sizes(padding, n, "padding", layer)
        self.dilation = _sizes(dilation, n, "dilation", layer)
        self.transposed = False
        self.output_padding = (0,) * n
        self.groups = groups
        self.padding_mode = padding_mode
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(fastnn.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(fastnn.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        init.bias_uniform_(self.bias, self.weight)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * len(self.kernel_size):
            text += f", padding={self.padding}"
        if self.dilation != (1,) * len(self.kernel_size):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text


_ConvNd = _Conv  # torch's name, which scripts test layers against


class Conv1d(_Conv):
    """y[n, k, i] = b[k] + Σ_{c, r} w[k, c, r] · x[n, c, i·stride + r·dilation − padding].

    Shape: x [N, C, L] or [C, L] → y [N, K, L'] or [K, L'], weight [K, C/groups, R], bias [K];
    L' = ⌊(L + 2·padding − dilation·(R − 1) − 1) / stride⌋ + 1. padding: a number, "same" or "valid".
    """

    _axes = 1

    def forward(self, input):
        return F.conv1d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """y[n, k, i, j] = b[k] + Σ_{c, r, s} w[k, c, r, s] · x[n, c, i·stride + r·dilation − padding, j...].

    Shape: x [N, C, H, W] or [C, H, W] → y [N, K, H', W'] or [K, H', W'], weight [K, C/groups, R, S], bias [K];
    H' = ⌊(H + 2·padding − dilation·(R − 1) − 1) / stride⌋ + 1. padding: a number, a pair, "same" or "valid".
    """

    _axes = 2

    def forward(self, input):
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
