"""Where a token stands, told to a net that does not see order: sines, rotations, biases."""

import fastnn


def sinusoidal_positions(length: int, width: int, base: float = 10000.0, dtype=None):
    """[length, width]: sin(pos / base^(2i/width)) at column 2i and the cosine at 2i + 1 (Vaswani et al. 2017)."""
    if width < 1 or length < 0:
        raise ValueError(f"sinusoidal_positions: length and width must be positive, got {length} and {width}")
    angle = _angles(length, (width + 1) // 2, base, width)
    out = fastnn.empty(length, width, dtype=fastnn.float64)
    out[:, 0::2] = angle.sin()
    out[:, 1::2] = angle.cos()[:, : width // 2]
    return out.to(dtype or fastnn.get_default_dtype())


def rotary(x, start: int = 0, base: float = 10000.0):
    """x [..., n, width] with each pair (2i, 2i + 1) turned by (start + place) / base^(2i/width) (Su et al. 2021).

    The scalar product of a turned query and key then depends on their distance alone.
    """
    n, width = x.shape[-2:]
    if width % 2:
        raise ValueError(f"rotary: the width must be even, got {width}")
    angle = _angles(start + n, width // 2, base, width)[start:]
    sin, cos = angle.sin().to(x.dtype), angle.cos().to(x.dtype)
    a, b = x[..., 0::2], x[..., 1::2]
    return fastnn.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


def alibi_bias(heads: int, length: int, dtype=None):
    """[heads, length, length] to add to scores: -slope * (query - key), slopes 2^(-8 (h + 1) / heads) (Press et al. 2022).

    0 above the diagonal, where a causal mask hides.
    """
    if heads < 1:
        raise ValueError(f"alibi_bias: heads must be positive, got {heads}")
    dtype = dtype or fastnn.get_default_dtype()
    slopes = 2.0 ** (-8.0 * fastnn.arange(1, heads + 1, dtype=dtype) / heads)
    place = fastnn.arange(length, dtype=dtype)
    distance = (place.unsqueeze(1) - place).clamp(min=0)
    return -slopes.view(-1, 1, 1) * distance


def _angles(length, pairs, base, width):
    place = fastnn.arange(length, dtype=fastnn.float64)
    return place.unsqueeze(1) / base ** (2 * fastnn.arange(pairs, dtype=fastnn.float64) / width)
