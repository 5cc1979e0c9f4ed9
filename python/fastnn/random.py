"""Random number generators: torch's CPU streams, of which a seed gives the numbers that it gives in torch, bit for bit,
and for device "cuda" Philox streams of our own.

The draws themselves are backend/numpy_kernels/rng.py and csrc/runtime/rng.cpp, and backend/cuda_kernels/rng.py;
ops/random.py fills tensors from them.
"""

import contextlib
import os

from . import _device as devices
from . import backend
from .tensor import Tensor, check_device, device, wrap

__all__ = [
    "Generator",
    "cuda_generator",
    "default_generator",
    "engine",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]

_device = device
_DEFAULT_SEED = 67280421310721  # of a new Generator, as in torch
_Engine = None  # the backend's class


def _set_backend(module) -> None:
    global _Engine
    _Engine = module.Generator


backend.on_change(_set_backend)


def _checked_seed(value) -> int:
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not hasattr(value, "__index__"):
        raise TypeError(f"manual_seed expected a long, but got {type(value).__name__}")
    value = value.__index__()
    if not -(1 << 63) <= value < 1 << 64:
        raise RuntimeError(f"Overflow when unpacking long long: manual_seed({value}); a seed lies in [-2**63, 2**64)")
    return value & 0xFFFFFFFFFFFFFFFF  # negative seeds count from 2**64 down


def _random_seed() -> int:
    return int.from_bytes(os.urandom(8), "little") >> 11


class Generator:
    """A stream of random numbers with a state of its own, for the `generator=` argument of the functions that draw."""

    __slots__ = ("_device", "_seed", "_engine", "__weakref__")

    def __init__(self, device="cpu"):
        check_device(device, "Generator")
        self._device = _device(device)
        self._seed = _DEFAULT_SEED
        self._engine = None  # made at the first use: an import pays nothing for it

    @property
    def device(self):
        return self._device

    def manual_seed(self, seed: int):
        """Restart the stream at `seed`."""
        self._seed = _checked_seed(seed)
        if self._engine is not None:
            self._engine.manual_seed(self._seed)
        return self

    def seed(self) -> int:
        """Restart the stream at an unpredictable seed, and return that."""
        self.manual_seed(_random_seed())
        return self._seed

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return self._seed

    def get_state(self):
        """The stream's state: a uint8 tensor of 5,056 bytes (16 of a CUDA generator) in host memory, laid out as torch's."""
        return wrap(_own_engine(self).get_state())

    def set_state(self, new_state) -> None:
        """Continue from a state that get_state gave, here or in torch."""
        if not isinstance(new_state, Tensor):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        try:
            _own_engine(self).set_state(new_state._a)
        except ValueError as e:
            raise RuntimeError(str(e)) from None
        self._seed = self._engine.initial_seed

    def clone_state(self):
        """A new generator at the same place of the same stream."""
        g = Generator(self._device)
        g.set_state(self.get_state())
        return g

    def __reduce__(self):
        return _rebuild, (self.get_state(), str(self._device))

    def __repr__(self) -> str:
        return f"<fastnn.Generator device={self._device} seed={self._seed}>"


def _rebuild(state, device="cpu"):
    g = Generator(device)
    g.set_state(state)
    return g


default_generator = Generator()
default_generator.seed()  # a process that never seeds starts anywhere
cuda_generator = Generator()  # the default one of device "cuda"
cuda_generator._device, cuda_generator._seed = devices.CUDA, default_generator._seed


def engine(generator=None, a=None):
    """What draws into the array `a` (None: host memory) from `generator` (None: the default one of a's device): an object
    of the backend, moved over if the backend was changed."""
    if devices.on_cuda is not None and a.__class__ is devices.on_cuda.ndarray:
        return _engine_on_device(generator)
    if devices.recording() is not None:
        raise RuntimeError(
            "fastnn.cuda.graph: numbers are drawn from the CPU's generator, once, and a replay would repeat them: draw on "
            "the device (device='cuda'), or pass what was drawn to the step as an argument"
        )
    if generator is None:
        generator = default_generator
    e = generator._engine if generator.__class__ is Generator else _foreign(generator)
    if e.__class__ is not _Engine:
        _check_generator(generator, "cpu")
        previous, e = e, _Engine(generator._seed)
        if previous is not None:
            e.set_state(previous.get_state())
        generator._engine = e
    return e


def _foreign(generator):
    if not isinstance(generator, Generator):
        raise TypeError(f"generator: expected a Generator, got {type(generator).__name__}")
    return generator._engine


def _check_generator(generator, kind):
    if generator._device.type != kind:
        raise RuntimeError(f"Expected a '{kind}' device type for generator but found '{generator._device.type}'")


def _engine_on_device(generator):
    if generator is None:
        generator = cuda_generator
    e = generator._engine if generator.__class__ is Generator else _foreign(generator)
    if e is None or generator._device.type != "cuda":
        _check_generator(generator, "cuda")
        e = generator._engine = _device_engine(generator._seed)
    return e


def _device_engine(seed):
    devices.use_cuda("Generator")
    from .backend.cuda_kernels.rng import Generator as Philox

    return Philox(seed)


def _own_engine(generator):
    return (engine if generator._device.type == "cpu" else _engine_on_device)(generator)


def manual_seed(seed: int) -> Generator:
    """Seed the default generators of all devices: the numbers that follow on the CPU are torch's."""
    cuda_generator.manual_seed(seed)
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generators of all devices unpredictably; returns the seed."""
    cuda_generator.manual_seed(default_generator.seed())
    return default_generator.initial_seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state():
    """The default generator's state, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state) -> None:
    """Continue the default generator from a state of get_rng_state."""
    default_generator.set_state(new_state)


def all_states() -> list:
    """The states of the default generators of the devices in use."""
    found = [default_generator] if devices.on_cuda is None else [default_generator, cuda_generator]
    return [(g, g.get_state()) for g in found]


def set_all_states(states) -> None:
    for generator, state in states:
        generator.set_state(state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled: bool = True, _caller=None, _devices_kw=None, device_type: str = "cpu"):
    """What is drawn inside leaves the default generator's stream outside as it was."""
    if not enabled:
        yield
        return
    states = all_states()
    try:
        yield
    finally:
        set_all_states(states)
