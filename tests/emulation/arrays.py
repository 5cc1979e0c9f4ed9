"""What stands in for CuPy where there is no GPU: arrays over host memory that behave as cupy.ndarray does.

Not a subclass of NumPy's array: nothing converts silently. Implicit conversion to NumPy raises, an operand that is a
NumPy array raises, `flags` has no `writeable`, every result of a function is an array, 0-d ones too, and only what CuPy
14 has is here (tests/test_cuda_device.py compares the names where CuPy is installed). Fresh memory is full of NaN.
"""

import operator as _operator
import sys

import numpy as _np

from . import capture as _capture
from .runtime import _allocator, _current, _Memory, cuda, get_default_memory_pool  # noqa: F401

_self = sys.modules[__name__]
_SCALARS = (bool, int, float, complex, _np.generic)


def _run(f, *args, **kwargs):
    """f's result; noted down where the current stream captures."""
    recording = _current[0].recording
    return f(*args, **kwargs) if recording is None else recording.run(f, args, kwargs)


def _write(h, f, *args, **kwargs):
    """The same for a function that writes to h."""
    recording = _current[0].recording
    return f(*args, **kwargs) if recording is None else recording.write(h, f, args, kwargs)


def _reads(what="synchronous API calls"):
    """What a capturing stream cannot do."""
    if _current[0].recording is not None:
        raise RuntimeError(_capture.DISALLOWED.format(what))


class _Flags:
    __slots__ = ("c_contiguous", "f_contiguous", "owndata")

    def __init__(self, h):
        self.c_contiguous, self.f_contiguous = h.flags.c_contiguous, h.flags.f_contiguous
        self.owndata = h.flags.owndata

    @property
    def forc(self):
        return self.c_contiguous or self.f_contiguous


