"""Random numbers on device "cuda" (emulated where there is no GPU), against a Philox4x32-10 of this file's own."""

import math
import pickle

import emulation
import numpy as np
import pytest

import fastnn as T
from fastnn import nn
from fastnn.nn import functional as F

ONES = 0xFFFFFFFF


@pytest.fixture(autouse=True, scope="module")
def device():
    emulation.install()
    yield
    emulation.uninstall()


def philox(counter, key):
    """Ten rounds in Python's integers."""
    (a, b, c, d), (k0, k1) = counter, key
    for _ in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = right >> 32 ^ b ^ k0, right & ONES, left >> 32 ^ d ^ k1, left & ONES
        k0, k1 = (k0 + 0x9E3779B9) & ONES, (k1 + 0xBB67AE85) & ONES
    return a, b, c, d


def words(seed, offset, blocks):
    return [w for i in range(offset, offset + blocks)
            for w in philox((i & ONES, i >> 32, 0, 0), (seed & ONES, seed >> 32))]  # fmt: skip


def pairs(seed, offset, blocks):
    w = words(seed, offset, blocks)
    return [w[i] << 32 | w[i + 1] for i in range(0, len(w), 2)]


def test_the_reference_gives_the_published_vectors():
    """Of the authors' own distribution (Random123, kat_vectors)."""
    assert philox((0, 0, 0, 0), (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert philox((ONES,) * 4, (ONES,) * 2) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)
    assert philox((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)) == (
        0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1,
    )  # fmt: skip


SEEDS = [5, (1 << 40) + 77, 2**64 - 3]


@pytest.mark.parametrize("seed", SEEDS)
def test_values(seed):
    """What each draw makes of its words, one after the other in one stream."""
    T.cuda.manual_seed(seed)
    n, at = 11, 0
    got = T.rand(n, device="cuda")
    want = [np.float32((w >> 8) * 2.0**-24) for w in words(seed, at, 3)[:n]]
    assert got.tolist() == [float(v) for v in want]
    at += 3
    got = T.rand(n, device="cuda", dtype=T.float64)
    assert got.tolist() == [(w >> 11) * 2.0**-53 for w in pairs(seed, at, 6)[:n]]
    at += 6
    got = T.empty(n, device="cuda").uniform_(-2, 3)
    want = [np.float32(-2) + np.float32((w >> 8) * 2.0**-24) * np.float32(5) for w in words(seed, at, 3)[:n]]
    np.testing.assert_allclose(got.tolist(), want, rtol=0, atol=3e-7)  # the device fuses the product and the sum
    at += 3
    for dtype, tolerance in ((T.float32, 1e-6), (T.float64, 1e-14)):
        got = T.randn(n, device="cuda", dtype=dtype) * 2 + 1
        wide = dtype is T.float64
        u = (
            [(w >> 11) * 2.0**-53 for w in pairs(seed, at, 6)]
            if wide
            else [(w >> 8) * 2.0**-24 for w in words(seed, at, 3)]
        )
        at += 6 if wide else 3
        want = []
        for i in range(0, len(u), 2):
            r = math.sqrt(-2 * math.log1p(-u[i]))
            want += [1 + 2 * r * math.cos(2 * math.pi * u[i + 1]), 1 + 2 * r * math.sin(2 * math.pi * u[i + 1])]
        np.testing.assert_allclose(got.tolist(), want[:n], rtol=4 * tolerance, atol=8 * tolerance)
    assert T.randint(-3, 50, (n,), device="cuda").tolist() == [p % 53 - 3 for p in pairs(seed, at, 6)[:n]]
    at += 6
    assert T.randint(0, 9, (n,), device="cuda", dtype=T.float32).tolist() == [p % 9 for p in pairs(seed, at, 6)[:n]]
    at += 6
    assert T.randint(7, (n,), device="cuda", dtype=T.uint8).tolist() == [p % 7 for p in pairs(seed, at, 6)[:n]]
    at += 6
    got = T.empty(n, device="cuda").bernoulli_(0.3)
    assert got.tolist() == [float(w < int(0.3 * 2**32)) for w in words(seed, at, 3)[:n]]
    at += 3
    keys = np.array([p % (1 << 63) for p in pairs(seed, at, 6)[:n]])
    assert T.randperm(n, device="cuda").tolist() == np.argsort(keys, kind="stable").tolist()
    at += 6
    x = T.arange(1.0, n + 1, device="cuda", requires_grad=True)
    y = F.dropout(x, 0.25)
    kept = np.array([w >= int(0.25 * 2**32) for w in words(seed, at, 3)[:n]])
    np.testing.assert_allclose(y.tolist(), np.where(kept, np.arange(1, n + 1) / 0.75, 0), rtol=1e-6)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), np.where(kept, 1 / 0.75, 0), rtol=1e-6)
    at += 3
    state = np.array(T.cuda.get_rng_state().tolist(), np.uint8).view(np.uint64)
    assert state.tolist() == [seed, 4 * at]


