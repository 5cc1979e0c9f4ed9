"""What the layers above need of the array library itself: names here, so that nothing outside backend/ says numpy."""

import sys as _sys

import numpy as _np
from numpy import (  # noqa: F401
    arange,
    array,
    asarray,
    broadcast_shapes,
    broadcast_to,
    dtype,
    empty,
    frombuffer,
    full,
    generic,
    integer,
    isnan,
    ndarray,
    ndindex,
    nonzero,
    ones,
    zeros,
)
from numpy.exceptions import AxisError  # noqa: F401
from numpy.lib.stride_tricks import as_strided as _as_strided

_here = _sys.modules[__name__]


def as_strided(x, shape, strides):
    """A view of x's memory, strides in bytes."""
    if x.flags.c_contiguous and x.flags.writeable and 0 not in shape:
        try:
            return ndarray(shape, x.dtype, x, 0, strides)  # 0.8 us; the other, in Python, takes 5.7
        except (ValueError, TypeError):  # beyond x's memory, or a dtype that has no buffers
            pass
    return _as_strided(x, shape, strides)


def on(a):
    """These names for arrays that live where `a` does (backend/devices.py has those of CUDA devices)."""
    return _here


ARRAYS = (_np.ndarray,)  # the classes of arrays: a device's joins them when it is first used


def beside(a, other):
    """`a` on the device of the array `other`: itself where it is there."""
    return a


def host(a):
    """`a` as an array in the CPU's memory: itself where it lies there."""
    return a


may_share_memory = _np.may_share_memory
shares_memory = _np.shares_memory


def bfloat16_dtype():
    """bfloat16 as NumPy sees it, through ml_dtypes."""
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError("bfloat16 arrays need the package ml_dtypes: pip install '.[bf16]'") from None
    return _np.dtype(ml_dtypes.bfloat16)


def float_limits(d) -> dict:
    if d.name == "bfloat16":
        import ml_dtypes

        info = ml_dtypes.finfo(d)
    else:
        info = _np.finfo(d)
    return {
        "bits": info.bits,
        "eps": float(info.eps),
        "max": float(info.max),
        "min": float(info.min),
        "tiny": float(info.tiny),
        "resolution": float(info.resolution),
    }


def address(a) -> int:
    return a.__array_interface__["data"][0]


def from_dlpack(x):
    return _np.from_dlpack(x)


def has_internal_overlap(a) -> bool:
    """True where two indices of `a` name one element, as an expanded array's do (a stride of 0 along a size above 1)."""
    if 0 not in a.strides or a.size == 0:
        return False
    return any(st == 0 and n > 1 for st, n in zip(a.strides, a.shape, strict=True))


def contiguous(a):
    return _np.ascontiguousarray(a)


def contiguous_copy(a):
    return _np.array(a, order="C", copy=True)


expand_dims = _np.expand_dims
flip = _np.flip
repeat = _np.repeat
roll = _np.roll
tile = _np.tile
where = _np.where
isfinite = _np.isfinite
bincount = _np.bincount
isclose = _np.isclose
absolute, identity, cos, minimum = _np.absolute, _np.identity, _np.cos, _np.minimum
ceil, floor, rint, maximum = _np.ceil, _np.floor, _np.rint, _np.maximum
isin = _np.isin
searchsorted = _np.searchsorted
histogram = _np.histogram
pad = _np.pad
round = _np.round


def unique(a, axis):
    return _np.unique(a, return_inverse=True, return_counts=True, axis=axis)


def tri_mask(shape, diagonal: int, lower: bool):
    """True in the lower (upper) triangle of the last two dimensions."""
    if len(shape) < 2:
        raise RuntimeError("tril/triu: input tensor must have at least 2 dimensions")
    rows, cols = shape[-2:]
    difference = _np.arange(cols) - _np.arange(rows)[:, None]
    return difference <= diagonal if lower else difference >= diagonal


def strided_index(offset, size, stride):
    """The flat index of each element of a strided window."""
    index = _np.full(size, offset, _np.int64)
    for i, (n, s) in enumerate(zip(size, stride, strict=True)):
        index += (_np.arange(n) * s).reshape((-1,) + (1,) * (len(size) - i - 1))
    return index


def qr(a):
    """Q and R of a matrix, reduced."""
    return _np.linalg.qr(a)


def seed_global(base_seed: int, worker: int) -> None:
    """Seed NumPy's global generator in a data loading worker, each worker of each epoch differently, as torch does."""
    words = _np.random.SeedSequence([worker, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]).generate_state(4)
    _np.random.seed(words)


floor = _np.floor
rint = _np.rint
concatenate = _np.concatenate
linspace = _np.linspace


def pickled(name: str):
    """What pickles of arrays name: "_reconstruct", "ndarray" or "dtype"."""
    if name == "_reconstruct":
        return _np.zeros(0).__reduce__()[0]
    return {"ndarray": _np.ndarray, "dtype": _np.dtype}[name]


def seed_numpy(seed: int) -> None:
    """NumPy's global generator, for keras.utils.set_random_seed."""
    _np.random.seed(seed)
