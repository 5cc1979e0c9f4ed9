"""Utilities: `data` (datasets and loaders), `checkpoint`, `tensorboard` and others, imported when first used."""

__all__ = ["_pytree", "checkpoint", "data", "hooks", "model_zoo", "tensorboard"]


def __getattr__(name):
    if name in __all__:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
