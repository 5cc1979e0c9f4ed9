"""Normalisation layers against torch: results, gradients, running averages, errors."""

import numpy as np
import pytest
import torch

import fastnn

BOTH = (torch, fastnn)
LAYERS = [
    ("LayerNorm(6)", (3, 4, 6)), ("LayerNorm((4, 6), bias=False)", (3, 4, 6)), ("RMSNorm(6)", (3, 4, 6)),
    ("LayerNorm(300, elementwise_affine=False)", (70, 300)), ("RMSNorm((4, 6), eps=1e-3)", (3, 4, 6)),
    ("GroupNorm(2, 6)", (3, 6, 5, 4)), ("GroupNorm(3, 6, affine=False)", (2, 6, 7)), ("GroupNorm(1, 4)", (2, 4)),
    ("BatchNorm1d(5)", (8, 5)), ("BatchNorm1d(5, momentum=None)", (8, 5, 3)), ("BatchNorm2d(3)", (4, 3, 9, 7)),
    ("BatchNorm2d(3, track_running_stats=False)", (4, 3, 9, 7)), ("BatchNorm3d(2, affine=False)", (2, 2, 3, 4, 5)),
    ("BatchNorm1d(70)", (200, 70)), ("InstanceNorm1d(3)", (2, 3, 9)), ("InstanceNorm1d(3)", (3, 9)),
    ("InstanceNorm2d(3, affine=True, track_running_stats=True)", (2, 3, 5, 4)), ("InstanceNorm3d(2)", (2, 2, 3, 3, 2)),
    ("LocalResponseNorm(2)", (2, 5, 4)),
]  # fmt: skip


def near(ours, theirs, tolerance=2e-5):
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    assert a.shape == b.shape and a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(b).max(initial=0))))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("text, shape", LAYERS)
def test_training_and_evaluation(text, shape, dtype):
    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal(shape) * 2 + 3).astype(dtype) for _ in range(3)]
    dy = rng.standard_normal(shape).astype(dtype)
    values = [rng.standard_normal(400) for _ in range(2)]
    runs = []
    for T in BOTH:
        layer = eval(text, dict(vars(T.nn))).to(getattr(T, dtype))
        with T.no_grad():
            for p, v in zip(layer.parameters(), values, strict=False):
                p.copy_(T.from_numpy(v[: p.numel()].reshape(tuple(p.shape)).astype(dtype)))
        out = []
        for i, batch in enumerate(batches):
            layer.train(i < 2)
            layer.zero_grad()
            x = T.from_numpy(batch.copy()).requires_grad_()
            y = layer(x)
            y.backward(T.from_numpy(dy))
            out += [y, x.grad, *(p.grad for p in layer.parameters())]
        runs.append((out, layer.state_dict()))
    (theirs, their_state), (ours, our_state) = runs
    for a, b in zip(ours, theirs, strict=True):
        near(a, b)
    assert list(our_state) == list(their_state)
    for a, b in zip(our_state.values(), their_state.values(), strict=True):
        near(a, b)


ERRORS = [
    "nn.GroupNorm(3, 4)", "nn.InstanceNorm1d(3, affine=True)(T.ones(2, 4, 5))", "nn.InstanceNorm1d(3)(T.ones(2))",
    "nn.InstanceNorm2d(3)(T.ones(2, 2))", "nn.BatchNorm3d(3)(T.ones(2, 2))", "nn.BatchNorm1d(3)(T.ones(1, 3))",
    "F.group_norm(T.ones(2, 4), 2, T.ones(3))", "F.group_norm(T.ones(2, 4), 3)", "F.group_norm(T.ones(4), 1)",
    "F.batch_norm(T.ones(2, 4), None, None, T.ones(3), training=True)", "F.batch_norm(T.ones(2, 4), None, None)",
    "F.layer_norm(T.ones(2, 4), (4,), T.ones(4).double())", "F.layer_norm(T.ones(2, 4), (3,))",
    "F.group_norm(T.ones(2, 4, dtype=T.long), 2)", "F.instance_norm(T.ones(2, 4))", "F.rms_norm(T.ones(2, 4), (3,))",
    "F.group_norm(T.ones(1, 4), 4)", "nn.LayerNorm(3)(T.ones(2, 4))",
]  # fmt: skip


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text):
    kinds = []
    for T in BOTH:
        with pytest.raises(Exception) as caught:
            eval(text, {"T": T, "nn": T.nn, "F": T.nn.functional})
        kinds.append(caught.type)
    assert kinds[0] is kinds[1], f"torch {kinds[0].__name__}, ours {kinds[1].__name__}"


def test_what_is_far_from_zero():
    """A mean of 10,000 deviations: closer to the exact result than torch."""
    x = (np.random.default_rng(0).standard_normal((16, 4, 512)) * 0.01 + 100).astype(np.float32)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean((0, 2), keepdims=True)) / exact.std((0, 2), keepdims=True)
    errors = []
    for T in BOTH:
        y = T.nn.functional.batch_norm(T.from_numpy(x), None, None, training=True, eps=1e-12)
        errors.append(np.abs(y.numpy() - exact).max())
    assert errors[1] < 1e-5 and errors[1] <= errors[0]
