"""Linear algebra on the device: what the twins do element by element."""

from .. import cuda_runtime as rt
from ..numpy_kernels import linalg as twin

__all__ = ["permutation_of"]


def permutation_of(pivots, n):
    """The row order that a sequence of swaps leads to: n small integers, followed on the host."""
    return rt.arrays.asarray(twin.permutation_of(pivots.get(), n))