class ndarray:
    __slots__ = ("_h", "_base", "__weakref__")
    __array_priority__ = 100

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        self._h = _fresh(shape, dtype)
        self._base = None

    shape = property(lambda self: self._h.shape)
    dtype = property(lambda self: self._h.dtype)
    ndim = property(lambda self: self._h.ndim)
    size = property(lambda self: self._h.size)
    strides = property(lambda self: self._h.strides)
    itemsize = property(lambda self: self._h.itemsize)
    nbytes = property(lambda self: self._h.nbytes)
    flags = property(lambda self: _Flags(self._h))
    base = property(lambda self: self._base)
    data = property(lambda self: _Memory(self._h.__array_interface__["data"][0]))
    device = property(lambda self: cuda.Device(0))
    T = property(lambda self: _view(self, self._h.T))
    mT = property(lambda self: _view(self, self._h.mT))
    real = property(lambda self: _view(self, self._h.real))
    flat = property(lambda self: _refuse("flat"))

    @property
    def imag(self):
        return _view(self, self._h.imag) if self._h.dtype.kind == "c" else _wrap(_np.zeros_like(self._h))

    @imag.setter
    def imag(self, value):
        _write(self._h, setattr, self._h, "imag", _operand(value))

    @real.setter
    def real(self, value):
        _write(self._h, setattr, self._h, "real", _operand(value))

    @property
    def __cuda_array_interface__(self):
        h = self._h
        return {
            "shape": h.shape, "strides": None if h.flags.c_contiguous else h.strides, "typestr": h.dtype.str,
            "data": (self.data.ptr, False), "version": 3, "stream": 1,
        }  # fmt: skip

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    def get(self, stream=None, order="C", out=None, blocking=True):
        """A copy on the host."""
        _reads()
        return _np.array(self._h, order=order, copy=True)

    def set(self, arr, stream=None):
        if not isinstance(arr, _np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self._h.dtype != arr.dtype or self._h.shape != arr.shape:
            raise ValueError("set: dtype or shape mismatch")
        _reads("H2D transfers")
        self._h[...] = arr

    def item(self):
        _reads()
        return self._h.item()

    def tolist(self):
        _reads()
        return self._h.tolist()

    def __bool__(self):
        _reads()
        return bool(self._h)

    def __int__(self):
        _reads()
        return int(self._h)

    def __float__(self):
        _reads()
        return float(self._h)

    def __complex__(self):
        _reads()
        return complex(self._h)

    def __index__(self):
        raise TypeError("only integer scalar arrays can be converted to a scalar index")

    def __len__(self):
        return len(self._h)

    def __iter__(self):
        if self._h.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self._h)))

    def __repr__(self):
        _reads()
        return repr(self._h)

    __hash__ = None

    def __reduce__(self):
        return asarray, (self.get(),)

    def __deepcopy__(self, memo):
        return self.copy()

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if dl_device is not None and tuple(dl_device) != (1, 0):
            raise BufferError("stand-in arrays lie in host memory")
        return self._h.__dlpack__(max_version=max_version)

    def __dlpack_device__(self):
        return (2, 0)

    def __getitem__(self, key):
        key = _key(key)
        if _masks(key):
            _reads()
        return _view(self, _run(_operator.getitem, self._h, key))

    def __setitem__(self, key, value):
        key, value = _key(key), _operand(value)
        if _masks(key) and _np.ndim(value):
            _reads()
        _write(self._h, _operator.setitem, self._h, key, value)

    def _astype(self, dtype, order="K", casting="unsafe", subok=None, copy=True):
        r = _run(self._h.astype, dtype, order=order, copy=copy)
        return self if r is self._h else _wrap(r)

    astype = _astype

    def copy(self, order="C"):
        return _wrap(_run(self._h.copy, order))

    def view(self, dtype=None):
        return _view(self, self._h.view() if dtype is None else self._h.view(dtype))

    def fill(self, value):
        _write(self._h, self._h.fill, value.item() if isinstance(value, ndarray) else value)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        function = getattr(_self, ufunc.__name__, None)
        if function is not None and method != "__call__":
            function = getattr(function, method, None)
        if function is None:
            return NotImplemented
        if ufunc.__name__ in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"):
            inputs = tuple(x.item() if isinstance(x, _np.ndarray) and x.ndim == 0 else x for x in inputs)
        return function(*inputs, **kwargs)

    def __array_function__(self, func, types, args, kwargs):
        module = _self
        for part in func.__module__.split(".")[1:]:
            module = getattr(module, part, None)
        function = getattr(module, func.__name__, None)
        if function is None or function is func:
            return NotImplemented
        if not all(issubclass(t, (ndarray, _np.ndarray)) for t in types):
            return NotImplemented
        return function(*args, **kwargs)


def _refuse(name):
    raise NotImplementedError(f"the stand-in has no {name}")


def _wrap(h):
    a = object.__new__(ndarray)
    a._h, a._base = h if isinstance(h, _np.ndarray) else _np.asarray(h), None
    return a


def _view(parent, h):
    """A result that shares parent's memory keeps it as its base."""
    if not isinstance(h, _np.ndarray):
        h = _np.asarray(h)
        return _wrap(h)
    a = _wrap(h)
    if h.base is not None and _np.may_share_memory(h, parent._h):
        a._base = parent if parent._base is None else parent._base
    return a


def _masks(key):
    """Whether an index has a mask in it, whose elements must be counted."""
    parts = key if isinstance(key, tuple) else (key,)
    return True in [isinstance(k, _np.ndarray) and k.dtype == bool for k in parts]


def _fresh(shape, dtype):
    h = _np.empty(shape, dtype)
    _allocator[0].blocks.append(h)
    if h.size and h.dtype.kind in "fcV":
        h.view(_np.uint8 if h.ndim else h.dtype)[...] = 255 if h.ndim else _np.nan
    return h


def _operand(x):
    """An argument as NumPy takes it; a NumPy array is refused, as CuPy refuses it."""
    if isinstance(x, ndarray):
        return x._h
    if isinstance(x, _np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, (list, tuple)):
        return type(x)(map(_operand, x))
    return x


