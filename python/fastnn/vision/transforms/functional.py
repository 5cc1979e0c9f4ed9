"""Transformations of images with given parameters: Pillow images and tensors [..., channels, height, width]."""

import enum
import numbers

import fastnn
from fastnn.backend import xp
from fastnn.tensor import Tensor, wrap
from fastnn.vision._pillow import is_image, pillow

from . import _color, _resize

__all__ = [
    "InterpolationMode", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "affine", "center_crop", "convert_image_dtype", "crop", "erase", "five_crop", "gaussian_blur", "get_dimensions",
    "get_image_size", "hflip", "invert", "normalize", "pad", "pil_to_tensor", "posterize", "resize", "resized_crop",
    "rgb_to_grayscale", "rotate", "solarize", "ten_crop", "to_grayscale", "to_pil_image", "to_tensor", "vflip",
]  # fmt: skip


class InterpolationMode(enum.Enum):
    """How values between pixels are found."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_PIL_NUMBER = {"nearest": 0, "nearest-exact": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
_BY_NUMBER = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


def _mode(interpolation) -> str:
    """The name of an InterpolationMode, or of Pillow's number for it."""
    if isinstance(interpolation, InterpolationMode):
        return interpolation.value
    if isinstance(interpolation, int) and interpolation in _BY_NUMBER:
        return _BY_NUMBER[int(interpolation)]
    raise TypeError(f"Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant; "
                    f"got {interpolation!r}")  # fmt: skip


def _check_image(img, function):
    if not (isinstance(img, Tensor) and img.dim() >= 2) and not is_image(img):
        raise TypeError(f"{function}: img should be a PIL Image or a tensor of 2 and more dimensions; got {type(img)}")


def get_dimensions(img) -> list:
    """[channels, height, width]"""
    _check_image(img, "get_dimensions")
    if isinstance(img, Tensor):
        return [1 if img.dim() == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]
    return [len(img.getbands()), img.height, img.width]


def get_image_size(img) -> list:
    """[width, height]"""
    return get_dimensions(img)[:0:-1]


# -- between images and tensors ---------------------------------------------------------------------------------------


_TYPES = {"I": "int32", "I;16": "uint16", "F": "float32"}


def _pixels(pic):
    """[channels, height, width] of a Pillow image, as an array of its own."""
    array = xp.array(pic, dtype=_TYPES.get(pic.mode, "uint8"), copy=True)
    if pic.mode == "I;16":
        array = array.astype("int32")
    if pic.mode == "1":
        array = 255 * array
    array = array.reshape(pic.height, pic.width, len(pic.getbands()))
    return array.transpose(2, 0, 1)


