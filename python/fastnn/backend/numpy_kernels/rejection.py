"""Draws by rejection, one element after another in torch's order: gamma, Dirichlet, Poisson, binomial; and how gamma
and Dirichlet draws move with their parameters.

`engine` is the backend's Generator. Constants written with float32() are rounded there in torch too.
"""

import math

import numpy as np

__all__ = ["binomial", "dirichlet_grad", "poisson", "sample_dirichlet", "standard_gamma", "standard_gamma_grad"]

_THIRD = float(np.float32(1) / np.float32(3))
_SQUEEZE = float(np.float32(0.0331))


def _gamma(engine, alpha: float, single: bool) -> float:
    """Marsaglia and Tsang's draw; below 1 by a power of a uniform number. single: alpha is a float32."""
    t = np.float32 if single else np.float64
    scale = 1.0
    if alpha < 1:
        if alpha == 0:
            return 0.0
        scale = (1 - engine._u53(1)[0]) ** float(t(1) / t(alpha))
        alpha = float(t(alpha) + t(1))
    d = float(t(alpha) - t(_THIRD))
    c = 1 / math.sqrt(9 * d)
    while True:
        y = 0.0
        while y <= 0:
            x = float(engine._normals(1)[0])
            y = 1 + c * x
        v = y * y * y
        u = 1 - float(engine._u53(1)[0])
        xx = x * x
        if u < 1 - _SQUEEZE * xx * xx or (u > 0 and math.log(u) < 0.5 * xx + d * (1 - v + math.log(v))):
            return scale * d * v


def standard_gamma(engine, alpha):
    """A Gamma(alpha, 1) draw for each element, at least the dtype's smallest normal number."""
    single = alpha.dtype != np.float64
    tiny = np.finfo(alpha.dtype if alpha.dtype.kind == "f" else np.float32).tiny
    drawn = [_gamma(engine, a, single) for a in alpha.ravel().tolist()]
    return np.maximum(np.array(drawn, np.float64).astype(alpha.dtype), tiny).reshape(alpha.shape)


def standard_gamma_grad(alpha, x):
    """dx/dalpha at the draw x: minus the derivative of the distribution function by alpha, over the density."""
    from .special import digamma

    a, v = np.asarray(alpha, np.float64), np.asarray(x, np.float64)
    term = v / a
    gap = np.log(v) - digamma(a + 1)
    total = -term * gap
    for n in range(1, 20000):
        term = term * v / (a + n)
        gap = gap - 1 / (a + n)
        step = term * gap
        total = total - step
        if not (np.abs(step) > 1e-16 * np.abs(total)).any() and not (term > 1e-16).any():
            break
    return total.astype(x.dtype)


def sample_dirichlet(engine, alpha):
    """A point of the simplex for each row of the last dimension: gamma draws over their sum."""
    g = np.array([_gamma(engine, a, False) for a in alpha.astype(np.float64).ravel().tolist()], np.float64)
    g = np.maximum(g, np.finfo(np.float64).tiny).reshape(alpha.shape)
    x = (g / g.sum(-1, keepdims=True)).astype(alpha.dtype)
    one = alpha.dtype.type(1)
    return np.clip(x, np.finfo(alpha.dtype).tiny, np.nextafter(one, alpha.dtype.type(0)))


def dirichlet_grad(x, alpha, total):
    """How the draw x moves with alpha, its share alone: the implicit derivative of Beta(alpha, total - alpha), over
    1 - x. A power series in x, or in 1 - x where that is smaller."""
    from .special import digamma

    v, a, s = (np.asarray(z, np.float64) for z in (x, alpha, total))
    b, low = s - a, v <= 0.5
    base, top = np.where(low, v, 1 - v), np.where(low, a, b)
    term = v / top
    # by alpha: of x^(a+n)·Γ(s+n)/Γ(a+n+1) for the lower series, of x^a·Γ(s+n)/Γ(a) for the upper one
    gap = np.log(v) + digamma(s) - digamma(np.where(low, a + 1, a))
    out = np.where(low, -term * gap, term * gap)
    for n in range(1, 20000):
        term = term * base * (s + n - 1) / (top + n)
        gap = gap + 1 / (s + n - 1) - np.where(low, 1 / (a + n), 0)
        step = term * gap
        out = out + np.where(low, -step, step)
        if not (np.abs(step) > 1e-16 * np.abs(out)).any():
            break
    return out.astype(x.dtype)


def _poisson(engine, rate: float) -> float:
    def uniform():
        return float(engine._u53(1)[0])

    if rate == 0:
        return 0
    if rate < 10:  # how many uniform numbers multiply to more than exp(-rate)
        limit, count, product = math.exp(-rate), 0, 1.0
        while True:
            product *= uniform()
            if product <= limit:
                return count
            count += 1
    # Hörmann's transformed rejection
    root, log_rate = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    accept = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = uniform() - 0.5, uniform()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + rate + 0.43)
        if us >= 0.07 and v <= accept:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        if math.log(v) + math.log(inverse) - math.log(a / (us * us) + b) <= -rate + k * log_rate - math.lgamma(k + 1):
            return k


def poisson(engine, rate):
    """A Poisson draw for each element."""
    return np.array([_poisson(engine, r) for r in rate.ravel().tolist()], rate.dtype).reshape(rate.shape)


_TAIL = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _tail(k: float) -> float:
    """What Stirling's formula lacks of log k!."""
    if k <= 9:
        return _TAIL[int(k)]
    square = (k + 1) * (k + 1)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


def _rejected_binomial(uniform, n: float, p: float) -> float:
    """Hörmann's BTRS, for n·p of 10 and more."""
    deviation = math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = n * p + 0.5
    accept = 0.92 - 4.2 / b
    odds = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * deviation
    m = math.floor((n + 1) * p)
    while True:
        u, v = uniform() - 0.5, uniform()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + centre)
        if us >= 0.07 and v <= accept:
            return k
        if k < 0 or k > n:
            continue
        v = math.log(v * alpha / (a / (us * us) + b))
        bound = (
            (m + 0.5) * math.log((m + 1) / (odds * (n - m + 1)))
            + (n + 1) * math.log((n - m + 1) / (n - k + 1))
            + (k + 0.5) * math.log(odds * (n - k + 1) / (k + 1))
            + _tail(m) + _tail(n - m) - _tail(k) - _tail(n - k)
        )  # fmt: skip
        if v <= bound:
            return k


def _binomial(uniform, n: float, p: float) -> float:
    if math.isnan(p) or math.isnan(n):
        return math.nan
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    if p > 0.5:
        return n - _binomial(uniform, n, 1 - p)
    if n * p >= 10:
        return _rejected_binomial(uniform, n, p)
    log_q, total, count = math.log1p(-p), 0.0, 0  # waiting times, until they exceed n
    while True:
        u = uniform()
        total += math.ceil(math.log(u) / log_q) if u else math.inf
        if total > n:
            return count
        count += 1


def binomial(engine, count, p):
    """A draw for each pair of count and p, arrays of one shape."""
    drawn = [
        _binomial(lambda: float(engine._u53(1)[0]), n, q)
        for n, q in zip(count.ravel().tolist(), p.ravel().tolist(), strict=True)
    ]
    return np.array(drawn, count.dtype).reshape(count.shape)
