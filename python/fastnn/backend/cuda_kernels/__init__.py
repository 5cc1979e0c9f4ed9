"""The kernels on CUDA devices: each name of numpy_kernels, over CuPy arrays. Ours where fastnn._cuda has one; the rest is
composed of CuPy's functions, on the device. Imported when a device is first used."""

import importlib

from .. import cuda_runtime as _rt

_rt.require("backend 'cuda'")

from . import _composed  # noqa: E402

_parts = [
    importlib.import_module(f"{__name__}.{part}")
    for part in (
        "array attention conv2d elementwise embedding gemm layout linalg linear_cross_entropy normalization optim optim_more "
        "pool2d reduce rng rnn softmax"
    ).split()
]
# Last, because a part and its function may have one name.
globals().update({k: v for k, v in vars(_composed.package).items() if not k.startswith("_") and callable(v)})
for _part in _parts:
    globals().update({k: getattr(_part, k) for k in _part.__all__})

name = "cuda"
