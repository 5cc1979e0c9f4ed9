"""Channels of groups interleaved."""

from fastnn.nn import functional as F
from fastnn.nn.modules.module import Module


class ChannelShuffle(Module):
    """The channels [N, g·c, ...] as [N, g, c, ...], transposed and joined again."""

    __constants__ = ["groups"]

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, input):
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
