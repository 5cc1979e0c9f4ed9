"""Files of torch.save here, and files of fastnn.save there: both formats, state_dicts and whole models."""

import io
import random
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch

import fastnn


def ours_from(obj, **options):
    file = io.BytesIO()
    torch.save(obj, file, **options)
    file.seek(0)
    return file


DTYPES = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64".split()


@pytest.mark.parametrize("zipped", [True, False])
def test_torchs_files(zipped):
    base = torch.randn(4, 5)
    obj = {
        "dtypes": [torch.tensor([0, 1, 2]).to(getattr(torch, d)) for d in DTYPES],
        "views": [base, base.t(), base[1:, ::2], base[0, 0], base[:0]],
        "param": torch.nn.Parameter(torch.ones(2)),
        "other": OrderedDict(a=(1, 2.5, None, True, "text", b"bytes"), b={1, 2}, c=torch.Size([1]), d=torch.float16),
        "big": 2**80,
    }
    back = fastnn.load(ours_from(obj, _use_new_zipfile_serialization=zipped))
    for a, b in zip(obj["dtypes"], back["dtypes"], strict=True):
        assert str(a.dtype) == str(b.dtype) and a.tolist() == b.tolist()
    for a, b in zip(obj["views"], back["views"], strict=True):
        assert a.tolist() == b.tolist() and tuple(a.shape) == tuple(b.shape)
    back["views"][0][0, 0] = 7
    assert back["views"][3].item() == 7  # one storage
    assert isinstance(back["param"], fastnn.nn.Parameter) and back["param"].requires_grad
    assert back["other"]["a"] == obj["other"]["a"] and back["other"]["b"] == {1, 2} and back["big"] == 2**80
    assert back["other"]["c"] == (1,) and back["other"]["d"] is fastnn.float16


def test_damaged_legacy_files():
    whole = ours_from({"a": torch.ones(50), "b": torch.zeros(3)}, _use_new_zipfile_serialization=False).getvalue()
    for end in range(0, len(whole) - 1, 11):
        with pytest.raises(ValueError):
            fastnn.load(io.BytesIO(whole[:end]))
    rng = random.Random(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] = rng.randrange(256)
        try:
            fastnn.load(io.BytesIO(bytes(damaged)))
        except ValueError:
            pass


def test_arrays_and_defaultdicts():
    obj = {"array": np.arange(6.0).reshape(2, 3), "scalar": np.float64(2.5), "counts": defaultdict(list, a=[1])}
    back = fastnn.load(ours_from(obj), weights_only=False)
    np.testing.assert_array_equal(back["array"], obj["array"])
    assert back["scalar"] == 2.5 and back["counts"] == obj["counts"] and back["counts"]["new"] == []
    file = io.BytesIO()
    fastnn.save({"array": np.arange(6, dtype=np.int32).reshape(3, 2).T}, file)
    file.seek(0)
    np.testing.assert_array_equal(torch.load(file, weights_only=False)["array"], np.arange(6).reshape(3, 2).T)


def small(T):
    n = T.nn
    return n.Sequential(
        n.Conv2d(2, 4, 3, padding=1), n.BatchNorm2d(4), n.ReLU(), n.MaxPool2d(2), n.Dropout(0.3), n.AvgPool2d(2), n.Flatten(),
        n.Linear(16, 8), n.LayerNorm(8), n.GELU(), n.Linear(8, 3), n.LogSoftmax(-1),
    )  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
def test_whole_models_of_torch(zipped):
    torch.manual_seed(0)
    theirs, x = small(torch).eval(), np.random.default_rng(0).standard_normal((2, 2, 8, 8)).astype(np.float32)
    ours = fastnn.load(ours_from(theirs, _use_new_zipfile_serialization=zipped))
    assert repr(ours) == repr(theirs) and not ours.training
    np.testing.assert_allclose(
        ours(fastnn.from_numpy(x)).detach().numpy(), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
    file = io.BytesIO()
    fastnn.save(small(fastnn).state_dict(), file)
    file.seek(0)
    theirs.load_state_dict(torch.load(file, weights_only=True))


# A layer and the shape that it takes.
LAYERS = {
    "Sequential(n.Linear(4, 8), n.ReLU(), n.BatchNorm1d(8), n.Dropout(0.1), n.Linear(8, 3), n.Softmax(-1))": (5, 4),
    "Sequential(n.Conv2d(3, 4, 3, padding='same'), n.BatchNorm2d(4), n.MaxPool2d(2), n.Flatten())": (2, 3, 8, 8),
    "ConvTranspose2d(3, 4, 3, 2, 1, 1)": (1, 3, 5, 5),
    "Conv1d(3, 4, 3, groups=1, dilation=2)": (1, 3, 9),
    "LSTM(5, 6, 2, batch_first=True, bidirectional=True)": (2, 4, 5),
    "LSTM(5, 6, proj_size=2)": (2, 4, 5),
    "GRU(5, 6)": (4, 2, 5),
    "RNN(5, 6, bias=False)": (4, 2, 5),
    "GRUCell(5, 6)": (2, 5),
    "GroupNorm(2, 4)": (2, 4, 3, 3),
    "LayerNorm([4, 4])": (2, 4, 4),
    "PReLU(3)": (2, 3, 4),
    "TransformerEncoderLayer(8, 2, 16, batch_first=True)": (2, 3, 8),
    "TransformerEncoder(n.TransformerEncoderLayer(8, 2, 16, activation='gelu', batch_first=True), 2)": (2, 3, 8),
}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("origin, reader", [(torch, fastnn), (fastnn, torch)], ids=["of_torch", "of_fastnn"])
@pytest.mark.parametrize("layer", LAYERS)
def test_whole_layers(layer, origin, reader):
    written = eval(f"n.{layer}", {"n": origin.nn}).eval()
    file = io.BytesIO()
    origin.save(written, file)
    file.seek(0)
    read = reader.load(file, weights_only=False)
    assert type(read) is getattr(reader.nn, type(written).__name__) and repr(read) == repr(written)
    x = np.random.default_rng(0).standard_normal(LAYERS[layer]).astype(np.float32)
    results = []
    for T, module in ((origin, written), (reader, read)):
        y = module(T.from_numpy(x))
        results.append((y[0] if isinstance(y, tuple) else y).detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)
