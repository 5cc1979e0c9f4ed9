"""Parameter and Buffer: the two kinds of Tensor that a Module keeps track of when they are assigned to it, and their
forms without a shape, which lazy modules have before the first call."""

from collections import OrderedDict

import fastnn
from fastnn.tensor import Tensor, wrap


def _rebuild_parameter(data: Tensor, requires_grad: bool, backward_hooks=None) -> "Parameter":
    return Parameter(data, requires_grad)


class Parameter(Tensor):
    """A tensor that a module learns: assigned as an attribute it appears in `parameters()` and `state_dict()`.

    Shares memory with `data`; `requires_grad` is on unless said otherwise.
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True):
        if data is None:
            data = fastnn.empty(0)
        elif not isinstance(data, Tensor):
            raise TypeError(f"Parameter(): data must be a Tensor, got {type(data).__name__}")
        return Tensor._make_subclass(cls, data.detach(), requires_grad)

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True):
        pass  # made whole by __new__

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        return memo[id(self)]

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __reduce_ex__(self, protocol):
        return _rebuild_parameter, (self.detach(), self.requires_grad, OrderedDict())


class Buffer(Tensor):
    """A tensor that belongs to a module's state but is not learned (a running mean, a mask).

    Assigned as an attribute it appears in `buffers()`, and in `state_dict()` if `persistent`.
    """

    __slots__ = ("persistent",)

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True):
        if data is None:
            data = fastnn.empty(0)
        buffer = Tensor._make_subclass(cls, data.detach(), data.requires_grad)
        buffer.persistent = persistent
        return buffer

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True):
        pass  # made whole by __new__


# ---------------------------------------------------------------- without a shape yet


if Tensor.__module__ == "torch":  # under `python -m fastnn run`
    Parameter.__module__ = "torch.nn.parameter"


class UninitializedTensorMixin:
    """What is left of a tensor whose shape is not known yet: its dtype, device and whether it wants a gradient."""

    __slots__ = ()
    cls_to_become: type = Tensor

    @property
    def _a(self):
        raise ValueError(
            f"Attempted to use an uninitialized {'parameter' if isinstance(self, Parameter) else 'buffer'}: its shape is "
            "known after the first call of its LazyModule. Call the model once with a dummy batch before."
        )

    @property
    def shape(self):
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to "
            "initialize the parameters before accessing their attributes."
        )

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def data(self):
        """The empty tensor underneath: what is done to it has no effect on what the parameter becomes."""
        return wrap(Tensor._a.__get__(self))

    @property
    def device(self):
        return self.data.device

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def detach(self):
        return self

    def _convert(self, fn) -> None:
        """fn (to another dtype or device) on the empty tensor underneath."""
        Tensor._a.__set__(self, fn(self.data)._a)

    def materialize(self, shape, device=None, dtype=None) -> None:
        """Become a tensor of `shape`, uninitialised memory, under the same identity."""
        memory = fastnn.empty(shape, device=device, dtype=dtype if dtype is not None else self.dtype)
        self.__class__ = self.cls_to_become
        self._a = memory._a

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _uninitialized(cls, requires_grad, device, dtype):
    t = Tensor._make_subclass(cls.cls_to_become, fastnn.empty(0, device=device, dtype=dtype), requires_grad)
    t.__class__ = cls
    return t


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A Parameter whose shape the first input of its LazyModule decides; materialize(shape) makes it an ordinary one."""

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device=None, dtype=None):
        return _uninitialized(cls, requires_grad, device, dtype)

    def __init__(self, requires_grad: bool = True, device=None, dtype=None):
        pass  # made whole by __new__

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, dtype=self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return type(self), (self.requires_grad, None, self.dtype)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose shape the first input of its LazyModule decides."""

    __slots__ = ()
    cls_to_become = Tensor

    def __new__(cls, requires_grad: bool = False, device=None, dtype=None, persistent: bool = True):
        return _uninitialized(cls, requires_grad, device, dtype)

    def __init__(self, requires_grad: bool = False, device=None, dtype=None, persistent: bool = True):
        pass  # made whole by __new__

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(dtype=self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return type(self), (self.requires_grad, None, self.dtype)


def is_lazy(value) -> bool:
    """Whether `value` is a parameter or buffer without a shape yet."""
    return isinstance(value, UninitializedTensorMixin)
