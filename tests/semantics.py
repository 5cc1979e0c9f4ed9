"""All facts (tests/facts/*.py), and how two answers are compared.

`python tests/semantics.py` compares fastnn with torch on the backend in use and prints the facts that differ.
"""

import importlib
import math
import pkgutil
import sys
import warnings

import facts
import numpy as np

for _info in pkgutil.iter_modules(facts.__path__):
    importlib.import_module(f"facts.{_info.name}")
FACTS = facts.FACTS


def plain(T, value):
    """An answer as nested tuples: tensors with dtype, shape, requires_grad and values; scalars with their type."""
    if isinstance(value, T.Tensor):
        return ("Tensor", str(value.dtype), tuple(value.shape), value.requires_grad, plain(T, value.tolist()))
    if isinstance(value, np.ndarray):
        return ("ndarray", str(value.dtype), value.shape, plain(T, value.tolist()))
    if isinstance(value, np.generic):
        return ("numpy scalar", str(value.dtype), value.item())
    if isinstance(value, T.Size):
        return ("Size", *value)
    if isinstance(value, dict):
        return ("dict", *((plain(T, k), plain(T, v)) for k, v in value.items()))
    if isinstance(value, tuple | list):
        return ("sequence", *(plain(T, v) for v in value))
    if isinstance(value, type):
        return ("type", value.__name__)
    if value is None or isinstance(value, bool | int | str):
        return (type(value).__name__, value)
    if isinstance(value, float):
        return value
    if isinstance(value, T.dtype | T.device):
        return str(value)
    raise TypeError(f"a fact may not return {type(value)}: {value!r}")


def same(a, b) -> bool:
    """Equal, with NaN equal to NaN and a few units of float32 rounding allowed."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return math.isclose(a, b, rel_tol=2e-6, abs_tol=1e-6)
    return type(a) is type(b) and a == b


def evaluate(T, function):
    """The fact's answer; an exception that it did not expect is an answer too, so that the two can be compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(T, function(T))
        except Exception as error:  # noqa: BLE001 - every kind is an answer
            return ("unexpected", type(error).__name__, str(error))


def difference(theirs, ours, path="") -> str:
    """Where two answers part, for the reader of a failure."""
    if isinstance(theirs, tuple) and isinstance(ours, tuple) and len(theirs) == len(ours):
        for i, (a, b) in enumerate(zip(theirs, ours, strict=True)):
            if not same(a, b):
                return difference(a, b, f"{path}[{i}]")
    return f"at {path or 'top'}: torch gives {theirs!r}, fastnn {ours!r}"


def main() -> int:
    import torch

    import fastnn

    wrong = 0
    for name, function in FACTS.items():
        theirs, ours = evaluate(torch, function), evaluate(fastnn, function)
        if not same(theirs, ours):
            wrong += 1
            print(f"{name}: {difference(theirs, ours)}"[:600])
    print(f"{len(FACTS)} facts, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
