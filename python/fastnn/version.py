"""The version whose interface fastnn follows, and what it was built for: neither CUDA, ROCm nor XPU."""

from . import torch_version

__version__ = torch_version.TORCH
debug = False
cuda = hip = rocm = xpu = git_version = None
