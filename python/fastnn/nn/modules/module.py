"""Module: the base of every layer and model. Keeps parameters, buffers and children under their attribute names.

Hooks are in hooks.py, state_dict in _state.py, to() and its like in _convert.py, the text of shape errors in _explain.py.
"""

from fastnn.nn.modules import _convert, _explain, _state
from fastnn.nn.modules._registry import Registry
from fastnn.nn.modules.hooks import BackwardTap, HookTable, RemovableHandle
from fastnn.nn.parameter import Buffer, Parameter
from fastnn.tensor import Tensor

_REGISTRIES = ("_parameters", "_buffers", "_modules")
_HOOK_TABLES = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)

_NOTHING = object()
_global_forward_pre_hooks = HookTable()
_global_forward_hooks = HookTable()
_global_backward_pre_hooks = HookTable()
_global_backward_hooks = HookTable()


class _GlobalHandle(RemovableHandle):
    def remove(self) -> None:
        super().remove()
        Module._has_hooks = bool(
            _global_forward_hooks or _global_forward_pre_hooks or _global_backward_hooks or _global_backward_pre_hooks
        )


def register_module_forward_pre_hook(hook) -> RemovableHandle:
    """Call `hook(module, args)` before every module's forward. For debugging and profiling."""
    handle = _GlobalHandle(_global_forward_pre_hooks)
    _global_forward_pre_hooks[handle.id] = hook
    Module._has_hooks = True
    return handle


def register_module_forward_hook(hook) -> RemovableHandle:
    """Call `hook(module, args, output)` after every module's forward. For debugging and profiling."""
    handle = _GlobalHandle(_global_forward_hooks)
    _global_forward_hooks[handle.id] = hook
    Module._has_hooks = True
    return handle


def register_module_full_backward_pre_hook(hook) -> RemovableHandle:
    """Call `hook(module, grad_output)` when the gradients of any module's outputs are known."""
    handle = _GlobalHandle(_global_backward_pre_hooks)
    _global_backward_pre_hooks[handle.id] = hook
    Module._has_hooks = True
    return handle


