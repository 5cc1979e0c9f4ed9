"""Containers: modules and parameters in order or by name."""

import operator
from collections import OrderedDict
from itertools import chain

from fastnn.nn import functional as F
from fastnn.nn.modules import _explain
from fastnn.nn.modules.activation import ReLU
from fastnn.nn.modules.conv import Conv2d
from fastnn.nn.modules.linear import Linear
from fastnn.nn.modules.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.tensor import Tensor


def _position(index, length: int) -> int:
    """`index` as a place in 0..length-1; IndexError where there is none."""
    index = operator.index(index)
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range")
    return index % length


def _grouped_repr(container) -> str:
    """The repr of a list of modules, equal neighbours written once: `(0-3): 4 x Linear(...)`."""
    groups: list[list] = []  # [first, last, text]
    for i, module in enumerate(container):
        text = repr(module)
        if groups and groups[-1][2] == text:
            groups[-1][1] = i
        else:
            groups.append([i, i, text])
    if not groups:
        return container._get_name() + "()"
    lines = [
        f"({first}): {text}" if first == last else f"({first}-{last}): {last - first + 1} x {text}"
        for first, last, text in groups
    ]
    return container._get_name() + "(\n  " + "\n  ".join(s.replace("\n", "\n  ") for s in lines) + "\n)"


# Layers whose kernel can apply the ReLU that follows them, and ReLU itself: what they are made of. Sequential calls what
# somebody has replaced, or has hooked, as it would any module.
_FUSED = {
    Linear: (Linear.forward, "linear", F.linear),
    Conv2d: (Conv2d.forward, "conv2d", F.conv2d),
    ReLU: (ReLU.forward, "relu", F.relu),
}


def _is_plain(module) -> bool:
    """Whether a module of _FUSED is as this package made it."""
    kind = module.__class__
    forward, name, function = _FUSED[kind]
    return (
        not module._has_hooks
        and kind.forward is forward
        and getattr(F, name) is function
        and "forward" not in module.__dict__
    )


def _with_relu(layer, input):
    try:
        return layer._forward_relu(input)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        _explain.annotate(layer, (input,), error)
        raise


class Sequential(Module):
    """Modules called one after the other, each on what the one before returned. A Linear or Conv2d and the ReLU after it
    are computed together, with the same bits, hooks and history as one after the other.

    Takes modules, or one ordered dictionary of names and modules.
    """

    def __init__(self, *args):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], dict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input):
        held = None  # a layer that a ReLU may follow
        for module in self._modules.values():
            kind = module.__class__
            if held is not None:
                if kind is ReLU and _is_plain(module):
                    input, held = _with_relu(held, input), None
                    continue
                input, held = held(input), None
            if (kind is Linear or kind is Conv2d) and _is_plain(module):
                held = module
            else:
                input = module(input)
        return input if held is None else held(input)

    def _replace_all(self, modules) -> None:
        modules = list(modules)
        self._modules.clear()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def _name_at(self, index) -> str:
        return list(self._modules)[_position(index, len(self))]

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._name_at(index)]

    def __setitem__(self, index, module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index) -> None:
        if isinstance(index, slice):
            for name in list(self._modules)[index]:
                delattr(self, name)
        else:
            delattr(self, self._name_at(index))
        self._replace_all(self._modules.values())

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __add__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return Sequential(*self, *other)

    def __iadd__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return self.extend(other)

    def __mul__(self, times: int):
        if not isinstance(times, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(times)}")
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self)}")
        return Sequential(*(module for _ in range(times) for module in self))

    __rmul__ = __mul__

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, module: Module):
        """Add a module at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module):
        """Put a module before place `index`; returns self."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        n = len(self)
        if not -n <= index <= n:
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index if index >= 0 else index + n, module)
        self._replace_all(modules)
        return self

    def extend(self, modules):
        """Add several modules at the end; returns self."""
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, index):
        """Take the module at `index` out and return it."""
        module = self[index]
        del self[index]
        return module


class ModuleList(Module):
    """A list of modules that are registered as children "0", "1", ..."""

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def forward(self, *input):
        raise NotImplementedError('Module [ModuleList] is missing the required "forward" function')

    def _replace_all(self, modules) -> None:
        modules = list(modules)
        self._modules.clear()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(list(self._modules.values())[index])
        return self._modules[str(_position(index, len(self)))]

    def __setitem__(self, index, module) -> None:
        setattr(self, str(_position(index, len(self))), module)

    def __delitem__(self, index) -> None:
        modules = list(self)
        del modules[index if isinstance(index, slice) else _position(index, len(self))]
        self._replace_all(modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __contains__(self, module) -> bool:
        return any(module is own for own in self)

    def __add__(self, other):
        return type(self)(chain(self, other))

    def __iadd__(self, modules):
        return self.extend(modules)

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, module: Module):
        """Add a module at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Put a module before place `index`."""
        modules = list(self)
        modules.insert(index, module)
        self._replace_all(modules)

    def extend(self, modules):
        """Add several modules at the end; returns self."""
        try:
            modules = list(modules)
        except TypeError:
            raise TypeError(
                "ModuleList.extend should be called with an iterable, but got " + type(modules).__name__
            ) from None
        for module in modules:
            self.append(module)
        return self

    def pop(self, index):
        """Take the module at `index` out and return it."""
        module = self[index]
        del self[index]
        return module

    def __repr__(self) -> str:
        return _grouped_repr(self)


