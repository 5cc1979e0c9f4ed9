"""save and load: torch's .pt files (a zip of one pickle and raw storages), written atomically, read without trust.

A pickle is a program. The reader here runs a machine of its own that knows only the instructions a file of tensors
needs and a fixed list of names (tensors, storages, dtypes, OrderedDict): whatever else a file asks for is refused,
nothing in it can call Python. Every size is checked against the file's own length before memory is taken.
"""

import contextlib
import io
import os
import secrets
from collections import OrderedDict

from fastnn import dtypes as dt
from fastnn._globals import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals, torch_name
from fastnn.backend import xp
from fastnn.tensor import Size, Tensor, device, wrap

__all__ = ["add_safe_globals", "atomic_write", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]

_ALIGNMENT = 64  # of storages within the file, as torch's: a memory-mapped one can be used by vector instructions
_MAX_RATIO = 64  # a deflated entry that grows more than this when unpacked is refused (torch stores, ratio 1)
_PICKLE_LIMIT = 1 << 28

_STORAGES = {
    "FloatStorage": dt.float32,
    "DoubleStorage": dt.float64,
    "HalfStorage": dt.float16,
    "BFloat16Storage": dt.bfloat16,
    "LongStorage": dt.int64,
    "IntStorage": dt.int32,
    "ShortStorage": dt.int16,
    "CharStorage": dt.int8,
    "ByteStorage": dt.uint8,
    "BoolStorage": dt.bool_,
    "ComplexFloatStorage": dt.complex64,
    "ComplexDoubleStorage": dt.complex128,
}
_STORAGE_OF = {dtype: name for name, dtype in _STORAGES.items()}


# -- files ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def atomic_write(path):
    """A binary file that becomes `path` when the block ends well; otherwise what was at `path` stays as it was.

    Written beside it under a temporary name, brought to disk, then renamed: a crash leaves the old file or the new.
    """
    path = os.path.realpath(os.fspath(path))
    temporary = f"{path}.{secrets.token_hex(4)}.tmp"
    mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o666
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name == "posix":  # the rename itself
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def save(obj, f, **ignored) -> None:
    """Write tensors, numbers, strings, dtypes, and dictionaries, lists, tuples and sets of them: a state_dict.

    Arrays too, and modules: under torch's names for fastnn's classes, and the script's own for its own.
    f: a path, which is replaced only when all is written, or a binary file object. torch.load reads the result.
    Raises TypeError for an object of another class.
    """
    writer = _Writer()
    program = writer.pickle(obj)
    if hasattr(f, "write"):
        _write_zip(f, program, writer.storages)
    else:
        with atomic_write(f) as file:
            _write_zip(file, program, writer.storages)


def load(f, map_location=None, pickle_module=None, *, weights_only: bool | None = None, mmap=None, **ignored):
    """Read a file of save, or of torch.save (also of torch before 1.6): tensors, numbers, strings, arrays, containers of
    them, and models of fastnn.nn's classes.

    f: a path or a binary file object. map_location: the device that tensors come to, or a dict from the devices they
    were saved from to those they come to; without it they come to the CUDA device that they were saved from where there
    is one, and to the CPU otherwise (as with a function for map_location). Objects of other
    classes are made where the class was given to add_safe_globals, or, with weights_only=False, where the script has
    imported it already; constructors are not called. Files that ask for anything else are refused with ValueError.
    """
    weights_only = weights_only is not False
    place = _placing(map_location)
    if hasattr(f, "read"):
        return _read(f, getattr(f, "name", "the file"), weights_only, place)
    with open(f, "rb") as file:
        return _read(file, os.fspath(f), weights_only, place)


def _placing(map_location):
    """From the location in a file to the array functions of the device where its storages go."""
    from .tensor import check_device

    if map_location is None:

        def place(location):
            if location.startswith("cuda"):
                from . import cuda

                if cuda.is_available():
                    return check_device("cuda", "load")
            return xp

    elif isinstance(map_location, dict):

        def place(location):
            return check_device(map_location.get(location, "cpu"), "load")

    elif callable(map_location):

        def place(location):
            return xp

    else:
        names = check_device(map_location, "load")

        def place(location):
            return names

    return place


