"""Convolutions and normalisations that take their number of channels from the first input."""

import fastnn
from fastnn.nn.modules import batchnorm, conv, instancenorm
from fastnn.nn.modules.lazy import LazyModuleMixin
from fastnn.nn.parameter import UninitializedBuffer, UninitializedParameter


class _LazyConvXdMixin(LazyModuleMixin):
    """Put before a convolution: in_channels come with the first input, [N, C, ...] or [C, ...]."""

    def __init__(self, out_channels: int, kernel_size, *args, device=None, dtype=None, **kwargs):
        # The arguments are the convolution's without in_channels; bias is the fifth after kernel_size, or a keyword.
        bias = args[4] if len(args) > 4 else kwargs.pop("bias", True)
        args = (*args[:4], False, *args[5:]) if len(args) > 4 else args
        if len(args) <= 4:
            kwargs["bias"] = False  # no draws: they come with the first input
        super().__init__(0, 0, kernel_size, *args, **kwargs)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, once they have a shape."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input, *args, **kwargs) -> None:
        """Give weight and bias their shapes, and draw them."""
        if not self.has_uninitialized_params():
            return
        n = len(self.kernel_size)
        if input.dim() not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but got input of "
                f"size: {input.shape}"
            )
        self.in_channels = input.shape[-n - 1]
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ValueError(f"{name} must be divisible by groups")
        if self.transposed:
            shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        else:
            shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        with fastnn.no_grad():
            self.weight.materialize(shape)
            if self.bias is not None:
                self.bias.materialize((self.out_channels,))
            self.reset_parameters()


class LazyConv1d(_LazyConvXdMixin, conv.Conv1d):
    """Conv1d whose in_channels come with the first input."""

    cls_to_become = conv.Conv1d


class LazyConv2d(_LazyConvXdMixin, conv.Conv2d):
    """Conv2d whose in_channels come with the first input."""

    cls_to_become = conv.Conv2d


class LazyConv3d(_LazyConvXdMixin, conv.Conv3d):
    """Conv3d whose in_channels come with the first input."""

    cls_to_become = conv.Conv3d


class LazyConvTranspose1d(_LazyConvXdMixin, conv.ConvTranspose1d):
    """ConvTranspose1d whose in_channels come with the first input."""

    cls_to_become = conv.ConvTranspose1d


class LazyConvTranspose2d(_LazyConvXdMixin, conv.ConvTranspose2d):
    """ConvTranspose2d whose in_channels come with the first input."""

    cls_to_become = conv.ConvTranspose2d


class LazyConvTranspose3d(_LazyConvXdMixin, conv.ConvTranspose3d):
    """ConvTranspose3d whose in_channels come with the first input."""

    cls_to_become = conv.ConvTranspose3d


class _LazyNormBase(LazyModuleMixin):
    """Put before a normalisation: num_features come with the first input, [N, C, ...]."""

    def __init__(
        self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__(0, eps, momentum, False, False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = fastnn.tensor(0, dtype=fastnn.long)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, running averages forgotten, once they have a shape."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input) -> None:
        """Give parameters and buffers their shapes and first values."""
        if not self.has_uninitialized_params():
            return
        self.num_features = input.shape[1]
        with fastnn.no_grad():
            for tensor in (self.weight, self.bias, self.running_mean, self.running_var):
                if tensor is not None:
                    tensor.materialize((self.num_features,))
            self.reset_parameters()


def _lazy_norm(base):
    name = f"Lazy{base.__name__}"
    members = {
        "__doc__": f"{base.__name__} whose num_features come with the first input.",
        "__module__": __name__,
        "__qualname__": name,
        "cls_to_become": base,
    }
    return type(name, (_LazyNormBase, base), members)


LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = map(
    _lazy_norm, (batchnorm.BatchNorm1d, batchnorm.BatchNorm2d, batchnorm.BatchNorm3d)
)
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = map(
    _lazy_norm, (instancenorm.InstanceNorm1d, instancenorm.InstanceNorm2d, instancenorm.InstanceNorm3d)
)
