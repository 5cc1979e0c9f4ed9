"""Conversion between dtypes and devices: to, type and their short names."""

import builtins

from .. import dtypes as dt
from .._device import preserve_format
from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, check_device, wrap
from .shape import clone, contiguous


def cast(input, dtype):
    """input in `dtype` (a fastnn or NumPy dtype); itself where it has it already."""
    d = dtype.np if isinstance(dtype, dt.dtype) else dtype
    x = input._a
    if x.dtype == d:
        return input
    r = wrap(Tensor._k.cast(x, d))
    if input._fn is not None and grad_mode.enabled and r._a.dtype.kind in "fcV":
        record(r, to_copy_rule, (input._fn,), (x.dtype,), ())
    return r


def to_copy_rule(k, dy, saved, needs):
    return (k.cast(dy, saved[0]),)


def move(input, at):
    """input on the device whose array functions `at` are; itself where it is there already."""
    x = input._a
    if isinstance(x, at.ndarray):
        return input
    r = wrap(at.asarray(x) if at is not xp else xp.host(x))
    if input._fn is not None and grad_mode.enabled:
        record(r, to_device_rule, (input._fn,), (xp.on(x),), (None,))
    return r


def to_device_rule(k, dy, saved, needs):
    """The gradient goes back to where the input lies."""
    (at,) = saved
    if isinstance(dy, Tensor):
        return (move(dy, at),)
    return (at.asarray(dy) if at is not xp else xp.host(dy),)


def to(input, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None):
    """input with another dtype or device: to(dtype), to(device), to(device, dtype), to(other). Itself where nothing
    changes and copy is False."""
    for a in args:
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, dt.dtype) or a in (builtins.float, builtins.int, builtins.bool):
            dtype = dt.as_dtype(a, "to")
        elif a is not None and not isinstance(a, builtins.bool):  # a bool is non_blocking
            device = a
    r = input if dtype is None else cast(input, dt.as_dtype(dtype, "to"))
    if device is not None:
        r = move(r, check_device(device, "to"))
    if memory_format is not None and memory_format is not preserve_format:
        r = contiguous(r, memory_format)
    return clone(r) if copy and r is input else r


def type(input, dtype=None, non_blocking=False):
    """The tensor's type as a string ('torch.FloatTensor'), or the tensor in `dtype`."""
    if dtype is None:
        return f"torch.{input.dtype.short}Tensor"
    if isinstance(dtype, str):
        for d in dt.dtype._all.values():
            if dtype in (f"torch.{d.short}Tensor", f"{d.short}Tensor", f"torch.{d.name}", d.name):
                return cast(input, d)
        raise ValueError(f"invalid type: '{dtype}'")
    return cast(input, dt.as_dtype(getattr(dtype, "dtype", dtype), "type"))


def _to_named(d):
    def convert(input, memory_format=None):
        return cast(input, d)

    convert.__name__ = convert.__qualname__ = {"float32": "float", "float64": "double", "int64": "long"}.get(
        d.name, d.name
    )
    convert.__doc__ = f"input as {d.name}."
    return convert


float, double, half, bfloat16 = (_to_named(d) for d in (dt.float32, dt.float64, dt.float16, dt.bfloat16))
long, int, short, char, byte = (_to_named(d) for d in (dt.int64, dt.int32, dt.int16, dt.int8, dt.uint8))
bool_ = _to_named(dt.bool_)


def type_as(input, other):
    """input in other's dtype, on other's device."""
    return move(cast(input, other.dtype), xp.on(other._a))


def cpu(input, memory_format=None):
    """input in the CPU's memory; itself where it is there."""
    return move(input, xp)


def cuda(input, device=None, non_blocking=False, memory_format=None):
    """input on the CUDA device; RuntimeError where there is none."""
    return move(input, check_device("cuda" if device is None else device, "cuda"))
