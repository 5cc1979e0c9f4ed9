"""Switches of torch that fastnn needs no switch for: its kernels are deterministic, and float32 is float32."""

_debug_mode = 0
_precision = "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted: every kernel gives the same bits at any number of threads, whatever is set here."""
    global _debug_mode
    _debug_mode = 0 if not mode else 1 if warn_only else 2


def are_deterministic_algorithms_enabled() -> bool:
    """What use_deterministic_algorithms was told."""
    return _debug_mode > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it was told to warn only."""
    return _debug_mode == 1


def set_deterministic_debug_mode(debug_mode) -> None:
    """0, 1, 2 or "default", "warn", "error"."""
    global _debug_mode
    names = {"default": 0, "warn": 1, "error": 2}
    value = names.get(debug_mode, debug_mode)
    if value not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected `default`, `warn`, `error` or 0, 1, 2, got {debug_mode}"
        )
    _debug_mode = value


def get_deterministic_debug_mode() -> int:
    """0, 1 (warn) or 2 (error)."""
    return _debug_mode


def set_float32_matmul_precision(precision: str) -> None:
    """ "highest", "high" or "medium": accepted; products of float32 are computed in float32 in any case."""
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current choice is {_precision}"
        )
    _precision = precision


def get_float32_matmul_precision() -> str:
    """What set_float32_matmul_precision was told."""
    return _precision


def get_num_interop_threads() -> int:
    """1: ops run one after another, each on all threads."""
    return 1


def set_num_interop_threads(n: int) -> None:
    """Accepted: ops run one after another."""
    if n <= 0:
        raise RuntimeError("Expected positive number of threads")


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether an autocast block is active on this device; the default device, as torch's, is CUDA."""
    from .ops import _autocast

    return (_autocast.mode.cuda if device_type == "cuda" else _autocast.mode.dtype) is not None and device_type in (
        "cpu",
        "cuda",
    )


def set_flush_denormal(mode: bool) -> bool:
    """False: denormal numbers are computed with, whatever is set here."""
    return False


def set_warn_always(b: bool, /) -> None:
    """Accepted: Python's own filters decide which warnings are shown again."""
    if not isinstance(b, bool):
        raise TypeError(f"setWarnOnlyOnce() expects a bool, but got {type(b).__name__}")


def is_storage(obj, /) -> bool:
    """Whether obj is a storage."""
    from ._storage import UntypedStorage

    return isinstance(obj, UntypedStorage)


def typename(obj, /) -> str:
    """A Tensor's type() ("torch.FloatTensor"), else the dotted name of obj or of its class."""
    from .tensor import Tensor

    if isinstance(obj, Tensor):
        return obj.type()
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module, name = getattr(named, "__module__", None) or "", named.__qualname__
    return name if module in ("", "builtins") else f"{module}.{name}"
