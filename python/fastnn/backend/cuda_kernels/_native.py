"""What the wrappers of the native kernels share: arrays as integers, the stream, workspaces, which kernels ran."""

import sys

import numpy as np

from .. import cuda_runtime as rt

arrays, ndarray, native = rt.arrays, rt.ndarray, rt.native
launched: dict = {}  # calls so far of each native kernel: tests see that it was not the composition that answered
_codes = {}
if native is not None:
    _codes = {np.dtype(name): value for name, value in native.dtypes.items() if name != "bfloat16"}
_FLOATS = {np.dtype(n) for n in ("float32", "float64", "float16")}


def has(name) -> bool:
    return native is not None and hasattr(native, name)


def code(dtype):
    """The kernels' number of a dtype, None for one that they do not know."""
    found = _codes.get(dtype)
    if found is None and native is not None and dtype.name == "bfloat16" and "ml_dtypes" in sys.modules:
        found = _codes[dtype] = native.dtypes["bfloat16"]
        _FLOATS.add(dtype)
    return found


def is_float(dtype) -> bool:
    return code(dtype) is not None and dtype in _FLOATS


def wide(dtype):
    """The dtype that kernels compute in and keep statistics in."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def described(a):
    """An array as the bindings take it; None stays None. The array goes along, so that a temporary one lives through the
    call (its memory would be the next workspace's otherwise)."""
    if a is None:
        return None
    if rt.recording() is not None:
        rt.capture.keep((a,))
    return a.data.ptr, a.shape, a.strides, _codes[a.dtype], a


def stream() -> int:
    return arrays.cuda.get_current_stream().ptr


def scratch(size):
    """(what keeps it alive, its address) of a workspace; CuPy's pool orders its reuse on the current stream."""
    if not size:
        return None, 0
    memory = arrays.empty(size, np.uint8)
    return memory, memory.data.ptr


def ran(name) -> None:
    launched[name] = launched.get(name, 0) + 1


def contiguous(a):
    return None if a is None else arrays.ascontiguousarray(a)


# ---- channels last: images [N, C, H, W] that lie in memory as [N, H, W, C], torch's channels_last. What takes one as it
# lies gives one back, so that the layout goes on from layer to layer.


def is_last(a) -> bool:
    """Whether an array is such an image, and not in order too."""
    return a.ndim == 4 and not a.flags.c_contiguous and a.transpose(0, 2, 3, 1).flags.c_contiguous


def as_last(a):
    """A view [N, H, W, C] of an image, in order where is_last; a copy in order where not."""
    return arrays.ascontiguousarray(a.transpose(0, 2, 3, 1))


def from_last(a):
    """[N, H, W, C] as an image."""
    return a.transpose(0, 3, 1, 2)
