"""Settings of cuDNN, which is not here: kept, without effect. fastnn's kernels give the same bits each time."""

import contextlib

from ._absent import is_available

__all__ = ["allow_tf32", "benchmark", "deterministic", "enabled", "flags", "is_available", "version"]

enabled, benchmark, deterministic, allow_tf32 = True, False, False, True
benchmark_limit = 10
_NAMES = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")


def version():
    """None: there is no cuDNN."""
    return None


def is_acceptable(tensor) -> bool:
    """False: no tensor lies where cuDNN could compute on it."""
    return False


@contextlib.contextmanager
def flags(enabled=False, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True):
    """Settings for the block."""
    new = dict(zip(_NAMES, (enabled, benchmark, benchmark_limit, deterministic, allow_tf32), strict=True))
    before = {name: globals()[name] for name in _NAMES}
    globals().update(new)
    try:
        yield
    finally:
        globals().update(before)
