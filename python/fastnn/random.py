"""Random number generators: torch's CPU streams. A seed gives the numbers that it gives in torch, bit for bit.

The draws themselves are backend/numpy_kernels/rng.py and csrc/runtime/rng.cpp; ops/random.py fills tensors from them.
"""

import contextlib
import os

from . import backend
from .tensor import Tensor, check_device, device, wrap

__all__ = [
    "Generator",
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
        """The stream's state: a uint8 tensor of 5,056 bytes, laid out as torch's."""
        return wrap(engine(self).get_state())

    def set_state(self, new_state) -> None:
        """Continue from a state that get_state gave, here or in torch."""
        if not isinstance(new_state, Tensor):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        try:
            engine(self).set_state(new_state._a)
        except ValueError as e:
            raise RuntimeError(str(e)) from None
        self._seed = self._engine.initial_seed

    def clone_state(self):
        """A new generator at the same place of the same stream."""
        g = Generator(self._device)
        g.set_state(self.get_state())
        return g

    def __reduce__(self):
        return _rebuild, (self.get_state(),)

    def __repr__(self) -> str:
        return f"<fastnn.Generator device={self._device} seed={self._seed}>"


def _rebuild(state):
    g = Generator()
    g.set_state(state)
    return g


default_generator = Generator()
default_generator.seed()  # a process that never seeds starts anywhere


def engine(generator=None):
    """The backend's object behind `generator` (None: the default one), moved over if the backend was changed."""
    if generator is None:
        generator = default_generator
    e = generator._engine if generator.__class__ is Generator else _foreign(generator)
    if e.__class__ is not _Engine:
        previous, e = e, _Engine(generator._seed)
        if previous is not None:
            e.set_state(previous.get_state())
        generator._engine = e
    return e


def _foreign(generator):
    if not isinstance(generator, Generator):
        raise TypeError(f"generator: expected a Generator, got {type(generator).__name__}")
    return generator._engine


def manual_seed(seed: int) -> Generator:
    """Seed the default generator: the numbers that follow are those of torch on the CPU."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator unpredictably; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state():
    """The default generator's state, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state) -> None:
    """Continue the default generator from a state of get_rng_state."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled: bool = True, _caller=None, _devices_kw=None, device_type: str = "cpu"):
    """What is drawn inside leaves the default generator's stream outside as it was."""
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
