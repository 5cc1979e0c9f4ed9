"""Random numbers for device tensors, drawn on the device by Philox 4x32-10: block i of a seed is four words that depend on
(seed, i) alone, and a generator's state is (seed, the next block). Element e of n takes word e % 4 of block e // 4 (64-bit
dtypes and all integers: two words), so a seed gives the same numbers however the kernels are launched.

The distributions that reject draws (Poisson, binomial, gamma, Dirichlet) are the host's, seeded from this stream.
"""

import math

import numpy as np

from .. import cuda_runtime as rt
from .. import numpy_kernels as twins
from ._native import code, contiguous, described, has, is_float, native, ran, stream, wide
from .attention import Kept

__all__ = [
    "binomial",
    "dropout",
    "dropout_backward",
    "in_memory_order",
    "poisson",
    "sample_dirichlet",
    "standard_gamma",
]

arrays = rt.arrays
_LOW32 = 0xFFFFFFFF
_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)
_BITS = {"float16": 11, "bfloat16": 8}  # of a uniform number; float32 takes 24
STATE_BYTES = 16


def words(xp, seed, offset, blocks):
    """[blocks, 4] words (in uint64) of the blocks from `offset` on, by the array library `xp`."""
    low32, shift = np.uint64(_LOW32), np.uint64(32)
    counter = xp.arange(blocks).astype(np.uint64) + np.uint64(offset & 0xFFFFFFFFFFFFFFFF)
    c0, c1 = counter & low32, counter >> shift
    c2 = c3 = xp.zeros(blocks, np.uint64)
    k0, k1 = seed & _LOW32, seed >> 32
    for _ in range(10):
        a, b = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (b >> shift) ^ c1 ^ np.uint64(k0), b & low32
        c2, c3 = (a >> shift) ^ c3 ^ np.uint64(k1), a & low32
        k0, k1 = (k0 + 0x9E3779B9) & _LOW32, (k1 + 0xBB67AE85) & _LOW32
    return xp.stack([c0, c1, c2, c3], 1)


def _not_recorded(what):
    if rt.recording() is not None:
        raise RuntimeError(
            f"fastnn.cuda.graph: {what} happens on the host, once, and not again when the step is replayed: do it outside "
            "of the step"
        )


def _floating(dtype):
    return dtype.kind == "f" or dtype.name == "bfloat16"


