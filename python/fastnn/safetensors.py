"""The safetensors format: a header of JSON (names, dtypes, shapes, places), and the bytes of all tensors.

save_file and load_file read and write what the package safetensors does, which is not needed. Every number of the header
is checked before memory is taken.
"""

import json

from . import dtypes as dt
from .backend import xp
from .serialization import atomic_write
from .tensor import Tensor, check_device, wrap

__all__ = ["load", "load_file", "safe_open", "save", "save_file"]

_NAMES = {
    "F64": dt.float64, "F32": dt.float32, "F16": dt.float16, "BF16": dt.bfloat16, "I64": dt.int64, "I32": dt.int32,
    "I16": dt.int16, "I8": dt.int8, "U8": dt.uint8, "BOOL": dt.bool_, "C64": dt.complex64,
}  # fmt: skip
_NAME_OF = {d: name for name, d in _NAMES.items()}
_LARGEST_HEADER = 100_000_000


def _pieces(tensors, metadata):
    """(the header's bytes, the arrays in order): larger elements first, then by name, as safetensors lays them."""
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, Tensor] but received {type(tensors)}")
    header: dict = {}
    if metadata is not None:
        if not all(isinstance(k, str) and isinstance(v, str) for k, v in metadata.items()):
            raise ValueError(f"safetensors: metadata must be a dictionary of strings, got {metadata!r}")
        header["__metadata__"] = dict(metadata)
    for name, t in tensors.items():
        if not isinstance(t, Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received {type(t)}")
        if t.dtype not in _NAME_OF:
            raise ValueError(f"Key `{name}`: safetensors has no dtype {t.dtype}")
    owners: dict = {}
    for name, t in tensors.items():
        other = owners.setdefault(t.data_ptr(), name) if t.numel() else name
        if other != name:
            raise RuntimeError(
                "Some tensors share memory, this will lead to duplicate memory on disk and potential differences when "
                f"loading them again: {other} and {name}; clone() one of them"
            )
    arrays, start = [], 0
    for name in sorted(tensors, key=lambda n: (-tensors[n].dtype.itemsize, n)):
        t = tensors[name]
        array = xp.contiguous(t.detach().numpy()).reshape(tuple(t.shape))
        header[name] = {
            "dtype": _NAME_OF[t.dtype],
            "shape": list(t.shape),
            "data_offsets": [start, start + array.nbytes],
        }
        start += array.nbytes
        arrays.append(array)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, arrays


def _bytes(array):
    return array.reshape(-1).view("uint8").tobytes() if array.size else b""


def save_file(tensors: dict, filename, metadata: dict | None = None) -> None:
    """Write a dictionary of tensors; the file is replaced only when all is written. RuntimeError for shared memory."""
    head, arrays = _pieces(tensors, metadata)
    with atomic_write(filename) as file:
        file.write(head)
        for array in arrays:
            file.write(_bytes(array))


def save(tensors: dict, metadata: dict | None = None) -> bytes:
    """The file as bytes."""
    head, arrays = _pieces(tensors, metadata)
    return head + b"".join(map(_bytes, arrays))


def _header(read, length, name):
    """({name: (dtype, shape, begin, end)}, metadata, where the data begins)"""
    size = int.from_bytes(read(0, 8), "little") if length >= 8 else -1
    if not 2 <= size <= min(length - 8, _LARGEST_HEADER):
        raise ValueError(f"safetensors: {name}: a header of {size} bytes in a file of {length}")
    try:
        header = json.loads(read(8, 8 + size))
    except ValueError as error:
        raise ValueError(f"safetensors: {name}: the header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise ValueError(f"safetensors: {name}: the header is no dictionary")
    metadata = header.pop("__metadata__", None)
    entries, data = {}, length - 8 - size
    for key, entry in header.items():
        try:
            kind, shape, (begin, end) = _NAMES[entry["dtype"]], entry["shape"], entry["data_offsets"]
            numbers = [*shape, begin, end]
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"safetensors: {name}: the entry of {key!r} is {entry!r}") from None
        count = kind.itemsize
        for n in shape:
            count *= n if type(n) is int else 0
        if (
            not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers)
            or not begin <= end <= data
            or end - begin != count
        ):
            raise ValueError(f"safetensors: {name}: {key!r} of shape {shape} at {begin}..{end} of {data} bytes")
        entries[key] = (kind, tuple(shape), begin, end)
    reached = 0
    for _, _, begin, end in sorted(entries.values(), key=lambda e: e[2:]):
        if begin != reached:
            raise ValueError(f"safetensors: {name}: a gap or an overlap at byte {begin} of the data")
        reached = end
    if reached != data:
        raise ValueError(f"safetensors: {name}: {data} bytes of data, {reached} of them used")
    return entries, metadata, 8 + size


def _tensor(raw, kind, shape):
    return wrap(xp.frombuffer(bytearray(raw), dtype=kind.np).reshape(shape))


def load(data: bytes) -> dict:
    """The tensors of a file's bytes. Raises ValueError for what is no such file."""
    entries, _, start = _header(lambda a, b: data[a:b], len(data), "the data")
    return {key: _tensor(data[start + a : start + b], kind, shape) for key, (kind, shape, a, b) in entries.items()}


def load_file(filename, device="cpu") -> dict:
    """The tensors of a file, by name. Raises ValueError for what is no such file."""
    with safe_open(filename, "pt", device) as file:
        return {key: file.get_tensor(key) for key in file.keys()}


class safe_open:
    """A file, read tensor by tensor: keys(), get_tensor(name), metadata()."""

    def __init__(self, filename, framework="pt", device="cpu"):
        check_device(device, "safe_open")
        self._name = filename
        self._file = open(filename, "rb")  # noqa: SIM115  (closed by __exit__)
        try:
            length = self._file.seek(0, 2)
            self._entries, self._metadata, self._start = _header(self._read, length, filename)
        except BaseException:
            self._file.close()
            raise

    def _read(self, begin, end):
        self._file.seek(begin)
        return self._file.read(end - begin)

    def keys(self) -> list:
        return list(self._entries)

    offset_keys = keys

    def metadata(self):
        return self._metadata

    def get_tensor(self, name: str) -> Tensor:
        """One tensor."""
        if name not in self._entries:
            raise KeyError(f"safetensors: {self._name} does not contain tensor {name}")
        kind, shape, begin, end = self._entries[name]
        return _tensor(self._read(self._start + begin, self._start + end), kind, shape)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._file.close()
