"""Datasets of Keras: mnist and fashion_mnist, from local files."""

from . import fashion_mnist, mnist

__all__ = ["fashion_mnist", "mnist"]
