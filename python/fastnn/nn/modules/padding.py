"""Padding layers: elements added before and after the last 1, 2 or 3 dimensions.

padding: one number for all sides, or (before, after) of the last dimension, then of the one before it, and so on.
"""

from fastnn.nn import functional as F
from fastnn.nn.modules.module import Module
from fastnn.nn.modules.utils import _ntuple, _pair, _quadruple


class _PadNd(Module):
    __constants__ = ["padding"]
    _mode = "constant"
    _sides = staticmethod(_pair)

    def __init__(self, padding):
        super().__init__()
        self.padding = self._sides(padding)

    def forward(self, input):
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


_sextuple = _ntuple(6, "_sextuple")


class _ConstantPadNd(_PadNd):
    __constants__ = ["padding", "value"]

    def __init__(self, padding, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pads [..., L] with `value`."""


class ConstantPad2d(_ConstantPadNd):
    """Pads [..., H, W] with `value`."""

    _sides = staticmethod(_quadruple)


class ConstantPad3d(_ConstantPadNd):
    """Pads [..., D, H, W] with `value`."""

    _sides = staticmethod(_sextuple)


class _ZeroPad:
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Pads [..., L] with zeros."""


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Pads [..., H, W] with zeros."""


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Pads [..., D, H, W] with zeros."""


class _ReflectionPadNd(_PadNd):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Pads [N, C, L] or [C, L] with its reflection at the border, which is not repeated."""


class ReflectionPad2d(_ReflectionPadNd):
    """Pads [N, C, H, W] or [C, H, W] with its reflection at the border, which is not repeated."""

    _sides = staticmethod(_quadruple)


class ReflectionPad3d(_ReflectionPadNd):
    """Pads [N, C, D, H, W] or [C, D, H, W] with its reflection at the border, which is not repeated."""

    _sides = staticmethod(_sextuple)


class _ReplicationPadNd(_PadNd):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Pads [N, C, L] or [C, L] with its border."""


class ReplicationPad2d(_ReplicationPadNd):
    """Pads [N, C, H, W] or [C, H, W] with its border."""

    _sides = staticmethod(_quadruple)


class ReplicationPad3d(_ReplicationPadNd):
    """Pads [N, C, D, H, W] or [C, D, H, W] with its border."""

    _sides = staticmethod(_sextuple)


class _CircularPadNd(_PadNd):
    _mode = "circular"
    _dimensions = 1

    def forward(self, input):
        n = self._dimensions
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")
        return F.pad(input, self.padding, self._mode)


class CircularPad1d(_CircularPadNd):
    """Pads [N, C, L] or [C, L] with its other end."""


class CircularPad2d(_CircularPadNd):
    """Pads [N, C, H, W] or [C, H, W] with its other side."""

    _sides = staticmethod(_quadruple)
    _dimensions = 2


class CircularPad3d(_CircularPadNd):
    """Pads [N, C, D, H, W] or [C, D, H, W] with its other side."""

    _sides = staticmethod(_sextuple)
    _dimensions = 3
