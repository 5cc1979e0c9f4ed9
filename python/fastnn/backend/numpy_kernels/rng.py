"""NumPy twin of the random numbers: torch's CPU draws, bit for bit.

An MT19937 seeded as torch seeds it, and torch's rules for turning its 32-bit words into values (those of its AVX2
build, whose multiply-adds are fused: every `fma` below rounds once). NumPy has the same engine, so the words cost
nothing here. Methods named with a trailing underscore fill a C-contiguous array; `in_memory_order` turns any other
array into one.
"""

import math

import numpy as np

__all__ = ["Generator", "dropout", "dropout_backward", "in_memory_order"]

STATE_BYTES = 5056
_STATE = np.dtype(
    [
        ("seed", "<u8"),
        ("left", "<i4"),  # words until the next twist, the one due counted
        ("seeded", "<i4"),
        ("next", "<u8"),
        ("key", "<u8", (624,)),
        ("normal", "<f8", (3,)),  # the second is the cached normal
        ("normal_valid", "<i4"),
        ("unused", "<i4", (3,)),  # a cache of float normals that current releases leave empty
    ]
)
_SMALL_RANGE = 1 << 28  # integer ranges from here on take two words
_MASK53 = np.uint64((1 << 53) - 1)
_LOG_COEFFICIENTS = (
    -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip


def in_memory_order(a: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(buffer, target): a C-contiguous array to fill, and the view to copy it to afterwards (None: it is a's memory).

    Draws follow memory, not indices: the axes are taken from the largest stride to the smallest.
    """
    if a.flags.c_contiguous:
        return a, None
    t = a.transpose(sorted(range(a.ndim), key=lambda i: -abs(a.strides[i])))
    if t.flags.c_contiguous:
        return t, None
    return np.empty(t.shape, a.dtype), t


def _fma32(a, b, c):
    """float32 a*b+c, rounded once. The product is exact in float64; the sum is rounded to float64 and then to float32,
    which differs from one rounding only where the float64 sum falls exactly between two float32s: there the part that
    the first rounding lost decides."""
    a, b, c = (np.asarray(v, np.float32).astype(np.float64) for v in (a, b, c))
    p = a * b
    s = np.asarray(p + c)
    tie = (s.view(np.int64) & 0x1FFFFFFF) == 0x10000000
    if tie.any():
        p, c = np.broadcast_to(p, s.shape)[tie], np.broadcast_to(c, s.shape)[tie]
        s[tie] = _round_to_odd(s[tie], _sum_error(p, c, s[tie]))
    return s.astype(np.float32)


def _sum_error(a, b, s):
    """a + b - s exactly, where s is their rounded sum (Knuth)."""
    t = s - a
    return (a - (s - t)) + (b - t)


def _round_to_odd(s, e):
    """The rounding of s + e to odd: where a remainder e was lost and s ends in 0, the neighbour towards e."""
    bits = s.view(np.int64)
    step = np.where((e > 0) == (s > 0), 1, -1)
    return np.where((e != 0) & ((bits & 1) == 0) & (s != 0), bits + step, bits).view(np.float64)


def _fma64(a, b, c):
    """float64 a*b+c, rounded once (Boldo and Melquiond 2008): the exact product is split in two, and what the leading
    sum loses is rounded to odd, so that the last rounding is the only one."""
    a, b, c = np.broadcast_arrays(np.asarray(a, np.float64), np.float64(b), np.float64(c))

    def halves(v):  # Veltkamp
        t = v * 134217729.0
        high = t - (t - v)
        return high, v - high

    (ah, al), (bh, bl) = halves(a), halves(b)
    uh = a * b
    ul = al * bl - (((uh - ah * bh) - al * bh) - ah * bl)
    th = c + ul
    tl = _sum_error(c, ul, th)
    vh = uh + th
    vl = _sum_error(uh, th, vh)
    w = tl + vl
    return vh + _round_to_odd(w, _sum_error(tl, vl, w))


def _log32(v):
    """float32 log of v in (0, 1], Cephes' polynomial."""
    m, e = np.frexp(v)
    small = m < np.float32(0.707106781186547524)
    e = (e - small).astype(np.float32)
    m = np.where(small, (m - np.float32(1)) + m, m - np.float32(1))
    z = m * m
    y = np.float32(7.0376836292e-2)
    for k in _LOG_COEFFICIENTS:
        y = _fma32(y, m, k)
    y = y * m
    y = _fma32(y, z, e * np.float32(-2.12194440e-4))
    y = _fma32(-z, 0.5, y)
    return _fma32(e, 0.693359375, m + y)


def _sincos32(t):
    """float32 sine and cosine of t >= 0, Cephes' polynomials after a reduction by multiples of pi/4."""
    j = (t * np.float32(1.27323954473516)).astype(np.int32)
    j = (j + 1) & ~1
    jf = j.astype(np.float32)
    r = _fma32(jf, -0.78515625, t)
    r = _fma32(jf, -2.4187564849853515625e-4, r)
    r = _fma32(jf, -3.77489497744594108e-8, r)
    z = r * r
    c = _fma32(2.443315711809948e-5, z, -1.388731625493765e-3)
    c = _fma32(c, z, 4.166664568298827e-2)
    c = _fma32(c * z, z, -(z * np.float32(0.5))) + np.float32(1)
    s = _fma32(-1.9515295891e-4, z, 8.3321608736e-3)
    s = _fma32(s, z, -1.6666654611e-1)
    s = _fma32(s * z, r, r)
    swap = (j & 2) != 0
    sin, cos = np.where(swap, c, s), np.where(swap, s, c)
    return np.where((j & 4) != 0, -sin, sin), np.where(((j - 2) & 4) == 0, -cos, cos)


def _normal_blocks32(u, mean, std):
    """u [n, 16] uniforms -> normals, float32."""
    radius = np.sqrt(np.float32(-2) * _log32(np.float32(1) - u[:, :8]))
    sin, cos = _sincos32(np.float32(2 * math.pi) * u[:, 8:])
    return np.concatenate([_fma32(radius * cos, std, mean), _fma32(radius * sin, std, mean)], 1)


def _libm(function, x):
    """The C library's function of every element (NumPy's own vectorised ones differ in last bits)."""
    return np.array([function(v) for v in x.ravel().tolist()], np.float64).reshape(x.shape)


def _normal_blocks64(u, mean, std):
    radius = np.sqrt(-2 * _libm(math.log, 1 - u[:, :8]))
    angle = 2 * math.pi * u[:, 8:]
    z = np.concatenate([radius * _libm(math.cos, angle), radius * _libm(math.sin, angle)], 1)
    return _fma64(z, std, mean)


def _is_half(dtype) -> bool:
    return dtype.kind in "fV" and dtype.itemsize == 2


def _store(out, v):
    """v in out's dtype; the 16-bit types are reached through float32, each step rounding."""
    v = v.reshape(out.shape)
    with np.errstate(over="ignore"):
        v = v.astype(np.float32) if _is_half(out.dtype) else v
        out[...] = v.astype(out.dtype)


class Generator:
    """The state of one stream of draws."""

    def __init__(self, seed: int):
        self._bits = np.random.MT19937()
        self.manual_seed(seed)

    # ---- state ----

    def manual_seed(self, seed: int) -> None:
        """seed in [0, 2**64); the engine takes its low 32 bits."""
        self.initial_seed = seed
        self._bits._legacy_seeding(seed & 0xFFFFFFFF)
        self._fresh = True  # torch's position reads 0 before the first twist, and 624 after the last word of a block
        self._cached = None

    def get_state(self) -> np.ndarray:
        mt = self._bits.state["state"]
        return _pack_state(self.initial_seed, mt["key"], int(mt["pos"]), self._fresh, self._cached)

    def set_state(self, state: np.ndarray) -> None:
        self.initial_seed, key, pos, self._fresh, self._cached = _unpack_state(state)
        self._bits.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": pos}}

    # ---- words ----

    def words32(self, n: int) -> np.ndarray:
        self._fresh = self._fresh and n == 0
        return self._bits.random_raw(n).astype(np.uint32)

    def words64(self, n: int) -> np.ndarray:
        w = self._bits.random_raw(2 * n)
        self._fresh = self._fresh and n == 0
        return (w[0::2] << np.uint64(32)) | w[1::2]

    def random64(self) -> int:
        """One int64 as `random_()` draws it."""
        return int(self.words64(1)[0]) & ((1 << 63) - 1)

    def _u24(self, n):
        return (self.words32(n) & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-24)

    def _u53(self, n):
        return (self.words64(n) & _MASK53).astype(np.float64) * 2.0**-53

    # ---- uniform, integers ----

    def uniform_(self, out: np.ndarray, low: float, high: float) -> None:
        if out.dtype == np.float64:
            v = _fma64(self._u53(out.size), high - low, low)
        else:
            low32, high32 = np.float32(low), np.float32(high)
            v = _fma32(self._u24(out.size), high32 - low32, low32)
            if _is_half(out.dtype):
                v = v.astype(out.dtype)
                v[v == np.asarray(high, out.dtype)] = low
        out[...] = v.reshape(out.shape)

    def random_(self, out: np.ndarray) -> None:
        """The full range of the dtype: what it can count without gaps, for floating point."""
        kind, bits = out.dtype.kind, 8 * out.dtype.itemsize
        if kind == "b":
            span = 2
        elif kind == "u":
            span = 1 << bits
        elif kind == "i":
            span = 1 << (bits - 1)
        elif _is_half(out.dtype):
            span = (1 << (11 if out.dtype == np.float16 else 8)) + 1
        else:
            span = (1 << (53 if bits == 64 else 24)) + 1
        w = self.words64(out.size) if bits == 64 else self.words32(out.size)
        if span < 1 << (8 * w.itemsize):
            w = w % w.dtype.type(span)
        out[...] = w.reshape(out.shape)

    def integers_(self, out: np.ndarray, low: int, high: int) -> None:
        """Integers of [low, high), high - low <= 2**64."""
        span = high - low
        w = self.words32(out.size) if span < _SMALL_RANGE else self.words64(out.size)
        if span < 1 << 64:
            w = w % w.dtype.type(span)
        v = (w.astype(np.uint64) + np.uint64(low & 0xFFFFFFFFFFFFFFFF)).view(np.int64)  # wraps as two's complement
        out[...] = v.reshape(out.shape)

    def randperm(self, n: int) -> np.ndarray:
        w = self.words32(max(n - 1, 0)).astype(np.int64)
        i = np.arange(w.size)
        r = list(range(n))
        for k, other in enumerate((i + w % (n - i)).tolist()):
            r[k], r[other] = r[other], r[k]
        return np.array(r, np.int64)

    # ---- normal ----

    def normal_(self, out: np.ndarray, mean: float, std: float, serial: bool = False) -> None:
        """serial: the array that is filled was not contiguous, where torch draws one value at a time."""
        n = out.size
        if n < 16 or serial:
            _store(out, _fma64(self._normals(n), std, mean))
            return
        double = out.dtype == np.float64
        draw, blocks = (self._u53, _normal_blocks64) if double else (self._u24, _normal_blocks32)
        whole = n - n % 16
        v = np.empty(n, np.float64 if double else np.float32)
        # The uniforms of an incomplete block are drawn and lost; the 16-bit types draw whole blocks only.
        u = draw(whole if _is_half(out.dtype) else n)[:whole]
        v[:whole] = blocks(u.reshape(-1, 16), mean, std).ravel()
        if n % 16:  # the last 16 places are drawn anew, over the tail of the block before
            v[n - 16 :] = blocks(draw(16).reshape(1, 16), mean, std).ravel()
        _store(out, v)

    def _normals(self, n: int) -> np.ndarray:
        """n standard normals one at a time, in float64: Box and Muller's pair, whose second half waits in the cache."""
        z = np.empty(n, np.float64)
        start = 0
        if n and self._cached is not None:
            z[0], self._cached = self._cached, None
            start = 1
        pairs = (n - start + 1) // 2
        u = self._u53(2 * pairs).reshape(pairs, 2)
        radius = np.sqrt(-2 * _libm(math.log1p, -u[:, 1]))
        angle = 2 * math.pi * u[:, 0]
        both = np.stack([radius * _libm(math.cos, angle), radius * _libm(math.sin, angle)], 1).ravel()
        z[start:] = both[: n - start]
        if (n - start) % 2:
            self._cached = float(both[-1])
        return z

    def log_normal_(self, out: np.ndarray, mean: float, std: float) -> None:
        _store(out, _libm(math.exp, _fma64(self._normals(out.size), std, mean)))

    # ---- Bernoulli, dropout ----

    def bernoulli_(self, out: np.ndarray, p: float) -> None:
        out[...] = ((self.words64(out.size) & _MASK53) < np.uint64(math.ceil(p * 2.0**53))).reshape(out.shape)

    def bernoulli_from_(self, out: np.ndarray, p: np.ndarray) -> None:
        """A probability per element, in memory order as out."""
        u = self._u53(out.size) if p.dtype == np.float64 else self._u24(out.size)
        out[...] = u.reshape(out.shape) < p

    def dropout_mask(self, shape, p: float) -> np.ndarray:
        """True where the element is kept."""
        mask = np.empty(shape, np.bool_)
        self.bernoulli_(mask, 1 - p)
        return mask

    # ---- other distributions ----

    def exponential_(self, out: np.ndarray, rate: float) -> None:
        _store(out, (-1 / rate) * _libm(math.log1p, -self._u53(out.size)))

    def geometric_(self, out: np.ndarray, p: float) -> None:
        u = self._u53(out.size)
        _store(out, np.ceil(_libm(lambda x: math.log(x) if x else -math.inf, u) / math.log1p(-p)))

    def cauchy_(self, out: np.ndarray, median: float, sigma: float) -> None:
        _store(out, _fma64(sigma, _libm(math.tan, math.pi * (self._u53(out.size) - 0.5)), median))

    def multinomial(self, weights: np.ndarray, n: int, replacement: bool) -> np.ndarray:
        """Indices [rows, n] drawn in proportion to weights [rows, categories]."""
        weights = np.ascontiguousarray(weights)
        if n == 1 or not replacement:
            q = np.empty_like(weights)
            self.exponential_(q, 1.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                q = weights / q
            if n == 1:
                return q.argmax(1).reshape(-1, 1)
            return np.argsort(-q, 1, kind="stable")[:, :n]
        sums = np.cumsum(weights, 1, dtype=weights.dtype)
        sums /= sums[:, -1:].copy()
        sums[:, -1] = 1
        u = self._u53(weights.shape[0] * n).reshape(-1, n)
        return np.stack([np.searchsorted(s.astype(np.float64), r) for s, r in zip(sums, u, strict=True)])


def _pack_state(seed, key, pos, fresh, cached) -> np.ndarray:
    s = np.zeros((), _STATE)
    s["seed"], s["left"], s["seeded"], s["next"] = seed, 625 - pos, 1, 0 if fresh else pos
    s["key"] = key
    if cached is not None:
        s["normal"][1], s["normal_valid"] = cached, 1
    return np.frombuffer(s.tobytes(), np.uint8).copy()


def _unpack_state(state):
    if state.dtype != np.uint8 or state.size != STATE_BYTES:
        raise ValueError(
            f"set_state: a generator's state is {STATE_BYTES} bytes (uint8), got {state.size} of {state.dtype}"
        )
    s = np.frombuffer(np.ascontiguousarray(state).tobytes(), _STATE)[0]
    left, following = int(s["left"]), int(s["next"])
    fresh = left == 1 and following == 0
    if not s["seeded"] or not 1 <= left <= 624 or not (fresh or following == 625 - left) or (s["key"] >> 32).any():
        raise ValueError("set_state: these bytes are not the state of a generator")
    cached = float(s["normal"][1]) if s["normal_valid"] else None
    return int(s["seed"]), s["key"].astype(np.uint32), 625 - left, fresh, cached


def dropout(generator: Generator, x: np.ndarray, p: float) -> tuple[np.ndarray, np.ndarray]:
    """(y, mask): x with each element zeroed with probability p and the rest scaled by 1/(1-p), 0 < p < 1, drawn in x's
    memory order; y has x's strides. The mask is what dropout_backward takes: a bit an element, in C order."""
    kept = np.empty_like(x, np.bool_)
    buffer, target = in_memory_order(kept)
    generator.bernoulli_(buffer, 1 - p)
    if target is not None:
        target[...] = buffer
    return np.multiply(x, kept * _keep_scale(x.dtype, p)), np.packbits(kept, bitorder="little")


def _keep_scale(dtype, p):
    return (np.float64(1) / (1 - p) if dtype == np.float64 else np.float32(1) / np.float32(1 - p)).astype(dtype)


def dropout_backward(dy: np.ndarray, mask: np.ndarray, p: float) -> np.ndarray:
    kept = np.unpackbits(mask, count=dy.size, bitorder="little").view(np.bool_).reshape(dy.shape)
    return np.multiply(dy, kept * _keep_scale(dy.dtype, p))