class ModuleDict(Module):
    """A dictionary of modules, in order of insertion, registered as children under their keys."""

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def forward(self, *input):
        raise NotImplementedError('Module [ModuleDict] is missing the required "forward" function')

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Take the module under `key` out and return it."""
        return self._modules.pop(key)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def items(self):
        """(name, module) pairs."""
        return self._modules.items()

    def values(self):
        """The modules."""
        return self._modules.values()

    def update(self, modules) -> None:
        """Add or replace modules from a mapping or from (name, module) pairs."""
        for key, module in _pairs(modules, "ModuleDict"):
            self[key] = module


def _pairs(entries, owner: str):
    """(key, value) pairs of a mapping or of an iterable of pairs."""
    if hasattr(entries, "items"):
        return list(entries.items())
    try:
        pairs = list(entries)
    except TypeError:
        raise TypeError(
            f"{owner}.update should be called with an iterable of key/value pairs, but got " + type(entries).__name__
        ) from None
    for i, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list)):
            raise TypeError(f"{owner} update sequence element #{i} should be Iterable; is {type(pair).__name__}")
        if len(pair) != 2:
            raise ValueError(f"{owner} update sequence element #{i} has length {len(pair)}; 2 is required")
    return pairs


def _as_parameter(value):
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _entry_repr(key, value, kind: str, other: str) -> str:
    """kind: how a tensor's type is called; other: how any other value's is."""
    if isinstance(value, Tensor):
        size = "x".join(map(str, value.shape))
        name = "Parameter" if isinstance(value, Parameter) else "Tensor"
        return f"  ({key}): {name} containing: [{kind} of size {size}]"
    return f"  ({key}): Object of type: {other}"


class ParameterList(Module):
    """A list whose tensors are registered as parameters "0", "1", ...; other values are kept as they are."""

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)([self[i] for i in range(*index.indices(len(self)))])
        return getattr(self, str(_position(index, len(self))))

    def __setitem__(self, index, value) -> None:
        setattr(self, str(_position(index, len(self))), _as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __iadd__(self, values):
        return self.extend(values)

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, value):
        """Add a value at the end; returns self."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values):
        """Add several values at the end; returns self."""
        if not hasattr(values, "__iter__") or isinstance(values, Tensor):
            raise TypeError("ParameterList.extend should be called with an iterable, but got " + type(values).__name__)
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return "\n".join(_entry_repr(i, v, str(getattr(v, "dtype", "")), type(v).__name__) for i, v in enumerate(self))

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """A dictionary, in order of insertion, whose tensors are registered as parameters under their keys."""

    def __init__(self, parameters=None):
        super().__init__()
        self._keys: dict = {}
        if parameters is not None:
            self.update(parameters)

    @staticmethod
    def _name(key) -> str:
        if not isinstance(key, str):
            raise TypeError(
                f"Index given to ParameterDict cannot be used as a key as it is not a string (type is "
                f"'{type(key).__name__}')."
            )
        return key

    def __getitem__(self, key: str):
        return getattr(self, self._name(key))  # AttributeError where there is none, as torch

    def __setitem__(self, key: str, value) -> None:
        name = self._name(key)
        self._keys[name] = None
        setattr(self, name, _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, self._name(key))

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(self._keys)

    def __contains__(self, key) -> bool:
        return key in self._keys

    def __or__(self, other):
        both = self.copy()
        both.update(other)
        return both

    def __ior__(self, other):
        self.update(other)
        return self

    def copy(self):
        """A new ParameterDict over the same values."""
        return ParameterDict(OrderedDict(self.items()))

    def setdefault(self, key: str, default=None):
        """The value under `key`, which becomes `default` where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        """Take everything out."""
        for key in list(self):
            del self[key]

    def pop(self, key: str):
        """Take the value under `key` out and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Take the last (name, value) pair out and return it."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def fromkeys(self, keys, default=None):
        """A new ParameterDict with these keys, each for `default`."""
        return ParameterDict((key, default) for key in keys)

    def get(self, key: str, default=None):
        """The value under `key`, or `default`."""
        return self[key] if key in self else default

    def keys(self):
        """The names."""
        return self._keys.keys()

    def items(self):
        """(name, value) pairs."""
        return ((key, self[key]) for key in self._keys)

    def values(self):
        """The values."""
        return (self[key] for key in self._keys)

    def update(self, parameters) -> None:
        """Add or replace values from (name, value) pairs or from a mapping; a plain dict's in the order of the names."""
        pairs = _pairs(parameters, "ParameterDict")
        if isinstance(parameters, dict) and not isinstance(parameters, OrderedDict):
            pairs.sort(key=operator.itemgetter(0))
        for key, value in pairs:
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(
            _entry_repr(k, v, v.type() if isinstance(v, Tensor) else "", type(v).__name__) for k, v in self.items()
        )

    def __call__(self, input):
        raise RuntimeError("ParameterDict should not be called.")
