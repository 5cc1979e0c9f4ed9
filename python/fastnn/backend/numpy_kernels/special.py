"""Special functions in NumPy: computed in float64, rounded once to the operand's dtype."""

import math

import numpy as np

from .elementwise import erfc, erfinv


def _in_float64(f):
    def wrapped(x, out=None):
        r = np.asarray(f(np.asarray(x, np.float64))).astype(x.dtype, copy=False)
        if out is None:
            return r
        out[...] = r
        return out

    wrapped.__name__ = wrapped.__qualname__ = f.__name__
    wrapped.__doc__ = f.__doc__
    return wrapped


# Stirling's series: B_2k / (2k (2k - 1)) for ln Γ.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)


def _lgamma_positive(x):
    """ln Γ for x > 0: shifted up to where Stirling's series holds; near 1 and 2 by its distance from them."""
    shift = np.zeros_like(x)
    product = np.ones_like(x)
    y = x.copy()
    for _ in range(10):
        low = y < 10
        product = np.where(low, product * y, product)
        y = np.where(low, y + 1, y)
    shift = np.log(product)
    inv = 1 / y
    series = np.zeros_like(y)
    for c in _STIRLING[::-1]:
        series = series * inv * inv + c
    return (y - 0.5) * np.log(y) - y + 0.5 * math.log(2 * math.pi) + series * inv - shift


@_in_float64
def lgamma(x):
    """ln |Γ(x)|: infinite at 0 and the negative integers."""
    if x.size <= 4096:  # the C library's, exact to the last bit or two
        out = np.empty(x.shape)
        flat = out.reshape(-1)
        for i, v in enumerate(x.reshape(-1).tolist()):
            flat[i] = _lgamma_of(v)
        return out
    a = np.where(x > 0, x, 1 - x)
    r = _lgamma_positive(a)
    reflected = np.log(math.pi / np.absolute(np.sin(math.pi * (x - np.floor(x))))) - r
    r = np.where(x > 0, r, reflected)
    r = np.where((x <= 0) & (x == np.floor(x)), np.inf, r)
    return np.where(np.isnan(x), x, np.where(np.isinf(x), np.inf, r))


def _lgamma_of(v):
    if v != v:
        return v
    if v in (math.inf, -math.inf) or (v <= 0 and v == math.floor(v)):
        return math.inf
    try:
        return math.lgamma(v)
    except OverflowError:
        return math.inf


@_in_float64
def digamma(x):
    """The derivative of ln Γ: NaN at the negative integers, -copysign(inf, x) at 0."""
    negative = x < 0
    y = np.where(negative, 1 - x, x)
    y = np.where(y == 0, 1.0, y)
    total = np.zeros_like(y)
    for _ in range(10):
        low = y < 10
        total = np.where(low, total - 1 / y, total)
        y = np.where(low, y + 1, y)
    inv2 = 1 / (y * y)
    series = np.zeros_like(y)
    for c in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        series = series * inv2 + c
    r = total + np.log(y) - 0.5 / y - series * inv2
    fraction = x - np.trunc(x)
    r = np.where(negative, r - math.pi / np.tan(math.pi * fraction), r)
    r = np.where(negative & (fraction == 0), np.nan, r)
    r = np.where(x == np.inf, np.inf, np.where(x == -np.inf, np.nan, r))
    return np.where(x == 0, -np.copysign(np.inf, x), r)


_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330,
              854513 / 138, -236364091 / 2730]  # fmt: skip


def _hurwitz(s, q):
    """ζ(s, q) = Σ 1/(q + n)^s by Euler and Maclaurin's formula, for s > 1 and q > 0."""
    total = np.zeros(np.broadcast_shapes(np.shape(s), np.shape(q)))
    n = 12
    for i in range(n):
        total = total + np.power(q + i, -s)
    a = q + n
    total = total + np.power(a, 1 - s) / (s - 1) + 0.5 * np.power(a, -s)
    factor = s * np.power(a, -s - 1)
    fact = 2.0
    for j, b in enumerate(_BERNOULLI):
        total = total + b / fact * factor
        k = 2 * (j + 1)
        factor = factor * (s + k - 1) * (s + k) / (a * a)
        fact *= (k + 1) * (k + 2)
    return total


