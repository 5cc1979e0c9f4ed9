"""A pickle machine that can only build data: the reader behind fastnn.load.

Python's own unpickler runs any callable that a file names. This one has no way to: a name resolves to one of the small
objects below or the file is refused, and REDUCE, NEWOBJ and BUILD know these alone.
"""

import pickletools
from collections import OrderedDict, defaultdict

from fastnn import _globals
from fastnn import dtypes as dt
from fastnn.backend import xp
from fastnn.tensor import Size, Tensor, device

_MARK = object()


class _Class:
    """A class that the file may make instances of, without calling its constructor."""

    def __init__(self, cls):
        self.cls, self.name = cls, cls.__qualname__


class _Name:
    """A global that the file may name; `make` is what REDUCE does with it."""

    def __init__(self, name, make=None):
        self.name, self.make = name, make


def _make_ordered_dict(args):
    if args and not (len(args) == 1 and isinstance(args[0], (list, tuple))):
        raise ValueError("OrderedDict of these arguments")
    return OrderedDict(*args)


def _make_set(args):
    (values,) = args
    if not isinstance(values, (list, tuple)):
        raise ValueError("set of these arguments")
    return set(values)


def _make_bytes(args):
    text, coding = args
    if not (isinstance(text, str) and coding == "latin1"):
        raise ValueError("_codecs.encode of these arguments")
    return text.encode("latin1")


def _make_size(args):
    (values,) = args
    if not all(type(n) is int and n >= 0 for n in values):
        raise ValueError("a Size of these arguments")
    return Size(values)


def _make_device(args):
    kind, *index = args
    if not isinstance(kind, str) or len(index) > 1 or any(type(i) is not int for i in index):
        raise ValueError("a device of these arguments")
    try:
        return device(kind, *index)
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _make_tensor(args):
    from fastnn.serialization import rebuild_tensor

    storage, offset, size, stride, requires_grad = args[:5]
    if isinstance(storage, (Tensor, str, bytes, list, dict)) or not hasattr(storage, "itemsize"):
        raise ValueError("a tensor without a storage")
    if not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise ValueError("a tensor whose sizes are no tuple")
    return rebuild_tensor(storage, offset, size, stride, requires_grad)


def _make_array(args):
    """numpy's _reconstruct(ndarray, (0,), b"b"): an empty array, to be filled by BUILD."""
    if len(args) != 3 or not (isinstance(args[0], _Name) and args[0].name == "ndarray"):
        raise ValueError("an array of these arguments")
    return _Array()


class _Array:
    value = None

    def fill(self, state):
        version, shape, kind, fortran, data = state
        if version != 1 or not isinstance(kind, _Dtype) or not isinstance(data, (bytes, str)):
            raise ValueError("the state of an array")
        data = data.encode("latin1") if isinstance(data, str) else data
        count = 1
        for n in shape:
            if type(n) is not int or n < 0:
                raise ValueError(f"an array of shape {shape}")
            count *= n
        if count * kind.array.itemsize != len(data):
            raise ValueError(f"an array of {shape} in {len(data)} bytes")
        flat = xp.frombuffer(bytearray(data), dtype=kind.array)
        array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        self.value = array.astype(array.dtype.newbyteorder("="))


class _Dtype:
    """A dtype of numpy: numbers alone."""

    def __init__(self, code):
        if not isinstance(code, str) or code[:1].lstrip("<>|=")[:1] not in tuple("fiubc"):
            raise ValueError(f"numpy's dtype {code!r}")
        self.array = xp.dtype(code)

    def set(self, state):
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.array = self.array.newbyteorder(state[1])


def _make_scalar(args):
    kind, data = args
    data = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(kind, _Dtype) or len(data) != kind.array.itemsize:
        raise ValueError("a scalar of these arguments")
    return xp.frombuffer(data, dtype=kind.array)[0]


def _make_defaultdict(args):
    if args and not (len(args) == 1 and isinstance(args[0], _Class)):
        raise ValueError("a defaultdict of these arguments")
    return defaultdict(args[0].cls if args else None)


def _make_blank(args):
    """copyreg's _reconstructor(class, object, None)."""
    if not isinstance(args[0], _Class) or args[1:] and args[-1] is not None:
        raise ValueError("an instance of these arguments")
    return _globals.blank(args[0].cls)


