"""Array utilities of the device: what the twins take from NumPy itself."""

from .. import cuda_runtime as rt

arrays = rt.arrays
__all__ = ["expand", "full", "ones", "permute", "roll", "stack", "zeros"]

zeros, ones, full = arrays.zeros, arrays.ones, arrays.full
expand, permute, stack, roll = arrays.broadcast_to, arrays.transpose, arrays.stack, arrays.roll