def _key(key):
    """An index: CuPy takes lists and NumPy arrays there, too."""
    if isinstance(key, tuple):
        return tuple(map(_key, key))
    return key._h if isinstance(key, ndarray) else key


def _result(r):
    if isinstance(r, tuple):
        named = type(r)
        return named(*map(_result, r)) if hasattr(named, "_fields") else tuple(map(_result, r))
    if isinstance(r, list):
        return [_result(v) for v in r]
    if isinstance(r, (_np.ndarray, _np.generic)):
        return _wrap(r)
    return r


def _function(f):
    def call(*args, **kwargs):
        if f.__name__ in _capture.SYNCHRONOUS:
            _reads()
        out = kwargs.get("out")
        args, kwargs = tuple(map(_operand, args)), {k: _operand(v) for k, v in kwargs.items()}
        if isinstance(out, ndarray):
            _write(out._h, f, *args, **kwargs)
            return out
        return _result(_run(f, *args, **kwargs))

    call.__name__ = call.__qualname__ = f.__name__
    return call


def _shared(f):
    """A function whose result may be a view of its first argument."""

    def call(a, *args, **kwargs):
        r = _run(f, a._h, *map(_operand, args), **kwargs)
        if isinstance(r, (list, tuple)):
            return [_view(a, v) for v in r]
        return a if r is a._h else _view(a, r)

    call.__name__ = call.__qualname__ = f.__name__
    return call


class _Ufunc:
    """A universal function with CuPy's methods: reduce and accumulate of add and multiply, at of a few."""

    def __init__(self, f):
        self.f = f
        self.__name__ = self.name = f.__name__

    def __call__(self, *args, **kwargs):
        if kwargs.pop("where", True) is not True:
            raise TypeError("Wrong arguments {'where'}")
        out = kwargs.get("out")
        if len(args) > self.f.nin:
            out = args[self.f.nin]
        if out is not None and not isinstance(out, ndarray):
            raise TypeError("Output arguments type must be cupy.ndarray")
        args, kwargs = tuple(map(_operand, args)), {k: _operand(v) for k, v in kwargs.items()}
        if out is None:
            return _result(_run(self.f, *args, **kwargs))
        _write(out._h, self.f, *args, **kwargs)
        return out

    def _only(self, names, method):
        if self.name not in names:
            raise NotImplementedError(f"`cupy_{self.name}.{method}` is not supported yet")

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        self._only(("add", "multiply"), "reduce")
        if out is not None:
            _write(out._h, self.f.reduce, array._h, axis, dtype, out._h, keepdims)
            return out
        return _result(_run(self.f.reduce, array._h, axis, dtype, None, keepdims))

    def accumulate(self, array, axis=0, dtype=None, out=None):
        self._only(("add", "multiply"), "accumulate")
        if out is not None:
            _write(out._h, self.f.accumulate, array._h, axis, dtype, out._h)
            return out
        return _result(_run(self.f.accumulate, array._h, axis, dtype))

    def reduceat(self, array, indices, axis=0, dtype=None, out=None):
        self._only(("add",), "reduceat")
        return _result(_run(self.f.reduceat, array._h, _operand(indices), axis, dtype, _operand(out)))

    def at(self, a, indices, b=None):
        self._only(("add", "subtract", "maximum", "minimum"), "at")
        _write(a._h, self.f.at, a._h, _key(indices), _operand(b))

    def outer(self, a, b, **kwargs):
        return _result(_run(self.f.outer, _operand(a), _operand(b), **kwargs))


