"""Random numbers: torch's values, bit for bit, on every table; states, layouts, seeds, fork."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from fastnn.backend import numpy_kernels


def bits(a):
    kind = {4: "08x", 8: "016x"}[a.dtype.itemsize]
    return " ".join(format(v, kind) for v in a.view(f"u{a.dtype.itemsize}").ravel().tolist())


def fresh(table, seed=0):
    return table.Generator(seed)


def filled(n, dtype, fill):
    a = np.empty(n, dtype)
    fill(a)
    return a


def uniform(g, n, dtype="float32", low=0.0, high=1.0):
    return filled(n, dtype, lambda a: g.uniform_(a, low, high))


def normal(g, n, dtype="float32", mean=0.0, std=1.0):
    return filled(n, dtype, lambda a: g.normal_(a, mean, std))


def integers(g, n, low, high, dtype="int64"):
    return filled(n, dtype, lambda a: g.integers_(a, low, high))


# torch.manual_seed(0), then the draw: float32 and float64 as hexadecimal bits.
VECTORS = {
    "uniform": (lambda g: bits(uniform(g, 4)), "3efe1558 3f44aa2f 3db533a8 3e073300"),
    "uniform64": (lambda g: bits(uniform(g, 2, "float64")), "3fef0aac97c4aa2f 3fe6a675d821ccc0"),
    "uniform_range": (lambda g: bits(uniform(g, 4, low=-0.1, high=0.1)), "ba444333 3d5bba30 bda88f45 bd96b867"),
    "normal": (lambda g: bits(normal(g, 4)), "3fc53f5c be963c50 c00b7149 3f1184b6"),
    "normal16": (
        lambda g: bits(normal(g, 16)[[0, 1, 2, 3, 8, 9]]),
        "bf901b85 bf93808a be804bd6 bede255d 3ea50138 bfa1b4f4",
    ),
    "normal20": (
        lambda g: bits(normal(g, 20)[[3, 4, 5, 16, 17, 18, 19]]),
        "bede255d 3f194d8b bfc70d5b 3f6e8c30 3fa12737 4000519a 3d5c1b3a",
    ),
    "normal64": (lambda g: bits(normal(g, 16, "float64")[:2]), "c0027bb92e9262dc bfd7e35794939460"),
    "normal_scaled": (
        lambda g: bits(normal(g, 16, mean=1.5, std=0.3)[:4]),
        "3f94c48b 3f93bfd6 3fb660b6 3faf56cc",
    ),
    "randint": (lambda g: integers(g, 10, 0, 10).tolist(), [4, 9, 3, 0, 3, 9, 7, 3, 7, 3]),
    "randint_large": (lambda g: integers(g, 2, 0, 2**40).tolist(), [741280623151, 506137267392]),
    "random": (
        lambda g: filled(2, "int64", g.random_).tolist(),
        [900450186894289455, 3969543146641149120],
    ),
    "random64": (lambda g: g.random64(), 900450186894289455),
    "randperm": (lambda g: g.randperm(10).tolist(), [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]),
    "bernoulli": (
        lambda g: filled(12, "float32", lambda a: g.bernoulli_(a, 0.5)).tolist(),
        [0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1],
    ),
    "bernoulli_from": (
        lambda g: filled(12, "float32", lambda a: g.bernoulli_from_(a, np.full(12, 0.5, "float32"))).tolist(),
        [1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1],
    ),
    "dropout": (lambda g: g.dropout_mask((12,), 0.25).tolist(), [0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1]),
    "exponential": (
        lambda g: bits(filled(3, "float32", lambda a: g.exponential_(a, 1.0))),
        "4060886b 3f9d7d3f 3f1d7388",
    ),
    "multinomial": (
        lambda g: g.multinomial(np.array([[0.1, 0.2, 0.3, 0.4]], "float32"), 10, True)[0].tolist(),
        [3, 3, 2, 3, 3, 3, 1, 2, 2, 1],
    ),
    "multinomial_without": (
        lambda g: g.multinomial(np.array([[0.1, 0.2, 0.3, 0.4]], "float32"), 4, False)[0].tolist(),
        [2, 1, 3, 0],
    ),
    "multinomial_single": (
        lambda g: [int(g.multinomial(np.array([[0.1, 0.2, 0.3, 0.4]], "float32"), 1, False)[0, 0]) for _ in range(8)],
        [2, 2, 3, 3, 1, 2, 0, 1],
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name, table):
    draw, expected = VECTORS[name]
    assert draw(fresh(table)) == expected


DTYPES = ("float32", "float64", "float16")
SIZES = (1, 15, 16, 17, 1023, 1024, 1025, 2500)


def sequence(g):
    """Every kind of draw in many sizes, one after the other, and the state in between."""
    digest = hashlib.sha256()

    def add(a):
        digest.update(np.ascontiguousarray(a).tobytes())

    for n in SIZES:
        for dtype in DTYPES:
            add(uniform(g, n, dtype))
            add(uniform(g, n, dtype, -0.3, 1.7))
            add(normal(g, n, dtype))
            add(normal(g, n, dtype, -0.5, 0.3))
            add(filled(n, dtype, lambda a: g.normal_(a, 0.1, 1.3, True)))
            for fill, args in (
                (g.exponential_, (1.5,)),
                (g.geometric_, (0.3,)),
                (g.cauchy_, (0.3, 1.7)),
                (g.log_normal_, (0.3, 0.7)),
                (g.bernoulli_, (0.3,)),
                (g.random_, ()),
                (g.integers_, (0, 100)),
            ):
                add(filled(n, dtype, lambda a, fill=fill, args=args: fill(a, *args)))
            p = np.full(n, 0.7, dtype)
            add(filled(n, dtype, lambda a, p=p: g.bernoulli_from_(a, p)))
        for dtype in ("bool", "uint8", "int8", "int16", "int32", "int64"):
            add(filled(n, dtype, g.random_))
            add(filled(n, dtype, lambda a: g.bernoulli_(a, 0.6)))
        for low, high in ((0, 1), (0, 10), (-5, 2**28 - 6), (-5, 2**28 - 5), (-(2**63), 2**63)):
            add(integers(g, n, low, high))
        add(integers(g, n, -(2**31), 2**31, "int32"))
        add(g.randperm(n))
        add(g.dropout_mask((n,), 0.1))
        weights = (np.arange(3 * (n + 1), dtype="float32").reshape(3, -1) % 7 + 1) / 8
        add(g.multinomial(weights, 5, True))
        add(g.multinomial(weights, 1, True))
        add(g.multinomial(weights, 2, False))
        add(g.get_state())
    return digest.hexdigest()


# Taken from the NumPy twin, whose draws tests/oracle compares with torch's one by one.
@pytest.mark.parametrize("seed", [0, 5, 2**64 - 1])
def test_tables_agree(seed, table):
    assert sequence(fresh(table, seed)) == expected_sequence(seed)


@pytest.fixture(scope="module", autouse=True)
def _warm():
    yield
    _SEQUENCES.clear()


_SEQUENCES: dict = {}


def expected_sequence(seed):
    if seed not in _SEQUENCES:
        _SEQUENCES[seed] = sequence(numpy_kernels.Generator(seed))
    return _SEQUENCES[seed]


def test_seeds(table):
    a = uniform(fresh(table, 5), 10)
    assert np.array_equal(a, uniform(fresh(table, 2**32 + 5), 10))
    assert not np.array_equal(a, uniform(fresh(table, 6), 10))
    g = fresh(table, 5)
    normal(g, 3)  # leaves a cached normal
    g.manual_seed(5)
    assert g.initial_seed == 5
    assert np.array_equal(a, uniform(g, 10))


def test_state(table):
    g = fresh(table, 123)
    state = g.get_state()
    assert state.dtype == np.uint8 and state.size == 5056
    assert state[:16].view("<u8")[0] == 123 and state[8:12].view("<i4")[0] == 1 and state[16:24].view("<u8")[0] == 0
    uniform(g, 5)
    state = g.get_state()
    assert state[8:12].view("<i4")[0] == 620 and state[16:24].view("<u8")[0] == 5
    normal(g, 3)
    state = g.get_state()
    assert state[-16:-12].view("<i4")[0] == 1
    a, b = normal(g, 7), uniform(g, 1000)
    for other in (fresh(table, 1), numpy_kernels.Generator(2)):
        other.set_state(state)
        assert np.array_equal(other.get_state(), state)
        assert np.array_equal(normal(other, 7), a) and np.array_equal(uniform(other, 1000), b)
        assert other.initial_seed == 123
    for bad in (state[:-1], state.astype(np.int32), np.zeros(5056, np.uint8), np.full(5056, 255, np.uint8)):
        with pytest.raises(ValueError, match="set_state"):
            g.set_state(bad)


def test_serial_normals_in_parts(table):
    """The cached half of a pair survives other draws, sizes and dtypes."""
    whole = filled(15, "float64", lambda a: fresh(table, 3).normal_(a, 0.0, 1.0))
    g = fresh(table, 3)
    parts = [normal(g, n, "float64") for n in (1, 2, 5, 7)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_memory_order(table):
    """Arrays that are not C-contiguous are filled along their memory."""
    order = table.in_memory_order
    flat = uniform(fresh(table), 24)
    for make, memory in (
        (lambda: np.empty((4, 6), np.float32).T, lambda a: a.T),
        (lambda: np.empty((2, 2, 2, 3), np.float32).transpose(0, 3, 1, 2), lambda a: a.transpose(0, 2, 3, 1)),
        (lambda: np.empty((4, 12), np.float32)[:, ::2], lambda a: a),
        (lambda: np.empty((12, 4), np.float32).T[:, ::2], lambda a: a.T),
    ):
        a = make()
        buffer, target = order(a)
        fresh(table).uniform_(buffer, 0.0, 1.0)
        if target is not None:
            target[...] = buffer
        assert np.array_equal(memory(a).ravel(), flat)


def test_dropout(table):
    for dtype in ("float32", "float64"):
        one = np.dtype(dtype).type(1)
        flat = np.arange(-600, 600, dtype=dtype)
        drawn = fresh(table, 7).dropout_mask((1200,), 0.25)
        assert 0.7 < drawn.mean() < 0.8
        for x, memory in ((flat.reshape(30, 40), lambda a: a), (flat.reshape(30, 40).T, lambda a: a.T)):
            y, mask = table.dropout(fresh(table, 7), x, 0.25)
            assert mask.dtype == np.uint8 and mask.shape == (150,) and y.shape == x.shape and y.dtype == x.dtype
            kept = np.unpackbits(mask, bitorder="little").reshape(x.shape)
            assert np.array_equal(memory(kept).ravel(), drawn)
            assert np.array_equal(y, x * (kept * (one / (one - one / 4))))
            assert np.array_equal(table.dropout_backward(x, mask, 0.25), y)
            dy = np.ascontiguousarray(x)
            assert np.array_equal(table.dropout_backward(dy, mask, 0.25), y)
    for n in (1, 7, 8, 9, 17, 1023, 1025, 100_003):  # the last byte, and the last vector, in part
        for dtype in ("float32", "float64"):
            x, kept = np.ones(n, dtype), np.arange(n) % 3 > 0
            y = table.dropout_backward(x, np.packbits(kept, bitorder="little"), 0.5)
            assert y.dtype == dtype and np.array_equal(y, kept * 2.0)
            drawn = fresh(table, 3).dropout_mask((n,), 0.5)
            y, mask = table.dropout(fresh(table, 3), x, 0.5)
            assert np.array_equal(y, drawn * 2.0) and np.array_equal(mask, np.packbits(drawn, bitorder="little"))


def test_errors(table):
    g = fresh(table)
    with pytest.raises(ValueError):
        g.set_state(np.zeros(3, np.uint8))
    if table.name == "cpu":
        a = np.empty((4, 4), np.float32)
        with pytest.raises(ValueError, match="contiguous"):
            g.uniform_(a.T, 0.0, 1.0)
        a.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            g.uniform_(a, 0.0, 1.0)
        with pytest.raises(ValueError, match="p must be"):
            g.bernoulli_(np.empty(3, np.float32), 1.5)
    before = g.get_state()
    for n in (0,):
        uniform(g, n)
        normal(g, n)
        g.randperm(n)
        g.randperm(1)
    assert np.array_equal(g.get_state(), before)


def test_unaligned(table):
    raw = np.empty(4 * 100 + 1, np.uint8)[1:]
    a = raw.view(np.float32)
    fresh(table).uniform_(a, 0.0, 1.0)
    assert np.array_equal(a, uniform(fresh(table), 100))


def run(code, **env):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=True
    ).stdout.split()


def test_unseeded_processes_differ():
    code = "import fastnn; print(fastnn.initial_seed(), float(fastnn.rand(1)[0]))"
    (seed1, draw1), (seed2, draw2) = run(code), run(code)
    assert seed1 != seed2 and draw1 != draw2


def test_public_generator(table):
    import fastnn
    from fastnn import random

    g = fastnn.Generator()
    assert g.initial_seed() == 67280421310721 and str(g.device) == "cpu"
    a = np.empty(5, np.float32)
    random.engine(g).uniform_(a, 0.0, 1.0)
    assert np.array_equal(a, uniform(fresh(table, 67280421310721), 5))
    assert g.manual_seed(-1) is g and g.initial_seed() == 2**64 - 1
    for bad in (2**64, -(2**63) - 1):
        with pytest.raises(RuntimeError, match="Overflow"):
            g.manual_seed(bad)
    with pytest.raises(TypeError):
        g.manual_seed("a")
    with pytest.raises(RuntimeError, match="device"):
        fastnn.Generator(device="cuda")
    with pytest.raises(TypeError, match="Generator"):
        random.engine(3)
    with pytest.raises(RuntimeError, match="5056"):
        g.set_state(fastnn.zeros(3, dtype=fastnn.uint8))
    with pytest.raises(TypeError):
        g.set_state(3)
    seed = g.seed()
    assert seed == g.initial_seed()
    h = fastnn.Generator()
    h.set_state(g.get_state())
    assert h.initial_seed() == seed
    assert np.array_equal(fastnn.rand(20, generator=g).numpy(), fastnn.rand(20, generator=h).numpy())

    fastnn.manual_seed(11)
    state = fastnn.get_rng_state()
    a = fastnn.rand(3)
    with random.fork_rng():
        fastnn.rand(100)
        fastnn.manual_seed(0)
    b = fastnn.rand(3)
    fastnn.set_rng_state(state)
    assert fastnn.initial_seed() == 11
    assert np.array_equal(fastnn.rand(6).numpy(), np.concatenate([a.numpy(), b.numpy()]))


def test_backend_change_keeps_the_stream():
    import fastnn
    from fastnn import backend

    if "cpu" not in backend.available():
        pytest.skip("no compiled kernels")
    before = backend.active().name
    try:
        backend.use("cpu")
        fastnn.manual_seed(4)
        whole = fastnn.rand(40).numpy()
        fastnn.manual_seed(4)
        parts = []
        for name in ("cpu", "numpy", "cpu", "numpy"):
            backend.use(name)
            parts.append(fastnn.rand(10).numpy())
        assert np.array_equal(np.concatenate(parts), whole)
    finally:
        backend.use(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork_copies_the_stream():
    code = """
import os, fastnn
fastnn.manual_seed(0); fastnn.rand(3)
r, w = os.pipe()
pid = os.fork()
value = fastnn.rand(5).tolist()
if pid == 0:
    os.write(w, repr(value).encode()); os._exit(0)
os.waitpid(pid, 0)
print(os.read(r, 1000).decode() == repr(value))
"""
    assert run(code) == ["True"]
