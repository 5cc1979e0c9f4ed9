"""Every kind of draw against torch, bit for bit, over sizes, dtypes, layouts and seeds, on every table."""

import numpy as np
import pytest
import torch

import fastnn

SEEDS = [0, 5, 123456789, 2**32 + 5, 2**64 - 1]
SIZES = [1, 2, 15, 16, 17, 31, 33, 624, 1000, 1024, 1025, 10007]
TYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
}
FLOATS = ["float32", "float64", "float16"]


def test_torch_draws_what_is_described():
    """Its kernels for other instruction sets round otherwise."""
    assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def same(ours, theirs, what):
    theirs = theirs.numpy()
    ours = ours if isinstance(ours, np.ndarray) else ours.numpy()
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, what
    assert np.ascontiguousarray(ours).tobytes() == np.ascontiguousarray(theirs).tobytes(), what


class Pair:
    """The same draw from both, from streams that go on side by side."""

    def __init__(self, table, seed):
        self.ours = fastnn.Generator().manual_seed(seed)
        self.theirs = torch.Generator().manual_seed(seed)

    def fill(self, method, n, dtype, *args):
        a = getattr(fastnn.empty(n, dtype=getattr(fastnn, dtype)), method)(*args, generator=self.ours)
        b = getattr(torch.empty(n, dtype=TYPES[dtype]), method)(*args, generator=self.theirs)
        same(a, b, (method, n, dtype, args))

    def state(self, what):
        same(self.ours.get_state(), self.theirs.get_state(), what)


@pytest.mark.parametrize("seed", SEEDS)
def test_fills(seed, table):
    pair = Pair(table, seed)
    pair.state("fresh")
    for n in SIZES:
        for dtype in FLOATS:
            for low, high in ((0, 1), (-0.1, 0.1), (2, 3.7), (-1e-3, 5)):
                pair.fill("uniform_", n, dtype, low, high)
            for mean, std in ((0, 1), (1.5, 0.3), (-0.1, 2)):
                pair.fill("normal_", n, dtype, mean, std)
            pair.fill("exponential_", n, dtype, 1.5)
            pair.fill("geometric_", n, dtype, 0.3)
            pair.fill("cauchy_", n, dtype, 0.3, 1.7)
            pair.fill("log_normal_", n, dtype, 0.3, 0.7)
        for dtype in TYPES:
            pair.fill("random_", n, dtype)
            pair.fill("bernoulli_", n, dtype, 0.3)
        for low, high in ((0, 1), (0, 10), (-5, 2**28 - 6), (-5, 2**28 - 5), (-(2**31), 2**31), (-(2**62), 2**62)):
            pair.fill("random_", n, "int64", low, high)
        pair.fill("random_", n, "int32", -7, 2**20)
        pair.state(n)


@pytest.mark.parametrize("dtype", FLOATS)
def test_large_fills(dtype, table):
    n = 40_003 if dtype == "float64" else 200_003
    pair = Pair(table, 1)
    for method, args in (("uniform_", (-0.1, 0.1)), ("normal_", ()), ("normal_", (1.5, 0.3)), ("bernoulli_", (0.9,))):
        pair.fill(method, n, dtype, *args)
    pair.state("end")


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_permutations_and_choices(seed, table):
    pair = Pair(table, seed)
    rng = np.random.default_rng(seed)
    for n in (0, 1, 2, 10, 1000, 60_000):
        same(fastnn.randperm(n, generator=pair.ours), torch.randperm(n, generator=pair.theirs), n)
    for dtype in (np.float32, np.float64):
        for rows, columns in ((1, 5), (3, 40), (2, 1001)):
            w = rng.random((rows, columns)).astype(dtype)
            a, b = fastnn.from_numpy(w), torch.from_numpy(w)
            for n, replacement in ((1, False), (1, True), (5, True), (4, False), (200, True)):
                same(
                    fastnn.multinomial(a, n, replacement, generator=pair.ours),
                    torch.multinomial(b, n, replacement, generator=pair.theirs),
                    (dtype, columns, n, replacement),
                )
            same(fastnn.bernoulli(a, generator=pair.ours), torch.bernoulli(b, generator=pair.theirs), "bernoulli")
    pair.state("end")


LAYOUTS = {
    "transposed": lambda T: T.empty(7, 9).t(),
    "channels_last": lambda T: T.empty(2, 5, 6, 3).permute(0, 3, 1, 2),
    "columns": lambda T: T.empty(9, 14)[:, ::2],
    "transposed_columns": lambda T: T.empty(9, 14)[:, ::2].t(),
    "row": lambda T: T.empty(9, 14)[3],
    "scalar": lambda T: T.empty(()),
    "empty": lambda T: T.empty(0, 3),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_order(layout, table):
    pair = Pair(table, 3)
    for method, args in (("uniform_", ()), ("normal_", (0.5, 2.0)), ("bernoulli_", (0.4,)), ("exponential_", ())):
        a, b = LAYOUTS[layout](fastnn), LAYOUTS[layout](torch)
        getattr(a, method)(*args, generator=pair.ours)
        getattr(b, method)(*args, generator=pair.theirs)
        same(a, b, (layout, method))
    pair.state(layout)


def test_creation_and_dropout(table):
    for T in (fastnn, torch):
        T.manual_seed(42)

    def script(T):
        yield T.rand(3, 5)
        yield T.randn(4)
        yield T.randn(40, 5, dtype=T.float64)
        yield T.randint(10, (20,))
        yield T.randint(-5, 2**40, (3, 2))
        yield T.randperm(33)
        yield T.bernoulli(T.rand(50))
        yield T.normal(1.5, 0.3, (20,))
        yield T.rand_like(T.empty(5, 6).t())
        yield T.nn.functional.dropout(T.ones(1000), 0.25)
        yield T.nn.functional.dropout(T.ones(50, 60).t(), 0.5)
        yield T.nn.functional.dropout2d(T.ones(4, 30, 2, 2), 0.5)
        yield T.nn.Linear(30, 20).weight.detach()
        yield T.nn.Conv2d(3, 8, 5).bias.detach()
        yield T.get_rng_state()

    for i, (a, b) in enumerate(zip(script(fastnn), script(torch), strict=True)):
        same(a, b, i)


def test_states_are_exchanged(table):
    """A state of torch's continues here, and the other way round."""
    theirs = torch.Generator().manual_seed(9)
    torch.randn(5, generator=theirs)
    ours = fastnn.Generator()
    ours.set_state(fastnn.from_numpy(theirs.get_state().numpy()))
    same(fastnn.randn(3, generator=ours), torch.randn(3, generator=theirs), "cached normal")
    same(fastnn.rand(700, generator=ours), torch.rand(700, generator=theirs), "uniform")
    back = torch.Generator()
    back.set_state(torch.from_numpy(ours.get_state().numpy()))
    same(fastnn.randn(40, generator=ours), torch.randn(40, generator=back), "back")


def test_bfloat16(table):
    pytest.importorskip("ml_dtypes", reason="bfloat16 arrays are an extra")
    pair = Pair(table, 2)
    for n in SIZES:
        for method, args in (("uniform_", (-0.1, 0.1)), ("normal_", (0.5, 2.0)), ("exponential_", ()), ("random_", ())):
            a = getattr(fastnn.empty(n, dtype=fastnn.bfloat16), method)(*args, generator=pair.ours)
            b = getattr(torch.empty(n, dtype=torch.bfloat16), method)(*args, generator=pair.theirs)
            same(a.numpy().view(np.int16), b.view(torch.int16), (method, n))
    pair.state("end")
