"""Where tensors live, and how they lie in memory."""

import importlib
import threading

from . import _tape, backend
from .backend import xp


class _Contexts(threading.local):
    """The devices entered by `with device(...)`, innermost last."""

    def __init__(self):
        self.stack = []


_contexts = _Contexts()


class device:
    """Where a tensor lives: 'cpu' (or 'cuda:0', for builds that have it)."""

    __slots__ = ("type", "index")

    def __init__(self, type="cpu", index=None):
        if isinstance(type, device):
            type, index = type.type, type.index
        elif isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", type
        elif isinstance(type, str):
            if ":" in type:
                type, _, number = type.partition(":")
                if index is not None or not number.isdigit():
                    raise RuntimeError(f"Invalid device string: '{type}:{number}'")
                index = int(number)
        else:
            raise TypeError(f"device: expected a string such as 'cpu', got {type!r}")
        if type not in ("cpu", "cuda", "meta", "mps", "xpu"):
            raise RuntimeError(f"Expected one of cpu, cuda device type at start of device string: {type}")
        self.type, self.index = type, index

    def __repr__(self):
        return f"device(type='{self.type}'" + (")" if self.index is None else f", index={self.index})")

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __reduce__(self):
        return device, (self.type, self.index)

    def __enter__(self):
        context = placed(self)
        _contexts.stack.append(context)
        context.__enter__()
        return self

    def __exit__(self, *exc):
        _contexts.stack.pop().__exit__()


CPU, CUDA = device("cpu"), device("cuda", 0)


class _Here(threading.local):
    """Where tensors are made that name no device: xp, or the device's names (backend/devices.py)."""

    names = xp
    device = CPU


here = _Here()
on_cuda = None  # the device's names, once it is in use
_runtime = None  # backend.cuda_runtime, from then on


def recording():
    """The recording of a captured step that this thread is making, or None."""
    return None if _runtime is None else _runtime.recording()


def use_cuda(function: str):
    """The array functions of the CUDA device; RuntimeError where there is none."""
    global on_cuda, _runtime
    if on_cuda is None:
        from .backend import cuda_runtime
        from .tensor import Tensor

        cuda_runtime.require(f"{function}: device='cuda'")
        devices = importlib.import_module(f"{backend.__name__}.devices")
        Tensor._k = devices.activate(backend.active())
        _tape.on_device = _backward_on
        _runtime = cuda_runtime
        on_cuda = devices.on_device
    return on_cuda


def check_device(d, function: str):
    """The array functions (xp's names) of the device `d`, None for the default one. Raises where it is not here."""
    if d is None:
        return here.names
    if d is CPU:
        return xp
    d = device(d)
    if d.type == "cpu":
        return xp
    if d.type == "cuda":
        names = use_cuda(function)
        if d.index:
            raise RuntimeError(
                f"{function}: device={str(d)!r}: fastnn uses one CUDA device, 'cuda:0'; CUDA_VISIBLE_DEVICES chooses which"
            )
        return names
    raise RuntimeError(f"{function}: device={str(d)!r} is not available in this build; use device='cpu'")


class placed:
    """A context in which tensors that name no device are made on `d`."""

    def __init__(self, d, function="with device"):
        self._there = (check_device(d, function), CUDA if d.type == "cuda" else CPU)

    def __enter__(self):
        self._before = (here.names, here.device)
        here.names, here.device = self._there
        return self

    def __exit__(self, *exc):
        here.names, here.device = self._before


def _backward_on(g):
    """The context for a rule of create_graph whose gradient is `g`: what it makes belongs beside it."""
    if g.__class__ is list:
        g = next(v for v in g if v is not None)
    return placed(CUDA if getattr(g, "is_cuda", False) else CPU)


def set_default_device(device) -> None:
    """Where tensors are made that name no device, in this thread: 'cpu' (or None), or 'cuda'."""
    d = CPU if device is None else _device(device)
    here.names, here.device = check_device(d, "set_default_device"), CUDA if d.type == "cuda" else CPU


def get_default_device():
    """The device of tensors that name none."""
    return here.device


_device = device


class layout:
    """How a tensor's elements are kept: torch.strided or torch.sparse_coo."""

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"torch.{self._name}"


class memory_format(layout):
    """The order of dimensions in memory, as an argument of to, contiguous, empty_like and others."""

    def __reduce__(self):
        return self._name


strided, sparse_coo = layout("strided"), layout("sparse_coo")
preserve_format, contiguous_format = memory_format("preserve_format"), memory_format("contiguous_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")
