"""Layers that take their input's size from the first input: LazyLinear, LazyConv2d, ..."""

from fastnn.nn.parameter import is_lazy


class LazyModuleMixin:
    """Put before a layer's class. Its parameters start uninitialised; the first call runs `initialize_parameters`, which
    gives them their shapes, and turns the module into `cls_to_become`, keeping its identity and its parameters'."""

    cls_to_become: type | None = None

    def __call__(self, *args, **kwargs):
        if self.has_uninitialized_params() or self.cls_to_become is not None:
            self._infer_parameters(self, args, kwargs)
        return super().__call__(*args, **kwargs) if isinstance(self, LazyModuleMixin) else self(*args, **kwargs)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """Uninitialised tensors are saved as they are."""
        for name, tensor in self._persistent_entries():
            if tensor is not None:
                destination[prefix + name] = tensor if keep_vars or is_lazy(tensor) else tensor.detach()

    def _load_from_state_dict(self, state_dict, prefix, *arguments):
        """What is loaded decides the shapes, too."""
        for name, tensor in self._persistent_entries():
            given = state_dict.get(prefix + name)
            if is_lazy(tensor) and given is not None and not is_lazy(given):
                tensor.materialize(given.shape)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def initialize_parameters(self, *args, **kwargs):
        """Give the uninitialised parameters their shapes for these inputs of forward; for subclasses to define."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer of this module itself has no shape yet."""
        return any(is_lazy(t) for t in (*self._parameters.values(), *self._buffers.values()))

    def _infer_parameters(self, module, args, kwargs=None):
        """Before the first forward: shapes for all parameters; from then on the module is one of `cls_to_become`."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {type(self).__name__} has not been fully initialized")
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become

    def _replicate_for_data_parallel(self):
        raise RuntimeError(
            "Modules with uninitialized parameters can't be used with `DataParallel`. Run a dummy forward pass to "
            "correctly initialize the modules"
        )