UFUNCS = """
absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or bitwise_xor cbrt ceil conjugate
copysign cos cosh deg2rad divide divmod equal exp exp2 expm1 floor floor_divide fmax fmin fmod frexp gcd greater
greater_equal heaviside hypot invert isfinite isinf isnan lcm ldexp left_shift less less_equal log log10 log1p log2
logaddexp logaddexp2 logical_and logical_not logical_or logical_xor maximum minimum modf multiply negative nextafter
not_equal positive power rad2deg reciprocal remainder right_shift rint sign signbit sin sinh sqrt square subtract tan
tanh true_divide trunc float_power
""".split()
FUNCTIONS = """
all amax amin angle any argmax argmin argpartition argsort array_equal average bincount choose clip compress concatenate
convolve corrcoef count_nonzero cov cross cumprod cumsum diff dot einsum empty_like full_like hstack histogram
histogramdd i0 inner isclose isin isneginf isposinf kron lexsort max mean median min nan_to_num nanmax nanmean
nanmedian nanmin nanprod nansum nonzero ones_like outer pad partition percentile prod ptp put_along_axis quantile repeat
roll searchsorted sinc sort stack std sum take take_along_axis tensordot tile trace tril triu unique var vdot vstack
where zeros_like flatnonzero argwhere round around real_if_close matmul delete append interp fix
""".split()
VIEWS = """
atleast_1d atleast_2d broadcast_to diagonal expand_dims flip fliplr flipud imag moveaxis ravel real reshape rot90 rollaxis
split squeeze swapaxes transpose array_split
""".split()
CREATION = "arange empty eye full identity indices linspace ones tri zeros".split()

for _name in UFUNCS:
    globals()[_name] = _Ufunc(getattr(_np, _name))
for _name in FUNCTIONS:
    globals()[_name] = _function(getattr(_np, _name))
for _name in VIEWS:
    globals()[_name] = _shared(getattr(_np, _name))
for _name in CREATION:
    globals()[_name] = _function(getattr(_np, _name))
conj, abs, mod = conjugate, absolute, remainder  # noqa: F821
bitwise_not = invert  # noqa: F821


def empty(shape, dtype=float, order="C"):
    return _wrap(_fresh(shape, dtype))


def empty_like(a, dtype=None, order="K", subok=None, shape=None):
    return _wrap(_fresh(a._h.shape if shape is None else shape, a._h.dtype if dtype is None else dtype))


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """From anything: what lies on the host is copied."""
    if isinstance(obj, (list, tuple)) and any(isinstance(v, ndarray) for v in obj):
        obj = _wrap(_run(_np.stack, [v._h if isinstance(v, ndarray) else _np.asarray(v) for v in obj]))
    if isinstance(obj, ndarray):
        if (
            not copy
            and (dtype is None or obj._h.dtype == dtype)
            and (order in ("K", "A", None) or obj._h.flags.c_contiguous)
        ):
            return obj
        return _wrap(_run(_np.array, obj._h, dtype=dtype, order=order, ndmin=ndmin, copy=True))
    _reads("H2D transfers")
    return _wrap(_np.array(obj, dtype=dtype, order=order, ndmin=ndmin, copy=True))


def asarray(a, dtype=None, order=None, *, blocking=False):
    return array(a, dtype, False, order or "K")


def ascontiguousarray(a, dtype=None):
    a = asarray(a, dtype)
    return a if a._h.flags.c_contiguous else _wrap(_run(_np.ascontiguousarray, a._h))


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get() if isinstance(a, ndarray) else _np.asarray(a)


def copyto(dst, src, casting="same_kind", where=None):
    _write(dst._h, _np.copyto, dst._h, _operand(src), casting, True if where is None else _operand(where))


def broadcast_arrays(*args):
    return [_view(a, h) for a, h in zip(args, _np.broadcast_arrays(*(a._h for a in args)), strict=True)]


def may_share_memory(a, b, max_work=None):
    return isinstance(a, ndarray) and isinstance(b, ndarray) and _np.may_share_memory(a._h, b._h)


def shares_memory(a, b, max_work=None):
    return isinstance(a, ndarray) and isinstance(b, ndarray) and _np.shares_memory(a._h, b._h)


def from_dlpack(array, *, device=None, copy=None):
    return _wrap(_np.from_dlpack(_OnHost(array)))


