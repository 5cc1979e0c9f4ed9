"""What torch.cuda answers where there is no CUDA device: this build computes on the CPU.

Questions are answered truthfully, seeds and cache clearing are accepted as torch accepts them, and what needs a device
raises AssertionError, as torch without CUDA does.
"""

from fastnn._device_types import make as _make_types

from . import amp

_NONE = "Torch not compiled with CUDA enabled (fastnn computes on the CPU here: check torch.cuda.is_available() first)"


def is_available() -> bool:
    """False: there is no CUDA device to compute on."""
    return False


def is_initialized() -> bool:
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    return False


def is_current_stream_capturing() -> bool:
    return False


def device_count() -> int:
    """0."""
    return 0


def get_arch_list() -> list:
    """The architectures that CUDA kernels are here for: none."""
    return []


def _needs_device(name):
    def call(*args, **kwargs):
        raise AssertionError(f"torch.cuda.{name}: {_NONE}")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Raises AssertionError: there is no CUDA device."
    return call


for _name in (
    "can_device_access_peer current_device current_stream default_stream get_device_capability get_device_name "
    "get_device_properties get_rng_state init initial_seed ipc_collect mem_get_info memory_stats memory_summary "
    "memory_snapshot reset_peak_memory_stats reset_accumulated_memory_stats set_device set_rng_state synchronize "
    "temperature utilization power_draw clock_rate"
).split():
    globals()[_name] = _needs_device(_name)


def _nothing(name, value=None):
    def call(*args, **kwargs):
        return value

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Without a device there is nothing to do" + (
        "." if value is None else f", and the answer is {value}."
    )
    return call


# torch without a device accepts these: seeds wait for one, and there is no memory to count or to free
for _name in ("manual_seed", "manual_seed_all", "seed", "seed_all", "empty_cache"):
    globals()[_name] = _nothing(_name)
for _name in (
    "memory_allocated max_memory_allocated memory_reserved max_memory_reserved memory_cached max_memory_cached"
).split():
    globals()[_name] = _nothing(_name, 0)


def get_rng_state_all() -> list:
    return []


class Stream:
    """Raises RuntimeError: streams are a CUDA device's."""

    def __init__(self, device=None, priority=0, **kwargs):
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


class Event:
    """Raises RuntimeError: events are a CUDA device's."""

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        raise RuntimeError("torch.cuda.Event requires CUDA support")


class device:
    """A context for a device number; without CUDA it changes nothing, as in torch."""

    def __init__(self, device):
        self.idx = device

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


class device_of(device):
    """As device, for the device of a tensor."""


class stream:
    """A context for a stream; None changes nothing."""

    def __init__(self, stream):
        if stream is not None:
            raise AssertionError(f"torch.cuda.stream: {_NONE}")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


globals().update(_make_types("cuda"))