def zeta(x, q):
    """ζ(x, q): 1 gives infinity, below 1 NaN; q at 0 and the negative integers infinity, elsewhere below 0 by shifts."""
    d = (x if isinstance(x, np.ndarray) else q).dtype
    s, q = np.asarray(x, np.float64), np.asarray(q, np.float64)
    s, q = np.broadcast_arrays(s, q)
    safe = np.where(s > 1, s, 2.0)
    total = np.zeros(s.shape)
    y = q.copy()
    while True:  # up to positive q, term by term: a negative base needs an integer power
        low = (y <= 0) & (y > -1e4) & (y != np.floor(y))
        if not low.any():
            break
        total = np.where(low, total + np.power(np.where(low, y, 1.0), -safe), total)
        y = np.where(low, y + 1, y)
    r = total + _hurwitz(safe, np.where(y > 0, y, 1.0))
    r = np.where((q <= 0) & (q == np.floor(q)), np.inf, r)
    r = np.where((q < 0) & (q != np.floor(q)) & (s != np.floor(s)), np.nan, r)
    r = np.where(s == 1, np.inf, np.where(s < 1, np.nan, r))
    return np.asarray(np.where(np.isnan(s) | np.isnan(q), np.nan, r)).astype(d, copy=False)


def polygamma(x, n):
    """The n-th derivative of digamma."""
    if n == 0:
        return digamma(x)
    r = math.factorial(n) * zeta(np.full(x.shape, n + 1.0), np.asarray(x, np.float64))
    return np.asarray(r if n % 2 else -r).astype(x.dtype, copy=False)


@_in_float64
def sinc(x):
    """sin(πx)/(πx), 1 at 0."""
    return np.sinc(x)


def _bessel_i(order):
    """e^-|x| I_order(x): the power series below 20, Hankel's expansion from there."""

    def scaled(x):
        a = np.absolute(x)
        low = np.minimum(a, 20.0)
        term = np.ones_like(a) if order == 0 else low / 2
        total = term.copy()
        for k in range(1, 60):
            term = term * (low * low / 4) / (k * (k + order))
            total = total + term
        total = total * np.exp(-low)
        high = np.maximum(a, 20.0)
        term = np.ones_like(a)
        tail = term.copy()
        for k in range(1, 24):
            term = term * ((2 * k - 1) ** 2 - 4 * order * order) / (8 * k * high)
            tail = tail + term
        tail = tail / np.sqrt(2 * math.pi * high)
        r = np.where(a < 20, total, tail)
        return r * np.sign(x) if order else r

    return scaled


_I0E, _I1E = _bessel_i(0), _bessel_i(1)
i0e, i1e = _in_float64(_I0E), _in_float64(_I1E)


@_in_float64
def i0(x):
    """The modified Bessel function of the first kind, order 0."""
    return _I0E(x) * np.exp(np.absolute(x))


@_in_float64
def i1(x):
    """The modified Bessel function of the first kind, order 1."""
    return _I1E(x) * np.exp(np.absolute(x))


@_in_float64
def erfcx(x):
    """e^(x²)·erfc(x)"""
    from .elementwise import _ERFC, _horner

    a = np.maximum(np.absolute(x), 1.0)
    small = np.exp(x * x) * erfc(x)
    large = np.where(a < 27, _horner(_ERFC, (np.minimum(a, 27) - 3.75) / (np.minimum(a, 27) + 3.75)), 0)
    inv2 = 1 / (a * a)
    far = (1 - 0.5 * inv2 * (1 - 1.5 * inv2 * (1 - 2.5 * inv2))) / (a * math.sqrt(math.pi))
    return np.where(x < 1, small, np.where(a < 27, large, far))


@_in_float64
def ndtr(x):
    """The standard normal distribution function."""
    return 0.5 * erfc(-x * math.sqrt(0.5))


