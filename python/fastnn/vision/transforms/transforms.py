"""Transformations as objects: modules that are called with an image. Random ones draw as torchvision's do."""

import math
import numbers
import warnings
from collections.abc import Sequence

import fastnn
from fastnn import nn

from . import functional as F  # noqa: N812
from ._effects import (
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    Grayscale,
    RandomErasing,
    RandomGrayscale,
    _below,
    _size,
    _uniform,
)
from .functional import InterpolationMode

__all__ = [
    "CenterCrop", "ColorJitter", "Compose", "ConvertImageDtype", "FiveCrop", "GaussianBlur", "GaussianNoise", "Grayscale",
    "Lambda", "Normalize", "PILToTensor", "Pad", "RandomAffine", "RandomApply", "RandomChoice",
    "RandomCrop", "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip", "RandomInvert", "RandomOrder",
    "RandomResizedCrop", "RandomRotation", "RandomSolarize", "RandomVerticalFlip", "Resize", "TenCrop", "ToPILImage",
    "ToTensor",
]  # fmt: skip


class _Plain:
    """A transformation that is no module, as in torchvision."""

    def __repr__(self):
        return f"{type(self).__name__}()"


class Compose(_Plain):
    """Several transformations, one after another."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, img):
        for t in self.transforms:
            img = t(img)
        return img

    def __repr__(self):
        return f"{type(self).__name__}(" + "".join(f"\n    {t}" for t in self.transforms) + "\n)"


class ToTensor(_Plain):
    """functional.to_tensor"""

    def __call__(self, pic):
        return F.to_tensor(pic)


class PILToTensor(_Plain):
    """functional.pil_to_tensor"""

    def __call__(self, pic):
        return F.pil_to_tensor(pic)


class ConvertImageDtype(nn.Module):
    """functional.convert_image_dtype"""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, image):
        return F.convert_image_dtype(image, self.dtype)


class ToPILImage(_Plain):
    """functional.to_pil_image"""

    def __init__(self, mode=None):
        self.mode = mode

    def __call__(self, pic):
        return F.to_pil_image(pic, self.mode)

    def __repr__(self):
        return f"{type(self).__name__}(" + (f"mode={self.mode}" if self.mode is not None else "") + ")"


class Normalize(nn.Module):
    """(tensor - mean)/std, channel by channel."""

    def __init__(self, mean, std, inplace=False):
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, tensor):
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self):
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


class Resize(nn.Module):
    """To (height, width), or the shorter side to `size`."""

    def __init__(self, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size, self.interpolation, self.max_size, self.antialias = size, interpolation, max_size, antialias

    def forward(self, img):
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self):
        name = F._mode(self.interpolation)
        return (
            f"{type(self).__name__}(size={self.size}, interpolation={name}, max_size={self.max_size}, "
            f"antialias={self.antialias})"
        )


class CenterCrop(nn.Module):
    """The middle part."""

    def __init__(self, size):
        super().__init__()
        self.size = _size(size)

    def forward(self, img):
        return F.center_crop(img, self.size)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size})"


class Pad(nn.Module):
    """functional.pad"""

    def __init__(self, padding, fill=0, padding_mode="constant"):
        super().__init__()
        if not isinstance(padding, (numbers.Number, tuple, list)):
            raise TypeError("Got inappropriate padding arg")
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        if isinstance(padding, Sequence) and len(padding) not in (1, 2, 4):
            raise ValueError(
                f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple"
            )
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def forward(self, img):
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self):
        return f"{type(self).__name__}(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class Lambda(_Plain):
    """A function of one's own."""

    def __init__(self, lambd):
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {repr(type(lambd).__name__)}")
        self.lambd = lambd

    def __call__(self, img):
        return self.lambd(img)


class _Choosing(_Plain):
    def __init__(self, transforms):
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    __repr__ = Compose.__repr__


class RandomOrder(_Choosing):
    """All of them, in a random order (Python's random numbers)."""

    def __call__(self, img):
        import random

        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for i in order:
            img = self.transforms[i](img)
        return img


class RandomChoice(_Choosing):
    """One of them, with probabilities p (Python's random numbers)."""

    def __init__(self, transforms, p=None):
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError("Argument p should be a sequence")
        self.p = p

    def __call__(self, *args):
        import random

        return random.choices(self.transforms, weights=self.p)[0](*args)

    def __repr__(self):
        return f"{super().__repr__()}(p={self.p})"


