"""Transformations of images, Pillow's or tensors [..., channels, height, width], under torchvision's names."""

from . import functional
from .functional import InterpolationMode
from .transforms import *
from .transforms import __all__ as _classes

__all__ = [*_classes, "InterpolationMode", "functional"]
