"""Parameter and Buffer: the two kinds of Tensor that a Module keeps track of when they are assigned to it."""

from collections import OrderedDict

import fastnn
from fastnn.tensor import Tensor


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