def _write_zip(file, program, storages):
    import zipfile

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:

        def put(name, content, align=False):
            info = zipfile.ZipInfo("archive/" + name)  # its date is fixed: equal contents give equal files
            if align:
                # local header: 30 bytes, the name, the extra field (an id, its length, padding)
                end = archive.fp.tell() + 30 + len(info.filename) + 4
                padding = -end % _ALIGNMENT
                info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            archive.writestr(info, content)

        put("data.pkl", program)
        put(".format_version", "1")
        put(".storage_alignment", str(_ALIGNMENT))
        put("byteorder", "little")
        for key, array in enumerate(storages):
            put(f"data/{key}", _little_endian_bytes(array), align=True)
        put("version", "3\n")


def _little_endian_bytes(array):
    array = xp.host(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return memoryview(array.reshape(-1).view("uint8")) if array.size else b""


# -- writing the pickle -----------------------------------------------------------------------------------------------


class _Writer:
    """Writes pickle protocol 2, the instructions spelt out: the names in it are torch's, which need not be here."""

    def __init__(self):
        self.out = io.BytesIO()
        self.storages: list = []
        self._keys: dict = {}  # identity of a storage's array → its number
        self._memo: dict = {}  # identity of an object written before → its memo number
        self._alive: list = []  # objects whose identity is in use
        self._open: set = set()  # containers being written: a cycle would never end

    def pickle(self, obj) -> bytes:
        self.out.write(b"\x80\x02")
        self._write(obj, "obj")
        self.out.write(b".")
        return self.out.getvalue()

    def _global(self, module, name):
        self.out.write(f"c{module}\n{name}\n".encode())

    def _int(self, value):
        if -(1 << 31) <= value < 1 << 31:
            self.out.write(b"J" + value.to_bytes(4, "little", signed=True))
            return
        digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        if len(digits) > 255:
            raise ValueError("save: an integer of more than 255 bytes")
        self.out.write(b"\x8a" + bytes([len(digits)]) + digits)

    def _text(self, value):
        encoded = value.encode("utf-8", "surrogatepass")
        self.out.write(b"X" + len(encoded).to_bytes(4, "little") + encoded)

    def _write(self, obj, where):
        kind = type(obj)
        if obj is None:
            self.out.write(b"N")
        elif kind is bool:
            self.out.write(b"\x88" if obj else b"\x89")
        elif kind is int:
            self._int(obj)
        elif kind is float:
            import struct

            self.out.write(b"G" + struct.pack(">d", obj))
        elif kind is str:
            self._text(obj)
        elif isinstance(obj, dt.dtype):
            self._global("torch", obj.name)
        elif isinstance(obj, xp.generic):
            self._write(obj.item(), where)
        elif id(obj) in self._memo:
            self.out.write(b"j" + self._memo[id(obj)].to_bytes(4, "little"))
        else:
            self._write_object(obj, kind, where)
            number = self._memo[id(obj)] = len(self._memo)
            self._alive.append(obj)
            self.out.write(b"r" + number.to_bytes(4, "little"))

    def _write_object(self, obj, kind, where):
        if id(obj) in self._open:
            raise ValueError(f"save: {where} contains itself")
        self._open.add(id(obj))
        if isinstance(obj, Tensor):
            self._tensor(obj)
        elif kind is OrderedDict:
            self._global("collections", "OrderedDict")
            self.out.write(b")R")
            self._entries(obj, where)
            if obj.__dict__:  # a state_dict's _metadata
                self._write(dict(obj.__dict__), f"{where}.__dict__")
                self.out.write(b"b")
        elif kind is dict:
            self.out.write(b"}")
            self._entries(obj, where)
        elif kind is list:
            self.out.write(b"](")
            for i, value in enumerate(obj):
                self._write(value, f"{where}[{i}]")
            self.out.write(b"e")
        elif kind is tuple:
            self._items(obj, where)
        elif kind is Size:
            self._global("torch", "Size")
            self._items(tuple(obj), where)
            self.out.write(b"\x85R")
        elif kind is set:
            self._global("builtins", "set")
            self.out.write(b"](")
            for value in obj:
                self._write(value, f"{where}{{...}}")
            self.out.write(b"e\x85R")
        elif kind is bytes:
            self._global("_codecs", "encode")
            self._text(obj.decode("latin1"))
            self._text("latin1")
            self.out.write(b"\x86R")
        elif isinstance(obj, device):
            self._global("torch", "device")
            self._text(str(obj))
            self.out.write(b"\x85R")
        elif isinstance(obj, xp.ndarray) and kind is xp.ndarray and obj.dtype.kind in "fiubc":
            self._array(obj)
        elif self._is_model(obj):
            self._instance(obj, where)
        elif isinstance(obj, dict) and kind.__name__ in ("HookTable", "Registry"):
            self._global("collections", "OrderedDict")
            self.out.write(b")R")
            self._entries(obj, where)
        elif kind.__name__ in ("function", "builtin_function_or_method") and torch_name(obj)[0].startswith("torch"):
            self._global(*torch_name(obj))
        else:
            hint = "; save its state_dict()" if hasattr(obj, "state_dict") else ""
            raise TypeError(f"save: {where} is of class {kind.__module__}.{kind.__qualname__}{hint}. "
                            "Tensors, numbers, strings, dtypes and containers of them can be saved")  # fmt: skip
        self._open.discard(id(obj))

    def _is_model(self, obj) -> bool:
        """A module, or an object of a class given to add_safe_globals."""
        from fastnn.nn.modules.module import Module

        return isinstance(obj, Module) or type(obj) in get_safe_globals()

    def _instance(self, obj, where):
        """Class and state: what makes it again without its constructor."""
        if "<locals>" in type(obj).__qualname__:
            raise TypeError(f"save: {where} is of class {type(obj).__qualname__}, which no other process could find; define "
                            "it at the top of a module, or save its state_dict()")  # fmt: skip
        self._global(*torch_name(type(obj)))
        self.out.write(b")\x81")
        state = obj.__getstate__() if hasattr(obj, "__getstate__") else dict(obj.__dict__)
        if state is not None:
            self._write(state, f"{where}.__dict__")
            self.out.write(b"b")

    def _array(self, array):
        """As numpy pickles one."""
        array = xp.contiguous(array)
        self._global("numpy.core.multiarray", "_reconstruct")
        self._global("numpy", "ndarray")
        self._items((0,), "shape")
        self._write(b"b", "kind")
        self.out.write(b"\x87R(")
        self._int(1)
        self._items(array.shape, "shape")
        self._global("numpy", "dtype")
        self._text(array.dtype.str[1:])
        self.out.write(b"\x89\x88\x87R(")
        self._int(3)
        self._text(array.dtype.str[0])
        self.out.write(b"NNN")
        for n in (-1, -1, 0):
            self._int(n)
        self.out.write(b"tb\x89")
        self._write(array.tobytes(), "data")
        self.out.write(b"tb")

    def _items(self, values, where):
        self.out.write(b"(")
        for i, value in enumerate(values):
            self._write(value, f"{where}[{i}]")
        self.out.write(b"t")

    def _entries(self, mapping, where):
        self.out.write(b"(")
        for key, value in mapping.items():
            self._write(key, f"a key of {where}")
            self._write(value, f"{where}[{key!r}]")
        self.out.write(b"u")

    def _tensor(self, tensor):
        from fastnn.nn.parameter import Parameter

        if tensor.grad_fn is not None:
            tensor = tensor.detach()
        if isinstance(tensor, Parameter):
            self._global("torch._utils", "_rebuild_parameter")
            self.out.write(b"(")
            self._plain_tensor(tensor._a, False)
            self.out.write(b"\x88" if tensor.requires_grad else b"\x89")
            self._empty_ordered_dict()
            self.out.write(b"tR")
        else:
            self._plain_tensor(tensor._a, tensor.requires_grad)

    def _empty_ordered_dict(self):
        self._global("collections", "OrderedDict")
        self.out.write(b")R")

    def _plain_tensor(self, array, requires_grad):
        root, offset, strides = _locate(array)
        key = self._keys.get(id(root))
        if key is None:
            key = self._keys[id(root)] = len(self.storages)
            self.storages.append(root)
        self._global("torch._utils", "_rebuild_tensor_v2")
        self.out.write(b"((")
        self._text("storage")
        self._global("torch", _STORAGE_OF[dt.from_np(array.dtype)])
        self._text(str(key))
        self._text("cpu" if isinstance(array, xp.ndarray) else "cuda:0")
        self._int(root.size)
        self.out.write(b"tQ")
        self._int(offset)
        self._items(array.shape, "shape")
        self._items(strides, "strides")
        self.out.write(b"\x88" if requires_grad else b"\x89")
        self._empty_ordered_dict()
        self.out.write(b"tR")


def _locate(array):
    """(the array that owns the memory, where in it `array` begins, its strides), in elements.

    Tensors that share memory are written over one storage, and share it again when loaded. An array whose owner has
    another dtype, or gaps, is copied.
    """
    root = array
    while isinstance(root.base, xp.ARRAYS):
        root = root.base
    item = array.itemsize
    if root.flags.c_contiguous and root.dtype == array.dtype and all(s >= 0 and s % item == 0 for s in array.strides):
        return root, (xp.address(array) - xp.address(root)) // item, tuple(s // item for s in array.strides)
    root = xp.contiguous_copy(array)
    return root, 0, tuple(s // item for s in root.strides)


# -- reading ----------------------------------------------------------------------------------------------------------


def _read(file, name, weights_only, place):
    import zipfile

    begin = file.tell()
    head = file.read(4)
    file.seek(begin)
    if head[:2] == b"\x80\x02" and head[:4] != b"PK\x03\x04":
        return _read_legacy(file, name, weights_only, place)
    if not zipfile.is_zipfile(file):
        raise ValueError(f"load: {name} is neither a zip file of torch.save nor a file of torch before 1.6")
    file.seek(0, os.SEEK_END)
    length = file.tell()
    try:
        with zipfile.ZipFile(file) as archive:
            return _Archive(archive, length, name, weights_only, place).load()
    except (zipfile.BadZipFile, EOFError, zipfile.zlib.error, NotImplementedError) as error:
        raise ValueError(f"load: {name} is damaged: {error}") from None


_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001


def _read_legacy(file, name, weights_only, place):
    """torch's format before 1.6: pickles of a magic number, a version, the system, the object and the storages' keys,
    and then each storage, its length first."""
    from fastnn._unpickle import Unpickler

    content = file.read()
    storages: dict = {}

    def storage(kind, key, count, location):
        if place("cpu") is not xp:
            raise NotImplementedError(
                f"load: {name} is a file of torch before 1.6: load it with map_location='cpu' and move what it holds"
            )
        dtype = _STORAGES.get(kind)
        if dtype is None:
            raise ValueError(f"load: {name}: no storage of class {kind!r} is known")
        if key not in storages:
            if not 0 <= count * dtype.itemsize <= len(content):
                raise ValueError(f"load: {name}: storage {key!r} of {count} x {dtype.name} in {len(content)} bytes")
            storages[key] = xp.empty(count, dtype.np)
        if storages[key].size != count or dt.from_np(storages[key].dtype) is not dtype:
            raise ValueError(f"load: {name}: storage {key!r} is used with two types or sizes")
        return storages[key]

    values = []
    for _ in range(5):
        reader = Unpickler(content, name, storage, weights_only)
        values.append(reader.load())
        content = content[reader.end :]
    magic, version, system, result, keys = values
    if magic != _MAGIC or version != _LEGACY_VERSION:
        raise ValueError(f"load: {name} is not a file of torch.save (magic number {magic!r}, version {version!r})")
    order = "little" if not isinstance(system, dict) or system.get("little_endian", True) else "big"
    for key in keys:
        target = storages.get(key)
        if target is None or len(content) < 8:
            raise ValueError(f"load: {name}: storage {key!r} is missing, or nothing uses it")
        count, content = int.from_bytes(content[:8], order), content[8:]
        if count != target.size or len(content) < target.nbytes:
            raise ValueError(
                f"load: {name}: storage {key!r} has {count} elements and {len(content)} bytes, not {target.size}"
            )
        found = xp.frombuffer(content[: target.nbytes], dtype=target.dtype)
        target[...] = found if order == "little" else found.byteswap()
        content = content[target.nbytes :]
    if len(keys) != len(storages):
        raise ValueError(f"load: {name}: {len(storages)} storages are used, {len(keys)} are there")
    return result


class _Archive:
    """The entries of a .pt file, each checked before it is read."""

    def __init__(self, archive, length, name, weights_only=True, place=lambda location: xp):
        self.archive, self.name, self.weights_only, self.place = archive, name, weights_only, place
        self.storages: dict = {}  # key → (array, dtype)
        self.entries = {}
        total = 0
        for info in archive.infolist():
            packed, size = info.compress_size, info.file_size
            if size > max(packed, 1024) * _MAX_RATIO or (info.compress_type == 0 and size != packed):
                raise ValueError(f"load: {name}: entry {info.filename!r} grows from {packed} to {size} bytes; refused")
            total += packed
            self.entries[info.filename.partition("/")[2]] = info
        if total > length:
            raise ValueError(f"load: {name}: its entries add up to {total} bytes, the file has {length}")
        if "data.pkl" not in self.entries:
            raise ValueError(f"load: {name} has no entry data.pkl: not a file of torch.save")
        self.big_endian = "byteorder" in self.entries and self.read("byteorder", 16) == b"big"

    def read(self, entry, limit) -> bytes:
        if entry not in self.entries:
            raise ValueError(f"load: {self.name} lacks the entry {entry!r}")
        if self.entries[entry].file_size > limit:
            raise ValueError(f"load: {self.name}: entry {entry!r} has {self.entries[entry].file_size} bytes, "
                             f"at most {limit} expected")  # fmt: skip
        return self.archive.read(self.entries[entry])

    def load(self):
        from fastnn._unpickle import Unpickler

        program = self.read("data.pkl", _PICKLE_LIMIT)
        return Unpickler(program, self.name, self.storage, self.weights_only).load()

    def storage(self, dtype_name, key, count, location="cpu"):
        """The flat array of `count` elements under `key`, read once, where tensors of `location` go."""
        dtype = _STORAGES.get(dtype_name)
        if dtype is None:
            raise ValueError(f"load: {self.name}: no storage of class {dtype_name!r} is known")
        if key not in self.storages:
            size = count * dtype.itemsize
            entry = self.entries.get(f"data/{key}")
            if entry is None or entry.file_size != size:
                held = "is missing" if entry is None else f"has {entry.file_size} bytes"
                raise ValueError(f"load: {self.name}: storage {key!r} of {count} x {dtype.name} {held}, not {size}")
            array = xp.frombuffer(bytearray(self.read(f"data/{key}", size)), dtype=dtype.np)
            array, names = array.byteswap() if self.big_endian else array, self.place(location)
            self.storages[key] = (array if names is xp else names.asarray(array)), dtype
        array, known = self.storages[key]
        if known is not dtype or array.size != count:
            raise ValueError(f"load: {self.name}: storage {key!r} is used with two types or sizes")
        return array


def rebuild_tensor(storage, offset, size, stride, requires_grad) -> Tensor:
    """A tensor over `storage`, or ValueError where it would reach outside."""
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > 64 or not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers):
        raise ValueError(f"load: a tensor of size {size}, stride {stride}, offset {offset}")
    if 0 not in size and offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) >= storage.size:
        raise ValueError(f"load: a tensor of size {size}, stride {stride}, offset {offset} in {storage.size} elements")
    if 0 in size:
        return _with_grad(wrap(xp.on(storage).empty(size, storage.dtype)), requires_grad)
    item = storage.itemsize
    view = xp.as_strided(storage[offset:], size, [step * item for step in stride])
    return _with_grad(wrap(view), requires_grad)


def _with_grad(tensor, requires_grad):
    return tensor.requires_grad_() if requires_grad is True else tensor