def test_the_composition_gives_the_kernels_numbers():
    """Where fastnn._cuda was not built, arrays draw: the same integers and bits, normals to rounding."""
    from fastnn.backend.cuda_kernels import _native, rng

    if _native.native is None:
        pytest.skip("the kernels were not built")
    native, draws = _native.native, []
    for kernels in (native, None):
        _native.native = rng.native = kernels
        try:
            T.cuda.manual_seed(9)
            draws.append([
                T.rand(13, device="cuda"), T.rand(5, device="cuda", dtype=T.float64), T.rand(9, device="cuda").half(),
                T.empty(9, device="cuda", dtype=T.float16).uniform_(0, 3), T.randint(-5, 5, (7,), device="cuda"),
                T.empty(10, device="cuda", dtype=T.int64).random_(), T.empty(6, device="cuda").bernoulli_(0.5),
                T.empty(6, device="cuda", dtype=T.bool).bernoulli_(0.5), F.dropout(T.ones(9, device="cuda"), 0.4),
                T.randn(9, device="cuda"), T.randn(9, device="cuda", dtype=T.float64), T.cuda.get_rng_state(),
            ])  # fmt: skip
        finally:
            _native.native = rng.native = native
    for a, b in zip(*draws, strict=True):
        np.testing.assert_allclose(
            a.cpu().numpy(), b.cpu().numpy(), rtol=2e-6, atol=2e-6 if a.is_floating_point() else 0
        )


def test_seeds_and_states():
    T.manual_seed(4)
    a, host = T.rand(6, device="cuda"), T.rand(3)
    assert T.cuda.initial_seed() == 4
    T.cuda.manual_seed(4)
    assert T.equal(T.rand(6, device="cuda"), a)
    T.manual_seed(4)
    T.cuda.manual_seed_all(8)
    assert T.equal(T.rand(3), host) and not T.equal(T.rand(6, device="cuda"), a)  # a stream of its own
    state = T.cuda.get_rng_state()
    assert state.dtype is T.uint8 and state.shape == (16,) and not state.is_cuda
    b = T.randn(7, device="cuda")
    T.cuda.set_rng_state(state)
    assert T.equal(T.randn(7, device="cuda"), b)
    with T.random.fork_rng():
        T.randn(5, device="cuda")
        inside = T.cuda.get_rng_state()
    assert not T.equal(T.cuda.get_rng_state(), inside)
    with pytest.raises(RuntimeError, match="16 bytes"):
        T.cuda.set_rng_state(T.zeros(5, dtype=T.uint8))
    with pytest.raises(RuntimeError, match="multiple of 4"):
        T.cuda.set_rng_state(T.tensor([0] * 8 + [2] + [0] * 7, dtype=T.uint8))
    T.cuda.seed()
    assert T.cuda.initial_seed() != 8


