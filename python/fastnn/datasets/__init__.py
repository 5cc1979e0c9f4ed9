"""Data sets: the UCI digits, shipped with the package, and MNIST from its files."""

from fastnn.datasets.digits import Digits, digits
from fastnn.datasets.mnist import MNIST

__all__ = ["Digits", "MNIST", "digits"]
