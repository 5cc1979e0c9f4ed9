"""Device "cuda" without a GPU: the stand-in for CuPy over the emulated kernels (fastnn._cuda_emu, where it was built).

    import emulation
    emulation.install()
    fastnn.ones(3, device="cuda")

or `python -m emulation script.py arguments` with python/ and tests/ on PYTHONPATH.
"""

import importlib

import numpy as np


def native():
    """The emulated kernels' module, None where it was not built (cmake -DFASTNN_CUDA=EMU)."""
    try:
        return importlib.import_module("fastnn._cuda_emu")
    except ModuleNotFoundError:
        return None


def install():
    """Make device "cuda" usable in this process: emulated, unless there is a GPU to use."""
    from fastnn.backend import cuda_runtime

    if not cuda_runtime.problem():
        return
    from . import arrays, capture

    kernels = native()
    if kernels is not None and arrays is not cuda_runtime.arrays:
        kernels = capture.Native(kernels, lambda: arrays._current[0].recording)
    cuda_runtime.install(arrays, kernels if arrays is not cuda_runtime.arrays else cuda_runtime.native)


def uninstall():
    """As before: this machine's own answer to device "cuda"."""
    from fastnn import _device
    from fastnn.backend import cuda_runtime

    if cuda_runtime.arrays is not None and cuda_runtime.arrays.__name__.startswith("emulation"):
        cuda_runtime._problem = _device.on_cuda = None


def upload(a):
    """The host array `a` on the device, with a's strides."""
    from fastnn.backend.cuda_runtime import arrays

    if a.flags.c_contiguous or not a.size:
        return arrays.asarray(a)
    root = a
    while isinstance(root.base, np.ndarray):
        root = root.base
    start = (a.__array_interface__["data"][0] - root.__array_interface__["data"][0]) // a.itemsize
    memory = arrays.asarray(root.ravel(order="K"))
    return arrays.lib.stride_tricks.as_strided(memory[start:], a.shape, a.strides)


def _converted(value, array, convert):
    if isinstance(value, array):
        return convert(value)
    if type(value) in (list, tuple):
        return type(value)(_converted(v, array, convert) for v in value)
    return value


class kernels_of_host_arrays:
    """The backend 'cuda' for tests that have NumPy's arrays: arguments are uploaded, results downloaded."""

    name = "cuda"

    def __init__(self):
        install()
        from fastnn.backend import cuda_kernels, cuda_runtime

        self._kernels, self._array = cuda_kernels, cuda_runtime.ndarray
        self.emulated = cuda_runtime.arrays.__name__.startswith("emulation")
        self.native = cuda_runtime.native is not None  # else compositions of the stand-in's functions alone

    def __getattr__(self, name):
        kernel = getattr(self._kernels, name)

        def call(*args):
            given = _converted(args, (np.ndarray, np.generic), upload)
            result = _converted(kernel(*given), self._array, lambda a: a.get())
            for a, d in zip(args, given, strict=True):  # what a kernel writes in place shows on the host, too
                _write_back(a, d)
            return result

        return call


def _write_back(a, d):
    if isinstance(a, np.ndarray):
        if a.flags.writeable:
            a[...] = d.get()
    elif type(a) in (list, tuple):
        for x, y in zip(a, d, strict=True):
            _write_back(x, y)