def test_generators():
    g = T.Generator("cuda").manual_seed(21)
    assert g.device == T.device("cuda") and g.initial_seed() == 21
    T.cuda.manual_seed(21)
    assert T.equal(T.rand(5, device="cuda", generator=g), T.rand(5, device="cuda"))
    copy, clone = pickle.loads(pickle.dumps(g)), g.clone_state()
    want = T.randn(5, device="cuda", generator=g)
    assert all(T.equal(T.randn(5, device="cuda", generator=other), want) for other in (copy, clone))
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
        T.rand(2, device="cuda", generator=T.Generator())
    for draw in (lambda: T.rand(2, generator=g), lambda: T.randperm(3, generator=g)):
        with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator but found 'cuda'"):
            draw()


def test_draws_follow_memory():
    T.cuda.manual_seed(2)
    flat = T.rand(12, device="cuda")
    T.cuda.manual_seed(2)
    assert T.equal(T.empty(3, 4, device="cuda").t().uniform_().t().reshape(-1), flat)
    T.cuda.manual_seed(2)
    holes = T.zeros(12, 2, device="cuda")
    holes[:, 0].uniform_()
    assert T.equal(holes[:, 0], flat) and holes[:, 1].sum() == 0
    p = T.tensor([[0.0, 1.0, 1.0]] * 4)
    for place in ("cpu", "cuda"):  # probabilities go to the elements that they belong to
        assert T.equal(T.empty(3, 4, device=place).t().bernoulli_(p.to(place)).cpu(), p)


@pytest.mark.parametrize("dtype", [T.float32, T.float64, T.float16], ids=str)
def test_moments(dtype):
    """Bounds: five standard errors of the mean and of the variance of n draws."""
    T.cuda.manual_seed(6)
    n = 20000
    new = T.empty(n, device="cuda", dtype=dtype)
    for draw, mean, var, fourth in (
        (lambda: new.uniform_(-1, 3), 1, 16 / 12, 4**4 / 80),
        (lambda: new.normal_(2, 3), 2, 9, 3 * 81),
        (lambda: new.bernoulli_(0.3), 0.3, 0.21, 0.21 * (1 - 3 * 0.21)),
        (lambda: new.exponential_(2.0), 0.5, 0.25, 9 / 16),
        (lambda: new.geometric_(0.4), 2.5, 0.6 / 0.16, 9 * (0.6 / 0.16) ** 2 + 0.6 / 0.16),
        (lambda: new.random_(0, 10), 4.5, 8.25, 120.8625),
        (lambda: new.log_normal_(0, 0.5).log_(), 0, 0.25, 3 / 16),
    ):
        x = draw().double().cpu().numpy()
        step = 2.0**-10 * (abs(mean) + 1) if dtype is T.float16 else 0  # of the dtype's rounding
        assert abs(x.mean() - mean) < 5 * math.sqrt(var / n) + step
        assert abs(x.var() - var) < 5 * math.sqrt((fourth - var * var) / n) + step
    x = new.cauchy_(1.0, 2.0).double()
    assert abs(((x - 1).abs() < 2).double().mean().item() - 0.5) < 5 * math.sqrt(0.25 / n)
    assert abs((x < 1).double().mean().item() - 0.5) < 5 * math.sqrt(0.25 / n)


def test_permutations_and_choices():
    T.cuda.manual_seed(3)
    seen = {tuple(T.randperm(3, device="cuda").tolist()) for _ in range(80)}
    assert len(seen) == 6
    assert sorted(T.randperm(1000, device="cuda").tolist()) == list(range(1000))
    weights = T.tensor([[0.0, 1, 3, 0], [2, 2, 0, 4]], device="cuda")
    drawn = T.multinomial(weights, 8000, replacement=True)
    assert drawn.is_cuda and drawn.dtype is T.int64
    share = np.stack([np.bincount(row, minlength=4) for row in drawn.cpu().numpy()]) / 8000
    want = np.array([[0, 0.25, 0.75, 0], [0.25, 0.25, 0, 0.5]])
    assert (share[want == 0] == 0).all() and np.abs(share - want).max() < 5 * math.sqrt(0.25 / 8000)
    first = np.bincount([T.multinomial(weights[1], 1).item() for _ in range(400)], minlength=4) / 400
    assert first[2] == 0 and np.abs(first - want[1]).max() < 5 * math.sqrt(0.25 / 400)
    for _ in range(20):
        assert (
            set(T.multinomial(weights, 2)[0].tolist()) == {1, 2}
            and len(set(T.multinomial(weights, 3)[1].tolist())) == 3
        )