class _OnHost:
    """Another library's memory, which here lies on the host, too."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, max_version=None, **kwargs):  # by the version NumPy knows what may be written
        return self.array.__dlpack__(max_version=max_version)

    def __dlpack_device__(self):
        return (1, 0)


def _joining(f):
    def join(arrays, axis=0, *args, **kwargs):
        if False in [isinstance(a, ndarray) for a in arrays]:
            raise TypeError("Only cupy arrays can be concatenated")
        return _wrap(_run(f, [a._h for a in arrays], axis, *args, **kwargs))

    return join


concatenate, stack = _joining(_np.concatenate), _joining(_np.stack)


def result_type(*values):
    return _np.result_type(*(v._h if isinstance(v, ndarray) else v for v in values))


dtype, inf, nan, pi, newaxis = _np.dtype, _np.inf, _np.nan, _np.pi, None
for _name in (
    "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool_ complex64 complex128 generic "
    "finfo iinfo broadcast_shapes"
).split():
    globals()[_name] = getattr(_np, _name)


class _Namespace:
    def __init__(self, source, functions):
        for name in functions.split():
            setattr(self, name, _function(getattr(source, name)))


linalg = _Namespace(
    _np.linalg,
    "cholesky det eig eigh eigvals eigvalsh inv lstsq matrix_power matrix_rank norm pinv qr slogdet solve svd tensorinv",
)
fft = _Namespace(_np.fft, "fft fft2 fftn fftshift ifft ifft2 ifftn ifftshift irfft irfft2 irfftn rfft rfft2 rfftn")


class lib:
    class stride_tricks:
        @staticmethod
        def as_strided(x, shape=None, strides=None):
            return _view(x, _np.lib.stride_tricks.as_strided(x._h, shape, strides))

        @staticmethod
        def sliding_window_view(x, window_shape, axis=None):
            return _view(x, _np.lib.stride_tricks.sliding_window_view(x._h, window_shape, axis))


class _Operators:
    """Python's operators, by the functions above."""

    names = {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
        "mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
        "lshift": "left_shift", "rshift": "right_shift", "matmul": "matmul",
    }  # fmt: skip
    comparisons = {
        "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
    }  # fmt: skip

    @classmethod
    def install(cls):
        def binary(name, swapped=False):
            def method(self, other):
                if not isinstance(other, (ndarray, _np.ndarray, *_SCALARS)):
                    return NotImplemented
                f = globals()[name]
                return f(other, self) if swapped else f(self, other)

            return method

        def in_place(name):
            def method(self, other):
                h = _operand(other)
                f = _np.matmul if name == "matmul" else getattr(_np, name)
                _write(self._h, f, self._h, h, out=self._h, casting="same_kind")
                return self

            return method

        for dunder, name in cls.names.items():
            setattr(ndarray, f"__{dunder}__", binary(name))
            setattr(ndarray, f"__r{dunder}__", binary(name, True))
            setattr(ndarray, f"__i{dunder}__", in_place(name))
        for dunder, name in cls.comparisons.items():
            setattr(ndarray, f"__{dunder}__", binary(name))
        for dunder, name in {"neg": "negative", "abs": "absolute", "invert": "invert", "pos": "positive"}.items():
            setattr(ndarray, f"__{dunder}__", lambda self, name=name: globals()[name](self))
        for name in (
            "all any argmax argmin argsort clip conj cumprod cumsum diagonal dot flatten max mean min nonzero prod ptp ravel "
            "repeat reshape round searchsorted squeeze std sum swapaxes take trace transpose var"
        ).split():
            setattr(ndarray, name, cls.method(name))

    @staticmethod
    def method(name):
        def call(self, *args, **kwargs):
            if name in _capture.SYNCHRONOUS:
                _reads()
            out = kwargs.get("out")
            args, kwargs = tuple(map(_operand, args)), {k: _operand(v) for k, v in kwargs.items()}
            if out is not None:
                _write(out._h, getattr(self._h, name), *args, **kwargs)
                return out
            r = _run(getattr(self._h, name), *args, **kwargs)
            return _result(r) if isinstance(r, tuple) else _view(self, r)

        return call


_Operators.install()
