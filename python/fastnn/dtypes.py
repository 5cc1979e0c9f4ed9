"""Dtypes, and the one table of promotion that decides the dtype of every result (torch's rules, not NumPy's)."""

from .backend import xp


class dtype:
    """A dtype. `np` is NumPy's; bfloat16's needs the extra `bf16`, and is looked up on first use."""

    __slots__ = ("name", "short", "category", "bits", "_np")
    _all: dict[str, "dtype"] = {}

    def __init__(self, name, short, category, bits, array_dtype):
        self.name, self.short, self.category, self.bits = name, short, category, bits
        self._np = array_dtype
        dtype._all[name] = self

    @property
    def np(self):
        if self._np is None:
            self._np = xp.bfloat16_dtype()
            _FROM_NP[self._np] = self
        return self._np

    @property
    def is_floating_point(self) -> bool:
        return self.category == 2

    @property
    def is_complex(self) -> bool:
        return self.category == 3

    @property
    def is_signed(self) -> bool:
        return self.name not in ("uint8", "bool")

    @property
    def itemsize(self) -> int:
        return max(self.bits // 8, 1)

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return _by_name, (self.name,)


def _by_name(name):
    return dtype._all[name]


# category: 0 bool, 1 integer, 2 floating point, 3 complex
float32 = dtype("float32", "Float", 2, 32, xp.dtype("float32"))
float64 = dtype("float64", "Double", 2, 64, xp.dtype("float64"))
float16 = dtype("float16", "Half", 2, 16, xp.dtype("float16"))
bfloat16 = dtype("bfloat16", "BFloat16", 2, 16, None)
int64 = dtype("int64", "Long", 1, 64, xp.dtype("int64"))
int32 = dtype("int32", "Int", 1, 32, xp.dtype("int32"))
int16 = dtype("int16", "Short", 1, 16, xp.dtype("int16"))
int8 = dtype("int8", "Char", 1, 8, xp.dtype("int8"))
uint8 = dtype("uint8", "Byte", 1, 8, xp.dtype("uint8"))
bool_ = dtype("bool", "Bool", 0, 1, xp.dtype("bool"))
complex64 = dtype("complex64", "ComplexFloat", 3, 64, xp.dtype("complex64"))
complex128 = dtype("complex128", "ComplexDouble", 3, 128, xp.dtype("complex128"))

_FROM_NP = {d._np: d for d in dtype._all.values() if d._np is not None}
_ORDER = {2: (float16, bfloat16, float32, float64), 3: (complex64, complex128)}
_default = float32


def get_default_dtype() -> dtype:
    return _default


def set_default_dtype(d: dtype) -> None:
    """The dtype of floats given without one: float32, float64, float16 or bfloat16."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"set_default_dtype: d must be a floating point dtype, got {d!r}")
    _default = d


def from_np(array_dtype) -> dtype:
    """fastnn's dtype for NumPy's; TypeError for one that torch has no counterpart of."""
    found = _FROM_NP.get(array_dtype)
    if found is None:
        if array_dtype.name == "bfloat16":
            _FROM_NP[array_dtype] = bfloat16
            return bfloat16
        native = array_dtype.newbyteorder("=")
        if native in _FROM_NP and native is not array_dtype:
            return _FROM_NP[native]
        names = ", ".join(d.name for d in dtype._all.values())
        raise TypeError(f"can't convert an ndarray of type {array_dtype}; supported are {names}")
    return found


def as_dtype(d, function="dtype") -> dtype:
    """The argument `dtype` of a call: a fastnn dtype, or Python's float, int or bool."""
    if isinstance(d, dtype):
        return d
    if d is float:
        return float64
    if d is int:
        return int64
    if d is bool:
        return bool_
    raise TypeError(f"{function}: dtype must be a fastnn dtype such as fastnn.float32, got {d!r}")


def _promote(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.category != b.category:
        hi, lo = (a, b) if a.category > b.category else (b, a)
        if hi.category == 3 and lo is float64:
            return complex128
        return hi
    if a.category == 1:
        if uint8 in (a, b):
            other = b if a is uint8 else a
            return int16 if other is int8 else other
        return a if a.bits > b.bits else b
    if {a, b} == {float16, bfloat16}:
        return float32
    order = _ORDER[a.category]
    return a if order.index(a) > order.index(b) else b


_TABLE = {(a, b): _promote(a, b) for a in dtype._all.values() for b in dtype._all.values()}


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that both can be converted to (torch's table)."""
    return _TABLE[type1, type2]


def scalar_dtype(value) -> dtype | None:
    """The dtype that a Python number stands for, by category; None where it is not a number."""
    if isinstance(value, bool):
        return bool_
    if isinstance(value, int):
        return int64
    if isinstance(value, float):
        return _default
    if isinstance(value, complex):
        return complex64 if _default is not float64 else complex128
    return None


def combine(dims: dtype | None, zero: dtype | None, wrapped: dtype | None) -> dtype:
    """torch's rule: tensors with dimensions decide; 0-d tensors, then Python numbers, only where their category is
    higher. Each argument is the promotion over its group, or None where the group is empty."""
    result = dims
    for group in (zero, wrapped):
        if group is None:
            continue
        if result is None:
            result = group
        elif group.category > result.category:
            # a number of a higher category gives its default dtype (i64 tensor * 2.5 -> float32)
            result = _TABLE[result, group] if group.category == 3 else group
    return result


class finfo:
    """Limits of a floating point dtype: bits, eps, max, min, tiny, smallest_normal, resolution, dtype."""

    def __init__(self, type: dtype | None = None):
        d = _default if type is None else type
        if not isinstance(d, dtype) or d.category not in (2, 3):
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{d}'")
        info = xp.float_limits(d.np)
        self.bits, self.eps, self.max, self.min = info["bits"], info["eps"], info["max"], info["min"]
        self.tiny = self.smallest_normal = info["tiny"]
        self.resolution, self.dtype = info["resolution"], d.name

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: bits, max, min, dtype."""

    def __init__(self, type: dtype):
        if not isinstance(type, dtype) or type.category != 1:
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'")
        self.bits, self.dtype = type.bits, type.name
        signed = type.is_signed
        self.max = 2 ** (type.bits - signed) - 1
        self.min = -(2 ** (type.bits - 1)) if signed else 0

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