def test_functions_that_draw_on_the_device():
    T.cuda.manual_seed(1)
    x = T.randn(40, 50, device="cuda")
    for f in (F.alpha_dropout, F.feature_alpha_dropout, F.dropout1d):
        assert f(x[None], 0.5, True).is_cuda
    y = F.rrelu(x, 0.1, 0.3, training=True)
    slope = (y / x)[x < 0]
    assert slope.min() >= 0.1 and slope.max() <= 0.3 and slope.std() > 0.03 and T.equal(y[x >= 0], x[x >= 0])
    for draw in (lambda: T.poisson(x.abs()), lambda: T.distributions.Gamma(x.abs() + 1, 1.0).sample()):
        T.cuda.manual_seed(1)
        a, b = draw(), draw()
        T.cuda.manual_seed(1)
        assert T.equal(draw(), a) and not T.equal(a, b) and a.is_cuda
    q = x.reshape(1, 4, 10, 50)
    T.cuda.manual_seed(1)
    a = F.scaled_dot_product_attention(q, q, q, dropout_p=0.5)
    T.cuda.manual_seed(1)
    assert T.equal(F.scaled_dot_product_attention(q, q, q, dropout_p=0.5), a)
    assert not T.equal(F.scaled_dot_product_attention(q, q, q, dropout_p=0.5), a)


def test_dropout_keeps_an_order_of_memory_and_differentiates_twice():
    x = T.randn(6, 5, device="cuda").t().requires_grad_()
    y = F.dropout(x, 0.5)
    assert y.stride() == x.stride()
    (g,) = T.autograd.grad((y * y).sum(), x, create_graph=True)
    g.sum().backward()
    kept = (y != 0).double()
    np.testing.assert_allclose(x.grad.double().cpu().numpy(), (8 * kept).cpu().numpy(), rtol=1e-6)


def test_checkpoints_draw_the_same_again():
    from fastnn.utils.checkpoint import checkpoint

    net = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5)).cuda()
    x = T.randn(4, 6, device="cuda")
    found = []
    for again in (False, True):
        net.zero_grad()
        T.cuda.manual_seed(5)
        (checkpoint(net, x, use_reentrant=False) if again else net(x)).square().sum().backward()
        found.append(net[0].weight.grad.cpu().numpy())
    np.testing.assert_array_equal(*found)


def test_native_kernels_draw_and_look_up():
    from fastnn.backend.cuda_kernels._native import launched, native

    if native is None:
        pytest.skip("the kernels were not built")
    launched.clear()
    w = nn.Parameter(T.randn(9, 4, device="cuda"))
    i = T.randint(0, 9, (12,), device="cuda")
    F.embedding_bag(i, w, T.tensor([0, 5, 5], device="cuda"), mode="max")
    x = F.dropout(T.rand(3, 9, device="cuda"), 0.5) + T.bernoulli(T.full((3, 9), 0.5, device="cuda"))
    T.zeros(3, 9, device="cuda").bernoulli_(0.4).scatter_(
        1, T.randperm(9, device="cuda").expand(3, 9), x.gather(1, i.expand(3, 12))[:, :9]
    )
    w.sum().backward()
    nn.utils.clip_grad_norm_([w], 1.0)
    for kernel in (
        "random_uniform random_normal random_integers random_bernoulli dropout embedding_bag gather scatter grad_norm"
    ).split():
        assert launched.get(kernel), kernel
