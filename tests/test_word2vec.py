"""word2vec's sampling against counting, its losses against the formulas, its gradients by differences."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import text

COUNTS = fastnn.tensor([50, 30, 10, 5, 5])


def seeded(n=0):
    return fastnn.Generator().manual_seed(n)


def test_keep_probability_and_subsample():
    keep = text.keep_probability(COUNTS, 0.1)
    np.testing.assert_allclose(keep.numpy(), [math.sqrt(0.2), math.sqrt(1 / 3), 1, 1, 1], rtol=1e-12)
    tokens = fastnn.zeros(20000, dtype=fastnn.int64)
    assert len(text.subsample(tokens, keep, seeded())) / 20000 == pytest.approx(math.sqrt(0.2), abs=0.01)
    rare = fastnn.full((100,), 3)
    assert text.subsample(rare, keep).tolist() == rare.tolist()


def test_noise_has_counts_to_three_quarters():
    counts = fastnn.tensor([0, 50, 30, 0, 20, 0])
    drawn = text.NoiseSampler(counts).draw((400, 100), seeded())
    assert drawn.shape == (400, 100) and drawn.dtype is fastnn.int64
    want = counts.numpy() ** 0.75
    np.testing.assert_allclose(np.bincount(drawn.numpy().ravel(), minlength=6) / 40000, want / want.sum(), atol=0.01)
    assert not set(drawn.unique().tolist()) & {0, 3, 5}
    for wrong in (fastnn.zeros(3), fastnn.tensor([-1.0, 2.0]), fastnn.zeros(0)):
        with pytest.raises(ValueError, match="NoiseSampler"):
            text.NoiseSampler(wrong)


def test_window_pairs_are_all_and_only_the_near_ones():
    tokens = fastnn.arange(10, 17)
    for window in (1, 3, 20):
        pairs = sorted(zip(*(p.tolist() for p in text.window_pairs(tokens, window, dynamic=False)), strict=True))
        assert pairs == [(a, b) for a in range(10, 17) for b in range(10, 17) if a != b and abs(a - b) <= window]
    assert [len(p) for p in text.window_pairs(tokens[:1])] == [0, 0]
    with pytest.raises(ValueError, match="window"):
        text.window_pairs(tokens, 0)


def test_dynamic_window_prefers_the_near():
    tokens = fastnn.arange(30000)
    centres, contexts = text.window_pairs(tokens, 4, generator=seeded())
    distance = np.bincount((centres - contexts).abs().numpy(), minlength=5)[1:] / 60000
    np.testing.assert_allclose(distance, [1, 0.75, 0.5, 0.25], atol=0.01)


def test_context_windows():
    tokens = fastnn.tensor([7, 8, 9])
    contexts, mask = text.context_windows(tokens, 2, dynamic=False)
    kept = [[t for t, m in zip(c, k, strict=True) if m] for c, k in zip(contexts.tolist(), mask.tolist(), strict=True)]
    assert kept == [[8, 9], [7, 9], [7, 8]]


def test_huffman_is_optimal_and_a_tree():
    tree = text.Huffman(COUNTS.tolist())
    depth = tree.mask.sum(1)
    assert depth.tolist() == [1, 2, 3, 4, 4]
    assert float((2.0**-depth).sum()) == 1  # Kraft
    paths = {tuple(t[: int(d)]) for t, d in zip(tree.turns.tolist(), depth.tolist(), strict=True)}
    assert len(paths) == 5
    with pytest.raises(ValueError, match="at least two"):
        text.Huffman([3])


def test_tree_probabilities_are_a_distribution_and_its_loss_their_logarithm():
    fastnn.manual_seed(0)
    model = text.SkipGram(5, 3, text.Huffman(COUNTS.tolist())).double()
    fastnn.nn.init.normal_(model.outputs.weight)
    centres, contexts = fastnn.tensor([0, 1, 2, 4]), fastnn.tensor([3, 3, 0, 1])
    hidden = model.vectors(centres)
    p = model.log_probability(hidden)
    np.testing.assert_allclose(p.exp().sum(1).detach().numpy(), 1, rtol=1e-6)
    want = -p[fastnn.arange(4), contexts].mean()
    assert float(model(centres, contexts)) == pytest.approx(float(want), rel=1e-9)


@pytest.mark.parametrize("kind", ["SkipGram", "CBOW"])
def test_negative_sampling_is_the_formula(kind):
    fastnn.manual_seed(0)
    model = getattr(text, kind)(5, 3).double()
    fastnn.nn.init.normal_(model.vectors.weight)
    fastnn.nn.init.normal_(model.outputs.weight)
    v, u = (t.weight.detach().numpy() for t in (model.vectors, model.outputs))
    wanted, negatives = [3, 0], [[1, 3], [2, 2]]  # 3 is drawn against itself
    if kind == "SkipGram":
        inputs = (fastnn.tensor([4, 1]), fastnn.tensor(wanted))
        hidden = v[[4, 1]]
    else:
        mask = fastnn.tensor([[1.0, 1.0], [1.0, 0.0]], dtype=fastnn.float64)
        inputs = (fastnn.tensor([[4, 1], [2, 0]]), mask, fastnn.tensor(wanted))
        hidden = np.stack([(v[4] + v[1]) / 2, v[2]])

    def log_sigmoid(x):
        return -np.log1p(np.exp(-x))

    want = 0.0
    for h, w, noise in zip(hidden, wanted, negatives, strict=True):
        want -= log_sigmoid(h @ u[w]) + sum(log_sigmoid(-h @ u[n]) for n in noise if n != w)
    assert float(model(*inputs, fastnn.tensor(negatives))) == pytest.approx(want / 2, rel=1e-9)
    with pytest.raises(ValueError, match="negatives"):
        model(*inputs)


def test_nearest_and_analogy():
    vectors = fastnn.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.1, 3.0], [-1.0, 0.0]])
    cosines, near = text.nearest(vectors, fastnn.tensor([0, 2]), 2)
    assert near[:, 0].tolist() == [1, 3] and float(cosines[0, 0]) == pytest.approx(2 / math.hypot(2, 0.1))
    square = fastnn.tensor([[1.0, 0, 0, 0], [1.0, 0, 1.0, 0], [0, 1.0, 0, 0], [0, 1.0, 1.0, 0], [0, 0, 0, 1.0]])
    assert text.analogy(square, 0, 1, 2, 1) == [3]
