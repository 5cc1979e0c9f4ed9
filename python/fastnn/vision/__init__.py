"""What scripts use most of torchvision, under its names; `python -m fastnn run` puts it in torchvision's place.

Images are Pillow's: pip install '.[vision]'.
"""

from fastnn.torch_version import TorchVersion

__version__ = TorchVersion("0.28.0+fastnn.0.1.0")
__all__ = ["datasets", "io", "models", "transforms", "utils"]


def __getattr__(name):
    if name in __all__:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def set_image_backend(backend: str) -> None:
    """ "PIL": the one there is."""
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}'. Options are 'PIL'")


def get_image_backend() -> str:
    """ "PIL"."""
    return "PIL"