def to_tensor(pic):
    """A Pillow image or array [height, width(, channels)] as a tensor [channels, height, width]; bytes as 0..1."""
    if isinstance(pic, xp.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        array = (pic[:, :, None] if pic.ndim == 2 else pic).transpose(2, 0, 1)
    elif is_image(pic):
        if pic.mode in ("L", "RGB"):  # most images: a few microseconds count, a dataset has many
            array = xp.asarray(pic)
            array = array[None] if pic.mode == "L" else array.transpose(2, 0, 1)
            out = xp.contiguous(array).astype(fastnn.get_default_dtype().np)
            out /= 255
            return wrap(out)
        array = _pixels(pic)
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    image = fastnn.from_numpy(xp.contiguous_copy(array))
    return image.to(fastnn.get_default_dtype()).div(255) if image.dtype is fastnn.uint8 else image


def pil_to_tensor(pic):
    """A Pillow image as a tensor of its own type."""
    if not is_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return fastnn.from_numpy(xp.contiguous_copy(_pixels(pic)))


def to_pil_image(pic, mode=None):
    """A tensor [(channels,) height, width] or array [height, width(, channels)] as a Pillow image; floating point in
    0..1."""
    if isinstance(pic, Tensor):
        if pic.dim() not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.dim()} dimensions.")
        if pic.dim() == 2:
            pic = pic.unsqueeze(0)
        if pic.shape[0] > 4:
            raise ValueError(f"pic should not have > 4 channels. Got {pic.shape[0]} channels.")
        if pic.is_floating_point() and mode != "F":
            pic = pic.mul(255).byte()
        array = pic.detach().numpy().transpose(1, 2, 0)
    elif isinstance(pic, xp.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        array = pic[:, :, None] if pic.ndim == 2 else pic
        if array.shape[-1] > 4:
            raise ValueError(f"pic should not have > 4 channels. Got {array.shape[-1]} channels.")
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    channels, kind = array.shape[2], array.dtype.name
    if channels == 1:
        array = array[:, :, 0]
        expected = {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"}.get(kind)
        if mode is not None and mode != expected:
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {kind}. Should be {expected}")
        mode = expected
    else:
        allowed = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV", "LAB"), 4: ("RGBA", "CMYK", "RGBX")}[channels]
        if mode is not None and mode not in allowed:
            raise ValueError(f"Only modes {list(allowed)} are supported for {channels}D inputs")
        mode = (mode or allowed[0]) if kind == "uint8" else None
    if mode is None:
        raise TypeError(f"Input type {kind} is not supported")
    image = pillow().fromarray(xp.contiguous(array))
    if image.mode != mode:  # of one shape and type: YCbCr bytes look like RGB's
        image = pillow().frombytes(mode, image.size, xp.contiguous(array).tobytes())
    return image


def convert_image_dtype(image, dtype=None):
    """A tensor in `dtype`, its values scaled between [0, 1] and the full range of integers."""
    dtype = fastnn.float32 if dtype is None else dtype
    if image.dtype is dtype:
        return image
    if image.is_floating_point():
        if dtype.is_floating_point:
            return image.to(dtype)
        if (image.dtype is fastnn.float32 and dtype in (fastnn.int32, fastnn.int64)) or (
            image.dtype is fastnn.float64 and dtype is fastnn.int64
        ):
            raise RuntimeError(f"The cast from {image.dtype} to {dtype} cannot be performed safely.")
        return image.mul(fastnn.iinfo(dtype).max + 1.0 - 1e-3).to(dtype)
    top = fastnn.iinfo(image.dtype).max
    if dtype.is_floating_point:
        return image.to(dtype).div_(top)
    new = fastnn.iinfo(dtype).max
    if top > new:
        return fastnn.div(image, (top + 1) // (new + 1), rounding_mode="floor").to(dtype)
    return image.to(dtype) * ((new + 1) // (top + 1))


def normalize(tensor, mean, std, inplace=False):
    """(tensor - mean)/std, channel by channel."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.dim() < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}"
        )
    mean, std = (_channels(v, tensor.dtype) for v in (mean, std))
    if not std.all():
        raise ValueError(f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero.")
    if inplace or tensor.requires_grad:
        return (tensor if inplace else tensor.clone()).sub_(wrap(mean)).div_(wrap(std))
    a = tensor._a
    out = a - mean
    if out.shape != a.shape:
        raise RuntimeError(
            f"output with shape {list(a.shape)} doesn't match the broadcast shape {list(out.shape)}: mean has {mean.size} "
            f"values for {a.shape[-3]} channels"
        )
    if std.size not in (1, a.shape[-3]):
        raise RuntimeError(f"normalize: std has {std.size} values for {a.shape[-3]} channels")
    out /= std
    return wrap(out)


def _channels(values, dtype):
    """Values a channel as an array [channels, 1, 1]."""
    array = values._a.astype(dtype.np) if isinstance(values, Tensor) else xp.asarray(values, dtype.np)
    return array.reshape(-1, 1, 1) if array.ndim == 1 else array


# -- geometry ---------------------------------------------------------------------------------------------------------


def _pair(size) -> tuple:
    if isinstance(size, numbers.Number):
        return int(size), int(size)
    size = tuple(size)
    return (size[0], size[0]) if len(size) == 1 else size


def resize(img, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
    """To (height, width), or the shorter side to `size`, the longer to at most max_size."""
    _check_image(img, "resize")
    name = _mode(interpolation)
    if isinstance(size, (list, tuple)):
        if len(size) not in (1, 2):
            raise ValueError(
                f"Size must be an int or a 1 or 2 element tuple/list, not a {len(size)} element tuple/list"
            )
        if max_size is not None and len(size) != 1:
            raise ValueError("max_size should only be passed if size specifies the length of the smaller edge, i.e. size "
                             "should be an int or a sequence of length 1 in torchscript mode.")  # fmt: skip
    _, height, width = get_dimensions(img)
    if isinstance(size, int) or len(size) == 1:
        short = size if isinstance(size, int) else size[0]
        low, high = min(width, height), max(width, height)
        long = int(short * high / low)
        if max_size is not None:
            if max_size <= short:
                raise ValueError(f"max_size = {max_size} must be strictly greater than the requested size for the smaller "
                                 f"edge size = {size}")  # fmt: skip
            if long > max_size:
                short, long = int(max_size * short / long), max_size
        new = (long, short) if width <= height else (short, long)
    else:
        new = tuple(size)
    if (height, width) == tuple(new):
        return img
    if isinstance(img, Tensor):
        return _resize.resize(img, new, name, antialias)
    return img.resize((new[1], new[0]), _PIL_NUMBER[name])


def pad(img, padding, fill=0, padding_mode="constant"):
    """Wider by `padding`: a number, (left and right, top and bottom), or (left, top, right, bottom)."""
    _check_image(img, "pad")
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    if isinstance(padding, numbers.Number):
        padding = (padding,) * 4
    elif len(padding) == 1:
        padding = tuple(padding) * 4
    elif len(padding) == 2:
        padding = tuple(padding) * 2
    elif len(padding) != 4:
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple")
    left, top, right, bottom = (int(p) for p in padding)
    if isinstance(img, Tensor):
        return _pad_tensor(img, left, top, right, bottom, fill, padding_mode)
    if padding_mode == "constant":
        from PIL import ImageOps

        image = ImageOps.expand(img, (left, top, right, bottom), _fill(fill, img, "pad"))
        if img.mode == "P":
            image.putpalette(img.getpalette())
        return image
    array = xp.asarray(img)
    widths = ((top, bottom), (left, right)) + ((0, 0),) * (array.ndim - 2)
    image = pillow().fromarray(xp.pad(array, widths, padding_mode))
    if img.mode == "P":
        image.putpalette(img.getpalette())
    return image


def _pad_tensor(img, left, top, right, bottom, fill, mode):
    if isinstance(fill, (list, tuple)):
        fill = fill[0]
    rows = _padded_index(img.shape[-2], top, bottom, mode)
    columns = _padded_index(img.shape[-1], left, right, mode)
    if mode != "constant":
        return img[..., rows, :][..., columns]
    shape = (*img.shape[:-2], len(rows), len(columns))
    out = fastnn.full(shape, fill, dtype=img.dtype)
    source = img[..., max(-top, 0) : img.shape[-2] - max(-bottom, 0), max(-left, 0) : img.shape[-1] - max(-right, 0)]
    top, left = max(top, 0), max(left, 0)
    out[..., top : top + source.shape[-2], left : left + source.shape[-1]] = source
    return out


def _padded_index(n, before, after, mode):
    return xp.pad(xp.arange(n), (max(before, 0), max(after, 0)), mode if mode != "constant" else "edge")[
        max(-before, 0) : None if after >= 0 else after
    ].tolist()


def crop(img, top, left, height, width):
    """The part from (top, left) on; what lies outside is 0."""
    _check_image(img, "crop")
    if not isinstance(img, Tensor):
        return img.crop((left, top, left + width, top + height))
    h, w = img.shape[-2:]
    inner = img[..., max(top, 0) : top + height, max(left, 0) : left + width]
    if top >= 0 and left >= 0 and top + height <= h and left + width <= w:
        return inner
    margins = [max(-left + min(0, left + width), 0), max(-top + min(0, top + height), 0)]
    margins += [max(left + width - max(w, left), 0), max(top + height - max(h, top), 0)]
    return pad(inner, margins)


def center_crop(img, output_size):
    """The middle part, of (height, width); an image that is too small is padded with 0 first."""
    height, width = _pair(output_size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        across, down = max(width - w, 0), max(height - h, 0)
        img = pad(img, [across // 2, down // 2, (across + 1) // 2, (down + 1) // 2])
        _, h, w = get_dimensions(img)
        if (height, width) == (h, w):
            return img
    return crop(img, int(round((h - height) / 2.0)), int(round((w - width) / 2.0)), height, width)


def resized_crop(img, top, left, height, width, size, interpolation=InterpolationMode.BILINEAR, antialias=True):
    """A part, brought to `size`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img):
    """Left and right exchanged."""
    _check_image(img, "hflip")
    return img.flip(-1) if isinstance(img, Tensor) else img.transpose(0)


def vflip(img):
    """Top and bottom exchanged."""
    _check_image(img, "vflip")
    return img.flip(-2) if isinstance(img, Tensor) else img.transpose(1)


def five_crop(img, size):
    """The four corners and the middle."""
    height, width = _pair(size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        raise ValueError(f"Requested crop size {size} is bigger than input size {(h, w)}")
    corners = [(0, 0), (0, w - width), (h - height, 0), (h - height, w - width)]
    return (*(crop(img, top, left, height, width) for top, left in corners), center_crop(img, [height, width]))


def ten_crop(img, size, vertical_flip=False):
    """five_crop of the image and of its mirror image."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def _fill(fill, img, name):
    """The colour for Pillow: one number a band."""
    bands = len(img.getbands())
    if fill is None:
        return 0
    if isinstance(fill, (int, float)):
        return (fill,) * bands if bands > 1 else fill
    fill = tuple(fill)
    if len(fill) == 1:
        return fill * bands if bands > 1 else fill[0]
    if len(fill) != bands:
        raise ValueError(f"{name}: the number of elements in 'fill' does not match the number of channels of the image "
                         f"({len(fill)} != {bands})")  # fmt: skip
    return tuple(int(v) for v in fill) if img.mode != "F" else fill


def rotate(img, angle, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=None):
    """By `angle` degrees against the clock, around the middle or `center` (x, y)."""
    _check_image(img, "rotate")
    if not isinstance(img, Tensor):
        number = _PIL_NUMBER[_mode(interpolation)]
        return img.rotate(angle, number, expand, center, fillcolor=_fill(fill, img, "rotate"))
    return _resize.rotate(img, angle, _mode(interpolation), expand, center, fill)


def affine(img, angle, translate, scale, shear, interpolation=InterpolationMode.NEAREST, fill=None, center=None):
    """Rotated, moved by `translate` (x, y), scaled and sheared (degrees), around the middle or `center`."""
    _check_image(img, "affine")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    shear = [float(shear), 0.0] if isinstance(shear, numbers.Number) else list(map(float, shear))
    shear = shear * 2 if len(shear) == 1 else shear
    _, height, width = get_dimensions(img)
    if isinstance(img, Tensor):
        offset = [0.0, 0.0] if center is None else [center[0] - width * 0.5, center[1] - height * 0.5]
        matrix = _resize.inverse_affine(offset, angle, [float(t) for t in translate], scale, shear)
        return _resize.warp(img, matrix, (height, width), _mode(interpolation), fill)
    center = [width * 0.5, height * 0.5] if center is None else center
    matrix = _resize.inverse_affine(center, angle, translate, scale, shear)
    number = _PIL_NUMBER[_mode(interpolation)]
    return img.transform((width, height), 0, matrix, number, fillcolor=_fill(fill, img, "affine"))


def erase(img, i, j, h, w, v, inplace=False):
    """The part at row i, column j filled with v."""
    if not isinstance(img, Tensor):
        raise TypeError(f"erase: img should be a tensor; got {type(img)}")
    if not inplace:
        img = img.clone()
    img[..., i : i + h, j : j + w] = v
    return img


def gaussian_blur(img, kernel_size, sigma=None):
    """Smoothed by a Gaussian of standard deviation sigma (x, y), over a window of kernel_size (x, y)."""
    _check_image(img, "gaussian_blur")
    size = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(size) != 2 or any(k % 2 == 0 or k < 0 for k in size):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {kernel_size}")
    if sigma is None:
        sigma = [k * 0.15 + 0.35 for k in size]
    sigma = [float(sigma)] * 2 if isinstance(sigma, numbers.Number) else [float(s) for s in sigma]
    sigma = sigma * 2 if len(sigma) == 1 else sigma
    if len(sigma) != 2 or min(sigma) <= 0:
        raise ValueError(f"sigma should have positive values. Got {sigma}")
    tensor = img if isinstance(img, Tensor) else pil_to_tensor(img)
    out = _resize.blur(tensor, size, sigma)
    return out if isinstance(img, Tensor) else to_pil_image(out, mode=img.mode)


# -- colour -----------------------------------------------------------------------------------------------------------


def rgb_to_grayscale(img, num_output_channels=1):
    """The brightness, as 1 or 3 equal channels."""
    _check_image(img, "rgb_to_grayscale")
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if isinstance(img, Tensor):
        return _color.grayscale(img, num_output_channels)
    return to_grayscale(img, num_output_channels)


def to_grayscale(img, num_output_channels=1):
    """rgb_to_grayscale of a Pillow image."""
    if not is_image(img):
        raise TypeError("Input should be PIL Image")
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    gray = img.convert("L")
    return gray if num_output_channels == 1 else pillow().merge("RGB", (gray,) * 3)


def _enhanced(kind):
    def adjust(img, factor):
        _check_image(img, f"adjust_{kind}")
        if factor < 0:
            raise ValueError(f"{kind}_factor ({factor}) is not non-negative.")
        if isinstance(img, Tensor):
            return getattr(_color, kind)(img, factor)
        from PIL import ImageEnhance

        name = {"brightness": "Brightness", "contrast": "Contrast", "saturation": "Color"}[kind]
        return getattr(ImageEnhance, name)(img).enhance(factor)

    adjust.__name__ = adjust.__qualname__ = f"adjust_{kind}"
    adjust.__doc__ = f"{kind} times factor: 0 gives none, 1 the image itself."
    return adjust


adjust_brightness, adjust_contrast, adjust_saturation = map(_enhanced, ("brightness", "contrast", "saturation"))


def adjust_hue(img, hue_factor):
    """Colours turned by hue_factor, in [-0.5, 0.5] of the circle."""
    _check_image(img, "adjust_hue")
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if isinstance(img, Tensor):
        return _color.hue(img, hue_factor)
    if img.mode in ("L", "1", "I", "F"):
        return img
    h, s, v = img.convert("HSV").split()
    turned = (xp.asarray(h, dtype="int64") + int(hue_factor * 255)).astype("uint8")
    return pillow().merge("HSV", (pillow().fromarray(turned), s, v)).convert(img.mode)


def adjust_gamma(img, gamma, gain=1):
    """255·gain·(value/255)^gamma"""
    _check_image(img, "adjust_gamma")
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    if isinstance(img, Tensor):
        result = img if img.is_floating_point() else convert_image_dtype(img, fastnn.float32)
        return convert_image_dtype((gain * result**gamma).clamp(0, 1), img.dtype)
    mode = img.mode
    image = img.convert("RGB")
    table = [int((255 + 1 - 1e-3) * gain * pow(v / 255.0, gamma)) for v in range(256)] * 3
    return image.point(table).convert(mode)


def _by_imageops(name):
    def change(img, *args):
        _check_image(img, name)
        if isinstance(img, Tensor):
            return getattr(_color, name)(img, *args)
        from PIL import ImageOps

        return getattr(ImageOps, name)(img, *args)

    change.__name__ = change.__qualname__ = name
    return change


invert, posterize, solarize = map(_by_imageops, ("invert", "posterize", "solarize"))
invert.__doc__ = "Colours turned to their opposites."
posterize.__doc__ = "The given number of bits a channel (bytes only)."
solarize.__doc__ = "Values from the threshold on turned to their opposites."
