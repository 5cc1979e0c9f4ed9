"""Anomaly mode: backward stops at the op whose gradient has a NaN, and names it."""

import warnings

from .. import _tape
from ..tensor import Tensor, wrap

__all__ = ["detect_anomaly", "is_anomaly_enabled", "set_detect_anomaly"]

_mode = (False, True)  # on; whether NaNs are looked for


def _check(node, gradients):
    for i, g in enumerate(gradients):
        if g is None:
            continue
        if g.__class__ is _tape.RowGradient:
            g = g.dense()
        t = g if isinstance(g, Tensor) else wrap(g)
        if t.is_floating_point() and bool(t.isnan().any()):
            name = _tape.backward_name(node)
            warnings.warn(f"Error detected in {name}.", stacklevel=2)
            raise RuntimeError(f"Function '{name}' returned nan values in its {i}th output.")


def _set(mode, check_nan):
    global _mode
    _mode = (bool(mode), bool(check_nan))
    _tape.check_gradients = _check if mode and check_nan else None


class set_detect_anomaly:
    """Turns anomaly mode on or off: at once, and back at the end of a `with`.

    While it is on, backward raises RuntimeError where a rule returns NaN (check_nan=False: it does not look)."""

    def __init__(self, mode: bool, check_nan: bool = True):
        self._before = _mode
        _set(mode, check_nan)

    def __enter__(self):
        pass

    def __exit__(self, *exc):
        _set(*self._before)


class detect_anomaly:
    """`with detect_anomaly():` anomaly mode inside the block, with a warning that it costs time."""

    def __init__(self, check_nan: bool = True):
        self._check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )

    def __enter__(self):
        self._before = _mode
        _set(True, self._check_nan)

    def __exit__(self, *exc):
        _set(*self._before)


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return _mode[0]
