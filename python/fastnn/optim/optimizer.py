"""What all optimizers share: parameter groups, state, its saving and loading, hooks."""

import copy
import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from itertools import chain

from fastnn._device import recording
from fastnn.autograd import enable_grad
from fastnn.backend import xp
from fastnn.dtypes import float64, get_default_dtype
from fastnn.tensor import RemovableHandle, Tensor, wrap

__all__ = ["Optimizer"]


def number(value) -> float:
    """An option's value: learning rates and the like may be given as one-element tensors."""
    return value if value.__class__ is float else float(value)


def check_option(name: str, value, low=0.0) -> None:
    if not low <= value:
        raise ValueError(f"Invalid {name}: {value}")


def check_lr(lr) -> None:
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check_option("learning rate", lr)


def check_modes(optimizer: str, differentiable: bool, fused=None, foreach=None) -> None:
    """`foreach` and `fused` choose among torch's implementations; here one native call always updates a whole group."""
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable:
        raise NotImplementedError(
            f"{optimizer}: differentiable=True is not available: steps update parameters in place, outside the graph"
        )


def zeros_like(p) -> Tensor:
    return wrap(xp.on(p._a).zeros(p._a.shape, p._a.dtype))


def scalar(value=0.0) -> Tensor:
    """A number of an optimizer's state: 0-d, float32, or float64 where that is the default dtype."""
    return wrap(xp.full((), value, "float64" if get_default_dtype() is float64 else "float32"))


def new_step() -> Tensor:
    return scalar()


def bumped(params) -> None:
    """Count the in-place change of each parameter."""
    for p in params:
        version = p._ver
        if version is None:
            p._bump()
        else:
            version.n += 1


def advance(steps) -> list[float]:
    """Add one to each step counter (0-d tensors, as torch keeps them); returns the new values."""
    values = []
    for t in steps:
        a = t._a
        n = a.item() + 1.0
        a[()] = n
        values.append(n)
    return values


def sparse_rows(p):
    """(rows, values) of a parameter's sparse gradient, each row once."""
    gradient = p._grad.coalesce()
    if gradient.sparse_dim() != 1:
        raise RuntimeError(f"a sparse gradient names rows: expected one sparse dimension, got {gradient.sparse_dim()}")
    return gradient.indices()._a[0], gradient.values()._a


def by_step(steps: list[float], *lists):
    """(step, lists) for each distinct step count: parameters that were without a gradient at times lag behind."""
    if steps.count(steps[0]) == len(steps):
        yield steps[0], lists
        return
    for step in sorted(set(steps)):
        rows = [i for i, s in enumerate(steps) if s == step]
        yield step, [None if x is None else [x[i] for i in rows] for x in lists]


def _with_hooks(step):
    """`step` of a subclass, with the hooks around it."""

    @functools.wraps(step)
    def hooked(self, *args, **kwargs):
        for hook in self._optimizer_step_pre_hooks.values():
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(f"{step} must return None or a tuple of (new_args, new_kwargs), got {changed}.")
                args, kwargs = changed
        into = recording()
        if into is not None:
            into.optimizer_begins(self)
        result = step(self, *args, **kwargs)
        if into is not None:
            into.optimizer_ends(self)
        for hook in self._optimizer_step_post_hooks.values():
            hook(self, args, kwargs)
        return result

    hooked.hooked = True
    return hooked


