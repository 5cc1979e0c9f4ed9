"""torch.xpu where there is no such device."""


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Accepted as by torch: there is no generator to seed."""


def _needs_device(name):
    def call(*args, **kwargs):
        raise RuntimeError(f"torch.xpu.{name}: there is no XPU device")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Raises RuntimeError: there is no XPU device."
    return call


synchronize, empty_cache = _needs_device("synchronize"), _needs_device("empty_cache")
