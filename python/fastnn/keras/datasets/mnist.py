"""MNIST."""

from ._idx import folders, load

__all__ = ["load_data"]


def load_data(path="mnist.npz"):
    """((60,000 images, labels), (10,000 images, labels)): uint8 arrays [N, 28, 28] and [N].

    Reads MNIST's IDX files from the folder that FASTNN_DATA names, its folder mnist, or ~/.keras/datasets/mnist.
    """
    return load("mnist", folders("mnist", path))
