"""Case files: for each family of ops its inputs, float64 oracle, FLOPs and bytes. Read by the tests and by bench/."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Case:
    op: str  # the backend function's name
    name: str  # unique within the op
    args: Callable[[np.random.Generator, np.dtype], tuple]  # positional arguments, floating arrays in the dtype given
    reference: Callable[..., Any]  # the same arguments with arrays in float64 -> the expected array, or a tuple
    bound: Callable[..., Any] | None = None  # float64 arguments -> array: an error of 4·eps·bound is allowed
    flops: float = 0
    bytes: float = 0
    bench: bool = False  # also a pytest-benchmark entry
    dtypes: tuple = ("float32", "float64")

    @property
    def id(self) -> str:
        return f"{self.op}/{self.name}"


def all_cases() -> list[Case]:
    found = []
    for info in pkgutil.iter_modules(__path__):
        found += importlib.import_module(f"{__name__}.{info.name}").CASES
    return found
