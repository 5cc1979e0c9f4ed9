"""Transformations of values, not of places: colours, erased rectangles, blur and noise."""

import math
import numbers
from collections.abc import Sequence

import fastnn
from fastnn import nn
from fastnn.tensor import Tensor

from . import functional as F  # noqa: N812

__all__ = ["ColorJitter", "GaussianBlur", "GaussianNoise", "Grayscale", "RandomErasing", "RandomGrayscale"]


def _uniform(low, high) -> float:
    return float(fastnn.empty(1).uniform_(float(low), float(high)).item())


def _below(n) -> int:
    return int(fastnn.randint(0, n, size=(1,)).item())


def _size(size, message="Please provide only two dimensions (h, w) for size."):
    if isinstance(size, numbers.Number):
        return int(size), int(size)
    if isinstance(size, Sequence) and len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return size


class ColorJitter(nn.Module):
    """Brightness, contrast, saturation and hue changed by random factors, in a random order.

    A number v stands for the range [max(0, 1 - v), 1 + v], for hue [-v, v]; or the range itself is given.
    """

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0):
        super().__init__()
        self.brightness = self._range(brightness, "brightness")
        self.contrast = self._range(contrast, "contrast")
        self.saturation = self._range(saturation, "saturation")
        self.hue = self._range(hue, "hue", center=0, bound=(-0.5, 0.5), clip=False)

    def _range(self, value, name, center=1, bound=(0, math.inf), clip=True):
        if isinstance(value, numbers.Number):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            value = [center - float(value), center + float(value)]
            if clip:
                value[0] = max(value[0], 0.0)
        elif not isinstance(value, (tuple, list)) or len(value) != 2:
            raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
        if not bound[0] <= value[0] <= value[1] <= bound[1]:
            raise ValueError(f"{name} values should be between {bound}, but got {value}.")
        return None if value[0] == value[1] == center else tuple(value)

    @staticmethod
    def get_params(brightness, contrast, saturation, hue):
        """(order of the four changes, and the factor of each or None)"""
        order = fastnn.randperm(4)
        return (order, *(None if r is None else _uniform(*r) for r in (brightness, contrast, saturation, hue)))

    def forward(self, img):
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for i in order.tolist():
            if factors[i] is not None:
                img = changes[i](img, factors[i])
        return img

    def __repr__(self):
        names = ("brightness", "contrast", "saturation", "hue")
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)}' for n in names)})"


class Grayscale(nn.Module):
    """The brightness, as 1 or 3 channels."""

    def __init__(self, num_output_channels=1):
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img):
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self):
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class RandomGrayscale(nn.Module):
    """The brightness in place of the colours, with probability p."""

    def __init__(self, p=0.1):
        super().__init__()
        self.p = p

    def forward(self, img):
        channels = F.get_dimensions(img)[0]
        return F.rgb_to_grayscale(img, channels) if fastnn.rand(1) < self.p else img

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


class RandomErasing(nn.Module):
    """A random rectangle of a tensor filled with `value` ("random": normal noise), with probability p."""

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False):
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        for name, pair in (("Scale", scale), ("Ratio", ratio)):
            if not isinstance(pair, Sequence):
                raise TypeError(f"{name} should be a sequence")
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    @staticmethod
    def get_params(img, scale, ratio, value=None):
        """(row, column, height, width, what to fill with); the whole image itself after ten draws that do not fit."""
        channels, height, width = img.shape[-3:]
        logs = fastnn.log(fastnn.tensor(ratio))
        for _ in range(10):
            area = height * width * _uniform(scale[0], scale[1])
            aspect = fastnn.exp(fastnn.empty(1).uniform_(logs[0].item(), logs[1].item())).item()
            h, w = int(round(math.sqrt(area * aspect))), int(round(math.sqrt(area / aspect)))
            if not (h < height and w < width):
                continue
            if value is None:
                v = fastnn.empty([channels, h, w], dtype=fastnn.float32).normal_()
            else:
                v = fastnn.tensor(value)[:, None, None]
            i = _below(height - h + 1)
            return i, _below(width - w + 1), h, w, v
        return 0, 0, height, width, img

    def forward(self, img):
        if not fastnn.rand(1) < self.p:
            return img
        value = self.value
        if isinstance(value, (int, float)):
            value = [float(value)]
        elif isinstance(value, str):
            value = None
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{img.shape[-3]} (number of input channels)"
            )
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, value), self.inplace)

    def __repr__(self):
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, "
            f"inplace={self.inplace})"
        )


class GaussianBlur(nn.Module):
    """Smoothed by a Gaussian whose standard deviation is drawn from `sigma`."""

    def __init__(self, kernel_size, sigma=(0.1, 2.0)):
        super().__init__()
        self.kernel_size = _size(kernel_size, "Kernel size should be a tuple/list of two integers")
        for k in self.kernel_size:
            if k <= 0 or k % 2 == 0:
                raise ValueError("Kernel size value should be an odd and positive number.")
        if isinstance(sigma, numbers.Number):
            if sigma <= 0:
                raise ValueError("If sigma is a single number, it must be positive.")
            sigma = (sigma, sigma)
        elif not (isinstance(sigma, Sequence) and len(sigma) == 2):
            raise TypeError("sigma should be a single number or a list/tuple with length 2.")
        elif not 0.0 < sigma[0] <= sigma[1]:
            raise ValueError("sigma values should be positive and of the form (min, max).")
        self.sigma = sigma

    @staticmethod
    def get_params(sigma_min, sigma_max):
        """The standard deviation."""
        return _uniform(sigma_min, sigma_max)

    def forward(self, img):
        sigma = self.get_params(self.sigma[0], self.sigma[1])
        return F.gaussian_blur(img, list(self.kernel_size), [sigma, sigma])

    def __repr__(self):
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"


class GaussianNoise(nn.Module):
    """Normal noise added to a floating point tensor, which with clip=True stays in 0..1 (torchvision's v2)."""

    def __init__(self, mean=0.0, sigma=0.1, clip=True):
        super().__init__()
        if sigma < 0:
            raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
        self.mean, self.sigma, self.clip = mean, sigma, clip

    def forward(self, img):
        if not isinstance(img, Tensor) or not img.is_floating_point():
            raise ValueError(
                "GaussianNoise: expected a tensor of a floating point dtype; ToTensor makes one of an image"
            )
        noisy = img + self.mean + fastnn.randn_like(img) * self.sigma
        return fastnn.clamp(noisy, 0, 1) if self.clip else noisy
