"""What this fastnn runs on, and the run time's settings: threads and memory. They work on every backend."""

import importlib
import os

from . import backend

_threads: int | None = None  # what set_num_threads() said, where there is no compiled module to keep it
_MAX_THREADS = 1024


def _module(name: str):
    try:
        return importlib.import_module(f"fastnn.{name}")
    except ModuleNotFoundError:
        return None


def _native():
    """The compiled module, or None in a pure-Python install."""
    return _module("_cpu")


def _cuda_text() -> str:
    cuda = _module("_cuda")
    if cuda is None:
        return "not built (-C cmake.define.FASTNN_CUDA=ON builds it)"
    version = ".".join(map(str, cuda.version()))
    try:
        count = cuda.device_count()
    except RuntimeError as e:
        return f"built with {version}; {e}"
    names = [cuda.device(i)["name"] for i in range(count)]
    return f"built with {version}; " + (", ".join(names) if names else "no device")


def config() -> dict:
    """Backend, instruction set, threads, compiler, CUDA and versions, as show_config() prints them."""
    import numpy

    native = _native()
    if native is None:
        kernels = (
            "not in this install: it was built without a compiler, or with FASTNN_CPU=OFF; everything runs on NumPy"
        )
        isa, compiler = "none (NumPy's own)", "none"
    else:
        kernels = "built; also here: " + ", ".join(native.supported_isas())
        isa, compiler = native.isa(), native.compiler()
        if backend.active().name != "cpu":
            isa = f"none (NumPy's own); the compiled kernels would use {isa}"
    import platform  # 3 ms, and only here

    return {
        "backend": backend.active().name,
        "compiled kernels": kernels,
        "instruction set": isa,
        "threads": get_num_threads(),
        "compiler": compiler,
        "CUDA": _cuda_text(),
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "numpy": numpy.__version__,
    }


def show_config() -> None:
    """Print what this fastnn runs on."""
    print("fastnn configuration:")
    for key, value in config().items():
        print(f"  {key + ':':<18}{value}")


def get_num_threads() -> int:
    """How many threads the kernels use: set_num_threads(), else OMP_NUM_THREADS, else the processors allowed here."""
    native = _native()
    if native is not None:
        return native.get_num_threads()
    if _threads is not None:
        return _threads
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdigit() and int(first) > 0:
        return min(int(first), _MAX_THREADS)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_num_threads(n: int) -> None:
    """Use n threads. Results keep their bits: work is cut by shape, never by the number of threads.

    On the NumPy backend it limits NumPy's BLAS, where threadpoolctl is installed.
    """
    global _threads
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"set_num_threads: n must be an integer, got {n!r}")
    n = n.__index__()
    if not 1 <= n <= _MAX_THREADS:
        raise ValueError(f"set_num_threads: n must be from 1 to {_MAX_THREADS}, got {n}")
    _threads = n
    native = _native()
    if native is not None:
        native.set_num_threads(n)
    if backend.active().name == "numpy":
        try:
            import threadpoolctl
        except ImportError:
            return
        threadpoolctl.threadpool_limits(n, user_api="blas")


def memory_stats() -> dict[str, int]:
    """Bytes in use, cached and in use at most so far by results and scratch; allocations, and those from the cache.

    All 0 in a pure-Python install, where NumPy owns the memory.
    """
    native = _native()
    if native is not None:
        return native.memory_stats()
    return dict.fromkeys(("in_use", "cached", "peak", "allocations", "reused"), 0)


def empty_cache() -> None:
    """Give the memory that freed results left in the cache back to the system."""
    native = _native()
    if native is not None:
        native.empty_cache()
