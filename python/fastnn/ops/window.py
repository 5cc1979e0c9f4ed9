"""Window functions of signal processing."""

import math

from .. import dtypes as dt
from ..backend import xp
from ..tensor import Tensor, check_device, wrap
from .create import _finish


def _window(name, length, periodic, dtype, device, requires_grad, shape):
    at = check_device(device, name)
    d = dt.get_default_dtype() if dtype is None else dt.as_dtype(dtype, name)
    if d.category != 2:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {d}")
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    if length == 0:
        return _finish(xp.zeros(0, d.np), requires_grad, None, at)
    if length == 1:
        return _finish(xp.ones(1, d.np), requires_grad, None, at)
    n = length + 1 if periodic else length
    i = xp.arange(n).astype("float64")
    return _finish(shape(i, n - 1)[:length].astype(d.np), requires_grad, None, at)


def _cosines(*weights):
    def shape(i, n):
        total = 0.0
        for j, w in enumerate(weights):
            total = total + (-1) ** j * w * xp.cos(2 * math.pi * j * i / n)
        return total

    return shape


def hann_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, requires_grad=False):
    """0.5 - 0.5·cos(2πi/N)"""
    return _window("hann_window", window_length, periodic, dtype, device, requires_grad, _cosines(0.5, 0.5))


def hamming_window(
    window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None, device=None, requires_grad=False
):
    """alpha - beta·cos(2πi/N)"""
    return _window("hamming_window", window_length, periodic, dtype, device, requires_grad, _cosines(alpha, beta))


def blackman_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, requires_grad=False):
    """0.42 - 0.5·cos(2πi/N) + 0.08·cos(4πi/N)"""
    return _window("blackman_window", window_length, periodic, dtype, device, requires_grad, _cosines(0.42, 0.5, 0.08))


def bartlett_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, requires_grad=False):
    """The triangle 1 - |2i/N - 1|"""
    return _window(
        "bartlett_window", window_length, periodic, dtype, device, requires_grad, lambda i, n: 1 - abs(2 * i / n - 1)
    )


def kaiser_window(
    window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None, requires_grad=False
):
    """I₀(beta·√(1 - (2i/N - 1)²)) / I₀(beta)"""

    def shape(i, n):
        k = Tensor._k
        inner = beta * (1 - xp.minimum(abs(2 * i / n - 1), 1) ** 2) ** 0.5
        return k.i0(inner) / k.i0(wrap(xp.asarray(float(beta)))._a)

    return _window("kaiser_window", window_length, periodic, dtype, device, requires_grad, shape)
