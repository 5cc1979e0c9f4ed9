"""Embedding and EmbeddingBag against torch: options, gradients, renormalisation, errors."""

import numpy as np
import pytest
import torch

import fastnn

BOTH = (torch, fastnn)
IDS = np.array([[1, 4, 1, 0], [3, 1, 4, 4], [2, 2, 2, 2]])


def run(T, function, ids, weight, by=None, dtype=None, **options):
    w = T.from_numpy(weight.copy()).requires_grad_()
    if options.get("max_norm") is not None:
        w.requires_grad_(False)
    options = {k: T.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    leaves = [w] if w.requires_grad else []
    if by is not None:
        options["per_sample_weights"] = T.from_numpy(by.copy()).requires_grad_()
        leaves.append(options["per_sample_weights"])
    y = getattr(T.nn.functional, function)(T.from_numpy(ids), w, **options)
    if leaves:
        y.backward(T.from_numpy(np.random.default_rng(1).standard_normal(tuple(y.shape)).astype(weight.dtype)))
    return [y.detach().numpy(), w.detach().numpy(), *(x.grad.numpy() for x in leaves)]


def compare(function, ids, weight, **options):
    theirs, ours = (run(T, function, ids, weight, **options) for T in BOTH)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def table(rows=5, width=7, dtype="float32"):
    return np.random.default_rng(0).standard_normal((rows, width)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [{}, {"padding_idx": 1}, {"padding_idx": -1, "scale_grad_by_freq": True}, {"scale_grad_by_freq": True},
     {"max_norm": 1.0}, {"max_norm": 2.0, "norm_type": 1.0}],
)  # fmt: skip
def test_embedding(options, dtype):
    compare("embedding", IDS, table(dtype=dtype), **options)
    compare("embedding", IDS.astype(np.int32), table(5, 70, dtype), **options)
    compare("embedding", IDS[:0], table(5, 3, dtype), **options)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(
    "options",
    [{}, {"padding_idx": 1}, {"max_norm": 1.0}, {"offsets": np.array([0, 3, 3, 5])},
     {"offsets": np.array([0, 4, 4, 12]), "include_last_offset": True, "padding_idx": 2}],
)  # fmt: skip
def test_embedding_bag(options, mode):
    ids = IDS.reshape(-1) if "offsets" in options else IDS
    for width in (1, 7, 40):
        compare("embedding_bag", ids, table(5, width), mode=mode, **options)


def test_bag_weights_and_frequencies():
    by = np.random.default_rng(2).standard_normal(IDS.shape).astype(np.float32)
    compare("embedding_bag", IDS, table(), mode="sum", by=by)
    compare("embedding_bag", IDS, table(), mode="sum", by=by, padding_idx=2)
    # torch divides by the count of another row (it indexes the sorted ids by the number of the unique one): by its own here
    counts = np.bincount(IDS.reshape(-1), minlength=5)[:, None]
    for mode in ("sum", "mean"):
        plain, scaled = (
            run(fastnn, "embedding_bag", IDS, table(), mode=mode, scale_grad_by_freq=f)[2] for f in (False, True)
        )
        np.testing.assert_allclose(scaled, plain / np.maximum(counts, 1), rtol=1e-5)


def test_many_look_ups():
    rng = np.random.default_rng(3)
    compare("embedding", rng.integers(0, 3000, (64, 50)), table(3000, 33))
    compare("embedding_bag", rng.integers(0, 300, (200, 9)), table(300, 33), mode="mean")


@pytest.mark.parametrize(
    "text",
    ["Embedding(7, 5, max_norm=1.0)", "Embedding(7, 5, 2, 1.0, 3.0, True)", "EmbeddingBag(7, 5)",
     "EmbeddingBag(7, 5, mode='sum', padding_idx=-2, max_norm=2.0, norm_type=1.0)"],
)  # fmt: skip
def test_layers(text):
    made = []
    for T in BOTH:
        T.manual_seed(0)
        made.append(eval(text, dict(vars(T.nn))))
    theirs, ours = made
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    ids = IDS
    a, b = ours(fastnn.from_numpy(ids)), theirs(torch.from_numpy(ids))
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)
    pretrained = type(ours).from_pretrained(fastnn.from_numpy(table()))
    assert not pretrained.weight.requires_grad and tuple(pretrained.weight.shape) == (5, 7)


