"""Channels laid out as pixels, and back; channels of groups interleaved. All are reshapes and permutes."""

from .shape import permute, reshape, transpose
from .unary import operand


def _factor(value, name, function):
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{function}(): argument '{name}' must be int, not {type(value).__name__}")
    value = value.__index__()
    if value <= 0:
        raise RuntimeError(f"{function} expects a positive {name}, but got {value}")
    return value


def _check_image(t, function):
    if t._a.ndim < 3:
        raise RuntimeError(
            f"{function} expects input to have at least 3 dimensions, but got input with {t._a.ndim} dimension(s)"
        )


def pixel_shuffle(input, upscale_factor):
    """[*, C·r², H, W] -> [*, C, H·r, W·r]."""
    t, r = operand(input, "pixel_shuffle"), _factor(upscale_factor, "upscale_factor", "pixel_shuffle")
    _check_image(t, "pixel_shuffle")
    *lead, c, h, w = t._a.shape
    if c % (r * r):
        raise RuntimeError(
            f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(lead)
    y = reshape(t, (*lead, c // (r * r), r, r, h, w))
    y = permute(y, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape(y, (*lead, c // (r * r), h * r, w * r))


def pixel_unshuffle(input, downscale_factor):
    """[*, C, H·r, W·r] -> [*, C·r², H, W]."""
    t, r = operand(input, "pixel_unshuffle"), _factor(downscale_factor, "downscale_factor", "pixel_unshuffle")
    _check_image(t, "pixel_unshuffle")
    *lead, c, h, w = t._a.shape
    if h % r or w % r:
        raise RuntimeError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but {h} x {w} is not "
            f"divisible by {r}"
        )
    n = len(lead)
    y = reshape(t, (*lead, c, h // r, r, w // r, r))
    y = permute(y, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape(y, (*lead, c * r * r, h // r, w // r))


def channel_shuffle(input, groups):
    """The channels [N, g·c, ...] as [N, g, c, ...], transposed and joined again: neighbours come from other groups."""
    t, g = operand(input, "channel_shuffle"), _factor(groups, "groups", "channel_shuffle")
    shape = t._a.shape
    if len(shape) < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}")
    if shape[1] % g:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {shape[1]} channels and {g} groups.")
    y = transpose(reshape(t, (shape[0], g, shape[1] // g, *shape[2:])), 1, 2)
    return reshape(y, shape)


native_channel_shuffle = channel_shuffle

__all__ = ["channel_shuffle", "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]
