"""torch.cuda's names: what CUDA device there is, its streams, memory and random numbers.

Without one, questions are answered truthfully, seeds and cache clearing are accepted as torch accepts them, and what
needs a device raises AssertionError, as torch without CUDA does. CuPy and the kernels are imported when first asked for.
"""

import sys

from fastnn._device_types import make as _make_types

from . import amp

_NONE = "Torch not compiled with CUDA enabled (fastnn computes on the CPU here: check torch.cuda.is_available() first)"


def _runtime():
    from fastnn.backend import cuda_runtime

    return cuda_runtime


def _arrays(function: str):
    """CuPy; AssertionError where there is no device."""
    runtime = _runtime()
    reason = runtime.problem()
    if reason:
        raise AssertionError(f"torch.cuda.{function}: {_NONE}: {reason}")
    return runtime.arrays


def _index(device, function: str) -> int:
    """The number of a device argument, which must be 0: fastnn uses one device."""
    if device is None:
        return 0
    from fastnn._device import device as parsed

    number = device if isinstance(device, int) else parsed(device).index or 0
    if number not in (0, -1):
        raise AssertionError(
            f"torch.cuda.{function}: Invalid device id {number}: fastnn uses one CUDA device, number 0"
        )
    return 0


def is_available() -> bool:
    """Whether tensors can be moved to device "cuda"."""
    return not _runtime().problem()


def is_initialized() -> bool:
    from fastnn import _device

    return _device.on_cuda is not None


def init() -> None:
    """Load the device's kernels now instead of at the first use."""
    _arrays("init")
    from fastnn._device import use_cuda

    use_cuda("torch.cuda.init")


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """True from compute capability 8.0 on."""
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def is_current_stream_capturing() -> bool:
    """Whether this thread is recording a step (fastnn.cuda.graph)."""
    from fastnn._device import recording

    return recording() is not None


def device_count() -> int:
    """How many devices fastnn uses: 1, or 0 where there is none."""
    return 1 if is_available() else 0


def get_arch_list() -> list:
    """The architectures that the CUDA kernels were compiled for."""
    try:
        from fastnn import _cuda
    except ImportError:
        return []
    return [f"sm_{a}" for a in getattr(_cuda, "architectures", (80, 90, 100, 120))]


def current_device() -> int:
    """0."""
    _arrays("current_device")
    return 0


def set_device(device=None) -> None:
    """Accepts the one device; AssertionError for another number."""
    _arrays("set_device")
    _index(device, "set_device")


def synchronize(device=None) -> None:
    """Wait until the device has done all that was asked of it."""
    arrays = _arrays("synchronize")
    _index(device, "synchronize")
    arrays.cuda.runtime.deviceSynchronize()
    recordings = sys.modules.get("fastnn.cuda._recording")
    if recordings is not None:  # what replays found wrong shows here at the latest
        recordings.look()


def get_device_name(device=None) -> str:
    return get_device_properties(device).name


def get_device_capability(device=None) -> tuple:
    """(major, minor)."""
    p = get_device_properties(device)
    return p.major, p.minor


class _Properties:
    """name, major, minor, total_memory, multi_processor_count, warp_size, max_threads_per_multi_processor, L2_cache_size."""

    def __init__(self, p):
        name = p["name"]
        self.name = name.decode() if isinstance(name, bytes) else name
        self.major, self.minor = p["major"], p["minor"]
        self.total_memory, self.multi_processor_count = p["totalGlobalMem"], p["multiProcessorCount"]
        self.warp_size, self.L2_cache_size = p["warpSize"], p["l2CacheSize"]
        self.max_threads_per_multi_processor = p["maxThreadsPerMultiProcessor"]
        self.shared_memory_per_block = p["sharedMemPerBlock"]

    def __repr__(self):
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory >> 20}MB, multi_processor_count={self.multi_processor_count})"
        )


def get_device_properties(device=None) -> _Properties:
    arrays = _arrays("get_device_properties")
    return _Properties(arrays.cuda.runtime.getDeviceProperties(_index(device, "get_device_properties")))


def can_device_access_peer(device=None, peer_device=None) -> bool:
    """False: there is one device."""
    _arrays("can_device_access_peer")
    return False


# ---------------------------------------------------------------- memory: CuPy's pool

_peak = 0


def memory_allocated(device=None) -> int:
    """Bytes of the device's memory that arrays hold; 0 without a device."""
    global _peak
    if not is_available():
        return 0
    used = _arrays("memory_allocated").get_default_memory_pool().used_bytes()
    _peak = max(_peak, used)
    return used


def max_memory_allocated(device=None) -> int:
    """The largest value that memory_allocated was asked at: CuPy's pool keeps no peak of its own."""
    memory_allocated()
    return _peak


def memory_reserved(device=None) -> int:
    """Bytes that CuPy's pool has taken from the device; 0 without one."""
    return _arrays("memory_reserved").get_default_memory_pool().total_bytes() if is_available() else 0


max_memory_reserved = memory_cached = max_memory_cached = memory_reserved


def reset_peak_memory_stats(device=None) -> None:
    """Count max_memory_allocated from here."""
    global _peak
    _arrays("reset_peak_memory_stats")
    _peak = 0


reset_max_memory_allocated = reset_accumulated_memory_stats = reset_peak_memory_stats


def memory_stats(device=None) -> dict:
    _arrays("memory_stats")
    return {
        "allocated_bytes.all.current": memory_allocated(),
        "allocated_bytes.all.peak": max_memory_allocated(),
        "reserved_bytes.all.current": memory_reserved(),
    }


def memory_summary(device=None, abbreviated: bool = False) -> str:
    _arrays("memory_summary")
    return f"allocated {memory_allocated():,} bytes, peak {max_memory_allocated():,}, reserved {memory_reserved():,}"


