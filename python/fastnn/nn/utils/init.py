"""Modules made without initialising their parameters."""

from fastnn.nn import init


class _NoDraws:
    """Turns the functions that draw into ones that do nothing, for a while."""

    names = ("uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_",
             "orthogonal_", "trunc_normal_", "bias_uniform_", "constant_", "ones_", "zeros_")  # fmt: skip

    def __enter__(self):
        self.before = {name: getattr(init, name) for name in self.names}
        for name in self.names:
            setattr(init, name, lambda tensor, *args, **kwargs: tensor)

    def __exit__(self, *exception):
        for name, function in self.before.items():
            setattr(init, name, function)


def skip_init(module_cls, *args, **kwargs):
    """module_cls(*args, **kwargs) with uninitialised parameters: for models whose weights are loaded at once."""
    from fastnn.nn.modules.module import Module

    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    with _NoDraws():
        return module_cls(*args, **kwargs)
