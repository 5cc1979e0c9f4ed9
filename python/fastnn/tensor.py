"""The Tensor: an array, its place in the graph, and its interchange with Python and other libraries.

The operations are functions in fastnn.ops; `_methods.py` hangs them on this class under torch's names. Nothing here
computes.
"""

import weakref

from . import _tape, backend
from . import dtypes as dt
from ._device import CPU, CUDA, channels_last, channels_last_3d, check_device, device, strided
from ._size import Size, check_dim
from ._tape import InferenceVersion, Leaf, Version, grad_mode
from .backend import xp

_new = object.__new__
_ndarray = xp.ndarray


def wrap(a):
    """A Tensor over the array `a`, outside any graph."""
    t = _new(Tensor)
    t._a = a
    t._fn = t._ver = t._grad = t._view = None
    if _tape.inference_depth and grad_mode.inference:
        t._ver = InferenceVersion()
    return t


class Tensor:
    """A multi-dimensional array with a gradient. See torch.Tensor; made by fastnn.tensor, zeros, rand, from_numpy ..."""

    # _a     the array, NumPy's on the CPU
    # _fn    None where no gradient is wanted; a Leaf where the user asked for one; else the Node that made it
    # _ver   the Version shared with views and detached aliases; None while there is none and nothing was written
    # _grad  the gradient, a Tensor
    # _view  the Tensor whose memory this is a differentiable view of
    __slots__ = ("_a", "_fn", "_ver", "_grad", "_view", "__dict__", "__weakref__")
    __array_priority__ = 1000
    _k = None  # the backend module: set by backend.use for all, and in the instance's dict by a device of its own

    def __new__(cls, *data, device=None):
        check_device(device, "Tensor")
        return legacy_new(cls, data, dt.get_default_dtype(), "Tensor")

    def __init__(self, *args, **kwargs):
        pass

    @staticmethod
    def _make_subclass(cls, data, require_grad=False):
        """`data`'s memory under the class `cls`, as a leaf (nn.Parameter)."""
        t = _new(cls)
        t._a = data._a
        t._ver = shared_version(data)
        t._fn = t._grad = t._view = None
        if require_grad:
            t.requires_grad_(True)
        return t

    # ------------------------------------------------------------ what it is

    @property
    def shape(self) -> Size:
        return Size(self._a.shape)

    @property
    def dtype(self) -> dt.dtype:
        return dt.from_np(self._a.dtype)

    @property
    def device(self) -> device:
        return CPU if self._a.__class__ is _ndarray else CUDA

    @property
    def ndim(self) -> int:
        return self._a.ndim

    @property
    def layout(self):
        return strided

    @property
    def itemsize(self) -> int:
        return self._a.itemsize

    @property
    def nbytes(self) -> int:
        return self._a.nbytes

    @property
    def names(self):
        return (None,) * self._a.ndim

    @property
    def is_cuda(self) -> bool:
        return self._a.__class__ is not _ndarray

    @property
    def is_cpu(self) -> bool:
        return self._a.__class__ is _ndarray

    is_sparse = is_quantized = is_mkldnn = is_meta = is_mps = is_nested = is_xpu = False

    def size(self, dim=None):
        if dim is None:
            return Size(self._a.shape)
        return self._a.shape[check_dim(dim, self._a.ndim)]

    def dim(self) -> int:
        return self._a.ndim

    ndimension = dim

    def numel(self) -> int:
        return self._a.size

    nelement = numel

    def element_size(self) -> int:
        return self._a.itemsize

    def stride(self, dim=None):
        item = self._a.itemsize
        strides = tuple(s // item for s in _torch_strides(self._a))
        return strides if dim is None else strides[check_dim(dim, self._a.ndim)]

    def storage_offset(self) -> int:
        root = self._a
        while isinstance(root.base, (_ndarray, type(root))):
            root = root.base
        return (xp.address(self._a) - xp.address(root)) // self._a.itemsize

    def data_ptr(self) -> int:
        return xp.address(self._a) if self._a.size else 0

    def is_contiguous(self, memory_format=None) -> bool:
        """Whether the elements lie in memory in order; with memory_format=channels_last, the channels last."""
        if memory_format in (channels_last, channels_last_3d):
            n = 4 if memory_format is channels_last else 5
            return self._a.ndim == n and self._a.transpose(0, *range(2, n), 1).flags.c_contiguous
        return self._a.flags.c_contiguous

    def get_device(self) -> int:
        """The device's number; -1 on the CPU."""
        return 0 if self.is_cuda else -1

    def is_floating_point(self) -> bool:
        return self.dtype.category == 2

    def is_complex(self) -> bool:
        return self.dtype.category == 3

    def is_signed(self) -> bool:
        return self.dtype.is_signed

    def is_pinned(self) -> bool:
        return False

    def is_shared(self) -> bool:
        return False

    def is_inference(self) -> bool:
        """Whether it was made under inference_mode."""
        return self._ver.__class__ is InferenceVersion

    def is_set_to(self, tensor) -> bool:
        return xp.address(self._a) == xp.address(tensor._a) and self._a.strides == tensor._a.strides

    # ------------------------------------------------------------ the graph

    @property
    def requires_grad(self) -> bool:
        return self._fn is not None

    @requires_grad.setter
    def requires_grad(self, value):
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad=True):
        """Ask for a gradient of this leaf. Raises RuntimeError for a tensor that is not floating point or not a leaf."""
        if requires_grad:
            if self._fn is None:
                if self.is_inference() and not grad_mode.inference:
                    raise RuntimeError(
                        "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
                    )
                if self.dtype.category < 2:
                    raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
                self._fn = Leaf(self)
        elif self._fn is not None:
            if not self._fn.leaf:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable "
                    "in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            self._fn = None
        return self

    @property
    def is_leaf(self) -> bool:
        return self._fn is None or self._fn.leaf

    @property
    def grad_fn(self):
        return None if self._fn is None or self._fn.leaf else self._fn

    @property
    def grad(self):
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got {type(value).__name__}")
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value._a.shape != self._a.shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: {list(value._a.shape)}, expected {list(self._a.shape)}"
                )
            if value._a.dtype != self._a.dtype:
                raise RuntimeError(
                    f"assigned grad has data of a different type: {value.dtype}, the tensor's is {self.dtype}"
                )
        self._grad = value

    @grad.deleter
    def grad(self):
        self._grad = None

    @property
    def retains_grad(self) -> bool:
        fn = self._fn
        return fn is not None and not fn.leaf and fn.hooks is not None and "retain" in fn.hooks

    def retain_grad(self) -> None:
        """Keep this non-leaf's gradient in .grad."""
        if self._fn is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._fn.leaf:
            return
        ref = weakref.ref(self)

        def keep(g):
            t = ref()
            if t is not None:
                t._grad = wrap(g._a) if t._grad is None else t._grad + g

        self._hooks()["retain"] = keep

    def register_hook(self, hook):
        """Call hook(grad) when this tensor's gradient is complete; what it returns, if not None, replaces it."""
        if self._fn is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if not callable(hook):
            raise TypeError(f"register_hook: hook must be callable, got {type(hook).__name__}")
        hooks = self._hooks()
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        return handle

    def register_post_accumulate_grad_hook(self, hook):
        """Call hook(tensor) each time a gradient was added to this leaf's .grad."""
        if self._fn is None or not self._fn.leaf:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if self._fn.meta is None:
            self._fn.meta = {}
        handle = RemovableHandle(self._fn.meta)
        self._fn.meta[handle.id] = hook
        return handle

    def _hooks(self) -> dict:
        if self._fn.hooks is None:
            self._fn.hooks = {}
        return self._fn.hooks

    @property
    def _version(self) -> int:
        if self.is_inference():
            raise RuntimeError("Inference tensors do not track version counter.")
        return 0 if self._ver is None else self._ver.n

    def _bump(self) -> None:
        """Count an in-place change."""
        if self._ver is None:
            self._ver = Version()
        self._ver.n += 1

    def _wrap_grad(self, a):
        return wrap(a)

    def _accumulate(self, g) -> None:
        """self += the array g: how gradients add up in .grad."""
        if self._a.shape != g.shape or self._fn is not None:
            self._a = self._a + g
        elif self._a.flags.c_contiguous and (self._a.__class__ is not _ndarray or self._a.flags.writeable):
            self._k.add(self._a, g, self._a)
        else:
            self._a = self._k.add(self._a, g)
        self._bump()

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Add this tensor's derivatives to the .grad of the leaves it was made from (autograd.backward)."""
        from . import autograd

        autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self):
        """The same memory outside the graph; in-place changes are still noticed (the version counter is shared)."""
        t = wrap(self._a)
        t._ver = shared_version(self)
        return t

    def detach_(self):
        if self._view is not None:
            raise RuntimeError("Can't detach views in-place; use detach() instead.")
        self._fn = None
        return self

    @property
    def data(self):
        """The same memory outside the graph, with a version counter of its own: changes through it go unnoticed."""
        return wrap(self._a)

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self._fn is not None and value.dtype.category < 2:
            raise RuntimeError(
                f"data set to a tensor that requires gradients must be floating point or complex dtype, not {value.dtype}"
            )
        self._a = value._a
        self._ver = None

    # ------------------------------------------------------------ to Python

    def item(self):
        """The one value, as a Python number."""
        if self._a.size != 1:
            raise RuntimeError(f"a Tensor with {self._a.size} elements cannot be converted to Scalar")
        return self._a.item()

    def tolist(self):
        return self._a.tolist()

    def __bool__(self):
        if self._a.size != 1:
            if self._a.size == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self._a.item())

    def __float__(self):
        return float(self._one())

    def __int__(self):
        return int(self._one())

    def __complex__(self):
        return complex(self._one())

    def _one(self):
        if self._a.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self._a.item()

    def __index__(self):
        if self._a.size != 1 or self._a.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._a.item())

    def __len__(self):
        if self._a.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._a.shape[0]

    def __hash__(self):
        return id(self)

    def __format__(self, spec):
        if self._a.ndim == 0 and type(self) is Tensor:
            return self.item().__format__(spec)
        return object.__format__(self, spec)

    def __repr__(self, *, tensor_contents=None):
        from ._tensor_str import tensor_str

        fn = self._fn
        return tensor_str(
            xp.host(self._a),
            device=None if self._a.__class__ is _ndarray else str(self.device),
            dtype_name=self.dtype.name,
            default_dtype=dt.get_default_dtype().name,
            grad_fn_name=None if fn is None or fn.leaf else _tape.backward_name(fn),
            requires_grad=fn is not None,
        )

    def __reduce_ex__(self, protocol):
        if self._fn is not None and not self._fn.leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support pickling and the deepcopy protocol "
                "at the moment. Use detach() first."
            )
        if self._a.__class__ is not _ndarray:
            parts = type(self), xp.host(self._a), self._fn is not None, self.__dict__ or None
            return _rebuild_on, (str(self.device), parts)
        return _rebuild, (type(self), self._a, self._fn is not None, self.__dict__ or None)

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        if self._fn is not None and not self._fn.leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
            )
        import copy

        t = _rebuild(type(self), self._a.copy(order="K"), self._fn is not None, None)
        memo[id(self)] = t
        if self._grad is not None:
            t._grad = copy.deepcopy(self._grad, memo)
        for key, value in self.__dict__.items():
            t.__dict__[key] = copy.deepcopy(value, memo)
        return t

    def __dir__(self):
        return sorted(set(object.__dir__(self)) - {"_a", "_fn", "_ver", "_view"})

    # ------------------------------------------------------------ to other libraries

    def numpy(self, *, force=False):
        """The array itself: shares memory. Raises RuntimeError where a gradient is asked for, unless force."""
        if self._fn is not None:
            if not force:
                raise RuntimeError(
                    "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
                )
        if self._a.__class__ is not _ndarray:
            if not force:
                raise TypeError(
                    "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory "
                    "first."
                )
            return xp.host(self._a)
        return self._a

    def __array__(self, dtype=None, copy=None):
        a = self.numpy()
        if dtype is not None and a.dtype != dtype:
            if copy is False:
                raise ValueError(
                    f"__array__: dtype {dtype} of a {a.dtype} tensor needs a copy, and copy=False was given"
                )
            return a.astype(dtype)
        return a.copy() if copy else a

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return wrap(xp.asarray(array))

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if self._fn is not None:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        keywords = {}
        if stream is not None and self._a.__class__ is not _ndarray:
            keywords["stream"] = stream
        if max_version is not None:
            keywords["max_version"] = max_version
        if dl_device is not None:
            keywords["dl_device"] = dl_device
        if copy is not None:
            keywords["copy"] = copy
        return self._a.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self._a.__dlpack_device__()


