"""The same training script on torch and on fastnn: equal first weights, bit for bit, and equal losses."""

import functools

import numpy as np
import pytest
import torch
from models import build, train

import fastnn

OPTIMIZERS = {
    "SGD": lambda T, p: T.optim.SGD(p, lr=0.05),
    "momentum": lambda T, p: T.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=1e-4, nesterov=True),
    "Adam": lambda T, p: T.optim.Adam(p, lr=1e-3),
    "AdamW": lambda T, p: T.optim.AdamW(p, lr=1e-3),
}


def script(T, name, optimizer, x, y):
    """A user's script: only the module T differs."""
    T.manual_seed(0)
    model = build(T, name)
    first = [p.detach().clone().numpy() for p in model.parameters()]
    x, y = T.from_numpy(x.copy()), T.from_numpy(y.copy())
    if name == "mlp":
        x = x.flatten(1)
    loader = T.utils.data.DataLoader(T.utils.data.TensorDataset(x, y), batch_size=64, shuffle=True)
    batches = [batch for batch, _ in zip(loader, range(20), strict=False)]
    losses = train(T, model, OPTIMIZERS[optimizer](T, model.parameters()), batches)
    return first, [b[1].numpy() for b in batches], losses


@functools.cache
def torch_answer(name, optimizer, data):
    return script(torch, name, optimizer, *torch_answer.data[data])


torch_answer.data = {}  # the fixtures' arrays by name: what is cached must be hashable


@pytest.mark.parametrize("data", ["noise", "mnist"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_first_twenty_losses(name, optimizer, data, table, request):
    x, y = torch_answer.data[data] = request.getfixturevalue(data)
    weights, batches, losses = torch_answer(name, optimizer, data)
    ours, our_batches, our_losses = script(fastnn, name, optimizer, x, y)
    for a, b in zip(weights, ours, strict=True):
        assert a.tobytes() == b.tobytes(), "the initial weights differ"
    for a, b in zip(batches, our_batches, strict=True):
        assert np.array_equal(a, b), "the batches differ"
    assert len(losses) == 20
    np.testing.assert_allclose(our_losses, losses, rtol=1e-5)
