"""Convolution layers."""

import math

import fastnn
from fastnn.nn import functional as F
from fastnn.nn import init
from fastnn.nn.modules.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.ops.conv2d_fused import conv2d_relu


def _sizes(value, n: int, name: str, layer: str) -> tuple:
    """One int for all n axes, or n of them."""
    if isinstance(value, int):
        return (value,) * n
    if isinstance(value, (tuple, list)) and len(value) == n and all(isinstance(v, int) for v in value):
        return tuple(value)
    raise ValueError(f"{layer}: {name} must be an int or {n} of them, got {value!r}")


class _ConvNd(Module):
    """What convolutions and transposed ones share. _axes: 1, 2 or 3; _transposed: whether weight is [in, out, ...]."""

    __constants__ = [
        "stride", "padding", "dilation", "groups", "padding_mode", "output_padding", "in_channels", "out_channels",
        "kernel_size",
    ]  # fmt: skip
    _axes: int
    _transposed = False

    def _build(
        self, in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
        padding_mode, device, dtype,
    ):  # fmt: skip
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
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _sizes(kernel_size, n, "kernel_size", layer)
        self.stride = _sizes(stride, n, "stride", layer)
        self.dilation = _sizes(dilation, n, "dilation", layer)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
            self.padding = padding
            total = [
                d * (k - 1) if padding == "same" else 0 for d, k in zip(self.dilation, self.kernel_size, strict=True)
            ]
            around = [(t // 2, t - t // 2) for t in total]
        else:
            self.padding = _sizes(padding, n, "padding", layer)
            around = [(p, p) for p in self.padding]
        # As F.pad wants it: the last axis first.
        self._reversed_padding_repeated_twice = [p for pair in reversed(around) for p in pair]
        self.transposed = self._transposed
        self.output_padding = _sizes(output_padding, n, "output_padding", layer)
        self.groups = groups
        self.padding_mode = padding_mode
        channels = (in_channels, out_channels // groups) if self._transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(fastnn.empty((*channels, *self.kernel_size), device=device, dtype=dtype))
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
        n = self._axes
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, default in (
            ("padding", (0,) * n), ("dilation", (1,) * n), ("output_padding", (0,) * n), ("groups", 1),
        ):  # fmt: skip
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
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
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device,
            dtype,
        )  # fmt: skip

    def _convolve(self, convolution, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return convolution(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """y[n, k, i] = b[k] + Σ_{c, r} w[k, c, r] · x[n, c, i·stride + r·dilation − padding].

    Shape: x [N, C, L] or [C, L] → y [N, K, L'] or [K, L'], weight [K, C/groups, R], bias [K];
    L' = ⌊(L + 2·padding − dilation·(R − 1) − 1) / stride⌋ + 1. padding: a number, "same" or "valid". padding_mode: what
    stands outside x: "zeros", or x itself by "reflect", "replicate" or "circular".
    """

    _axes = 1

    def forward(self, input):
        return self._convolve(F.conv1d, input)


class Conv2d(_Conv):
    """y[n, k, i, j] = b[k] + Σ_{c, r, s} w[k, c, r, s] · x[n, c, i·stride + r·dilation − padding, j...].

    Shape: x [N, C, H, W] or [C, H, W] → y [N, K, H', W'] or [K, H', W'], weight [K, C/groups, R, S], bias [K];
    H' = ⌊(H + 2·padding − dilation·(R − 1) − 1) / stride⌋ + 1. padding: a number, a pair, "same" or "valid".
    padding_mode: what stands outside x: "zeros", or x itself by "reflect", "replicate" or "circular".
    """

    _axes = 2

    def forward(self, input):
        return self._convolve(F.conv2d, input)

    def _forward_relu(self, input):
        return self._convolve(conv2d_relu, input)


class Conv3d(_Conv):
    """Conv2d with a depth: x [N, C, D, H, W] or [C, D, H, W] → y [N, K, D', H', W'], weight [K, C/groups, T, R, S]."""

    _axes = 3

    def forward(self, input):
        return self._convolve(F.conv3d, input)


class _ConvTranspose(_ConvNd):
    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups: int = 1,
        bias: bool = True,
        dilation=1,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ):
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}, got {padding_mode!r}')
        if isinstance(padding, str):
            raise TypeError(f"{type(self).__name__}: padding must be an int or {self._axes} of them, got {padding!r}")
        super().__init__()
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def _output_padding(self, input, output_size):
        """What makes the output as large as output_size (with or without batch and channels); else the layer's own."""
        if output_size is None:
            return self.output_padding
        n, layer = self._axes, type(self).__name__
        batched = input.dim() == n + 2
        output_size = list(output_size)
        if len(output_size) == n + (2 if batched else 1):
            output_size = output_size[-n:]
        if len(output_size) != n:
            raise ValueError(
                f"{layer}: for {input.dim()}D input, output_size must have {n} or {n + (2 if batched else 1)} elements "
                f"(got {len(output_size)})"
            )
        extra = []
        for i, size in enumerate(input.shape[-n:]):
            least = (size - 1) * self.stride[i] - 2 * self.padding[i] + self.dilation[i] * (self.kernel_size[i] - 1) + 1
            if not least <= output_size[i] < least + self.stride[i]:
                raise ValueError(
                    f"requested an output size of {output_size}, but valid sizes of dimension {i} range from {least} to "
                    f"{least + self.stride[i] - 1} (for an input of {list(input.shape)[-n:]})"
                )
            extra.append(output_size[i] - least)
        return tuple(extra)

    def _convolve(self, convolution, input, output_size):
        return convolution(
            input, self.weight, self.bias, self.stride, self.padding, self._output_padding(input, output_size),
            self.groups, self.dilation,
        )  # fmt: skip


class ConvTranspose1d(_ConvTranspose):
    """Conv1d's gradient by its input, as a layer: x [N, C, L] or [C, L] → y [N, K, L'], weight [C, K/groups, R], bias [K];
    L' = (L − 1)·stride − 2·padding + dilation·(R − 1) + output_padding + 1. forward(input, output_size=None): output_size
    chooses output_padding."""

    _axes = 1

    def forward(self, input, output_size=None):
        return self._convolve(F.conv_transpose1d, input, output_size)


class ConvTranspose2d(_ConvTranspose):
    """Conv2d's gradient by its input, as a layer: x [N, C, H, W] or [C, H, W] → y [N, K, H', W'], weight
    [C, K/groups, R, S], bias [K]; H' = (H − 1)·stride − 2·padding + dilation·(R − 1) + output_padding + 1.
    forward(input, output_size=None): output_size chooses output_padding."""

    _axes = 2

    def forward(self, input, output_size=None):
        return self._convolve(F.conv_transpose2d, input, output_size)


class ConvTranspose3d(_ConvTranspose):
    """ConvTranspose2d with a depth: x [N, C, D, H, W] → y [N, K, D', H', W'], weight [C, K/groups, T, R, S]."""

    _axes = 3

    def forward(self, input, output_size=None):
        return self._convolve(F.conv_transpose3d, input, output_size)
