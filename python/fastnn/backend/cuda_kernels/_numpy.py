"""NumPy's names over device arrays: what the twins' sources find as `np` when they are composed for the device.

Most names are the array library's own. Its reductions by ufunc.reduce know add and multiply alone, and some functions
have another name or another default there: those are here. What neither has raises NotImplementedError with its name.
"""

import contextlib

import numpy as np

from .. import cuda_runtime as rt

arrays, ndarray = rt.arrays, rt.ndarray

# Types, constants and functions of shapes: NumPy's, they touch no array.
_HOST = frozenset(
    """
    bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp float16 float32 float64 complex64 complex128 dtype inf nan
    pi newaxis iinfo finfo generic integer floating broadcast_shapes ndindex result_type promote_types can_cast
    """.split()
)


class _Ufunc:
    """A ufunc of the array library, with the reductions that it leaves out."""

    def __init__(self, name, reduction=None, identity=None):
        self.__name__, self._f = name, getattr(arrays, name)
        self._reduction, self._identity = reduction, identity

    def __call__(self, *args, **kwargs):
        return self._f(*args, **kwargs)

    def reduce(self, x, axis=0, dtype=None, out=None, keepdims=False, initial=None):
        if axis == () or x.ndim == 0:
            return x.astype(x.dtype if dtype is None else dtype)
        if initial is not None and x.size == 0:
            axes = range(x.ndim) if axis is None else [a % x.ndim for a in np.atleast_1d(axis).tolist()]
            shape = [(1 if keepdims else None) if i in axes else n for i, n in enumerate(x.shape)]
            return arrays.full([n for n in shape if n is not None], initial, dtype or x.dtype)
        more = {} if dtype is None else {"dtype": dtype}
        if self._reduction in ("all", "any"):
            more = {}
        return getattr(arrays, self._reduction)(x, axis=axis, keepdims=keepdims, **more)

    def accumulate(self, x, axis=0, dtype=None, out=None):
        if self.__name__ == "logaddexp":  # by doubling: after step k each place has the last 2**k values
            x, n, k = arrays.moveaxis(x, axis, -1).copy(), x.shape[axis], 1
            while k < n:
                x[..., k:] = self._f(x[..., k:], x[..., :-k].copy())
                k *= 2
            return arrays.moveaxis(x, -1, axis)
        return self._f.accumulate(x, axis, dtype, out)

    def reduceat(self, x, indices, axis=0):
        return self._f.reduceat(x, indices, axis)

    def outer(self, x, y):
        return self._f.outer(x, y)

    def at(self, x, index, values):
        if self.__name__ != "multiply":
            if x.dtype.kind == "b" or x.dtype.itemsize == 2:  # the scatter takes neither
                wide = x.astype(np.float32 if x.dtype.kind in "fV" else np.int64)
                self.at(wide, index, arrays.asarray(values).astype(wide.dtype))
                x[...] = wide.astype(x.dtype)
                return
            self._f.at(x, index, values)
            return
        # A product has no scatter there. Values that name one place go in rounds: the n-th value of every place in
        # round n, so that no round names a place twice.
        place = index if isinstance(index, tuple) else (index,)
        flat = arrays.arange(x.size).reshape(x.shape)[place]
        values = arrays.broadcast_to(arrays.asarray(values), flat.shape).reshape(-1)
        flat = flat.reshape(-1)
        order = arrays.argsort(flat, kind="stable")
        flat, values, memory = flat[order], values[order], x.reshape(-1)
        turn = arrays.arange(flat.size) - arrays.searchsorted(flat, flat, side="left")
        for n in range(int(turn.max()) + 1 if flat.size else 0):
            at = turn == n
            memory[flat[at]] *= values[at]
        x[...] = memory.reshape(x.shape)


class _Ogrid:
    def __getitem__(self, slices):
        n = len(slices)
        return [
            arrays.arange(s.start or 0, s.stop).reshape((1,) * i + (-1,) + (1,) * (n - i - 1))
            for i, s in enumerate(slices)
        ]


class _Linalg:
    LinAlgError = np.linalg.LinAlgError

    def __getattr__(self, name):
        return _theirs(arrays.linalg, name, f"linalg.{name}")


def _theirs(module, name, shown):
    f = getattr(module, name, None)
    if f is not None:
        return f

    def missing(*args, **kwargs):
        raise NotImplementedError(f"{shown} has no counterpart on a CUDA device; move the tensor with .cpu() first")

    return missing


def _or_host(name):
    """A function that the twins also call with numbers and shapes."""
    theirs, ours = getattr(arrays, name), getattr(np, name)

    def f(x, *args, **kwargs):
        if isinstance(x, ndarray) or any(isinstance(a, ndarray) for a in args):
            return theirs(x, *args, **kwargs)
        return ours(x, *args, **kwargs)

    return f


def as_strided(x, shape=None, strides=None, writeable=None):
    return arrays.lib.stride_tricks.as_strided(x, shape, strides)


class _Lib:
    class stride_tricks:
        as_strided = staticmethod(as_strided)
        sliding_window_view = staticmethod(arrays.lib.stride_tricks.sliding_window_view)


class DeviceNumpy:
    """The namespace; attributes are found once and kept."""

    ndarray = ndarray
    ogrid, linalg = _Ogrid(), _Linalg()
    fft, lib = arrays.fft, _Lib
    random = np.random
    bool_ = np.bool_

    def __init__(self):
        for name, reduction in {
            "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all",
            "logical_or": "any", "logaddexp": None,
        }.items():  # fmt: skip
            setattr(self, name, _Ufunc(name, reduction))
        for name in ("prod", "any", "all", "sqrt", "exp", "log", "isnan", "absolute"):
            setattr(self, name, _or_host(name))
        self.abs = self.absolute

    def __getattr__(self, name):
        value = getattr(np, name) if name in _HOST else _theirs(arrays, name, name)
        setattr(self, name, value)
        return value

    @staticmethod
    def errstate(**kwargs):
        return contextlib.nullcontext()  # device arithmetic does not warn

    @staticmethod
    def shape(x):
        return getattr(x, "shape", ())

    @staticmethod
    def copyto(out, x, casting="same_kind", where=None):
        if where is None:
            out[...] = x
        else:
            arrays.copyto(out, x, casting, where)

    @staticmethod
    def where(c, a, b):
        if not isinstance(c, ndarray):
            c = arrays.asarray(c)
        return arrays.where(c, a, b)

    @staticmethod
    def searchsorted(a, v, side="left"):
        return arrays.searchsorted(a, arrays.asarray(v), side)

    @staticmethod
    def argsort(x, axis=-1, kind=None):
        return arrays.argsort(x, axis, kind="stable")  # the one kind CuPy has

    @staticmethod
    def bincount(x, weights=None, minlength=0):
        return arrays.bincount(x, weights, minlength)

    @staticmethod
    def frombuffer(*args, **kwargs):
        return np.frombuffer(*args, **kwargs)

    @staticmethod
    def asarray(x, dtype=None, order=None):
        return arrays.asarray(x, dtype, order)

    @staticmethod
    def array(x, dtype=None, copy=True, order="K"):
        return arrays.array(x, dtype, copy, order)