def register_module_full_backward_hook(hook) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` when the gradients of any module's inputs are known."""
    handle = _GlobalHandle(_global_backward_hooks)
    _global_backward_hooks[handle.id] = hook
    Module._has_hooks = True
    return handle


register_module_backward_hook = register_module_full_backward_hook


def _type_name(value) -> str:
    return type(value).__name__


class Module(_convert.ConvertMixin, _state.StateDictMixin):
    """Base class of all layers and models. Subclasses define `forward`, and create their parts in `__init__`:

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(784, 10)

        def forward(self, x):
            return self.fc(x.flatten(1))
    """

    dump_patches = False
    _version = 1
    training: bool
    call_super_init = False
    # Set on the instance by its first hook, on the class by the first global one: __call__ then takes the longer way.
    _has_hooks = False

    def __init__(self, *args, **kwargs):
        if not self.call_super_init:
            if kwargs:
                raise TypeError(
                    f"{_type_name(self)}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            if args:
                raise TypeError(
                    f"{_type_name(self)}.__init__() takes 1 positional argument but {len(args) + 1} were given"
                )
        slots = self.__dict__
        slots["training"] = True
        for name in _REGISTRIES:
            slots[name] = Registry(self)
        slots["_non_persistent_buffers_set"] = set()
        for name in _HOOK_TABLES:
            slots[name] = HookTable()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *input):
        """The computation of this module; to be defined by every subclass. Call the module, not this."""
        raise NotImplementedError(f'Module [{_type_name(self)}] is missing the required "forward" function')

    # -- calling ------------------------------------------------------------------------------------------------

    def __call__(self, input=_NOTHING, /, *args, **kwargs):
        # The usual call has one argument and no hooks. Passing it on by itself, without unpacking, halves the cost.
        if self._has_hooks or args or kwargs or input is _NOTHING:
            return self._call_in_full(() if input is _NOTHING else (input, *args), kwargs)
        try:
            return self.forward(input)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:  # free where nothing is raised
            _explain.annotate(self, (input,), error)
            raise

    _call_impl = __call__

    def _call_in_full(self, args, kwargs):
        if self._has_hooks:
            return self._call_with_hooks(args, kwargs)
        try:
            return self.forward(*args, **kwargs)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            _explain.annotate(self, args, error)
            raise

    def _call_with_hooks(self, args, kwargs):
        hooks = [(hook, False) for hook in _global_forward_pre_hooks.values()]
        for hook, with_kwargs in hooks + list(self._forward_pre_hooks.values()):
            if with_kwargs:
                result = hook(self, args, kwargs)
                if result is not None:
                    if not (isinstance(result, tuple) and len(result) == 2):
                        raise RuntimeError(
                            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {result}."
                        )
                    args, kwargs = result
            else:
                result = hook(self, args)
                if result is not None:
                    args = result if isinstance(result, tuple) else (result,)

        tap = None
        after = [*_global_backward_hooks.values(), *self._backward_hooks.values()]
        before = [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
        if after or before:
            tap = BackwardTap(self, after, before)
            args = tap.watch_inputs(args)
        try:
            output = self.forward(*args, **kwargs)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            self._run_always_called_hooks(args, kwargs)
            _explain.annotate(self, args, error)
            raise
        hooks = [(hook, False, False) for hook in _global_forward_hooks.values()]
        for hook, with_kwargs, _ in hooks + list(self._forward_hooks.values()):
            result = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
            if result is not None:
                output = result
        if tap is not None:
            output = tap.watch_outputs(output)
        return output

    def _run_always_called_hooks(self, args, kwargs):
        for hook, with_kwargs, always_call in list(self._forward_hooks.values()):
            if always_call:
                hook(self, args, kwargs, None) if with_kwargs else hook(self, args, None)

    def _add_hook(self, table: dict, entry, prepend: bool = False) -> RemovableHandle:
        handle = RemovableHandle(table)
        if prepend:
            later = dict(table)
            table.clear()
            table[handle.id] = entry
            table.update(later)
        else:
            table[handle.id] = entry
        self.__dict__["_has_hooks"] = True
        return handle

    def register_forward_pre_hook(self, hook, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call `hook(module, args)` (or, with_kwargs, `hook(module, args, kwargs)`) before forward.

        What it returns, unless None, replaces the arguments.
        """
        return self._add_hook(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` (with_kwargs: `hook(module, args, kwargs, output)`) after forward.

        What it returns, unless None, replaces the output. With always_call it also runs when forward raised.
        """
        return self._add_hook(self._forward_hooks, (hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are known.

        What it returns, unless None, replaces grad_input.
        """
        return self._add_hook(self._backward_hooks, hook, prepend)

    register_backward_hook = register_full_backward_hook

    def register_full_backward_pre_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the outputs are known; may return others."""
        return self._add_hook(self._backward_pre_hooks, hook, prepend)

    # -- attributes ---------------------------------------------------------------------------------------------

    def __setattr__(self, name, value):
        slots = self.__dict__
        for kind, cls, what in _KINDS:
            if isinstance(value, cls):
                if kind not in slots:
                    raise AttributeError(f"cannot assign {what} before Module.__init__() call")
                self._forget(name, keep=kind)
                if cls is Parameter:
                    self.register_parameter(name, value)
                elif cls is Buffer:
                    self.register_buffer(name, value, value.persistent)
                else:
                    slots[kind][name] = value
                return
        for kind in _REGISTRIES:
            registry = slots.get(kind)
            if registry is not None and name in registry:
                self._replace_entry(kind, registry, name, value)
                return
        if name in _REGISTRIES and not isinstance(value, Registry):
            for old in list(slots.get(name, ())):
                slots.pop(old, None)
            value = Registry(self, value)
        object.__setattr__(self, name, value)

    def _replace_entry(self, kind, registry, name, value):
        """Assign something that is not a Parameter, Module or Buffer to a name that a registry holds."""
        if value is not None and not (kind == "_buffers" and isinstance(value, Tensor)):
            what, expected = {
                "_parameters": ("parameter", "nn.Parameter or None"),
                "_modules": ("child module", "nn.Module or None"),
                "_buffers": ("buffer", "nn.Buffer, Tensor or None"),
            }[kind]
            raise TypeError(f"cannot assign '{_type_name(value)}' as {what} '{name}' ({expected} expected)")
        registry[name] = value

    def _forget(self, name, keep):
        """Drop what `name` meant before, unless the registry `keep` holds it (its place there is kept)."""
        slots = self.__dict__
        for kind in _REGISTRIES:
            if kind != keep and name in slots[kind]:
                del slots[kind][name]
                slots["_non_persistent_buffers_set"].discard(name)
        if name not in slots[keep]:
            slots.pop(name, None)

    def __getattr__(self, name):
        # Reached only where the mirror has no such name.
        for kind in _REGISTRIES:
            registry = self.__dict__.get(kind)
            if registry is not None and name in registry:
                return registry[name]
        raise AttributeError(f"'{_type_name(self)}' object has no attribute '{name}'")

    def __delattr__(self, name):
        for kind in _REGISTRIES:
            if name in self.__dict__.get(kind, ()):
                del self.__dict__[kind][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self):
        names = set(dir(type(self))) | set(self.__dict__)
        for kind in _REGISTRIES:
            names.update(self.__dict__.get(kind, ()))
        return sorted(name for name in names if not name[:1].isdigit())

    def __getstate__(self):
        state = dict(self.__dict__)
        for kind in _REGISTRIES:
            registry = state.get(kind)
            if registry is not None:
                for name in registry:
                    state.pop(name, None)
                state[kind] = dict(registry)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        slots = self.__dict__
        for name in _HOOK_TABLES:
            slots.setdefault(name, HookTable())
        slots.setdefault("_non_persistent_buffers_set", set())
        for kind in _REGISTRIES:
            slots[kind] = Registry(self, slots.get(kind, ()))

    def _check_new_name(self, name, kind: str, what: str):
        if kind not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {_type_name(name)}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain "."' + (f", got: {name}" if what == "module" else ""))
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if name not in self.__dict__[kind] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter (or None: the name exists, without a value) under `name`."""
        self._check_new_name(name, "_parameters", "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_type_name(param)}' object to parameter '{name}' (nn.Parameter or None required)"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                "To express one as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not learned; `persistent=False` keeps it out of state_dict."""
        self._check_new_name(name, "_buffers", "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{_type_name(tensor)}' object to buffer '{name}' (Tensor or None required)")
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Add a child under `name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_type_name(module)} is not a Module subclass")
        self._check_new_name(name, "_modules", "module")
        self._modules[name] = module

    register_module = add_module

    # -- walking ------------------------------------------------------------------------------------------------

    def named_modules(self, memo=None, prefix: str = "", remove_duplicate: bool = True):
        """(path, module) of this module and all below it, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = prefix + ("." if prefix else "") + name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self):
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self):
        """(name, child) of the direct children, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """The direct children, each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(self, get_members, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        walk = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for module_path, module in walk:
            for name, value in get_members(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield module_path + ("." if module_path else "") + name, value

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        """(path, parameter) of this module and, with recurse, of all below it; a shared parameter comes once."""
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True):
        """The parameters: what an optimizer takes."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        """(path, buffer) of this module and, with recurse, of all below it."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True):
        """The buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> "Module":
        """The module at a dotted path, as in `get_submodule("encoder.0")`; "" is this one."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{_type_name(module)} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: "Module", strict: bool = False) -> None:
        """Put `module` at a dotted path; `strict` asks that one is there already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{_type_name(parent)} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def _get_tensor(self, target: str, kind: str, what: str):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{_type_name(module)} has no attribute `{name}`")
        if name not in module.__dict__[kind]:
            raise AttributeError(f"`{name}` is not {what}")
        return module.__dict__[kind][name]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        return self._get_tensor(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        return self._get_tensor(target, "_buffers", "a buffer")

    # -- changing all of it -------------------------------------------------------------------------------------

    def train(self, mode: bool = True):
        """Set training mode (dropout drops, batch norm measures) here and below; returns self."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Set evaluation mode here and below; returns self."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True):
        """Turn gradients of all parameters on or off; returns self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or zero them in place."""
        for parameter in self.parameters():
            if parameter.grad is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                parameter.grad = parameter.grad.detach()
                parameter.grad.zero_()

    def apply(self, fn):
        """Call `fn(module)` on every module below, then on this one; returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def compile(self, *args, **kwargs) -> None:
        """Accepted for torch's sake: there is nothing to compile, the module runs as it is."""

    def _replicate_for_data_parallel(self):
        """A copy that shares parameters and buffers, but keeps its own books."""
        replica = self.__new__(type(self))
        replica.__setstate__(self.__getstate__())
        return replica

    def share_memory(self):
        """Accepted for torch's sake: forked workers see the same pages anyway; returns self."""
        return self

    # -- printing -----------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return _type_name(self)

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed; for subclasses to define."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        if not lines and not children:
            return f"{self._get_name()}()"
        return "\n  ".join([self._get_name() + "(", *lines, *children]) + "\n)"


_KINDS = (("_parameters", Parameter, "parameters"), ("_modules", Module, "module"), ("_buffers", Buffer, "buffer"))
