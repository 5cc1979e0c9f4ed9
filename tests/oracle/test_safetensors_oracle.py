"""fastnn.safetensors against the package safetensors."""

import json

import numpy as np
import pytest

import fastnn
from fastnn import safetensors as ours

DTYPES = "float64 float32 float16 int64 int32 int16 int8 uint8 bool".split()


def tensors():
    made = {d: fastnn.arange(6).reshape(2, 3).to(getattr(fastnn, d)) for d in DTYPES}
    return {**made, "empty": fastnn.zeros(0, 3), "scalar": fastnn.tensor(2.5), "turned": fastnn.randn(3, 4).T}


def test_round_trip(tmp_path):
    original = tensors()
    ours.save_file(original, tmp_path / "x.safetensors", {"format": "pt"})
    back = ours.load_file(tmp_path / "x.safetensors")
    assert set(back) == set(original)
    for name, t in original.items():
        assert back[name].dtype is t.dtype and back[name].shape == t.shape and back[name].tolist() == t.tolist()
    with ours.safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"} and file.get_tensor("scalar").item() == 2.5
        with pytest.raises(KeyError):
            file.get_tensor("nothing")
    assert ours.load(ours.save(original))["int16"].tolist() == original["int16"].tolist()


def test_the_package_reads_and_writes_the_same_format(tmp_path):
    theirs = pytest.importorskip("safetensors.numpy")
    original = tensors()
    arrays = {name: np.ascontiguousarray(t.numpy()) for name, t in original.items()}
    back = theirs.load(ours.save(original))
    for name, a in arrays.items():
        np.testing.assert_array_equal(back[name], a)
    found = ours.load(theirs.save(arrays))
    for name, a in arrays.items():
        np.testing.assert_array_equal(found[name].numpy(), a)


def test_wrong_files_and_arguments(tmp_path):
    whole = ours.save({"a": fastnn.ones(3), "b": fastnn.zeros(2, 2)})
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="safetensors"):
            ours.load(whole[:end])

    def file(header, data=b"\0" * 8):
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data

    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    assert ours.load(file({"a": entry}))["a"].tolist() == [0, 0]
    for bad in [
        {"a": {**entry, "shape": [3]}},
        {"a": {**entry, "shape": [-2]}},
        {"a": {**entry, "shape": [True, 2]}},
        {"a": {**entry, "data_offsets": [8, 16]}},
        {"a": {**entry, "dtype": "F33"}},
        {"a": entry, "b": entry},
        {"a": []},
        {},
        [],
    ]:
        with pytest.raises(ValueError, match="safetensors"):
            ours.load(file(bad))
    with pytest.raises(ValueError, match="safetensors"):
        ours.load((1 << 60).to_bytes(8, "little") + b"{}")
    base = fastnn.ones(4)
    with pytest.raises(RuntimeError, match="share memory"):
        ours.save({"a": base, "b": base.view(2, 2)})
    with pytest.raises(ValueError, match="Key `a`"):
        ours.save({"a": 3})
    with pytest.raises(ValueError, match="metadata"):
        ours.save({"a": base}, {"a": 1})