@_in_float64
def log_ndtr(x):
    """ln ndtr(x), also where that is too small."""
    t = x * math.sqrt(0.5)
    low = np.log(erfcx(np.where(x < -1, -t, 1.0)) / 2) - t * t
    return np.where(x < -1, low, np.log1p(-erfc(np.where(x < -1, 0.0, t)) / 2))


@_in_float64
def ndtri(x):
    """The inverse of ndtr: from erfinv, and by Newton's steps on log_ndtr in the lower tail."""
    p = np.minimum(x, 1 - x)
    small = p < 0.01
    centre = math.sqrt(2) * erfinv(2 * x - 1)
    q = np.where(small & (p > 0), p, 0.01)
    z = -np.sqrt(-2 * np.log(q))
    for _ in range(8):
        log_cdf = log_ndtr(z)
        slope = np.exp(-0.5 * z * z - 0.5 * math.log(2 * math.pi) - log_cdf)
        z = z - (log_cdf - np.log(q)) / slope
    tail = np.where(x < 0.5, z, -z)
    r = np.where(small, tail, centre)
    r = np.where(x == 0, -np.inf, np.where(x == 1, np.inf, r))
    return np.where((x < 0) | (x > 1), np.nan, r)


@_in_float64
def entr(x):
    """-x·ln x, 0 at 0, -inf below."""
    r = -x * np.log(np.where(x > 0, x, 1.0))
    return np.where(np.isnan(x), x, np.where(x > 0, r, np.where(x == 0, 0.0, -np.inf)))


def igamma(a, x):
    """The regularised lower incomplete gamma function."""
    d = (a if isinstance(a, np.ndarray) else x).dtype
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    return _igamma(a, x, lower=True).astype(d, copy=False)


def igammac(a, x):
    """The regularised upper incomplete gamma function."""
    d = (a if isinstance(a, np.ndarray) else x).dtype
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    return _igamma(a, x, lower=False).astype(d, copy=False)


def _igamma(a, x, lower):
    """The power series where x < a + 1, Lentz's continued fraction elsewhere."""
    ok = (a > 0) & (x > 0) & np.isfinite(x) & np.isfinite(a)
    p, v = np.where(ok, a, 1.0), np.where(ok, x, 1.0)
    scale = np.exp(p * np.log(v) - v - lgamma(p))
    low = v < p + 1
    term = total = 1 / p
    s, n = np.where(low, v, 0.5 * p), p
    for _ in range(2000):
        n = n + 1
        term = term * s / n
        total = total + term
        if not (np.absolute(term) > np.absolute(total) * 1e-17).any():
            break
    series = total * scale
    w = np.where(low, p + 2, v)
    b = w + 1 - p
    c, e = 1 / 1e-300, 1 / b
    h = e
    for i in range(1, 2000):
        an = -i * (i - p)
        b = b + 2
        e = 1 / np.where(np.absolute(an * e + b) < 1e-300, 1e-300, an * e + b)
        c = np.where(np.absolute(b + an / c) < 1e-300, 1e-300, b + an / c)
        delta = e * c
        h = h * delta
        if not (np.absolute(delta - 1) > 1e-16).any():
            break
    fraction = scale * h
    r = np.where(low, series if lower else 1 - series, 1 - fraction if lower else fraction)
    zero, one = (0.0, 1.0) if lower else (1.0, 0.0)
    r = np.where((x == 0) & (a > 0), zero, np.where((a == 0) & (x > 0), one, r))
    r = np.where((x == np.inf) & np.isfinite(a), one, np.where((a == np.inf) & np.isfinite(x), zero, r))
    bad = (a < 0) | (x < 0) | np.isnan(a) | np.isnan(x) | ((a == 0) & (x == 0)) | ((a == np.inf) & (x == np.inf))
    return np.asarray(np.where(bad, np.nan, r))


__all__ = [
    "digamma", "entr", "erfcx", "i0", "i0e", "i1", "i1e", "igamma", "igammac", "lgamma", "log_ndtr", "ndtr", "ndtri",
    "polygamma", "sinc", "zeta",
]  # fmt: skip
