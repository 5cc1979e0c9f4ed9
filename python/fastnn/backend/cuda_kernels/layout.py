"""Padding, resampling and windows on the device: the twins with device memory for their results. The indices of padding
and resampling are made on the host from sizes alone, and come as host arrays."""

from functools import partial

from .. import cuda_runtime as rt
from ._composed import module

arrays = rt.arrays
__all__ = [
    "block_repeat", "constant_pad", "im2col", "index_pad", "index_pad2d", "index_pad2d_backward", "index_pad_backward",
    "resample", "resample_backward",
]  # fmt: skip

_pad, _interpolate = module("pad"), module("interpolate")
constant_pad = partial(_pad.constant_pad, empty=arrays.empty)
index_pad = partial(_pad.index_pad, empty=arrays.empty)
index_pad_backward = partial(_pad.index_pad_backward, empty=arrays.empty)
index_pad2d = partial(_pad.index_pad2d, empty=arrays.empty)
index_pad2d_backward = partial(_pad.index_pad2d_backward, empty=arrays.empty)
im2col = partial(module("fold").im2col, empty=arrays.empty)
block_repeat = partial(_interpolate.block_repeat, empty=arrays.empty)


def _resample(x, dim, index, weights, empty=None):
    y = None
    for t in range(len(index)):
        part = arrays.take(x, index[t], dim)
        if weights is not None:
            part *= weights[t].astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - dim - 1))
        y = part if y is None else y + part
    return y


def _uploaded(index, weights):
    return rt.upload(index), None if weights is None else rt.upload(weights)


def resample(x, dim, index, weights):
    """y[..., j, ...] = Σ_t weights[t, j]·x[..., index[t, j], ...] along `dim`; weights None: 1."""
    return _resample(x, dim, *_uploaded(index, weights))


_interpolate.resample = _resample


def resample_backward(dy, dim, index, weights, size):
    """resample's transpose."""
    return _interpolate.resample_backward(dy, dim, *_uploaded(index, weights), size)
