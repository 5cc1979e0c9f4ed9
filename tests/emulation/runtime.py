"""The stand-in's cupy.cuda: streams that can capture, events, pools of memory, a device and what the runtime says of it."""

import numpy as np

from . import capture


class _Memory:
    """MemoryPointer: an address."""

    __slots__ = ("ptr", "device_id")

    def __init__(self, ptr):
        self.ptr, self.device_id = ptr, 0


class _Stream:
    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.ptr, self._before, self.recording = 0 if null else id(self), None, None

    def __enter__(self):
        self._before, _current[0] = _current[0], self
        return self

    def __exit__(self, *exc):
        _current[0] = self._before

    def use(self):
        _current[0] = self
        return self

    def synchronize(self):
        _unsupported(self.recording)

    def wait_event(self, event):
        pass

    def begin_capture(self, mode=None):
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self.recording = capture.Recording(_allocator[0].blocks)

    def end_capture(self):
        recording, self.recording = self.recording, None
        recording.end()
        if not recording.valid:
            raise capture.CUDARuntimeError(
                "cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during capture"
            )
        return capture.Graph(recording)

    def is_capturing(self):
        return self.recording is not None

    def record(self, event=None):
        event = event or _Event()
        event.record(self)
        return event

    done = True


class _Event:
    def __init__(self, block=True, disable_timing=False, interprocess=False):
        self.time, self.ptr = None, id(self)

    def record(self, stream=None):
        import time

        self.time = time.perf_counter()

    def synchronize(self):
        _unsupported(_current[0].recording)

    done = True


def _unsupported(recording):
    if recording is not None:
        recording.valid = False
        raise capture.CUDARuntimeError(
            "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"
        )


_Stream.null = _Stream(null=True)
_current = [_Stream.null]


class _Nothing(tuple):
    """The blocks of the default pool, which NumPy frees."""

    def append(self, h):
        pass


class _Pool:
    """A pool other than the default one keeps what was allocated from it while it lives."""

    def __init__(self, allocator=None):
        self.blocks = []

    def malloc(self, size):
        h = np.empty(size, np.uint8)
        self.blocks.append(h)
        return _Memory(h.__array_interface__["data"][0])

    def used_bytes(self):
        total = 0
        for h in self.blocks:
            total += h.nbytes
        return total

    total_bytes = used_bytes

    def free_all_blocks(self, stream=None):
        pass


_pool = _Pool()
_pool.blocks = _Nothing()
_allocator = [_pool]


class _using_allocator:
    def __init__(self, allocator=None):
        self._pool = _pool if allocator is None else allocator.__self__

    def __enter__(self):
        self._before, _allocator[0] = _allocator[0], self._pool

    def __exit__(self, *exc):
        _allocator[0] = self._before


class _Device:
    def __init__(self, device=None):
        self.id = 0 if device is None else int(device)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def use(self):
        return self

    def synchronize(self):
        pass

    compute_capability = "90"
    mem_info = (1 << 30, 1 << 30)


class _runtime:
    CUDARuntimeError = capture.CUDARuntimeError

    @staticmethod
    def getDeviceCount():
        return 1

    @staticmethod
    def getDevice():
        return 0

    @staticmethod
    def driverGetVersion():
        return 13000

    @staticmethod
    def runtimeGetVersion():
        return 13000

    @staticmethod
    def getDeviceProperties(index):
        return {
            "name": b"emulated device", "major": 9, "minor": 0, "totalGlobalMem": 1 << 30, "multiProcessorCount": 1,
            "warpSize": 32, "maxThreadsPerMultiProcessor": 2048, "sharedMemPerBlock": 49152, "l2CacheSize": 0,
        }  # fmt: skip

    @staticmethod
    def deviceSynchronize():
        _unsupported(_current[0].recording)


class cuda:
    Stream, Event, Device, runtime = _Stream, _Event, _Device, _runtime
    Graph, MemoryPool, using_allocator = capture.Graph, _Pool, _using_allocator

    @staticmethod
    def is_available():
        return True

    @staticmethod
    def get_current_stream(device_id=None):
        return _current[0]

    @staticmethod
    def get_elapsed_time(start, end):
        return (end.time - start.time) * 1e3


def get_default_memory_pool():
    return _pool