@pytest.mark.parametrize("optimizer", ["SGD", "Adagrad", "SparseAdam"])
@pytest.mark.parametrize("layer", ["Embedding(5, 3, 1, sparse=True)", "EmbeddingBag(5, 3, sparse=True)"])
def test_sparse_gradients(layer, optimizer):
    runs = []
    for T in BOTH:
        T.manual_seed(0)
        table = eval(layer, dict(vars(T.nn)))
        optim = getattr(T.optim, optimizer)(table.parameters(), lr=0.1)
        seen = []
        for step in range(3):
            optim.zero_grad()
            ids = T.from_numpy(np.ascontiguousarray(IDS[step : step + 1]))
            ((table(ids) ** 2).sum() + (table(ids[:, :2]) ** 3).sum()).backward()
            assert table.weight.grad.is_sparse
            seen.append(table.weight.grad.to_dense().numpy())
            optim.step()
        runs.append([*seen, table.weight.detach().numpy()])
    for a, b in zip(runs[1], runs[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_sparse_gradients_meet_dense_ones():
    for first in (True, False):
        grads = []
        for T in BOTH:
            w = T.from_numpy(table()).requires_grad_()
            ids = T.from_numpy(IDS)
            look_up = T.nn.functional.embedding(ids, w, sparse=True).sum()
            for part in (look_up, (w * w).sum()) if first else ((w * w).sum(), look_up):
                part.backward()
            (T.nn.functional.embedding(ids, w, sparse=True).sum() + w.sum()).backward()
            (got,) = T.autograd.grad(T.nn.functional.embedding(ids, w, sparse=True).sum() * 2, w)
            grads.append([w.grad.to_dense().numpy(), got.to_dense().numpy()])
        for a, b in zip(grads[1], grads[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    w = fastnn.from_numpy(table()).requires_grad_()
    hooked = []
    w.register_hook(hooked.append)
    fastnn.nn.functional.embedding(fastnn.from_numpy(IDS), w * 1.0, sparse=True).sum().backward()  # not a leaf: dense
    fastnn.nn.functional.embedding(fastnn.from_numpy(IDS), w, sparse=True).sum().backward()
    np.testing.assert_array_equal(hooked[0].numpy(), hooked[1].numpy())


W = "T.ones(4, 3)"
ERRORS = [
    f"F.embedding(T.tensor([4]), {W})", f"F.embedding(T.tensor([-1]), {W})", f"F.embedding(T.tensor([1.0]), {W})",
    f"F.embedding(T.tensor([1]), {W}, padding_idx=4)", "F.embedding(T.tensor([1]), T.ones(2, 2, 2))",
    f"F.embedding_bag(T.tensor([1]), {W})", f"F.embedding_bag(T.tensor([[1]]), {W}, T.tensor([0]))",
    f"F.embedding_bag(T.tensor([[1]]), {W}, mode='median')", f"F.embedding_bag(T.tensor([[[1]]]), {W})",
    f"F.embedding_bag(T.tensor([[1]]), {W}, per_sample_weights=T.ones(1, 1))",
    f"F.embedding_bag(T.tensor([[1]]), {W}, mode='sum', per_sample_weights=T.ones(1, 2))",
    "nn.Embedding(4, 3, padding_idx=4)", "nn.Embedding(4, 3, _weight=T.ones(3, 3))",
]  # fmt: skip


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text):
    kinds = []
    for T in BOTH:
        with pytest.raises(Exception) as caught:
            eval(text, {"T": T, "nn": T.nn, "F": T.nn.functional})
        kinds.append(caught.type)
    assert kinds[0] is kinds[1], f"torch {kinds[0].__name__}, ours {kinds[1].__name__}"
