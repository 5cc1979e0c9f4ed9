"""Instance normalisation: y = (x − mean) / √(var + eps) · weight + bias, over the places of each sample, by channel.

Running averages are kept, and used in evaluation, only where track_running_stats is on.
"""

from fastnn.nn import functional as F
from fastnn.nn.modules.batchnorm import _Norm


class _InstanceNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input):
        self._check_dimensions(input)
        single = input.dim() == self._dimensions[0]  # one sample, without its batch dimension
        channels = input.shape[0 if single else 1]
        if channels != self.num_features and self.affine:
            raise ValueError(
                f"expected input's size at dim={0 if single else 1} to match num_features ({self.num_features}), but "
                f"got: {channels}."
            )
        y = F.instance_norm(
            input.unsqueeze(0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.squeeze(0) if single else y


class InstanceNorm1d(_InstanceNorm):
    """Shape: [N, C, L] or [C, L] → the same."""

    _dimensions = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Shape: [N, C, H, W] or [C, H, W] → the same."""

    _dimensions = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Shape: [N, C, D, H, W] or [C, D, H, W] → the same."""

    _dimensions = (4, 5)
