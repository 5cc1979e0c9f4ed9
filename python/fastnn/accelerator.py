"""torch.accelerator where there is none: this build computes on the CPU."""

__all__ = [
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "current_stream",
    "device_count",
    "device_index",
    "empty_cache",
    "is_available",
    "memory_allocated",
    "memory_reserved",
    "set_device_idx",
    "set_device_index",
    "set_stream",
    "synchronize",
]


def is_available() -> bool:
    """False."""
    return False


def current_accelerator(check_available: bool = False):
    """None: the build has no accelerator."""
    return None


def device_count() -> int:
    """0."""
    return 0


def _needs_one(name):
    def call(*args, **kwargs):
        raise RuntimeError(f"torch.accelerator.{name}: Cannot access accelerator device when none is available.")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Raises RuntimeError: there is no accelerator."
    return call


current_device_index = current_device_idx = _needs_one("current_device_index")
set_device_index = set_device_idx = _needs_one("set_device_index")
current_stream, set_stream = _needs_one("current_stream"), _needs_one("set_stream")
synchronize, empty_cache = _needs_one("synchronize"), _needs_one("empty_cache")
memory_allocated, memory_reserved = _needs_one("memory_allocated"), _needs_one("memory_reserved")


class device_index:
    """A context for a device number; None changes nothing."""

    def __init__(self, device):
        self.idx = device

    def __enter__(self):
        if self.idx is not None:
            raise RuntimeError("Cannot access accelerator device when none is available.")

    def __exit__(self, *exc):
        return None