class RandomApply(nn.Module):
    """All of them, or none, with probability p."""

    def __init__(self, transforms, p=0.5):
        super().__init__()
        self.transforms, self.p = transforms, p

    def forward(self, img):
        if self.p < fastnn.rand(1):
            return img
        for t in self.transforms:
            img = t(img)
        return img

    def __repr__(self):
        return f"{type(self).__name__}(\n    p={self.p}" + "".join(f"\n    {t}" for t in self.transforms) + "\n)"


class RandomCrop(nn.Module):
    """A part of the given size from a random place, after padding."""

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant"):
        super().__init__()
        self.size = tuple(_size(size))
        self.padding, self.pad_if_needed, self.fill, self.padding_mode = padding, pad_if_needed, fill, padding_mode

    @staticmethod
    def get_params(img, output_size):
        """(top, left, height, width)"""
        _, h, w = F.get_dimensions(img)
        th, tw = output_size
        if h < th or w < tw:
            raise ValueError(f"Required crop size {(th, tw)} is larger than input image size {(h, w)}")
        if w == tw and h == th:
            return 0, 0, h, w
        i = _below(h - th + 1)
        return i, _below(w - tw + 1), th, tw

    def forward(self, img):
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


def _with_probability(name, change, doc, default=0.5, arguments=()):
    class Randomly(nn.Module):
        def __init__(self, *values, p=default):
            super().__init__()
            if len(values) > len(arguments):  # p by position, after the others
                *values, p = values
            if len(values) != len(arguments):
                raise TypeError(f"{name}: expected {', '.join((*arguments, 'p'))}, got {len(values)} arguments")
            for key, value in zip(arguments, values, strict=True):
                setattr(self, key, value)
            self.p = p

        def forward(self, img):
            if fastnn.rand(1) < self.p:
                return change(img, *(getattr(self, key) for key in arguments))
            return img

        def __repr__(self):
            shown = [f"{key}={getattr(self, key)}" for key in (*arguments, "p")]
            return f"{type(self).__name__}({','.join(shown)})"

    Randomly.__name__ = Randomly.__qualname__ = name
    Randomly.__doc__ = doc
    Randomly.__module__ = __name__
    return Randomly


RandomHorizontalFlip = _with_probability("RandomHorizontalFlip", F.hflip, "Mirrored with probability p.")
RandomVerticalFlip = _with_probability("RandomVerticalFlip", F.vflip, "Upside down with probability p.")
RandomInvert = _with_probability("RandomInvert", F.invert, "Colours inverted with probability p.")
RandomSolarize = _with_probability(
    "RandomSolarize", F.solarize, "Values from threshold on inverted with probability p.", arguments=("threshold",)
)


class RandomResizedCrop(nn.Module):
    """A part of random area (a share in `scale`) and shape (width over height in `ratio`), brought to `size`."""

    def __init__(
        self,
        size,
        scale=(0.08, 1.0),
        ratio=(3.0 / 4.0, 4.0 / 3.0),
        interpolation=InterpolationMode.BILINEAR,
        antialias=True,
    ):
        super().__init__()
        self.size = _size(size)
        for name, value in (("Scale", scale), ("Ratio", ratio)):
            if not isinstance(value, Sequence):
                raise TypeError(f"{name} should be a sequence")
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=2)
        self.scale, self.ratio, self.interpolation, self.antialias = scale, ratio, interpolation, antialias

    @staticmethod
    def get_params(img, scale, ratio):
        """(top, left, height, width); after ten draws that do not fit, the middle."""
        _, height, width = F.get_dimensions(img)
        logs = fastnn.log(fastnn.tensor(ratio))
        for _ in range(10):
            area = height * width * _uniform(scale[0], scale[1])
            aspect = fastnn.exp(fastnn.empty(1).uniform_(logs[0].item(), logs[1].item())).item()
            w, h = int(round(math.sqrt(area * aspect))), int(round(math.sqrt(area / aspect)))
            if 0 < w <= width and 0 < h <= height:
                i = _below(height - h + 1)
                return i, _below(width - w + 1), h, w
        shape = float(width) / float(height)
        if shape < min(ratio):
            w, h = width, int(round(width / min(ratio)))
        elif shape > max(ratio):
            w, h = int(round(height * max(ratio))), height
        else:
            w, h = width, height
        return (height - h) // 2, (width - w) // 2, h, w

    def forward(self, img):
        i, j, h, w = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, i, j, h, w, self.size, self.interpolation, antialias=self.antialias)

    def __repr__(self):
        scale, ratio = (tuple(round(v, 4) for v in pair) for pair in (self.scale, self.ratio))
        name = F._mode(self.interpolation)
        return (
            f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, interpolation={name}, "
            f"antialias={self.antialias})"
        )


