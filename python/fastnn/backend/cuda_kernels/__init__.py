"""The kernels on CUDA devices: each name of numpy_kernels, over CuPy arrays. Ours where fastnn._cuda has one; the rest is
composed of CuPy's functions, on the device. Imported when a device is first used."""

from .. import cuda_runtime as _rt

_rt.require("backend 'cuda'")

from . import _composed  # noqa: E402

globals().update({k: v for k, v in vars(_composed.package).items() if not k.startswith("_") and callable(v)})

from .array import *  # noqa: E402, F403
from .layout import *  # noqa: E402, F403
from .linalg import *  # noqa: E402, F403
from .rng import *  # noqa: E402, F403
from .rnn import *  # noqa: E402, F403

name = "cuda"
