"""CuPy, which owns device memory and streams, and fastnn._cuda, our kernels: both are imported when a device is first
asked for. Where one is missing, `problem()` says which, and what would do."""

import importlib
import importlib.util
import threading

arrays = None  # CuPy
native = None  # fastnn._cuda; None where only compositions of the array library's functions run (tests)
ndarray = None  # CuPy's array class
capture = None  # the recording of a step that goes on (fastnn/cuda/_recording.py)
_problem = None  # unknown yet
_listeners: list = []
_thread = threading.get_ident


def install(array_module, native_module) -> None:
    """Compute with these two: tests put in a stand-in for CuPy and the emulated kernels."""
    global arrays, native, ndarray, _problem
    if arrays is not None and arrays is not array_module:
        raise RuntimeError("cuda_runtime.install: the device is in use already, with another array module")
    arrays, native, ndarray, _problem = array_module, native_module, array_module.ndarray, ""


def problem() -> str:
    """Why no CUDA device can be used; "" where one can."""
    global _problem
    if _problem is None:
        found = []
        module = None
        try:
            module = importlib.import_module("fastnn._cuda")
        except ModuleNotFoundError:
            found.append("this build has no CUDA kernels (build with -C cmake.define.FASTNN_CUDA=ON)")
        except ImportError as error:
            found.append(f"the CUDA kernels cannot be loaded ({error})")
        if module is not None:
            try:
                if module.device_count() == 0:
                    found.append("no CUDA device was found")
            except RuntimeError as error:
                found.append(str(error).removeprefix("fastnn: "))
        if module is not None:  # CuPy takes a while to import: only where it could be used
            if importlib.util.find_spec("cupy") is None:
                found.append("CuPy is not installed (pip install '.[cuda13]')")
            elif not found:
                try:
                    install(importlib.import_module("cupy"), module)
                except ImportError as error:
                    found.append(f"CuPy cannot be imported ({error}); pip install '.[cuda13]' has one that fits")
        _problem = "; ".join(found)
    return _problem


def require(what: str) -> None:
    """Raise RuntimeError, beginning with `what`, where there is no CUDA device."""
    reason = problem()
    if reason:
        raise RuntimeError(f"{what} is not available in this build or on this machine: {reason}; use device='cpu'")


def upload(a):
    """The host array `a`, which follows from sizes alone, on the device; while a step is being recorded it becomes part of
    the recording."""
    into = recording()
    return arrays.asarray(a) if into is None else into.constant(a)


def recording():
    """The recording of a captured step that this thread is making, or None."""
    return capture if capture is None or capture.thread == _thread() else None


def stream() -> int:
    """The current stream's handle: every kernel is launched there."""
    return arrays.cuda.get_current_stream().ptr
