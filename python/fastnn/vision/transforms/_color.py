"""Colours of tensors [..., channels, height, width], bytes or floating point in 0..1."""

import fastnn

__all__ = ["brightness", "contrast", "grayscale", "hue", "invert", "posterize", "saturation", "solarize"]


def _top(img) -> float:
    return 1.0 if img.is_floating_point() else float(fastnn.iinfo(img.dtype).max)


def _check_channels(img, *allowed):
    found = 1 if img.dim() == 2 else img.shape[-3]
    if found not in allowed:
        raise TypeError(f"Input image tensor permitted channel values are {list(allowed)}, but found {found}")
    return found


def _blend(a, b, ratio):
    """ratio of a, the rest of b, kept in range."""
    return (ratio * a + (1.0 - ratio) * b).clamp(0, _top(a)).to(a.dtype)


def grayscale(img, channels=1):
    if _check_channels(img, 1, 3) == 3:
        r, g, b = img.unbind(dim=-3)
        img = (0.2989 * r + 0.587 * g + 0.114 * b).to(img.dtype).unsqueeze(dim=-3)
    else:
        img = img.clone()
    return img.expand((*img.shape[:-3], 3, *img.shape[-2:])) if channels == 3 else img


def brightness(img, factor):
    _check_channels(img, 1, 3)
    return _blend(img, fastnn.zeros_like(img), factor)


def contrast(img, factor):
    gray = grayscale(img) if _check_channels(img, 1, 3) == 3 else img
    dtype = img.dtype if img.is_floating_point() else fastnn.float32
    return _blend(img, gray.to(dtype).mean(dim=(-3, -2, -1), keepdim=True), factor)


def saturation(img, factor):
    if _check_channels(img, 1, 3) == 1:
        return img
    return _blend(img, grayscale(img), factor)


def hue(img, factor):
    if _check_channels(img, 1, 3) == 1:
        return img
    from .functional import convert_image_dtype

    dtype = img.dtype
    h, s, v = _to_hsv(img if img.is_floating_point() else convert_image_dtype(img, fastnn.float32))
    return convert_image_dtype(_to_rgb((h + factor) % 1.0, s, v), dtype)


def _to_hsv(img):
    r, g, b = img.unbind(dim=-3)
    top, low = img.amax(dim=-3), img.amin(dim=-3)
    flat = top == low
    spread = top - low
    one = fastnn.ones_like(top)
    s = spread / fastnn.where(flat, one, top)
    divisor = fastnn.where(flat, one, spread)
    rc, gc, bc = (top - r) / divisor, (top - g) / divisor, (top - b) / divisor
    hr = (top == r) * (bc - gc)
    hg = ((top == g) & (top != r)) * (2.0 + rc - bc)
    hb = ((top != g) & (top != r)) * (4.0 + gc - rc)
    return fastnn.fmod((hr + hg + hb) / 6.0 + 1.0, 1.0), s, top


def _to_rgb(h, s, v):
    i = fastnn.floor(h * 6.0)
    f = h * 6.0 - i
    i = i.to(fastnn.int32) % 6
    p = (v * (1.0 - s)).clamp(0.0, 1.0)
    q = (v * (1.0 - s * f)).clamp(0.0, 1.0)
    t = (v * (1.0 - s * (1.0 - f))).clamp(0.0, 1.0)
    channels = []
    for choice in ((v, q, p, p, t, v), (t, v, v, q, p, p), (p, p, t, v, v, q)):
        out = choice[0]
        for k in range(1, 6):
            out = fastnn.where(i == k, choice[k], out)
        channels.append(out)
    return fastnn.stack(channels, dim=-3)


def invert(img):
    return _top(img) - img if img.is_floating_point() else (int(_top(img)) - img)


def posterize(img, bits):
    if img.dtype is not fastnn.uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")
    return img & -int(2 ** (8 - bits)) % 256


def solarize(img, threshold):
    return fastnn.where(img >= threshold, invert(img), img)
