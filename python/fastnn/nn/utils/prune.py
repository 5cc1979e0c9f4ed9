"""Pruning: a parameter `name` becomes name_orig·name_mask, computed before every forward."""

import fastnn
from fastnn.tensor import Tensor

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer",
    "RandomStructured", "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned",
    "l1_unstructured", "ln_structured", "random_structured", "random_unstructured", "remove",
]  # fmt: skip


def _check_amount(amount) -> None:
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if (isinstance(amount, int) and amount < 0) or (isinstance(amount, float) and not 0.0 <= amount <= 1.0):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def _count(amount, size: int) -> int:
    """How many of `size` an amount means."""
    if isinstance(amount, int):
        if amount > size:
            raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
        return amount
    return round(amount * size)


class BasePruningMethod:
    """A way to choose the mask: subclasses define compute_mask(t, default_mask) and PRUNING_TYPE."""

    PRUNING_TYPE = "unstructured"
    _tensor_name: str

    def compute_mask(self, t, default_mask):
        """The mask for t: default_mask, of ones and zeros, with more zeros."""
        raise NotImplementedError

    def __call__(self, module, inputs) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    def apply_mask(self, module):
        """name_orig·name_mask."""
        mask, original = getattr(module, self._tensor_name + "_mask"), getattr(module, self._tensor_name + "_orig")
        return mask.to(dtype=original.dtype) * original

    def prune(self, t, default_mask=None, importance_scores=None):
        """t with what this method chooses set to zero."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError("importance_scores should have the same shape as tensor t")
        return t * self.compute_mask(scores, default_mask if default_mask is not None else fastnn.ones_like(t))

    @classmethod
    def apply(cls, module, name, *args, importance_scores=None, **kwargs):
        """Prune the parameter `name` of the module, on top of what was pruned before; returns the method."""
        key, before = next(
            (
                (key, hook)
                for key, (hook, _) in module._forward_pre_hooks.items()
                if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
            ),
            (None, None),
        )
        method = cls(*args, **kwargs)
        method._tensor_name = name
        original = getattr(module, name) if before is None else getattr(module, name + "_orig")
        scores = (
            (original if before is None else getattr(module, name)) if importance_scores is None else importance_scores
        )
        if not isinstance(scores, Tensor) or scores.shape != original.shape:
            raise AssertionError(f"importance_scores should have the same shape as parameter {name} of {module}")
        if before is None:
            mask = fastnn.ones_like(original).detach()
        else:
            mask = getattr(module, name + "_mask").detach().clone()
            del module._forward_pre_hooks[key]
            container = PruningContainer(before) if not isinstance(before, PruningContainer) else before
            container.add_pruning_method(method)
            method = container
        with fastnn.no_grad():
            new_mask = method.compute_mask(scores.detach(), default_mask=mask)
        if before is None:
            module.register_parameter(name + "_orig", original)
            del module._parameters[name]
        module.register_buffer(name + "_mask", new_mask.detach())
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def remove(self, module) -> None:
        """Make the pruned values the parameter's own."""
        with fastnn.no_grad():
            weight = self.apply_mask(module)
        name = self._tensor_name
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters[name + "_orig"]
        original.data = weight.data
        del module._parameters[name + "_orig"]
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several methods one after the other: each chooses among what is left."""

    def __init__(self, *args):
        self._pruning_methods: tuple = ()
        if args:
            self._tensor_name = args[0]._tensor_name
            for method in args:
                self.add_pruning_method(method)

    def add_pruning_method(self, method) -> None:
        """Add a method for the same tensor."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method._tensor_name != self._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, index):
        return self._pruning_methods[index]

    def compute_mask(self, t, default_mask):
        method, mask = self._pruning_methods[-1], default_mask.to(dtype=t.dtype)
        if method.PRUNING_TYPE == "unstructured":
            left = mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = method.dim % t.dim()
            alive = mask.sum([d for d in range(t.dim()) if d != dim]) != 0
            left = (slice(None),) * dim + (alive,)
        else:
            left = slice(None)
        mask = mask.clone()
        mask[left] = method.compute_mask(t[left], default_mask=mask[left])
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing, but makes name_orig and name_mask."""

    def compute_mask(self, t, default_mask):
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Random values: `amount` of them, or that fraction."""

    def __init__(self, amount):
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t, default_mask):
        n = _count(self.amount, t.nelement())
        mask = default_mask.clone()
        if n:
            chosen = fastnn.topk(fastnn.rand_like(t).view(-1), k=n).indices
            mask.view(-1)[chosen] = 0
        return mask