class Optimizer:
    """Base of the optimizers: a subclass gives `_update(group)`, or a `step` of its own.

    params: an iterable of tensors, of (name, tensor) pairs, or of dicts with "params" and the options of that group.
    defaults: the options of groups that do not set them.
    """

    _HOOKS = (
        "_optimizer_step_pre_hooks",
        "_optimizer_step_post_hooks",
        "_optimizer_state_dict_pre_hooks",
        "_optimizer_state_dict_post_hooks",
        "_optimizer_load_state_dict_pre_hooks",
        "_optimizer_load_state_dict_post_hooks",
    )

    _recordable = False  # whether learning rate and step count are read from the device: fastnn.cuda.graph

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__ and not getattr(cls.__dict__["step"], "hooked", False):
            cls.step = _with_hooks(cls.__dict__["step"])

    def __init__(self, params, defaults: dict):
        self.defaults = defaults
        self._no_hooks()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__name__}"
            )
        self.state = defaultdict(dict)
        self.param_groups: list[dict] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _no_hooks(self) -> None:
        for name in self._HOOKS:
            if name not in self.__dict__:
                setattr(self, name, OrderedDict())

    def __getstate__(self) -> dict:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._no_hooks()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # ---- parameter groups ----

    def add_param_group(self, param_group: dict) -> None:
        """Optimize more tensors: a dict of "params" and of the options that differ from the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        given = [given] if isinstance(given, Tensor) else list(given)
        names = [p[0] for p in given if isinstance(p, tuple)]
        params = [p[1] if isinstance(p, tuple) else p for p in given]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        if len(params) != len({id(p) for p in params}):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        taken = {id(p) for group in self.param_groups for p in group["params"]}
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param group "
                    f"{'with names' if names else 'without names'} to the optimizer"
                )
        if any(id(p) in taken for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; set_to_none=False fills them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    g = p._grad.detach() if p._grad._fn is not None else p._grad
                    g._a[...] = 0
                    g._bump()
                    p._grad = g

    # ---- the step ----

    def _init_state(self, p, s: dict, group: dict) -> None:
        """Fill the empty state `s` of parameter `p`: "step", and what the method keeps."""
        raise NotImplementedError(f"{type(self).__name__} has no _init_state()")

    def _gathered(self, group: dict, *names: str):
        """The group's parameters that have a gradient, their step counts, advanced by one, and the arrays that a kernel
        takes: the parameters', the gradients', and of each of `names` the states'. State that is missing is made."""
        params = [p for p in group["params"] if p._grad is not None]
        states = [self.state[p] for p in params]
        for p, s in zip(params, states, strict=True):
            if not s:
                self._init_state(p, s, group)
        lists = [p._a for p in params], [p._grad._a for p in params], *([s[n]._a for s in states] for n in names)
        return params, advance([s["step"] for s in states]), lists

    def _update(self, group: dict) -> None:
        raise NotImplementedError(f"{type(self).__name__} has neither step() nor _update(group)")

    @_with_hooks
    def step(self, closure=None):
        """Update every parameter that has a gradient. `closure` computes the loss anew, and its value is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        try:
            for group in self.param_groups:
                into = recording()
                if into is not None:
                    into.group = group
                self._update(group)
        except NotImplementedError:
            if any(p._grad is not None and p._grad.is_sparse for g in self.param_groups for p in g["params"]):
                name = "Adam" if type(self).__name__ == "AdamW" else type(self).__name__
                hint = ", please consider SparseAdam instead" if name == "Adam" else ""
                raise RuntimeError(f"{name} does not support sparse gradients{hint}") from None
            raise
        return loss

    # ---- saving and loading ----

    def state_dict(self) -> dict:
        """{"state": {number of the parameter: its state}, "param_groups": [options, with the numbers as "params"]}."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {numbers[id(k)] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict: dict) -> None:
        """Continue from what state_dict() gave: groups and parameters are matched in order."""
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        groups, saved = self.param_groups, copy.deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(g["params"]) != len(s["params"]) for g, s in zip(groups, saved, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        params = dict(
            zip(
                chain.from_iterable(s["params"] for s in saved),
                chain.from_iterable(g["params"] for g in groups),
                strict=True,
            )
        )
        state = defaultdict(dict)
        for k, v in state_dict["state"].items():
            if k in params:
                state[params[k]] = _cast(params[k], v)
            else:
                state[k] = v
        for group, new in zip(groups, saved, strict=True):
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    # ---- hooks ----

    def register_step_pre_hook(self, hook) -> RemovableHandle:
        """hook(optimizer, args, kwargs) before each step; may return new (args, kwargs)."""
        return _register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook) -> RemovableHandle:
        """hook(optimizer, args, kwargs) after each step."""
        return _register(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """hook(optimizer) before state_dict()."""
        return _register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """hook(optimizer, state_dict) after state_dict(); may return another dict."""
        return _register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """hook(optimizer, state_dict) before a state is loaded; may return another dict."""
        return _register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """hook(optimizer) after a state was loaded."""
        return _register(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def _register(hooks: OrderedDict, hook, prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _cast(param, value, key=None):
    """A loaded value, its tensors in the parameter's dtype (step counters keep theirs)."""
    if isinstance(value, Tensor):
        if key == "step" or param._a.dtype.kind not in "fV" or value._a.dtype == param._a.dtype:
            return value
        return wrap(value._a.astype(param._a.dtype))
    if isinstance(value, dict):
        return {k: _cast(param, v, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(_cast(param, v) for v in value)
    return value
