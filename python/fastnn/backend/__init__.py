"""The one choice of backend: the compiled kernels where they were built, else NumPy; FASTNN_BACKEND overrides.

The modules numpy_kernels and cpu_kernels have the same function names and signatures. `active()` is the one in use.
"""

import importlib
import os
from types import ModuleType

import numpy  # noqa: F401  (first of all: measured 25 ms shorter than where the kernels import it; why is not known)

NAMES = ("numpy", "cpu")
_listeners: list = []  # called with the new module by use()
_active: ModuleType


def available() -> list[str]:
    """Names of the backends that can run here."""
    try:
        importlib.import_module("fastnn._cpu")
    except ModuleNotFoundError:
        return ["numpy"]
    return ["numpy", "cpu"]


def load(name: str) -> ModuleType:
    if name == "cuda":
        raise ValueError("FASTNN_BACKEND: 'cuda' is no backend for the CPU's tensors; move tensors with .to('cuda')")
    if name not in NAMES:
        raise ValueError(f"FASTNN_BACKEND: unknown backend {name!r}; one of {', '.join(NAMES)}")
    if name == "cpu" and "cpu" not in available():
        raise ImportError("FASTNN_BACKEND: 'cpu' asks for the compiled kernels, but this install has none; use 'numpy'")
    return importlib.import_module(f"{__name__}.{name}_kernels")


def use(name: str) -> None:
    """Switch every later call to the backend `name`."""
    global _active
    _active = load(name)
    for listener in _listeners:
        listener(_active)


def active() -> ModuleType:
    return _active


devices = None  # the module of that name, once a CUDA device is in use: importing it sets this


def on_change(listener) -> None:
    """Call listener(module) now and after every use()."""
    _listeners.append(listener)
    listener(_active)


use(os.environ.get("FASTNN_BACKEND") or available()[-1])
