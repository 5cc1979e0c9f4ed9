"""Variable: the name that tensors with a gradient had in old scripts."""

import warnings

from ..tensor import Tensor


class _VariableType(type):
    def __instancecheck__(cls, x):
        return isinstance(x, Tensor)


class Variable(metaclass=_VariableType):
    """`Variable(data, requires_grad=False)` is a Tensor over data's memory, apart from its graph; every Tensor is an
    instance. TypeError where data is no Tensor; `volatile` has no effect any more, and warns."""

    def __new__(cls, data=None, requires_grad=False, volatile=None, _grad_fn=None, name=None):
        if data is None:
            made = Tensor()
        elif isinstance(data, Tensor):
            made = data.detach()
        else:
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if volatile is not None and volatile is not False:
            warnings.warn(
                "volatile was removed and now has no effect. Use `with torch.no_grad():` instead.", stacklevel=2
            )
        return made.requires_grad_() if requires_grad else made
