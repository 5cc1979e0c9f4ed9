"""save and load: round trips, atomic writes, and files that mean harm."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import pytest

import fastnn
from fastnn import nn
from fastnn.serialization import atomic_write


def round_trip(obj):
    file = io.BytesIO()
    fastnn.save(obj, file)
    file.seek(0)
    return fastnn.load(file)


DTYPES = "float32 float64 float16 int64 int32 int16 int8 uint8 bool complex64 complex128".split()


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype(name):
    dtype = getattr(fastnn, name)
    tensor = fastnn.tensor([[0, 1, 2], [3, 4, 5]]).to(dtype)
    back = round_trip(tensor)
    assert back.dtype is dtype and back.tolist() == tensor.tolist()
    assert round_trip(dtype) is dtype


def test_containers_and_numbers():
    obj = {
        "list": [1, -(2**70), 2.5, float("inf"), True, None, "text — ü", b"\x00\xff"],
        "tuple": (1, (2, ())),
        3: OrderedDict(a=1),
        "set": {1, 2},
        "size": fastnn.Size([2, 3]),
        "device": fastnn.device("cpu"),
    }
    back = round_trip(obj)
    assert back == obj and type(back[3]) is OrderedDict and type(back["size"]) is fastnn.Size


def test_shapes_views_and_sharing():
    base = fastnn.arange(12).to(fastnn.float32).reshape(3, 4)
    back = round_trip({"base": base, "t": base.t(), "row": base[1], "scalar": base[2, 3], "none": base[:0]})
    assert back["t"].tolist() == base.t().tolist() and back["none"].shape == (0, 4)
    assert back["scalar"].shape == () and float(back["scalar"]) == 11
    back["base"][1, 0] = 99
    assert float(back["row"][0]) == 99 and float(back["t"][0, 1]) == 99
    assert round_trip(fastnn.ones(1, 3).expand(4, 3)).tolist() == [[1.0] * 3] * 4


def test_module_state_parameter_and_gradient_flags():
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    state = round_trip(net.state_dict())
    assert state._metadata[""] == {"version": 1}
    twin = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    twin.load_state_dict(state)
    assert all(
        a.tolist() == b.tolist() for a, b in zip(net.state_dict().values(), twin.state_dict().values(), strict=True)
    )
    p = round_trip(net[0].weight)
    assert isinstance(p, nn.Parameter) and p.requires_grad
    assert round_trip(fastnn.ones(2, requires_grad=True)).requires_grad
    assert not round_trip(net[0](fastnn.ones(1, 3))).requires_grad


def test_the_same_object_is_written_once_and_equal_contents_give_equal_files():
    t = fastnn.ones(1000)
    one, two = io.BytesIO(), io.BytesIO()
    fastnn.save([t, t, t], one)
    fastnn.save([t, t, t], two)
    assert len(one.getvalue()) < 6000 and one.getvalue() == two.getvalue()
    back = round_trip([t, t])
    assert back[0] is back[1]


def test_storages_are_aligned():
    file = io.BytesIO()
    fastnn.save({"a": fastnn.ones(3), "b": fastnn.ones(5)}, file)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            name_length, extra_length = struct.unpack("<HH", file.getvalue()[info.header_offset + 26 :][:4])
            if "/data/" in info.filename:
                assert (info.header_offset + 30 + name_length + extra_length) % 64 == 0


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "model.pt"

    class Local(nn.Linear):
        pass

    with pytest.raises(TypeError, match=r"obj\['model'\] is of class .*Local, which no other process"):
        fastnn.save({"model": Local(1, 1)}, path)
    with pytest.raises(TypeError, match=r"obj\['opt'\] is of class .*SGD; save its state_dict"):
        fastnn.save({"opt": fastnn.optim.SGD([fastnn.ones(1)], 0.1)}, path)
    with pytest.raises(TypeError, match="Tensors, numbers, strings"):
        fastnn.save(object(), path)
    loop: list = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        fastnn.save(loop, path)
    assert list(tmp_path.iterdir()) == []


def test_paths(tmp_path):
    path = tmp_path / "x.pt"
    fastnn.save(fastnn.ones(2), path)
    fastnn.save(fastnn.zeros(2), str(path))
    assert fastnn.load(path).tolist() == [0.0, 0.0]
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]
    with pytest.raises(FileNotFoundError):
        fastnn.load(tmp_path / "absent.pt")
    with pytest.raises(FileNotFoundError):
        fastnn.save(1, tmp_path / "absent" / "x.pt")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    os.chmod(path, 0o640)
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"half of the new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["x"]
    link = tmp_path / "link"
    link.symlink_to(path)
    with atomic_write(link) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and link.is_symlink() and path.stat().st_mode & 0o777 == 0o640


# -- hostile files ----------------------------------------------------------------------------------------------------


def archive(program, storages=None, method=zipfile.ZIP_STORED, **more):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as z:
        if program is not None:
            z.writestr("archive/data.pkl", program)
        for key, content in (storages or {}).items():
            z.writestr(f"archive/data/{key}", content)
        for name, content in more.items():
            z.writestr(f"archive/{name}", content)
        z.writestr("archive/version", "3\n")
    file.seek(0)
    return file


def tensor_program(offset=0, size="K\x02\x85", stride="K\x01\x85", count="K\x02", storage="FloatStorage", key="0"):
    text = (
        "\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n" + storage + "\n"
        "X\x01\x00\x00\x00" + key + "X\x03\x00\x00\x00cpu" + count + "tQK" + chr(offset) + size + stride
        + "\x89ccollections\nOrderedDict\n)RtR."
    )  # fmt: skip
    return text.encode("latin1")


class Payload:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


ran = []
PROGRAMS = {
    "system": pickle.dumps(Payload(os.system, "true"), 2),
    "system, protocol 4": pickle.dumps(Payload(os.system, "true"), 4),
    "eval": pickle.dumps(Payload(eval, "1"), 2),
    "getattr": pickle.dumps(Payload(getattr, 1, "real"), 2),
    "bytearray": pickle.dumps(Payload(bytearray, 1 << 36), 2),
    "bytearray 8": b"\x80\x05\x96" + struct.pack("<Q", 1 << 36) + b".",
    "own function": pickle.dumps(Payload(ran.append, 1), 2),
    "instance": b"\x80\x02(ios\nsystem\n.",
    "object": b"\x80\x02(cos\nsystem\no.",
    "newobj": b"\x80\x02cbuiltins\nobject\n)\x81.",
    "torch.load": b"\x80\x02ctorch\nload\n)R.",
    "constructor": b"\x80\x02ctorch.nn.modules.linear\nLinear\nK\x01K\x01\x86R.",
    "constructor by newobj": b"\x80\x02ctorch.nn.modules.linear\nLinear\nK\x01\x85\x81.",
    "function called": b"\x80\x02ctorch.nn.functional\nrelu\n)R.",
    "a class that was imported": b"\x80\x02cpickle\nUnpickler\n)\x81.",
    "reconstructor of a function": b"\x80\x02ccopyreg\n_reconstructor\n(cos\nsystem\nNNtR.",
    "numpy's load": b"\x80\x02cnumpy\nload\n)R.",
    "an array of objects": b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.",
    "reduce of a dtype": b"\x80\x02ctorch\nfloat32\n)R.",
    "reduce of a number": b"\x80\x02K\x01)R.",
    "storage class called": b"\x80\x02ctorch\nFloatStorage\n)R.",
    "build on dict": b"\x80\x02}}b.",
    "attributes on OrderedDict": b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb.",
    "OrderedDict of an int": b"\x80\x02ccollections\nOrderedDict\nK\x05\x85R.",
    "set of a string": b"\x80\x02cbuiltins\nset\nX\x01\x00\x00\x00a\x85R.",
    "encode rot13": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
    "extension": b"\x80\x02\x82\x01.",
    "empty": b"",
    "no stop": b"\x80\x02K\x01",
    "stack underflow": b"\x80\x02R.",
    "memo absent": b"\x80\x02h\x05.",
    "mark as value": b"\x80\x02(.",
    "a name as value": b"\x80\x02ctorch\nSize\n.",
    "list in dict key": b"\x80\x02}](K\x01su.",
    "append to tuple": b"\x80\x02)K\x01a.",
    "setitem on list": b"\x80\x02]K\x01K\x01s.",
    "text longer than the file": b"\x80\x02X\xff\xff\xff\x7fab.",
    "long int": b"\x80\x02\x8b\xff\xff\xff\x7f1.",
    "negative long": b"\x80\x02\x8b\xff\xff\xff\xff1.",
    "unknown opcode": b"\x80\x02\xfe.",
    "string opcode": b"S'os'\n.",
    "tensor of a number": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))\x89tR.",
    "size of text": b"\x80\x02ctorch\nSize\nX\x01\x00\x00\x00a\x85R.",
    "device of a list": b"\x80\x02ctorch\ndevice\n]\x85R.",
    "device with a bad name": b"\x80\x02ctorch\ndevice\nX\x01\x00\x00\x00a\x85R.",
    "persistent id that is none": b"\x80\x02K\x01Q.",
    "tensor beyond its storage": tensor_program(offset=1),
    "stride beyond": tensor_program(stride="K\x02\x85"),
    "size too large": tensor_program(size="K\x03\x85"),
    "negative size": tensor_program(size="J\xff\xff\xff\xff\x85"),
    "negative stride": tensor_program(stride="J\xff\xff\xff\xff\x85"),
    "huge size": tensor_program(size="\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"),
    "size and stride differ": tensor_program(stride="K\x01K\x01\x86"),
    "count not the storage's": tensor_program(count="K\x03"),
    "huge count": tensor_program(count="\x8a\x06\x00\x00\x00\x00\x00\x7f"),
    "negative count": tensor_program(count="J\xff\xff\xff\xff"),
    "storage absent": tensor_program(key="7"),
    "storage of unknown type": tensor_program(storage="QInt8Storage"),
    "storage of another type": tensor_program(storage="DoubleStorage"),
    "size is a list": tensor_program(size="]"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_hostile_program_is_refused(name):
    with pytest.raises(ValueError, match="load: "):
        fastnn.load(archive(PROGRAMS[name], {"0": struct.pack("<2f", 1, 2)}))
    assert not ran


def test_the_harmless_twin_of_the_hostile_tensors():
    assert fastnn.load(archive(tensor_program(), {"0": struct.pack("<2f", 1, 2)})).tolist() == [1.0, 2.0]
    big = archive(tensor_program(), {"0": struct.pack(">2f", 1, 2)}, byteorder="big")
    assert fastnn.load(big).tolist() == [1.0, 2.0]
    deflated = archive(tensor_program(), {"0": struct.pack("<2f", 1, 2)}, zipfile.ZIP_DEFLATED)
    assert fastnn.load(deflated).tolist() == [1.0, 2.0]


def test_truncated_and_foreign_files(tmp_path):
    file = io.BytesIO()
    fastnn.save({"w": fastnn.ones(100)}, file)
    whole = file.getvalue()
    for end in range(0, len(whole) - 1, 7):
        with pytest.raises(ValueError, match="load: "):
            fastnn.load(io.BytesIO(whole[:end]))
    for content in (b"", b"PK\x03\x04", b"text", pickle.dumps({"a": 1})):
        with pytest.raises(ValueError, match="neither a zip file|not a file of torch|broken pickle|uses the pickle"):
            fastnn.load(io.BytesIO(content))
    with pytest.raises(ValueError, match="no entry data.pkl"):
        fastnn.load(archive(None))


def test_flipped_bytes_never_do_more_than_raise():
    file = io.BytesIO()
    fastnn.save({"w": fastnn.ones(4), "n": [1, 2]}, file)
    whole = bytearray(file.getvalue())
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0x41
        try:
            fastnn.load(io.BytesIO(damaged))
        except ValueError:
            pass


def test_zip_bomb_is_refused_unread():
    bomb = archive(tensor_program(count="J\x00\x00\x00\x04"), {"0": b"\0" * (1 << 28)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="grows from"):
        fastnn.load(bomb)


# -- objects ----------------------------------------------------------------------------------------------------------


class Net(nn.Module):
    """A script's own model."""

    made = 0

    def __init__(self):
        super().__init__()
        Net.made += 1
        self.features = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.head = nn.Linear(27, 2)
        self.activation = nn.functional.relu
        self.register_buffer("mask", fastnn.ones(2), persistent=False)

    def forward(self, x):
        return self.activation(self.head(self.features(x))) * self.mask


