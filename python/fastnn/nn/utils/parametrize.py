"""Parameters computed from others: `module.weight` becomes a property that runs modules on the original tensor."""

import copy
from contextlib import contextmanager

import fastnn
from fastnn.nn.modules.container import ModuleDict, ModuleList
from fastnn.nn.parameter import Parameter
from fastnn.tensor import Tensor

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip

_cache_depth = 0
_cache: dict = {}


@contextmanager
def cached():
    """Within, each parametrized tensor is computed once."""
    global _cache_depth
    _cache_depth += 1
    try:
        yield
    finally:
        _cache_depth -= 1
        if not _cache_depth:
            _cache.clear()


def _register(module, name, tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _is_tensors(value) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(v, Tensor) for v in value)


class ParametrizationList(ModuleList):
    """The modules that make a tensor of `original` (or of original0, original1, ...), applied in order."""

    def __init__(self, modules, original, unsafe: bool = False):
        modules = list(modules)
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with fastnn.no_grad():
            new = original
            for module in reversed(modules):
                if hasattr(module, "right_inverse"):
                    new = module.right_inverse(new)
        if not isinstance(new, Tensor) and not _is_tensors(new):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got "
                f"{type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if new.dtype != original.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}"
                )
            # The original keeps its identity: an optimizer may hold it.
            with fastnn.no_grad():
                original.data = new.data
            _register(self, "original", original)
        else:
            for i, tensor in enumerate(new):
                if isinstance(original, Parameter):
                    tensor = Parameter(tensor, original.requires_grad)
                _register(self, f"original{i}", tensor)
        if not self.unsafe:
            z = self()
            if not isinstance(z, Tensor):
                raise ValueError(f"A parametrization must return a tensor. Got {type(z).__name__}.")
            if z.dtype != dtype:
                raise ValueError(
                    "Registering a parametrization may not change the dtype of the tensor, unless `unsafe` flag is "
                    f"enabled.\nunparametrized dtype: {dtype}\nparametrized dtype: {z.dtype}"
                )
            if z.shape != shape:
                raise ValueError(
                    "Registering a parametrization may not change the shape of the tensor, unless `unsafe` flag is "
                    f"enabled.\nunparametrized shape: {shape}\nparametrized shape: {z.shape}"
                )

    def right_inverse(self, value) -> None:
        """Choose the originals so that the parametrized tensor is `value`."""
        with fastnn.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
            values, places = [value], ["original"]
            if not self.is_tensor:
                if not _is_tensors(value) or len(value) != self.ntensors:
                    raise ValueError(f"'right_inverse' must return a sequence of {self.ntensors} tensors")
                values, places = value, [f"original{i}" for i in range(self.ntensors)]
            for place, new in zip(places, values, strict=True):
                original = getattr(self, place)
                if new.dtype != original.dtype:
                    raise ValueError(
                        f"The tensor `{place}` has dtype {original.dtype}, while the new value has {new.dtype}"
                    )
                original.data = new.data

    def forward(self):
        originals = [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]
        first, *others = self
        x = first(*originals)
        for module in others:
            x = module(x)
        return x


def _inject_new_class(module) -> None:
    """Give the module a class of its own, on which properties can be set."""
    cls = module.__class__

    def default_deepcopy(self, memo):
        again = cls.__new__(cls)
        memo[id(self)] = again
        again.__setstate__(copy.deepcopy(cls.__getstate__(self), memo))
        _inject_new_class(again)  # of its own: removing the parametrization of one leaves the other's
        for name in again.parametrizations:
            _inject_property(again, name)
        return again

    def getstate(self):
        raise RuntimeError("Serialization of parametrized modules is only supported through state_dict()")

    members = {
        "__getstate__": getstate,
        "__module__": cls.__module__,
        "__qualname__": f"Parametrized{cls.__qualname__}",
    }
    if not hasattr(cls, "__deepcopy__"):
        members["__deepcopy__"] = default_deepcopy
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def _inject_property(module, name: str) -> None:
    def get(self):
        parametrization = self.parametrizations[name]
        if not _cache_depth:
            return parametrization()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = parametrization()
        return _cache[key]

    def put(self, value):
        self.parametrizations[name].right_inverse(value)

    setattr(module.__class__, name, property(get, put))


def register_parametrization(module, tensor_name: str, parametrization, *, unsafe: bool = False):
    """Let the parameter or buffer `tensor_name` be `parametrization(original)`; returns the module.

    Several may follow one another. Assigning to it needs a `right_inverse` in each. unsafe: shape or dtype may change.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if unsafe:
            module.parametrizations[tensor_name].unsafe = True
        listed = module.parametrizations[tensor_name]
        if not listed.unsafe:
            y = getattr(module, tensor_name)
            x = parametrization(y)
            if not isinstance(x, Tensor):
                raise ValueError(f"A parametrization must return a tensor. Got {type(x).__name__}.")
            if x.dtype != y.dtype or x.shape != y.shape:
                raise ValueError(
                    "Registering a parametrization may not change the dtype or shape of the tensor, unless the `unsafe` "
                    f"flag is enabled: from {y.dtype} {tuple(y.shape)} to {x.dtype} {tuple(x.shape)}"
                )
            if hasattr(parametrization, "right_inverse"):
                z = parametrization.right_inverse(x)
                if not isinstance(z, Tensor):
                    raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(z).__name__}")
        listed.append(parametrization)
        if unsafe:
            listed.unsafe = True
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        listed = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _inject_new_class(module)
            module.parametrizations = ModuleDict()
        _inject_property(module, tensor_name)
        module.parametrizations[tensor_name] = listed
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    return module


def is_parametrized(module, tensor_name: str | None = None) -> bool:
    """Whether the module has a parametrized tensor, of that name where one is given."""
    listed = getattr(module, "parametrizations", None)
    if not isinstance(listed, ModuleDict):
        return False
    return len(listed) > 0 if tensor_name is None else tensor_name in listed


def remove_parametrizations(module, tensor_name: str, leave_parametrized: bool = True):
    """Make the tensor an ordinary one again, with its present value, or with the original's; returns the module."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    listed = module.parametrizations[tensor_name]
    if listed.is_tensor:
        original = listed.original
        if leave_parametrized:
            with fastnn.no_grad():
                t = getattr(module, tensor_name)
            if t.dtype == original.dtype:
                original.data = t.data
            else:
                original = Parameter(t, original.requires_grad) if isinstance(original, Parameter) else t
    elif leave_parametrized:
        t = getattr(module, tensor_name)
        original = Parameter(t.detach()) if t.requires_grad else t
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    delattr(module.__class__, tensor_name)
    del module.parametrizations[tensor_name]
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = module.__class__.__bases__[0]
    _register(module, tensor_name, original)
    return module


def type_before_parametrizations(module) -> type:
    """The module's class before it was parametrized."""
    return module.__class__.__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module, to_module, tensor_name: str | None = None):
    """Give to_module the parametrizations of from_module (of one tensor, or of all) and copies of the tensors."""
    if not is_parametrized(from_module):
        return to_module
    names = [tensor_name] if tensor_name is not None else list(from_module.parametrizations)
    for name in names:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(from_module.parametrizations[name].original.detach().clone()))
        for parametrization in from_module.parametrizations[name]:
            register_parametrization(to_module, name, parametrization)
        source, target = from_module.parametrizations[name], to_module.parametrizations[name]
        if source.is_tensor:
            target.original = source.original
        else:
            for i in range(source.ntensors):
                setattr(target, f"original{i}", getattr(source, f"original{i}"))
    return to_module