class FiveCrop(nn.Module):
    """functional.five_crop"""

    def __init__(self, size):
        super().__init__()
        self.size = _size(size)

    def forward(self, img):
        return F.five_crop(img, self.size)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size})"


class TenCrop(nn.Module):
    """functional.ten_crop"""

    def __init__(self, size, vertical_flip=False):
        super().__init__()
        self.size, self.vertical_flip = _size(size), vertical_flip

    def forward(self, img):
        return F.ten_crop(img, self.size, self.vertical_flip)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}, vertical_flip={self.vertical_flip})"


def _angles(degrees, name="degrees"):
    if isinstance(degrees, numbers.Number):
        if degrees < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return [-float(degrees), float(degrees)]
    if not isinstance(degrees, Sequence) or len(degrees) != 2:
        raise ValueError(f"{name} should be a sequence of length 2.")
    return [float(d) for d in degrees]


class RandomRotation(nn.Module):
    """Turned by an angle drawn from `degrees`: (from, to), or a number for both sides."""

    def __init__(self, degrees, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=0):
        super().__init__()
        self.degrees, self.interpolation, self.expand = _angles(degrees), interpolation, expand
        self.center, self.fill = center, 0 if fill is None else fill

    @staticmethod
    def get_params(degrees):
        """The angle."""
        return _uniform(degrees[0], degrees[1])

    def forward(self, img):
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)

    def __repr__(self):
        text = f"{type(self).__name__}(degrees={self.degrees}, interpolation={F._mode(self.interpolation)}"
        text += f", expand={self.expand}"
        if self.center is not None:
            text += f", center={self.center}"
        if self.fill is not None:
            text += f", fill={self.fill}"
        return text + ")"


class RandomAffine(nn.Module):
    """Turned, moved (by shares of the size), scaled and sheared at random."""

    def __init__(
        self,
        degrees,
        translate=None,
        scale=None,
        shear=None,
        interpolation=InterpolationMode.NEAREST,
        fill=0,
        center=None,
    ):
        super().__init__()
        self.degrees = _angles(degrees)
        if translate is not None and not all(0.0 <= t <= 1.0 for t in translate):
            raise ValueError("translation values should be between 0 and 1")
        if scale is not None and not all(s > 0 for s in scale):
            raise ValueError("scale values should be positive")
        if shear is not None:
            shear = _angles(shear, "shear") if isinstance(shear, numbers.Number) else [float(s) for s in shear]
            if len(shear) not in (2, 4):
                raise ValueError("shear should be a sequence of length 2 or 4.")
        self.translate, self.scale, self.shear = translate, scale, shear
        self.interpolation, self.fill, self.center = interpolation, 0 if fill is None else fill, center

    @staticmethod
    def get_params(degrees, translate, scale_ranges, shears, img_size):
        """(angle, (x, y) to move by, scale, (x, y) to shear by)"""
        angle = _uniform(degrees[0], degrees[1])
        move = (0, 0)
        if translate is not None:
            most = [float(t * n) for t, n in zip(translate, img_size, strict=True)]
            move = tuple(int(round(_uniform(-m, m))) for m in most)
        scale = 1.0 if scale_ranges is None else _uniform(scale_ranges[0], scale_ranges[1])
        shear = (0.0, 0.0)
        if shears is not None:
            across = _uniform(shears[0], shears[1])
            shear = (across, _uniform(shears[2], shears[3]) if len(shears) == 4 else 0.0)
        return angle, move, scale, shear

    def forward(self, img):
        _, height, width = F.get_dimensions(img)
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, [width, height])
        return F.affine(img, *drawn, interpolation=self.interpolation, fill=self.fill, center=self.center)

    def __repr__(self):
        text = f"{type(self).__name__}(degrees={self.degrees}"
        for name in ("translate", "scale", "shear"):
            if getattr(self, name) is not None:
                text += f", {name}={getattr(self, name)}"
        if self.interpolation is not InterpolationMode.NEAREST:
            text += f", interpolation={F._mode(self.interpolation)}"
        text += f", fill={self.fill}" if self.fill != 0 else ""
        return text + (f", center={self.center}" if self.center is not None else "") + ")"
