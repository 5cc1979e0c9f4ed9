"""Geometry of tensors [..., channels, height, width]: resizing, rotation, blur."""

import math

import fastnn
from fastnn.backend import xp

__all__ = ["blur", "inverse_affine", "resize", "rotate", "warp"]


def _cubic(x):
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


_FILTERS = {"bilinear": (1.0, lambda x: max(0.0, 1 - abs(x))), "bicubic": (2.0, _cubic)}


def _weights(old: int, new: int, name: str, antialias: bool):
    """The matrix [new, old] that brings a line of `old` values to `new`: the filter widened where it shrinks."""
    support, kernel = _FILTERS[name]
    scale = old / new
    widened = max(scale, 1.0) if antialias else 1.0
    support *= widened
    matrix = xp.zeros((new, old), "float64")
    for i in range(new):
        centre = (i + 0.5) * scale
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), old)
        row = [kernel((j + 0.5 - centre) / widened) for j in range(first, last)]
        total = sum(row)
        matrix[i, first:last] = [w / total for w in row]
    return matrix


def resize(img, size, name, antialias):
    height, width = size
    h, w = img.shape[-2:]
    if name in ("nearest", "nearest-exact"):
        shift = 0.5 if name == "nearest-exact" else 0.0
        rows, columns = (
            [min(int((i + shift) * (old / new)), old - 1) for i in range(new)] for old, new in ((h, height), (w, width))
        )
        return img[..., rows, :][..., columns]
    if name not in _FILTERS:
        raise NotImplementedError(f"resize: interpolation '{name}' is available for PIL images, not for tensors")
    dtype = img.dtype
    x = img if img.is_floating_point() else img.to(fastnn.float32)
    if antialias:
        down = fastnn.from_numpy(_weights(h, height, name, True)).to(x.dtype)
        across = fastnn.from_numpy(_weights(w, width, name, True)).to(x.dtype)
        x = fastnn.matmul(fastnn.matmul(down, x), across.T)
    else:
        flat = x.reshape(1, -1, h, w) if x.dim() != 4 else x
        x = fastnn.nn.functional.interpolate(flat, size=(height, width), mode=name, align_corners=False)
        x = x.reshape(*img.shape[:-2], height, width)
    if img.is_floating_point():
        return x
    if name == "bicubic":
        x = x.clamp(fastnn.iinfo(dtype).min, fastnn.iinfo(dtype).max)
    return x.round().to(dtype)


def inverse_affine(center, angle, translate, scale, shear):
    """(a, b, c, d, e, f): an output pixel (x, y) comes from (a·x + b·y + c, d·x + e·y + f)."""
    turn, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    (cx, cy), (tx, ty) = center, translate
    a = math.cos(turn - sy) / math.cos(sy)
    b = -math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)
    c = math.sin(turn - sy) / math.cos(sy)
    d = -math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)
    matrix = [d / scale, -b / scale, 0.0, -c / scale, a / scale, 0.0]
    matrix[2] += matrix[0] * (-cx - tx) + matrix[1] * (-cy - ty) + cx
    matrix[5] += matrix[3] * (-cx - tx) + matrix[4] * (-cy - ty) + cy
    return matrix


def warp(img, matrix, size, name, fill):
    """Each output pixel from where `matrix` (around the middle) says; what lies outside is `fill`."""
    if name not in ("nearest", "bilinear"):
        raise NotImplementedError(
            f"rotate, affine: interpolation '{name}' is available for PIL images, not for tensors"
        )
    (height, width), (h, w) = size, img.shape[-2:]
    y, x = xp.arange(height)[:, None] + 0.5 - 0.5 * height, xp.arange(width)[None, :] + 0.5 - 0.5 * width
    across = matrix[0] * x + matrix[1] * y + matrix[2] + 0.5 * w - 0.5
    down = matrix[3] * x + matrix[4] * y + matrix[5] + 0.5 * h - 0.5
    pixels = img.reshape(-1, h * w)
    work = pixels if img.is_floating_point() else pixels.to(fastnn.float32)
    fills = [0.0] if fill is None else list(fill) if isinstance(fill, (list, tuple)) else [fill]
    fills = fills * (work.shape[0] // len(fills))

    def taken(rows, columns):
        """(the pixels there, 0 outside; 1.0 where they lie inside)"""
        inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
        index = fastnn.from_numpy((rows.clip(0, h - 1) * w + columns.clip(0, w - 1)).reshape(-1).astype("int64"))
        mask = fastnn.from_numpy(inside.reshape(-1)).to(work.dtype)
        return work[:, index] * mask, mask

    if name == "nearest":
        values, mask = taken(xp.round(down), xp.round(across))
    else:
        top, left = xp.floor(down), xp.floor(across)
        values = mask = 0
        for i in (0, 1):
            for j in (0, 1):
                weight = (1 - abs(down - top - i)) * (1 - abs(across - left - j))
                weight = fastnn.from_numpy(weight.reshape(-1)).to(work.dtype)
                part, inside = taken(top + i, left + j)
                values, mask = values + part * weight, mask + inside * weight
    if any(fills):
        colour = fastnn.tensor(fills, dtype=work.dtype).unsqueeze(1)
        if name == "nearest":
            values = fastnn.where(mask < 0.5, colour, values)
        else:
            values = values * mask + (1.0 - mask) * colour
    out = values.reshape(*img.shape[:-2], height, width)
    return out if img.is_floating_point() else out.round().to(img.dtype)


def _extent(low: float, high: float) -> int:
    """Whole pixels from `low` to `high`, what is below 1e-4 of one left out."""
    return math.ceil(math.trunc(high / 1e-4) * 1e-4) - math.floor(math.trunc(low / 1e-4) * 1e-4)


def rotate(img, angle, name, expand, center, fill):
    h, w = img.shape[-2:]
    offset = [0.0, 0.0] if center is None else [center[0] - w * 0.5, center[1] - h * 0.5]
    matrix = inverse_affine(offset, -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    size = (h, w)
    if expand:
        corners = [(x, y) for x in (-0.5 * w, 0.5 * w) for y in (-0.5 * h, 0.5 * h)]
        across = [matrix[0] * x + matrix[1] * y + 0.5 * w for x, y in corners]
        down = [matrix[3] * x + matrix[4] * y + 0.5 * h for x, y in corners]
        size = tuple(_extent(min(v), max(v)) for v in (down, across))
    return warp(img, matrix, size, name, fill)


def _line(size, sigma, dtype):
    half = (size - 1) * 0.5
    x = fastnn.linspace(-half, half, steps=size, dtype=dtype)
    line = fastnn.exp(-0.5 * (x / sigma).pow(2))
    return line / line.sum()


def blur(img, size, sigma):
    dtype = img.dtype
    x = img if img.is_floating_point() else img.to(fastnn.float32)
    across, down = (_line(k, s, x.dtype) for k, s in zip(size, sigma, strict=True))
    h, w = x.shape[-2:]
    rows, columns = (
        xp.pad(xp.arange(n), k // 2, "reflect").tolist() for n, k in ((h, size[1]), (w, size[0]))
    )  # fmt: skip
    flat = x.reshape(-1, 1, h, w)[:, :, rows, :][:, :, :, columns]
    kernel = down.unsqueeze(1) * across.unsqueeze(0)
    out = fastnn.nn.functional.conv2d(flat, kernel.reshape(1, 1, size[1], size[0])).reshape(x.shape)
    return out if img.is_floating_point() else out.round().clamp(0, fastnn.iinfo(dtype).max).to(dtype)
