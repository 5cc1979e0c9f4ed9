"""fastnn.models against formulas written out, and a GPT against itself without its cache."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import models, nn


def small(**changes):
    fastnn.manual_seed(0)
    return models.GPT(
        models.GPTConfig(**{"vocabulary": 11, "context": 12, "layers": 2, "heads": 2, "width": 8, **changes})
    )


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_gpt_is_the_formula():
    model = small(bias=True).double()
    p = {k: v.detach().numpy() for k, v in model.named_parameters()}
    tokens = np.array([[3, 1, 4, 1, 5]])

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x, name):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    x = p["tokens.weight"][tokens] + p["positions.weight"][:5]
    for i in range(2):
        q, k, v = np.split(linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attention.qkv"), 3, -1)
        heads = []
        for h in range(2):
            at = slice(4 * h, 4 * h + 4)
            scores = q[..., at] @ k[..., at].transpose(0, 2, 1) / 2.0
            scores[:, np.triu(np.ones((5, 5)), 1) > 0] = -np.inf
            heads.append(softmax(scores) @ v[..., at])
        x = x + linear(np.concatenate(heads, -1), f"blocks.{i}.attention.out")
        hidden = linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.up")
        erf = np.vectorize(math.erf)
        x = x + linear(hidden * 0.5 * (1 + erf(hidden / math.sqrt(2))), f"blocks.{i}.down")
    want = norm(x, "norm") @ p["tokens.weight"].T
    np.testing.assert_allclose(model(fastnn.tensor(tokens)).detach().numpy(), want, rtol=1e-9, atol=1e-12)


def test_cache_changes_nothing_in_any_portions():
    model = small().double().eval()
    tokens = fastnn.randint(0, 11, (3, 12))
    with fastnn.no_grad():
        whole = model(tokens)
        for portions in ([12], [1] * 12, [5, 1, 4, 2], [1, 11]):
            cache, start, parts = model.cache(3), 0, []
            for n in portions:
                parts.append(model(tokens[:, start : start + n], cache))
                start += n
            np.testing.assert_allclose(fastnn.cat(parts, 1).numpy(), whole.numpy(), rtol=1e-9, atol=1e-12)
            with pytest.raises(ValueError, match="context is 12"):
                model(tokens[:, :1], cache)


def test_generate_with_and_without_cache_and_past_the_context():
    model = small()
    prompt = fastnn.tensor([[1, 2, 3], [4, 5, 6]])
    a, b = (models.generate(model, prompt, 9, temperature=0, use_cache=c) for c in (True, False))
    assert a.tolist() == b.tolist() and a.shape == (2, 12)
    assert model.training  # left as it was
    assert models.generate(model, prompt, 40).shape == (2, 43)
    assert models.generate(model, fastnn.zeros(1, 30, dtype=fastnn.int64), 2).shape == (1, 32)
    assert models.generate(model, prompt, 0).tolist() == prompt.tolist()
    with pytest.raises(ValueError, match="tokens must be"):
        models.generate(model, prompt[:, :0], 1)


def test_gpt_weights_and_groups():
    model = small(layers=3, width=64, heads=4)
    assert model.head.weight is model.tokens.weight
    assert float(model.blocks[0].attention.qkv.weight.std()) == pytest.approx(0.02, rel=0.05)
    assert float(model.blocks[2].down.weight.std()) == pytest.approx(0.02 / math.sqrt(6), rel=0.05)
    groups = model.parameter_groups(0.1)
    assert sum(p.numel() for g in groups for p in g["params"]) == sum(p.numel() for p in model.parameters())
    assert all(p.dim() == 1 for p in groups[1]["params"]) and groups[1]["weight_decay"] == 0
    for wrong in ({"width": 7}, {"layers": 0}, {"dropout": 1.0}):
        with pytest.raises(ValueError, match="GPTConfig"):
            small(**wrong)


def test_filter_logits():
    p = fastnn.tensor([[0.1, 0.4, 0.2, 0.3], [0.25, 0.25, 0.25, 0.25]])
    logits = p.log()

    def kept(**settings):
        return fastnn.isfinite(models.filter_logits(logits, **settings)).tolist()

    assert kept(top_k=2)[0] == [False, True, False, True]
    assert kept(top_k=9)[0] == [True] * 4
    assert kept(top_p=0.69)[0] == [False, True, False, True]
    assert kept(top_p=0.71)[0] == [False, True, True, True]
    assert kept(top_p=1e-9)[0] == [False, True, False, False]
    assert kept(top_p=1.0) == [[True] * 4] * 2
    assert sum(kept(top_p=0.5)[1]) == 2  # ties: as few as suffice
    assert kept(top_k=2, top_p=0.5)[0] == [False, True, False, False]  # 4/7 of the two suffices
    for wrong in ({"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}):
        with pytest.raises(ValueError, match="filter_logits"):
            models.filter_logits(logits, **wrong)


@pytest.mark.parametrize(
    ("settings", "want"),
    [
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, [0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.75}, [0, 4 / 9, 2 / 9, 3 / 9]),
    ],
)
def test_sample_has_the_distribution(settings, want):
    logits = fastnn.tensor([0.1, 0.4, 0.2, 0.3]).log().expand(20000, 4)
    drawn = models.sample(logits, generator=fastnn.Generator().manual_seed(1), **settings)
    assert drawn.shape == (20000,) and drawn.dtype is fastnn.int64
    shares = np.bincount(drawn.numpy(), minlength=4) / 20000
    assert np.abs(shares - want).max() < 0.015
    assert all(s == 0 for s, w in zip(shares, want, strict=True) if w == 0)


def test_sample_at_zero_and_below():
    assert models.sample(fastnn.tensor([[1.0, 3.0, 2.0]]), temperature=0).tolist() == [1]
    with pytest.raises(ValueError, match="temperature"):
        models.sample(fastnn.zeros(3), temperature=-1)


def test_models_are_modules_and_lazy():
    assert isinstance(small(), nn.Module)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        models.nothing_like_it  # noqa: B018


def test_mask_tokens():
    tokens = fastnn.randint(3, 20, (200, 100))
    tokens[:, 0] = 1
    seen, targets = models.mask_tokens(
        tokens, mask=2, vocabulary=20, first=3, generator=fastnn.Generator().manual_seed(0)
    )
    chosen = targets != -100
    assert float(chosen.float().mean()) == pytest.approx(0.15 * 0.99, abs=0.01) and not bool(chosen[:, 0].any())
    assert bool((targets[chosen] == tokens[chosen]).all()) and bool((seen[~chosen] == tokens[~chosen]).all())
    masked = float((seen[chosen] == 2).float().mean())
    kept = float((seen[chosen] == tokens[chosen]).float().mean())
    assert masked == pytest.approx(0.8, abs=0.03) and kept == pytest.approx(0.1 + 0.1 / 17, abs=0.03)
    assert int(seen[chosen & (seen != 2)].min()) >= 3
    with pytest.raises(ValueError, match="share"):
        models.mask_tokens(tokens, 2, 20, share=0)


def test_bert_ignores_what_is_not_there_and_vit_takes_patches():
    fastnn.manual_seed(0)
    model = models.Bert(30, 16, 2, 2, context=8).eval()
    tokens = fastnn.randint(0, 30, (2, 6))
    there = fastnn.arange(6) < 4
    other = tokens.clone()
    other[:, 4:] = 7
    with fastnn.no_grad():
        a, b = (model(t, there=there.expand(2, 6))[:, :4] for t in (tokens, other))
        short = model(tokens[:, :4])
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)
    np.testing.assert_allclose(a.numpy(), short.numpy(), atol=1e-5)
    with pytest.raises(ValueError, match="8 positions"):
        model(fastnn.zeros(1, 9, dtype=fastnn.int64))
    assert models.VisionTransformer(image=32, patch=8, channels=3, width=8, heads=2)(
        fastnn.zeros(2, 3, 32, 32)
    ).shape == (2, 10)
    with pytest.raises(ValueError, match="multiple of patch"):
        models.VisionTransformer(patch=5)


def test_tree_net_is_the_recursion():
    fastnn.manual_seed(0)
    net = models.TreeNet(6, 4).double()
    leaves, w, b = (t.detach().numpy() for t in (net.leaves.weight, net.gates.weight, net.gates.bias))

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def recurse(tree, out):
        if isinstance(tree, int):
            state = leaves[tree][:4], leaves[tree][4:]
        else:
            (hl, cl), (hr, cr) = recurse(tree[0], out), recurse(tree[1], out)
            i, o, g, f, k = np.split(w @ np.concatenate([hl, hr]) + b, 5)
            c = sigmoid(i) * np.tanh(g) + sigmoid(f) * cl + sigmoid(k) * cr
            state = sigmoid(o) * np.tanh(c), c
        out.append(state[0])
        return state

    trees = [3, (1, 2), ((0, 1), (2, (3, (4, 5)))), ((5, 5), 0)]
    h, rows = net(trees)
    assert len(h) == sum(map(len, rows)) and sorted(r for own in rows for r in own) == list(range(len(h)))
    for tree, own in zip(trees, rows, strict=True):
        want = []
        recurse(tree, want)
        np.testing.assert_allclose(h[own].detach().numpy(), want, rtol=1e-9)
    deep = 0
    for _ in range(2000):
        deep = (deep, 1)
    assert len(net([deep])[0]) == 4001
    with pytest.raises(TypeError, match="pair of trees"):
        net([(1, 2, 3)])
