"""NumPy kernels for complex numbers: parts, pairs, conjugates."""

import numpy as np


def make_complex(re, im):
    re, im = np.broadcast_arrays(re, im)
    out = np.empty(re.shape, np.complex128 if re.dtype == np.float64 else np.complex64)
    out.real, out.imag = re, im
    return out


def real_part(x):
    return np.array(x.real)


def imag_part(x):
    return np.array(x.imag) if x.dtype.kind == "c" else np.zeros_like(x)


def conj(x):
    return np.asarray(np.conj(x))


def angle(x):
    r = np.angle(x)
    return np.asarray(np.where(np.isnan(x), x, r) if x.dtype.kind == "f" else r).astype(x.real.dtype, copy=False)


def pairs_of_complex(x):
    """A view: one more dimension, of size 2."""
    real = x.real.dtype
    return np.lib.stride_tricks.as_strided(x.real, (*x.shape, 2), (*x.strides, real.itemsize))


def complex_of_pairs(x):
    """A view where the pairs lie together in memory."""
    if x.dtype == np.float16:
        x = x.astype(np.float32)
    d = np.dtype(np.complex128 if x.dtype == np.float64 else np.complex64)
    if x.size == 0:
        return np.zeros(x.shape[:-1], d)
    if x.strides[-1] != x.itemsize:
        x = np.ascontiguousarray(x)
    return x.view(d)[..., 0]


__all__ = [
    "angle", "complex_of_pairs", "conj", "imag_part", "make_complex", "pairs_of_complex", "real_part",
]  # fmt: skip