def mem_get_info(device=None) -> tuple:
    """(free, total) bytes of the device."""
    return tuple(_arrays("mem_get_info").cuda.Device(_index(device, "mem_get_info")).mem_info)


def empty_cache() -> None:
    """Give the pool's unused memory back to the device."""
    if is_initialized():
        _arrays("empty_cache").get_default_memory_pool().free_all_blocks()


def ipc_collect() -> None:
    """There is nothing to collect: memory is not shared with other processes."""
    _arrays("ipc_collect")


def _absent(name):
    def call(*args, **kwargs):
        _arrays(name)
        raise NotImplementedError(f"torch.cuda.{name} is not available in fastnn")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Not available: raises."
    return call


for _name in "memory_snapshot temperature utilization power_draw clock_rate".split():
    globals()[_name] = _absent(_name)


# ---------------------------------------------------------------- random numbers: a Philox stream (backend/cuda_kernels/rng.py)


def _generator(function=None):
    from fastnn import random

    if function is not None:
        _arrays(function)
    return random.cuda_generator


def manual_seed(seed: int) -> None:
    """Seed the device's default generator; nothing without a device."""
    if is_available():
        _generator().manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Seed it unpredictably; nothing without a device."""
    if is_available():
        _generator().seed()


seed_all = seed


def initial_seed() -> int:
    return _generator("initial_seed").initial_seed()


def get_rng_state(device="cuda"):
    """Seed and offset of the device's default generator: a uint8 tensor of 16 bytes in host memory."""
    return _generator("get_rng_state").get_state()


def get_rng_state_all() -> list:
    return [get_rng_state()] if is_available() else []


def set_rng_state(new_state=None, device="cuda") -> None:
    _generator("set_rng_state").set_state(new_state)


def set_rng_state_all(new_states) -> None:
    for state in new_states:
        set_rng_state(state)


# ---------------------------------------------------------------- streams and events


class Stream:
    """A queue of the device's work: CuPy's. RuntimeError without a device."""

    def __init__(self, device=None, priority=0, **kwargs):
        if not is_available():
            raise RuntimeError("torch.cuda.Stream requires CUDA support")
        theirs = kwargs.pop("_stream", None)
        self._stream = _arrays("Stream").cuda.Stream(non_blocking=True) if theirs is None else theirs

    @property
    def cuda_stream(self) -> int:
        """The stream's handle."""
        return self._stream.ptr

    @property
    def device(self):
        from fastnn._device import CUDA

        return CUDA

    def synchronize(self) -> None:
        self._stream.synchronize()

    def query(self) -> bool:
        """Whether all its work is done."""
        return bool(self._stream.done)

    def wait_event(self, event) -> None:
        self._stream.wait_event(event._event)

    def wait_stream(self, stream) -> None:
        """Work given from here on waits for what `stream` was given so far."""
        self.wait_event(stream.record_event())

    def record_event(self, event=None):
        event = Event() if event is None else event
        event.record(self)
        return event

    def __eq__(self, other):
        return isinstance(other, Stream) and self.cuda_stream == other.cuda_stream

    def __hash__(self):
        return hash(self.cuda_stream)

    def __repr__(self):
        return f"<torch.cuda.Stream device=cuda:0 cuda_stream={self.cuda_stream:#x}>"


class Event:
    """A mark in a stream's work, and with enable_timing a time. RuntimeError without a device."""

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        if not is_available():
            raise RuntimeError("torch.cuda.Event requires CUDA support")
        self._timed = enable_timing
        self._event = _arrays("Event").cuda.Event(block=blocking, disable_timing=not enable_timing)

    def record(self, stream=None) -> None:
        self._event.record(_arrays("Event").cuda.get_current_stream() if stream is None else stream._stream)

    def synchronize(self) -> None:
        self._event.synchronize()

    def query(self) -> bool:
        return bool(self._event.done)

    def wait(self, stream=None) -> None:
        (current_stream() if stream is None else stream).wait_event(self)

    def elapsed_time(self, end_event) -> float:
        """Milliseconds from this event to end_event."""
        if not (self._timed and end_event._timed):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        return float(_arrays("Event").cuda.get_elapsed_time(self._event, end_event._event))


def current_stream(device=None) -> Stream:
    """The stream that work goes to now."""
    return Stream(_stream=_arrays("current_stream").cuda.get_current_stream())


def default_stream(device=None) -> Stream:
    return Stream(_stream=_arrays("default_stream").cuda.Stream.null)


def set_stream(stream) -> None:
    if stream is not None:
        stream._stream.use()


class stream:
    """A context in which work goes to `stream`; None changes nothing."""

    def __init__(self, stream):
        if stream is not None:
            _arrays("stream")
        self.stream = stream

    def __enter__(self):
        if self.stream is not None:
            self._before = current_stream()
            self.stream._stream.use()
        return self

    def __exit__(self, *exc):
        if self.stream is not None:
            self._before._stream.use()
        return False


# ---------------------------------------------------------------- recorded steps: cuda/graphs.py

_GRAPHS = ("CUDAGraph", "GraphedStep", "graph", "graph_pool_handle", "graphs", "make_graphed_callables")


def __getattr__(name):
    if name not in _GRAPHS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"{__name__}.graphs")
    return module if name == "graphs" else getattr(module, name)


def __dir__():
    return sorted({*globals(), *_GRAPHS})


class StreamContext(stream):
    """The older name of stream."""


class device:
    """A context for a device number: there is one, so it changes nothing."""

    def __init__(self, device):
        self.idx = device

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


class device_of(device):
    """As device, for the device of a tensor."""


globals().update(_make_types("cuda"))
