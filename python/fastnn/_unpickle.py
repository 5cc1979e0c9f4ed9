"""A pickle machine that can only build data: the reader behind fastnn.load.

Python's own unpickler runs any callable that a file names. This one has no way to: a name resolves to one of the small
objects below or the file is refused, and REDUCE, NEWOBJ and BUILD know these alone.
"""

import pickletools
from collections import OrderedDict

from fastnn import dtypes as dt
from fastnn.tensor import Size, Tensor, device

_MARK = object()


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


def _make_parameter(args):
    from fastnn.nn.parameter import Parameter

    data, requires_grad = args[:2]
    if not isinstance(data, Tensor) or not isinstance(requires_grad, bool):
        raise ValueError("a Parameter of these arguments")
    return Parameter(data, requires_grad)


_NAMES = {
    ("collections", "OrderedDict"): _Name("OrderedDict", _make_ordered_dict),
    ("builtins", "set"): _Name("set", _make_set),
    ("__builtin__", "set"): _Name("set", _make_set),
    ("_codecs", "encode"): _Name("encode", _make_bytes),
    ("torch", "Size"): _Name("Size", _make_size),
    ("torch", "device"): _Name("device", _make_device),
    ("torch._utils", "_rebuild_tensor_v2"): _Name("tensor", _make_tensor),
    ("torch._utils", "_rebuild_parameter"): _Name("parameter", _make_parameter),
    **{("torch", d.name): d for d in dt.dtype._all.values()},
}


class Unpickler:
    """Runs `program`; `storage(class name, key, element count)` supplies the flat arrays that tensors lie in."""

    def __init__(self, program: bytes, name: str, storage):
        self.program, self.name, self.storage = program, name, storage
        self.stack: list = []
        self.memo: dict = {}

    def load(self):
        try:
            for opcode, argument, _ in pickletools.genops(self.program):
                if opcode.name == "STOP":
                    (result,) = self.stack
                    if isinstance(result, _Name) or result is _MARK:
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
            "strings and containers of them (a state_dict), never whole objects"
        )

    # -- the stack

    def _push(self, value):
        self.stack.append(value)

    def _pop(self):
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value belongs")
        return value

    def _pop_to_mark(self) -> list:
        values: list = []
        while True:
            value = self.stack.pop()
            if value is _MARK:
                values.reverse()
                return values
            values.append(value)

    # -- instructions

    def _tuple(self, count):
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def _append(self, values):
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError("items for what is not a list")
        target.extend(values)

    def _set_items(self, values):
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict) or len(values) % 2:
            raise ValueError("entries for what is not a dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[key] = value

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

    def _build(self, _):
        state, target = self._pop(), self.stack[-1]
        if type(target) is OrderedDict and isinstance(state, dict) and set(state) <= {"_metadata"}:
            target.__dict__.update(state)
        elif isinstance(target, Tensor) and isinstance(state, (dict, OrderedDict)) and not state:
            return
        else:
            self._refuse(f"sets the state of {type(target).__name__}")

    def _persistent(self, _):
        kind, storage, key, _, count = self._pop()
        if kind != "storage" or not isinstance(storage, _Name) or not isinstance(key, str) or type(count) is not int:
            raise ValueError("a persistent id that is no storage")
        self._push(self.storage(storage.name, key, count))

    def _put(self, number):
        self.memo[number] = self.stack[-1]


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
        "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE SHORT_BINBYTES BINBYTES".split(),
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
    "BINPERSID": Unpickler._persistent,
    "BINPUT": Unpickler._put,
    "LONG_BINPUT": Unpickler._put,
    "MEMOIZE": lambda machine, _: machine._put(len(machine.memo)),
    "BINGET": lambda machine, number: machine._push(machine.memo[number]),
    "LONG_BINGET": lambda machine, number: machine._push(machine.memo[number]),
}