class L1Unstructured(RandomUnstructured):
    """The values nearest to zero: `amount` of them, or that fraction."""

    def compute_mask(self, t, default_mask):
        n = _count(self.amount, t.nelement())
        mask = default_mask.clone()
        if n:
            chosen = fastnn.topk(fastnn.abs(t).reshape(-1), k=n, largest=False).indices
            mask.view(-1)[chosen] = 0
        return mask


class RandomStructured(BasePruningMethod):
    """Random channels along `dim`: `amount` of them, or that fraction."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount, dim: int = -1):
        _check_amount(amount)
        self.amount = amount
        self.dim = dim

    def _scores(self, t):
        return fastnn.rand(t.shape[self.dim])

    def _check(self, t) -> None:
        if t.dim() <= 1:
            raise ValueError(
                f"Structured pruning can only be applied to multidimensional tensors. Found tensor of shape {t.shape}"
            )
        if not -t.dim() <= self.dim < t.dim():
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")

    def compute_mask(self, t, default_mask):
        self._check(t)
        channels = t.shape[self.dim]
        n = _count(self.amount, channels)
        if n == 0:
            return default_mask
        keep = fastnn.topk(self._scores(t), k=channels - n).indices
        mask = fastnn.zeros_like(t)
        mask[(slice(None),) * (self.dim % t.dim()) + (keep,)] = 1
        return mask * default_mask.to(dtype=mask.dtype)


class LnStructured(RandomStructured):
    """The channels along `dim` with the smallest n-norm: `amount` of them, or that fraction."""

    def __init__(self, amount, n, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def _scores(self, t):
        return fastnn.norm(t, p=self.n, dim=[d for d in range(t.dim()) if d != self.dim % t.dim()])


class CustomFromMask(BasePruningMethod):
    """A mask of the caller's."""

    PRUNING_TYPE = "global"

    def __init__(self, mask):
        self.mask = mask

    def compute_mask(self, t, default_mask):
        if default_mask.shape != self.mask.shape:
            raise AssertionError("mask must have the same shape as default_mask")
        return default_mask * self.mask.to(dtype=default_mask.dtype)


def identity(module, name):
    """name_orig and name_mask for the parameter `name`, pruning nothing; returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module, name, amount):
    """Prune random values; returns the module."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module, name, amount, importance_scores=None):
    """Prune the values nearest to zero, or of the lowest scores; returns the module."""
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module, name, amount, dim):
    """Prune random channels along `dim`; returns the module."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module, name, amount, n, dim, importance_scores=None):
    """Prune the channels along `dim` with the smallest n-norm; returns the module."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module, name, mask):
    """Prune by a mask; returns the module."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(parameters, pruning_method, importance_scores=None, **kwargs) -> None:
    """Prune several parameters [(module, name), ...] as if they were one, by an unstructured method."""
    if not hasattr(parameters, "__iter__"):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    parameters = list(parameters)
    scores = importance_scores or {}
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    given = [scores.get((module, name), getattr(module, name)) for module, name in parameters]
    values = fastnn.cat([t.detach().reshape(-1) for t in given])
    mask = fastnn.cat(
        [
            getattr(module, name + "_mask", fastnn.ones_like(getattr(module, name))).detach().reshape(-1)
            for module, name in parameters
        ]
    )
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    container.add_pruning_method(method)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method {pruning_method} of '
            f"type {method.PRUNING_TYPE}"
        )
    final, start = container.compute_mask(values, mask), 0
    for module, name in parameters:
        parameter = getattr(module, name)
        n = parameter.numel()
        custom_from_mask(module, name, mask=final[start : start + n].view_as(parameter))
        start += n


def remove(module, name):
    """Make the pruning of `name` permanent; returns the module."""
    for key, (hook, _) in list(module._forward_pre_hooks.items()):
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module) -> bool:
    """Whether a parameter of this module or of one below it is pruned."""
    return any(
        isinstance(hook, BasePruningMethod) for m in module.modules() for hook, _ in m._forward_pre_hooks.values()
    )
