"""The compiled random number stream; what it does not cover is made of its words by the twin."""

import numpy as np

from fastnn import _cpu

from ..numpy_kernels import rng as twin

__all__ = ["Generator", "dropout", "dropout_backward"]


class Generator(twin.Generator):
    """numpy_kernels' Generator over the native stream."""

    def __init__(self, seed: int):
        self._native = _cpu.Generator(seed)
        self.words32 = self._native.words32
        self.words64 = self._native.words64
        self._normals = self._native.normals
        self.randperm = self._native.randperm
        self.manual_seed = self._native.manual_seed

    @property
    def initial_seed(self) -> int:
        return self._native.initial_seed

    def get_state(self) -> np.ndarray:
        return twin._pack_state(*self._native.get_state())

    def set_state(self, state: np.ndarray) -> None:
        self._native.set_state(*twin._unpack_state(state))

    def _u24(self, n):
        out = np.empty(n, np.float32)
        self._native.uniform_(out, 0.0, 1.0)
        return out

    def _u53(self, n):
        out = np.empty(n, np.float64)
        self._native.uniform_(out, 0.0, 1.0)
        return out

    def uniform_(self, out, low, high):
        if not self._native.uniform_(out, low, high):
            super().uniform_(out, low, high)

    def normal_(self, out, mean, std, serial=False):
        if not self._native.normal_(out, mean, std, serial):
            super().normal_(out, mean, std, serial)

    def exponential_(self, out, rate):
        if not self._native.exponential_(out, rate):
            super().exponential_(out, rate)

    def integers_(self, out, low, high):
        span = high - low
        if not (-(1 << 63) <= low < 1 << 63 and self._native.integers_(out, low, span & 0xFFFFFFFFFFFFFFFF)):
            super().integers_(out, low, high)

    def bernoulli_(self, out, p):
        if not self._native.bernoulli_(out, p):
            super().bernoulli_(out, p)


def dropout(generator, x, p):
    result = generator._native.dropout(x, p) if isinstance(generator, Generator) else None
    return twin.dropout(generator, x, p) if result is None else result


def dropout_backward(dy, mask, p):
    dx = _cpu.dropout_backward(dy, mask, p)
    return twin.dropout_backward(dy, mask, p) if dx is None else dx