def _make_parameter(args):
    from fastnn.nn.parameter import Parameter

    data, requires_grad = args[:2]
    if not isinstance(data, Tensor) or not isinstance(requires_grad, bool):
        raise ValueError("a Parameter of these arguments")
    return Parameter(data, requires_grad)


_NAMES = {
    ("collections", "OrderedDict"): _Name("OrderedDict", _make_ordered_dict),
    ("_codecs", "encode"): _Name("encode", _make_bytes),
    ("torch", "Size"): _Name("Size", _make_size),
    ("torch", "device"): _Name("device", _make_device),
    ("torch._utils", "_rebuild_tensor_v2"): _Name("tensor", _make_tensor),
    ("torch._utils", "_rebuild_parameter"): _Name("parameter", _make_parameter),
    ("torch.nn.parameter", "Parameter"): _Name("parameter", _make_parameter),
    ("collections", "defaultdict"): _Name("defaultdict", _make_defaultdict),
    ("copyreg", "_reconstructor"): _Name("_reconstructor", _make_blank),
    ("copy_reg", "_reconstructor"): _Name("_reconstructor", _make_blank),
    **{
        (module, name): value
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name, value in (
            ("_reconstruct", _Name("_reconstruct", _make_array)),
            ("scalar", _Name("scalar", _make_scalar)),
        )
    },
    ("numpy", "ndarray"): _Name("ndarray"),
    ("numpy", "dtype"): _Name("dtype", lambda args: _Dtype(args[0])),
    **{
        (module, cls.__name__): _Class(cls)
        for module in ("builtins", "__builtin__")
        for cls in (object, int, float, list, dict, set, str, tuple)
    },
    ("builtins", "set"): _Name("set", _make_set),
    ("__builtin__", "set"): _Name("set", _make_set),
    **{("torch", d.name): d for d in dt.dtype._all.values()},
}


