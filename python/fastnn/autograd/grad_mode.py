"""Whether ops are recorded: context managers that are decorators too (torch.no_grad and kin)."""

import functools

from .. import _tape
from .._tape import grad_mode

_GENERATOR = 0x20  # inspect.CO_GENERATOR, without importing inspect


class _Mode:
    """Sets the thread's grad mode inside a `with`, or inside each call of a function it decorates."""

    _enabled = True

    def __init__(self, orig_func=None):
        self._before = []
        self._func = orig_func

    def __new__(cls, orig_func=None):
        self = object.__new__(cls)
        if orig_func is None:
            return self
        self._before = []
        return self(orig_func)

    def _clone(self):
        return type(self)()

    def __enter__(self):
        self._before.append(grad_mode.enabled)
        grad_mode.enabled = self._enabled

    def __exit__(self, *exc):
        grad_mode.enabled = self._before.pop()

    def __call__(self, func):
        mode = self
        if getattr(getattr(func, "__code__", None), "co_flags", 0) & _GENERATOR:

            @functools.wraps(func)
            def generator(*args, **kwargs):
                it = func(*args, **kwargs)
                while True:
                    with mode._clone():
                        try:
                            value = next(it)
                        except StopIteration as stop:
                            return stop.value
                    yield value

            return generator

        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            with mode._clone():
                return func(*args, **kwargs)

        return wrapped


class no_grad(_Mode):
    """Ops inside are not recorded."""

    _enabled = False


class enable_grad(_Mode):
    """Ops inside are recorded, also within no_grad."""

    _enabled = True


class set_grad_enabled(_Mode):
    """Sets the mode at once; as a context manager, until its end."""

    def __new__(cls, mode):
        return object.__new__(cls)

    def __init__(self, mode):
        self._before = [grad_mode.enabled]
        self._enabled = bool(mode)
        grad_mode.enabled = self._enabled

    def _clone(self):
        return type(self)(self._enabled)

    def __call__(self, func):
        grad_mode.enabled = self._before.pop()  # a decorator does not change the mode around it
        return super().__call__(func)

    def __enter__(self):
        grad_mode.enabled = self._enabled


class inference_mode(_Mode):
    """no_grad, known as inference mode. Results are ordinary tensors (torch's cannot enter a graph later)."""

    def __new__(cls, mode=True):
        if callable(mode):
            return cls()(mode)
        return object.__new__(cls)

    def __init__(self, mode=True):
        self._before = []
        self._mode = mode

    def _clone(self):
        return type(self)(self._mode)

    def __enter__(self):
        self._before.append((grad_mode.enabled, grad_mode.inference))
        grad_mode.inference = bool(self._mode)
        _tape.inference_depth += 1
        if self._mode:
            grad_mode.enabled = False

    def __exit__(self, *exc):
        _tape.inference_depth -= 1
        grad_mode.enabled, grad_mode.inference = self._before.pop()


def is_grad_enabled() -> bool:
    return grad_mode.enabled


def is_inference_mode_enabled() -> bool:
    return grad_mode.inference
