"""Two kinds of arrays at once: imported when a CUDA device is first used, and only then.

From then on Tensor._k is a Kernels object, which hands each call to the backend that its arrays belong to, and the
functions of xp that make arrays or look into them ask what they are given. Programs that never name a device keep the
plain backend module and the plain functions.
"""

import numpy as np

from . import cuda_kernels, xp
from . import cuda_runtime as rt

_device_array = rt.ndarray
_MIXED = "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
_HOST_INDICES = (
    "index_pad", "index_pad_backward", "index_pad2d", "index_pad2d_backward", "resample", "resample_backward",
)  # fmt: skip
_HOST_STATE = ("asgd_step", "nadam_step")  # which change 0-d arrays that lie on the host
_lists = (list, tuple)


def _device_argument(values):
    """Whether one of the values, or of the lists among them, is a device array."""
    for v in values:
        c = v.__class__
        if c is _device_array:
            return True
        if (c is list or c is tuple) and v and _device_argument(v):
            return True
    return False


def _adopt(v):
    """An argument of a call on the device: what has no dimensions may come from the CPU, as in torch."""
    c = v.__class__
    if c is np.ndarray:
        if v.ndim:
            raise RuntimeError(_MIXED)
        return rt.upload(v) if v.dtype.kind == "V" else v[()]
    if c is list or c is tuple:
        return c(map(_adopt, v)) if v and v[0].__class__ is not int else v
    return v


class Kernels:
    """Both backends under one backend's names."""

    def __init__(self, host):
        self.host, self.device = host, cuda_kernels

    @property
    def name(self) -> str:
        return self.host.name

    def of(self, a):
        """The backend of the array `a`, or of the first array in a list."""
        c = a.__class__
        if c is _device_array:
            return self.device
        if c is np.ndarray:
            return self.host
        if c is list:
            return self.of(next(v for v in a if v is not None))
        return self.of(a.values) if hasattr(a, "dense") else self.host

    def __getattr__(self, name):
        ours, theirs = getattr(self.host, name), getattr(self.device, name, None)
        if not callable(ours) or isinstance(ours, type):
            return ours

        def call(*args, **kwargs):
            if not (_device_argument(args) or (kwargs and _device_argument(kwargs.values()))):
                return ours(*args, **kwargs)
            if theirs is None:
                raise NotImplementedError(
                    f"{name} has no counterpart on a CUDA device; move the tensor with .cpu() first"
                )
            if name in _HOST_INDICES:
                return theirs(*args, **kwargs)
            if rt.recording() is not None:
                rt.capture.keep((args, tuple(kwargs.values())))
            if name in _HOST_STATE:
                return theirs(*args, **kwargs)
            if kwargs:
                kwargs = {k: _adopt(v) for k, v in kwargs.items()}
            return theirs(*map(_adopt, args), **kwargs)

        call.__name__ = call.__qualname__ = name
        setattr(self, name, call)
        return call


class DeviceNames:
    """xp for device arrays: its functions, over CuPy's."""

    ndarray = _device_array
    zeros, ones, empty = staticmethod(rt.arrays.zeros), staticmethod(rt.arrays.ones), staticmethod(rt.arrays.empty)
    arange, full = staticmethod(rt.arrays.arange), staticmethod(rt.arrays.full)

    def __getattr__(self, name):
        value = getattr(rt.arrays, name, None)
        if value is None:
            value = getattr(xp, name)
        setattr(self, name, value)
        return value

    @staticmethod
    def asarray(a, dtype=None):
        return rt.arrays.asarray(a, dtype)

    @staticmethod
    def array(a, dtype=None, **kwargs):
        return rt.arrays.array(a, dtype, **kwargs)

    @staticmethod
    def tri_mask(shape, diagonal, lower):
        return rt.upload(_host_tri_mask(shape, diagonal, lower))

    @staticmethod
    def strided_index(offset, size, stride):
        return rt.upload(_host_strided_index(offset, size, stride))

    @staticmethod
    def contiguous_copy(a):
        return rt.arrays.array(a, order="C", copy=True)

    @staticmethod
    def contiguous(a):
        return rt.arrays.ascontiguousarray(a)


on_device = DeviceNames()
_host_tri_mask, _host_strided_index = xp.tri_mask, xp.strided_index


# ---------------------------------------------------------------- xp, asking what it is given


def _on(a):
    a = getattr(a, "_a", a)  # rules hand over Tensors under create_graph
    return on_device if a.__class__ is _device_array else xp


def _host(a):
    return a.get() if a.__class__ is _device_array else a


def _beside(a, other):
    if other.__class__ is _device_array:
        return rt.arrays.asarray(a) if a.__class__ is np.ndarray else a
    return _host(a)


def _by_first(name):
    """xp's function `name`, or the device's where the first argument is there (or its first element)."""
    ours, theirs = getattr(xp, name), getattr(on_device, name)

    def f(a, *args, **kwargs):
        c = a.__class__
        if c is _device_array or (c in _lists and len(a) and a[0].__class__ is _device_array):
            return theirs(a, *args, **kwargs)
        return ours(a, *args, **kwargs)

    f.__name__ = f.__qualname__ = name
    return f


def _address(a):
    return a.data.ptr if a.__class__ is _device_array else a.__array_interface__["data"][0]


def _as_strided(x, shape=None, strides=None):
    if x.__class__ is _device_array:
        return rt.arrays.lib.stride_tricks.as_strided(x, shape, strides)
    return _host_as_strided(x, shape, strides)


def _sharing(name):
    ours, theirs = getattr(np, name), getattr(rt.arrays, name)

    def f(a, b):
        if a.__class__ is _device_array or b.__class__ is _device_array:
            return a.__class__ is b.__class__ and bool(theirs(a, b))
        return ours(a, b)

    return f


def _unique(a, axis):
    if a.__class__ is _device_array:
        return rt.arrays.unique(a, return_inverse=True, return_counts=True, axis=axis)
    return _host_unique(a, axis)


_host_as_strided, _host_unique = xp.as_strided, xp.unique


def activate(host):
    """Both kinds from here on; the Kernels object for the backend module `host`."""
    if xp.on is not _on:
        xp.ARRAYS, xp.beside = (np.ndarray, _device_array), _beside
        xp.on, xp.host, xp.address, xp.as_strided, xp.unique = _on, _host, _address, _as_strided, _unique
        for name in ("asarray", "array", "contiguous", "contiguous_copy"):
            setattr(xp, name, _by_first(name))
        xp.may_share_memory, xp.shares_memory = _sharing("may_share_memory"), _sharing("shares_memory")
    return Kernels(host)
