"""Random numbers for device tensors. They are drawn on the host, from torch's CPU stream, and copied over: a seed gives
one result on every device. Dropout alone draws on the device."""

import numpy as np

from .. import cuda_runtime as rt
from .. import numpy_kernels as twins

__all__ = [
    "binomial",
    "dropout",
    "dropout_backward",
    "in_memory_order",
    "poisson",
    "sample_dirichlet",
    "standard_gamma",
]


class _Target:
    """Where a buffer of draws goes once it is full."""

    def __init__(self, array):
        self._array = array

    def __setitem__(self, key, buffer):
        self._array[key] = rt.arrays.asarray(buffer)


def in_memory_order(a):
    """As the twin's: (a host buffer to draw into, what copies it to the device)."""
    t = a.transpose(sorted(range(a.ndim), key=lambda i: -abs(a.strides[i])))
    return np.empty(t.shape, a.dtype), _Target(t)


def _drawn_on_host(name):
    draw = getattr(twins, name)

    def f(engine, *parameters):
        return rt.arrays.asarray(draw(engine, *(p.get() for p in parameters)))

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"{draw.__doc__ or name} The parameters are copied to the host, the draws back."
    return f


poisson, binomial, standard_gamma, sample_dirichlet = map(
    _drawn_on_host, ("poisson", "binomial", "standard_gamma", "sample_dirichlet")
)


def dropout(generator, x, p):
    """(x / (1 - p) where the mask is set and 0 elsewhere, the mask): the CPU's mask of this generator."""
    buffer, target = in_memory_order(x)
    _, mask = twins.dropout(generator, np.zeros(buffer.shape, np.float32), p)
    kept = rt.arrays.empty(x.shape, mask.dtype)
    order = sorted(range(x.ndim), key=lambda i: -abs(x.strides[i]))
    kept.transpose(order)[...] = rt.arrays.asarray(mask)
    return dropout_backward(x, kept, p), kept


def dropout_backward(dy, mask, p):
    return rt.arrays.where(mask, dy * dy.dtype.type(1 / (1 - p)), dy.dtype.type(0))
