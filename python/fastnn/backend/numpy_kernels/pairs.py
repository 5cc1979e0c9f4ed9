"""NumPy twins of the less common functions of two operands."""

import numpy as np

from .elementwise import _binary, _give

copysign, fmax, fmin, hypot = map(_binary, (np.copysign, np.fmax, np.fmin, np.hypot))
logaddexp, logaddexp2 = _binary(np.logaddexp), _binary(np.logaddexp2)
gcd, lcm, nextafter = _binary(np.gcd), _binary(np.lcm), _binary(np.nextafter)


def heaviside(x, y):
    return np.asarray(np.where(x == 0, y, x > 0)).astype(x.dtype, copy=False)


def signbit(x):
    return np.asarray(np.signbit(x) if x.dtype.kind == "f" else x < 0)


def frexp(x):
    m, e = np.frexp(x)
    return np.asarray(m), np.asarray(e)


def xlogy(x, y, out=None):
    d = (x if isinstance(x, np.ndarray) else y).dtype
    x, y = np.asarray(x, d), np.asarray(y, d)
    r = np.where(np.isnan(y), y, np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, y))))
    return _give(r.astype(d, copy=False), out)


def xlog1py(x, y, out=None):
    d = (x if isinstance(x, np.ndarray) else y).dtype
    x, y = np.asarray(x, d), np.asarray(y, d)
    r = np.where(np.isnan(y), y, np.where(x == 0, 0, x * np.log1p(np.where(x == 0, 1, y))))
    return _give(r.astype(d, copy=False), out)


__all__ = [
    "copysign", "fmax", "fmin", "frexp", "gcd", "heaviside", "hypot", "lcm", "logaddexp", "logaddexp2", "nextafter",
    "signbit", "xlog1py", "xlogy",
]  # fmt: skip