class Unpickler:
    """Runs `program`; `storage(class name, key, element count)` supplies the flat arrays that tensors lie in.

    weights_only=False also admits classes that the process has imported already. `end`: where the program ended.
    """

    def __init__(self, program: bytes, name: str, storage=None, weights_only: bool = True):
        self.program, self.name, self.storage, self.weights_only = program, name, storage, weights_only
        self.end = 0
        self.stack: list = []
        self.memo: dict = {}

    def load(self):
        try:
            for opcode, argument, place in pickletools.genops(self.program):
                if opcode.name == "STOP":
                    self.end = place + 1
                    (result,) = self.stack
                    result = result.value if isinstance(result, _Array) else result
                    if isinstance(result, (_Name, _Class)) or result is _MARK:
                        raise ValueError("no value")
                    return result
                step = _STEPS.get(opcode.name)
                if step is None:
                    self._refuse(f"uses the pickle instruction {opcode.name}")
                step(self, argument)
        except (IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, UnicodeError) as error:
            raise ValueError(f"load: {self.name}: broken pickle ({type(error).__name__}: {error})") from None
        except ValueError as error:
            if str(error).startswith("load: "):
                raise
            raise ValueError(f"load: {self.name}: broken pickle ({error})") from None
        raise ValueError(f"load: {self.name}: broken pickle (no end)")

    def _refuse(self, what):
        raise ValueError(
            f"load: {self.name} {what}, which a file of tensors does not need; refused. fastnn reads tensors, numbers, "
            "strings, containers of them (a state_dict), and objects of fastnn.nn's classes and of those that "
            "add_safe_globals names; weights_only=False adds the classes that the script has imported"
        )

    # -- the stack

    def _push(self, value):
        self.stack.append(value)

    def _pop(self):
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value belongs")
        return value.value if value.__class__ is _Array else value

    def _pop_to_mark(self) -> list:
        values: list = []
        while True:
            value = self.stack.pop()
            if value is _MARK:
                values.reverse()
                return values
            values.append(value.value if value.__class__ is _Array else value)

    # -- instructions

    def _tuple(self, count):
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def _append(self, values):
        target = self.stack[-1]
        if not isinstance(target, list):
            raise ValueError("items for what is not a list")
        list.extend(target, values)

    def _set_items(self, values):
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError("entries for what is not a dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            dict.__setitem__(target, key, value) if type(target) is not OrderedDict else target.__setitem__(key, value)

    def _add_items(self, values):
        target = self.stack[-1]
        if type(target) is not set:
            raise ValueError("members for what is not a set")
        target.update(values)

    def _global(self, module, name):
        found = _NAMES.get((module, name))
        if found is None and module in ("torch", "torch.storage") and name.endswith("Storage"):
            found = _Name(name)
        if found is None:
            found = _globals.find(module, name, self.weights_only)
            found = _Class(found) if isinstance(found, type) else found
        if found is None:
            self._refuse(f"asks for {module}.{name}")
        self._push(found)

    def _global_text(self, argument):
        module, _, name = argument.partition(" ")
        self._global(module, name)

    def _stack_global(self, _):
        name, module = self._pop(), self._pop()
        self._global(str(module), str(name))

    def _reduce(self, _):
        args, made = self._pop(), self._pop()
        if not isinstance(made, _Name) or made.make is None or not isinstance(args, tuple):
            self._refuse(f"calls {getattr(made, 'name', type(made).__name__)}")
        self._push(made.make(args))

    def _new_object(self, _):
        args, made = self._pop(), self._pop()
        if not isinstance(made, _Class) or args != () or made.cls.__module__ == "builtins":
            self._refuse(f"makes an instance of {getattr(made, 'name', type(made).__name__)}")
        self._push(_globals.blank(made.cls))

    def _build(self, _):
        state, target = self._pop(), self.stack[-1]
        if isinstance(target, _Array):
            target.fill(state)
        elif isinstance(target, _Dtype):
            target.set(state)
        elif _is_instance(target):
            _globals.set_state(target, state)
        elif type(target) is OrderedDict and isinstance(state, dict) and set(state) <= {"_metadata"}:
            target.__dict__.update(state)
        elif isinstance(target, Tensor) and isinstance(state, (dict, OrderedDict)) and not state:
            return
        else:
            self._refuse(f"sets the state of {type(target).__name__}")

    def _persistent(self, _):
        given = self._pop()
        if len(given) == 4 and given[0] == "module" and isinstance(given[1], _Class):
            self._push(given[1])  # a class with its source text, as torch before 1.6 kept it
            return
        kind, storage, key, location, count = given[:5]
        names = isinstance(storage, _Name) and isinstance(key, str) and isinstance(location, str)
        if kind != "storage" or not names or type(count) is not int:
            raise ValueError("a persistent id that is no storage")
        self._push(self.storage(storage.name, key, count, location))

    def _put(self, number):
        self.memo[number] = self.stack[-1]


def _is_instance(x) -> bool:
    """Whether x was made by `blank`: of a class of its own, not one of those that this machine builds itself."""
    return type(x) not in (dict, OrderedDict, list, set, tuple, str, int, float, defaultdict) and not isinstance(
        x, Tensor
    )


def _constant(value):
    return lambda machine, _: machine._push(value)


_STEPS = {
    "PROTO": lambda machine, version: None,
    "FRAME": lambda machine, length: None,
    "MARK": _constant(_MARK),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": lambda machine, _: machine._push([]),
    "EMPTY_DICT": lambda machine, _: machine._push({}),
    "EMPTY_SET": lambda machine, _: machine._push(set()),
    **dict.fromkeys(
        """BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE SHORT_BINBYTES BINBYTES SHORT_BINSTRING
        BINSTRING""".split(),
        Unpickler._push,
    ),
    "TUPLE": lambda machine, _: machine._push(tuple(machine._pop_to_mark())),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "APPEND": lambda machine, _: machine._append([machine._pop()]),
    "APPENDS": lambda machine, _: machine._append(machine._pop_to_mark()),
    "SETITEM": lambda machine, _: machine._set_items([machine._pop(), machine._pop()][::-1]),
    "SETITEMS": lambda machine, _: machine._set_items(machine._pop_to_mark()),
    "ADDITEMS": lambda machine, _: machine._add_items(machine._pop_to_mark()),
    "GLOBAL": Unpickler._global_text,
    "STACK_GLOBAL": Unpickler._stack_global,
    "REDUCE": Unpickler._reduce,
    "BUILD": Unpickler._build,
    "NEWOBJ": Unpickler._new_object,
    "BINPERSID": Unpickler._persistent,
    "BINPUT": Unpickler._put,
    "LONG_BINPUT": Unpickler._put,
    "MEMOIZE": lambda machine, _: machine._put(len(machine.memo)),
    "BINGET": lambda machine, number: machine._push(machine.memo[number]),
    "LONG_BINGET": lambda machine, number: machine._push(machine.memo[number]),
}
