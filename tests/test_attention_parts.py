"""fastnn.models: scores and positions against NumPy in float64."""

import numpy as np
import pytest

import fastnn
from fastnn import models

RNG = np.random.default_rng(0)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_scores(lead):
    q, k = RNG.normal(size=(*lead, 4, 6)), RNG.normal(size=(*lead, 5, 8))
    tq, tk = fastnn.tensor(q), fastnn.tensor(k)
    additive = models.AdditiveScore(6, 8, 7).double()
    w, u, v = (m.weight.detach().numpy() for m in (additive.query, additive.key, additive.out))
    want = np.tanh((q @ w.T)[..., :, None, :] + (k @ u.T)[..., None, :, :]) @ v[0]
    np.testing.assert_allclose(additive(tq, tk).detach().numpy(), want, rtol=1e-9, atol=1e-12)
    bilinear = models.BilinearScore(6, 8).double()
    want = np.einsum("...ia,ab,...jb->...ij", q, bilinear.weight.detach().numpy(), k)
    np.testing.assert_allclose(bilinear(tq, tk).detach().numpy(), want, rtol=1e-9, atol=1e-12)
    same = RNG.normal(size=(*lead, 5, 6))
    want = np.einsum("...ia,...ja->...ij", q, same)
    np.testing.assert_allclose(models.dot_score(tq, fastnn.tensor(same)).numpy(), want, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        models.scaled_dot_score(tq, fastnn.tensor(same)).numpy(), want / np.sqrt(6), rtol=1e-9, atol=1e-12
    )


def test_attend_with_a_mask():
    s, v = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 4, 5))
    mask = RNG.random((2, 3, 4)) < 0.6
    mask[..., 0] = True
    want = softmax(np.where(mask, s, -np.inf))
    out, shares = models.attend(fastnn.tensor(s), fastnn.tensor(v), fastnn.tensor(mask))
    np.testing.assert_allclose(shares.numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(out.numpy(), want @ v, rtol=1e-10)


def test_hard_attention_draws_by_softmax_and_takes_one_place():
    fastnn.manual_seed(0)
    scores = fastnn.tensor([0.1, 0.4, 0.2, 0.3]).log().expand(20000, 1, 4).clone().requires_grad_()
    values = fastnn.arange(4.0).view(4, 1)
    out, choice = models.hard_attend(scores, values)
    assert set(choice.detach().numpy().round(6).ravel().tolist()) == {0.0, 1.0} and bool((choice.sum(-1) == 1).all())
    shares = np.bincount(out.detach().numpy().round().astype(int).ravel(), minlength=4) / 20000
    np.testing.assert_allclose(shares, [0.1, 0.4, 0.2, 0.3], atol=0.015)
    out.sum().backward()
    assert float(scores.grad.abs().sum()) > 0
    mask = fastnn.tensor([True, False, True, True])
    out, _ = models.hard_attend(scores.detach(), values, mask, training=False)
    assert set(out.ravel().tolist()) == {3.0}


@pytest.mark.parametrize("width", [1, 5, 8])
def test_sinusoidal_positions(width):
    places, columns = np.arange(30)[:, None], np.arange(width)[None]
    angle = places / 10000.0 ** (columns // 2 * 2 / width)
    want = np.where(columns % 2, np.cos(angle), np.sin(angle))
    np.testing.assert_allclose(
        models.sinusoidal_positions(30, width, dtype=fastnn.float64).numpy(), want, rtol=1e-12, atol=1e-12
    )
    assert models.sinusoidal_positions(3, width).dtype is fastnn.float32
    with pytest.raises(ValueError, match="width"):
        models.sinusoidal_positions(3, 0)


def test_rotary():
    x = RNG.normal(size=(2, 7, 6))
    z = x[..., 0::2] + 1j * x[..., 1::2]
    z = z * np.exp(1j * (np.arange(7)[:, None] + 4) / 10000.0 ** (2 * np.arange(3) / 6))
    got = models.rotary(fastnn.tensor(x), start=4).numpy()
    np.testing.assert_allclose(got[..., 0::2] + 1j * got[..., 1::2], z, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="even"):
        models.rotary(fastnn.zeros(2, 3))


def test_alibi_bias():
    got = models.alibi_bias(4, 3).numpy()
    for head, slope in enumerate([1 / 4, 1 / 16, 1 / 64, 1 / 256]):
        want = [[0, 0, 0], [-slope, 0, 0], [-2 * slope, -slope, 0]]
        np.testing.assert_allclose(got[head], want, rtol=1e-6)