def test_whole_models():
    fastnn.manual_seed(0)
    net, x = Net(), fastnn.randn(2, 1, 8, 8)
    net.eval()
    file = io.BytesIO()
    fastnn.save({"net": net, "epoch": 3}, file)
    with zipfile.ZipFile(file) as archive:
        program = archive.read("archive/data.pkl")
    assert b"ctorch.nn.modules.linear\nLinear\n" in program and b"fastnn" not in program
    assert b"ctorch.nn.functional\nrelu\n" in program
    made = Net.made
    with pytest.raises(ValueError, match=f"asks for {Net.__module__}.Net"):
        fastnn.load(io.BytesIO(file.getvalue()))
    back = fastnn.load(io.BytesIO(file.getvalue()), weights_only=False)["net"]
    assert Net.made == made and not back.training
    assert back(x).tolist() == net(x).tolist() and list(back.state_dict()) == list(net.state_dict())
    with fastnn.serialization.safe_globals([Net]):
        assert fastnn.serialization.get_safe_globals() == [Net]
        assert fastnn.load(io.BytesIO(file.getvalue()))["net"](x).tolist() == net(x).tolist()
    assert fastnn.serialization.get_safe_globals() == []
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    assert round_trip(model)(fastnn.ones(3)).tolist() == model(fastnn.ones(3)).tolist()


def test_only_what_was_imported():
    """weights_only=False neither imports nor calls."""
    programs = [
        b"\x80\x02cno_such_module_here\nThing\n)\x81.",
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
        b"\x80\x02csubprocess\nPopen\nX\x04\x00\x00\x00true\x85R.",
    ]
    for text in programs:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", text)
        with pytest.raises(ValueError, match="load: "):
            fastnn.load(file, weights_only=False)


def test_arrays():
    import numpy as np

    arrays = {"f": np.arange(6.0).reshape(2, 3), "i": np.array(7), "t": np.arange(6, dtype=np.int16).reshape(3, 2).T}
    back = round_trip(arrays)
    for name, a in arrays.items():
        assert isinstance(back[name], np.ndarray) and back[name].dtype == a.dtype
        np.testing.assert_array_equal(back[name], a)
