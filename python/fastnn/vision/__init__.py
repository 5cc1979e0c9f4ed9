"""What scripts use most of torchvision, under its names; `python -m fastnn run` puts it in torchvision's place."""

from fastnn.torch_version import TorchVersion

__version__ = TorchVersion("0.28.0+fastnn.0.1.0")
__all__ = []


def __getattr__(name):
    if name in __all__:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