class Generator:
    """The state of one stream of draws. Methods with a trailing underscore fill a C-contiguous array."""

    def __init__(self, seed: int):
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> None:
        _not_recorded("manual_seed")
        self.initial_seed, self.offset = seed, 0

    def get_state(self) -> np.ndarray:
        """Seed and offset in words, 8 bytes each: torch's layout."""
        _not_recorded("get_rng_state")
        return np.array([self.initial_seed, 4 * self.offset & 0xFFFFFFFFFFFFFFFF], np.uint64).view(np.uint8)

    def set_state(self, state: np.ndarray) -> None:
        _not_recorded("set_rng_state")
        if state.dtype != np.uint8 or state.size != STATE_BYTES:
            raise ValueError(
                f"set_state: the state of a generator on the device is {STATE_BYTES} bytes (uint8), got {state.size} of "
                f"{state.dtype}"
            )
        seed, offset = np.ascontiguousarray(state).view(np.uint64).tolist()
        if offset % 4:
            raise ValueError("set_state: offset must be a multiple of 4")
        self.initial_seed, self.offset = seed, offset // 4

    # ---- the kernels, or, where they were not built, the same numbers by array functions ----

    def place(self):
        """(seed, offset, address of a {seed, offset} in device memory that they count from, or 0)."""
        return (self.initial_seed, self.offset, 0) if rt.recording() is None else rt.capture.place(self)

    def moved(self, blocks) -> None:
        if rt.recording() is None:
            self.offset += blocks
        else:
            rt.capture.moved(self, blocks)

    def _launch(self, name, out, *numbers):
        used = getattr(native, name)(*self.place(), described(out), *numbers, stream())
        ran(name)
        self.moved(used)

    def _words(self, out, each):
        """The words of out's elements: [n, 1] or, of two words an element, [n, 2]."""
        _not_recorded("drawing without the compiled kernels")
        blocks = -(-out.size // each)
        w = words(arrays, self.initial_seed, self.offset, blocks)
        self.offset += blocks
        return w.reshape(-1, 4 // each)[: blocks * each]

    def _u(self, out, dtype):
        """Uniform numbers of [0, 1), whole blocks of them."""
        if dtype == np.float64:
            w = self._words(out, 2)
            return ((w[:, 0] << np.uint64(32) | w[:, 1]) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        bits = _BITS.get(dtype.name, 24)
        return (self._words(out, 4)[:, 0] >> np.uint64(32 - bits)).astype(np.float32) * np.float32(2.0**-bits)

    # ---- uniform, integers ----

    def uniform_(self, out, low: float, high: float) -> None:
        if has("random_uniform") and is_float(out.dtype):
            self._launch("random_uniform", out, low, high - low)
            return
        u = self._u(out, out.dtype)[: out.size]
        d = u.dtype.type
        v = (d(low) + u * d(high - low)).astype(out.dtype)
        v[v.astype(u.dtype) >= d(low) + d(high - low)] = low
        out[...] = v.reshape(out.shape)

    def integers_(self, out, low: int, high: int) -> None:
        """Integers of [low, high), high - low <= 2**64."""
        span = (high - low) % (1 << 64)
        if has("random_integers") and out.dtype.kind in "iu" and code(out.dtype) is not None:
            self._launch("random_integers", out, low, span)
        elif has("random_integers"):
            whole = arrays.empty(out.shape, _INT64)
            self._launch("random_integers", whole, low, span)
            out[...] = whole.astype(out.dtype)
        else:
            w = self._words(out, 2)[: out.size]
            w = w[:, 0] << np.uint64(32) | w[:, 1]
            v = ((w % np.uint64(span) if span else w) + np.uint64(low & 0xFFFFFFFFFFFFFFFF)).view(_INT64)
            out[...] = v.reshape(out.shape).astype(out.dtype)

    def random_(self, out) -> None:
        """The full range of the dtype: what it can count without gaps, for floating point."""
        kind, bits = out.dtype.kind, 8 * out.dtype.itemsize
        if kind == "b":
            self.bernoulli_(out, 0.5)
            return
        if kind in "iu":
            span = 1 << (bits - (kind == "i"))
        else:
            span = (1 << {"float16": 11, "bfloat16": 8, "float32": 24}.get(out.dtype.name, 53)) + 1
        self.integers_(out, 0, span)

    def randperm(self, n: int):
        """By sorting random keys of 64 bits."""
        keys = arrays.empty(n, _INT64)
        self.random_(keys)
        return arrays.argsort(keys, 0).astype(_INT64, copy=False)

    # ---- normal ----

    def normal_(self, out, mean: float, std: float, serial: bool = False) -> None:
        if has("random_normal") and is_float(out.dtype):
            self._launch("random_normal", out, mean, std)
            return
        u = self._u(out, wide(out.dtype)).reshape(-1, 2)
        d = u.dtype.type
        radius, angle = arrays.sqrt(d(-2) * arrays.log(d(1) - u[:, 0])), d(2 * math.pi) * u[:, 1]
        z = arrays.stack([radius * arrays.cos(angle), radius * arrays.sin(angle)], 1).reshape(-1)[: out.size]
        out[...] = (d(mean) + d(std) * z).reshape(out.shape).astype(out.dtype)

    def log_normal_(self, out, mean: float, std: float) -> None:
        z = arrays.empty(out.shape, wide(out.dtype))
        self.normal_(z, mean, std)
        out[...] = arrays.exp(z).astype(out.dtype)

    # ---- Bernoulli, dropout ----

    def bernoulli_(self, out, p: float) -> None:
        if has("random_bernoulli") and code(out.dtype) is not None:
            self._launch("random_bernoulli", out, p)
            return
        each = 4 if _floating(out.dtype) and out.dtype.itemsize < 8 else 2
        ones = self._words(out, each)[: out.size, 0] < np.uint64(int(p * 2.0**32))
        out[...] = ones.reshape(out.shape).astype(out.dtype)

    def _uniform(self, shape, dtype):
        u = arrays.empty(shape, dtype)
        self.uniform_(u, 0.0, 1.0)
        return u

    def bernoulli_from_(self, out, p) -> None:
        """A probability per element."""
        u = self._uniform(out.shape, wide(p.dtype))
        out[...] = (u < p.astype(u.dtype, copy=False)).astype(out.dtype)

    def dropout_mask(self, shape, p: float):
        """True where the element is kept; of scores [B, H, L, S] as attention's kernels draw them, without memory."""
        if len(shape) == 4 and has("attention"):
            kept = Kept(*self.place(), int((1 - p) * 2.0**32), tuple(shape))
            self.moved(kept.blocks)
            return kept
        mask = arrays.empty(shape, _BOOL)
        self.bernoulli_(mask, 1 - p)
        return mask

    # ---- other distributions ----

    def exponential_(self, out, rate: float) -> None:
        u = self._uniform(out.shape, np.float64)
        out[...] = (arrays.log1p(-u) * (-1 / rate)).astype(out.dtype)

    def geometric_(self, out, p: float) -> None:
        u = 1 - self._uniform(out.shape, np.float64)
        out[...] = arrays.maximum(arrays.ceil(arrays.log(u) / math.log1p(-p)), 1).astype(out.dtype)

    def cauchy_(self, out, median: float, sigma: float) -> None:
        u = self._uniform(out.shape, np.float64)
        out[...] = (median + sigma * arrays.tan(math.pi * (u - 0.5))).astype(out.dtype)

    def multinomial(self, weights, n: int, replacement: bool):
        """Indices [rows, n] drawn in proportion to weights [rows, categories]."""
        rows, categories = weights.shape
        weights = weights.astype(np.float64)
        if n == 1 or not replacement:
            q = arrays.empty(weights.shape, np.float64)
            self.exponential_(q, 1.0)
            q = weights / arrays.maximum(q, 2.0**-60)
            if n == 1:
                return q.argmax(1).reshape(-1, 1)
            return arrays.argsort(-q, 1)[:, :n]
        # Row r's cumulative shares lie in (r, r + 1]: one search for all rows.
        sums = arrays.cumsum(weights, 1)
        sums /= sums[:, -1:].copy()
        sums[:, -1] = 1
        row = arrays.arange(rows).reshape(-1, 1)
        found = arrays.searchsorted(
            (sums + row).reshape(-1), (self._uniform((rows, n), np.float64) + row).reshape(-1), "right"
        )
        return arrays.minimum(found.reshape(rows, n) - row * categories, categories - 1).astype(_INT64, copy=False)

    def on_host(self):
        """A generator of the host's, seeded by this stream."""
        _not_recorded("a distribution that the host draws from (poisson, binomial, gamma, dirichlet)")
        seed = int(words(np, self.initial_seed, self.offset, 1)[0, 0])
        self.offset += 1
        return twins.Generator(seed)


def _by_strides(a):
    return sorted(range(a.ndim), key=lambda i: -abs(a.strides[i]))


def in_memory_order(a):
    """As the twin's: (a C-contiguous array to draw into, the view to copy it to afterwards or None)."""
    if a.flags.c_contiguous:
        return a, None
    t = a.transpose(_by_strides(a))
    if t.flags.c_contiguous:
        return t, None
    return arrays.empty(t.shape, a.dtype), t


def _drawn_on_host(name):
    draw = getattr(twins, name)

    def f(engine, *parameters):
        return arrays.asarray(draw(engine.on_host(), *(p.get() for p in parameters)))

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"{draw.__doc__ or name} The parameters are copied to the host, the draws back."
    return f


poisson, binomial, standard_gamma, sample_dirichlet = map(
    _drawn_on_host, ("poisson", "binomial", "standard_gamma", "sample_dirichlet")
)


def _back(t, order):
    return t.transpose([order.index(i) for i in range(len(order))])


def dropout(generator, x, p):
    """(x / (1 - p) where the mask is set and 0 elsewhere, the mask), both in x's order of memory."""
    order = _by_strides(x)
    t = contiguous(x.transpose(order))
    if has("dropout") and is_float(x.dtype):
        mask = arrays.empty(t.shape, _BOOL)
        out = arrays.empty(t.shape, x.dtype)
        generator.moved(native.dropout(*generator.place(), described(t), described(out), described(mask), p, stream()))
        ran("dropout")
        return _back(out, order), _back(mask, order)
    dropped = arrays.empty(t.shape, x.dtype)
    generator.bernoulli_(dropped, p)
    mask = _back(dropped == 0, order)
    return dropout_backward(x, mask, p), mask


def dropout_backward(dy, mask, p):
    if has("mask_scale") and is_float(dy.dtype) and dy.shape == mask.shape:
        order = _by_strides(mask)
        g, kept = contiguous(dy.transpose(order)), contiguous(mask.transpose(order))
        out = arrays.empty(g.shape, dy.dtype)
        native.mask_scale(described(g), described(kept), described(out), 1 / (1 - p), stream())
        ran("mask_scale")
        return _back(out, order)
    return arrays.where(mask, dy * dy.dtype.type(1 / (1 - p)), dy.dtype.type(0))