def legacy_new(cls, data, d, function):
    """A tensor of class cls and dtype d: of the sizes `data`, or over the one Tensor, or of the one sequence or array."""
    t = _new(cls)
    t._fn = t._ver = t._grad = t._view = None
    if not data:
        t._a = xp.empty((0,), d.np)
    elif len(data) == 1 and not isinstance(data[0], (int, xp.integer)):
        given = data[0]
        if isinstance(given, Tensor):
            if given.dtype is not d and function != "Tensor":  # Tensor(t) is over any t
                raise TypeError(f"{function}(): expected {d.short} (got {given.dtype.short}); convert it with .to({d})")
            t._a = given._a
            t._ver = shared_version(given)
        elif isinstance(given, Size):
            t._a = xp.empty(given, d.np)
        elif isinstance(given, (float, complex, str)) or given is None:
            raise TypeError(f"new(): data must be a sequence (got {type(given).__name__})")
        else:
            from .ops.create import tensor

            t._a = tensor(given, dtype=d)._a
    else:
        for n in data:
            if not hasattr(n, "__index__"):
                raise TypeError(f"{function}(): sizes must be ints, got {type(n).__name__} {n!r}")
            if n < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(data)}")
        t._a = xp.empty(data, d.np)
    return t


class RemovableHandle:
    """What registering a hook gives: remove() takes the hook out again; a context manager does so on exit."""

    _ids = iter(range(1 << 62))

    def __init__(self, hooks: dict):
        self._registered = hooks
        self.id = next(RemovableHandle._ids)

    def remove(self) -> None:
        self._registered.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def _rebuild(cls, array, requires_grad, attributes):
    t = _new(cls)
    t._a = array
    t._fn = t._ver = t._grad = t._view = None
    if requires_grad:
        t.requires_grad_(True)
    if attributes:
        t.__dict__.update(attributes)
    return t


def _rebuild_on(device, parts):
    t = _rebuild(*parts)
    t._a = check_device(device, "loading a tensor").asarray(t._a)
    return t


def _torch_strides(a):
    """NumPy's strides, except where a size of 0 or 1 leaves them open: there, a contiguous array's."""
    if not a.flags.c_contiguous:
        return a.strides
    strides = []
    step = a.itemsize
    for s in reversed(a.shape):
        strides.append(step)
        step *= max(s, 1)
    return tuple(reversed(strides))


def shared_version(t) -> Version:
    """t's version counter, made if there was none: for an alias that is to share it."""
    if t._ver is None:
        t._ver = Version()
    return t._ver


def _set_backend(module):
    Tensor._k = module if backend.devices is None else backend.devices.Kernels(module)


backend.on_change(_set_backend)
__all__ = ["Tensor", "Size", "check_device", "check_dim", "device", "strided", "wrap", "grad_mode", "_tape"]
