"""Making tensors: from data, of constants, of ranges."""

import math
import operator

from .. import dtypes as dt
from ..backend import xp
from ..tensor import Size, Tensor, check_device, shared_version, wrap

_MAX_BYTES = 1 << 47  # what an address can reach: asking for more is a mistake, told before anything is allocated


def _shape(size, function):
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = size[0]
    out = []
    for s in size:
        if s.__class__ is not int:
            if isinstance(s, bool) or not hasattr(s, "__index__"):
                raise TypeError(
                    f"{function}(): argument 'size' must be ints, but found {type(s).__name__} in {tuple(size)!r}"
                )
            s = operator.index(s)
        if s < 0:
            raise RuntimeError(f"{function}: Trying to create tensor with negative dimension {s}: {list(size)}")
        out.append(s)
    return tuple(out)


def _checked(shape, d, function):
    if math.prod(shape) * d.itemsize > _MAX_BYTES:
        raise RuntimeError(
            f"{function}: a tensor of shape {list(shape)} and dtype {d} needs {Size(shape).numel() * d.itemsize} bytes, "
            f"more than can be addressed; give smaller sizes"
        )
    return shape


def _finish(a, requires_grad, out=None, at=xp):
    """The result over the array `a`; one of the host that is wanted elsewhere is copied there."""
    t = wrap(a if at is xp else at.asarray(a))
    if out is not None:
        from ._common import write_out

        return write_out(out, t)
    if requires_grad:
        t.requires_grad_(True)
    return t


def _allocate(make, shape, d, function):
    try:
        return make(_checked(shape, d, function), d.np)
    except MemoryError:
        raise RuntimeError(f"{function}: not enough memory for a tensor of shape {list(shape)} and dtype {d}") from None


def _given(sizes, size, function):
    """The sizes, given one by one, as a sequence, or by keyword."""
    if size is None:
        return sizes
    if sizes:
        raise TypeError(f"{function}() got sizes by position and size={size!r}")
    return (size,)


def zeros(
    *sizes, size=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, names=None
):
    """Zeros of the sizes given."""
    return _sized(_given(sizes, size, "zeros"), "zeros", dtype, device, requires_grad, out)


def ones(
    *sizes, size=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, names=None
):
    """Ones of the sizes given."""
    return _sized(_given(sizes, size, "ones"), "ones", dtype, device, requires_grad, out)


def empty(
    *sizes, size=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False,
    memory_format=None,
):  # fmt: skip
    """Memory of the sizes given, its values undefined."""
    return _sized(_given(sizes, size, "empty"), "empty", dtype, device, requires_grad, out)


def _sized(size, name, dtype, device, requires_grad, out):
    if size and isinstance(size[-1], (dt.dtype, xp.dtype)):  # rules call zeros(shape, dtype)
        *size, dtype = size
    if not size:
        raise TypeError(f"{name}() received an invalid combination of arguments: sizes are missing")
    make = getattr(check_device(device, name), name)
    if dtype is None:
        d = dt.get_default_dtype() if out is None else out.dtype
    else:
        d = dt.from_np(dtype) if isinstance(dtype, xp.dtype) else dt.as_dtype(dtype, name)
    return _finish(_allocate(make, _shape(size, name), d, name), requires_grad, out)


def full(size, fill_value, dtype=None, *, out=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """fill_value everywhere; the dtype follows its type where none is given."""
    at = check_device(device, "full")
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    if dtype is None:
        d = dt.scalar_dtype(fill_value)
        if d is None:
            raise TypeError(f"full(): argument 'fill_value' must be Number, not {type(fill_value).__name__}")
    else:
        d = dt.from_np(dtype) if isinstance(dtype, xp.dtype) else dt.as_dtype(dtype, "full")
    shape = _shape((size,) if isinstance(size, (tuple, list)) else ((size,),), "full")
    return _finish(_allocate(lambda s, n: at.full(s, fill_value, n), shape, d, "full"), requires_grad, out)


def _like(plain):
    name = plain + "_like"

    def create(
        input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
    ):
        x = input._a
        make = getattr(xp.on(x) if device is None else check_device(device, name), plain)
        d = input.dtype if dtype is None else dt.as_dtype(dtype, name)
        a = _allocate(make, x.shape, d, name)
        if not x.flags.c_contiguous and x.size:
            a = a.ravel().reshape(x.shape) if xp.has_internal_overlap(x) else _same_order(a, x)
        return _finish(a, requires_grad)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"{plain} of input's shape and dtype, on its device."
    return create


def _same_order(a, x):
    """A dense array like `a` whose dimensions lie in memory in x's order (torch.preserve_format)."""
    order = sorted(range(x.ndim), key=lambda i: -x.strides[i])
    inverse = [order.index(i) for i in range(x.ndim)]
    return a.reshape(-1).reshape([x.shape[i] for i in order]).transpose(inverse)


zeros_like, ones_like, empty_like = (
    _like("zeros"),
    _like("ones"),
    _like("empty"),
)


def full_like(input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
    """fill_value in input's shape and dtype."""
    device = input.device if device is None else device
    return full(input._a.shape, fill_value, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Memory of the sizes and strides given, its values undefined."""
    at = check_device(device, "empty_strided")
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride) or any(n < 0 for n in size) or any(s < 0 for s in stride):
        raise RuntimeError(
            f"mismatch in length of strides and shape, or a negative one: {list(size)} and {list(stride)}"
        )
    d = dt.get_default_dtype() if dtype is None else dt.as_dtype(dtype, "empty_strided")
    extent = 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    memory = _allocate(at.empty, (extent,), d, "empty_strided")
    return _finish(xp.as_strided(memory, size, tuple(s * d.np.itemsize for s in stride)), requires_grad)


def empty_permuted(
    size, physical_layout, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Memory of the sizes given, its dimensions in memory in the order of physical_layout."""
    size, order = tuple(size), tuple(physical_layout)
    if len(order) != len(size):
        raise RuntimeError(
            f"Number of dimensions in the tensor size input ({len(size)}) does not match the length of the physical layout "
            f"({len(order)})"
        )
    if sorted(order) != list(range(len(size))):
        raise RuntimeError(f"Dimension out of range or Duplicate dim not allowed in physical_layout {list(order)}")
    t = empty(tuple(size[i] for i in order), dtype=dtype, device=device)
    inverse = [order.index(i) for i in range(len(order))]
    return _finish(t._a.transpose(inverse), requires_grad)


def new_empty_strided(
    input, size, stride, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False
):
    return empty_strided(size, stride, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def new_zeros(input, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    device = input.device if device is None else device
    return zeros(*size, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def new_ones(input, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    device = input.device if device is None else device
    return ones(*size, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def new_empty(input, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    device = input.device if device is None else device
    return empty(*size, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def new_full(input, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    device = input.device if device is None else device
    return full(size, fill_value, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def new_tensor(input, data, *, dtype=None, device=None, requires_grad=False):
    device = input.device if device is None else device
    return tensor(data, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """Ones on the diagonal of an n × m matrix (m = n where not given)."""
    at = check_device(device, "eye")
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"n must be greater or equal to 0, got {n if n < 0 else m}")
    d = dt.get_default_dtype() if dtype is None else dt.as_dtype(dtype, "eye")
    a = _allocate(xp.zeros, (n, n if m is None else m), d, "eye")
    for i in range(min(a.shape)):
        a[i, i] = 1
    return _finish(a, requires_grad, out, at)


def arange(
    *args,
    start=None,
    end=None,
    step=None,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
):
    """Values from start (0) to end, end excluded, `step` (1) apart; integers where all three are."""
    at = check_device(device, "arange")
    given = dict(zip(("end",) if len(args) == 1 and end is None else ("start", "end", "step"), args, strict=False))
    start = given.get("start", 0 if start is None else start)
    end = given.get("end", end)
    step = given.get("step", 1 if step is None else step)
    start, end, step = (v.item() if isinstance(v, (Tensor, xp.generic)) else v for v in (start, end, step))
    if end is None or not all(isinstance(v, (int, float)) for v in (start, end, step)):
        raise TypeError(f"arange() expects numbers, got start={start!r}, end={end!r}, step={step!r}")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    whole = all(isinstance(v, int) for v in (start, end, step))
    d = dt.as_dtype(dtype, "arange") if dtype is not None else dt.int64 if whole else dt.get_default_dtype()
    try:
        n = -((start - end) // step) if whole else math.ceil((end - start) / step)
    except OverflowError:
        raise RuntimeError(f"invalid size, possible overflow: arange from {start} to {end} by {step}") from None
    _checked((n,), d, "arange")
    if whole and start == 0 and step == 1 and d.category == 1:
        return _finish(xp.arange(n, dtype=d.np), requires_grad, out, at)
    if d.category == 2:  # start + i·step, rounded once
        return _finish((start + xp.arange(n) * float(step)).astype(d.np), requires_grad, out, at)
    return _finish((int(start) + xp.arange(n) * int(step)).astype(d.np), requires_grad, out, at)


def range_inclusive(start, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """Values from start to end, end included: arange is what is wanted nearly always."""
    if end is None:
        start, end = 0, start
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    at = check_device(device, "range")
    d = dt.get_default_dtype() if dtype is None else dt.as_dtype(dtype, "range")
    n = int((end - start) / step) + 1
    return _finish((start + xp.arange(n) * step).astype(d.np), requires_grad, None, at)


def linspace(start, end, steps, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """`steps` values from start to end, both included, evenly spaced."""
    at = check_device(device, "linspace")
    if not hasattr(steps, "__index__"):
        raise TypeError(f"linspace(): argument 'steps' must be int, not {type(steps).__name__}")
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    d = dt.get_default_dtype() if dtype is None else dt.as_dtype(dtype, "linspace")
    _checked((steps,), d, "linspace")
    if steps == 1:
        return _finish(xp.full((1,), start, d.np), requires_grad, out, at)
    # torch counts from the nearer end, in the result's precision
    work = d.np if d.category == 2 and d.bits >= 32 else dt.float32.np if d.category == 2 else dt.float64.np
    s, e = work.type(start), work.type(end)
    step = (e - s) / work.type(max(steps - 1, 1))
    i = xp.arange(steps)
    low = i < steps // 2
    a = xp.where(low, s + step * i.astype(work), e - step * (steps - 1 - i).astype(work))
    return _finish(a.astype(d.np), requires_grad, out, at)


def logspace(start, end, steps, base=10.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """base to the powers of linspace(start, end, steps)."""
    at = check_device(device, "logspace")
    exponents = linspace(start, end, steps, dtype=dt.float64, device="cpu")
    d = dt.get_default_dtype() if dtype is None else dt.as_dtype(dtype, "logspace")
    return _finish((base**exponents._a).astype(d.np), requires_grad, out, at)


# ---------------------------------------------------------------- from data


def _leaf(data):
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def _plain(data):
    """Nested sequences with Tensors in them, as Python numbers and arrays."""
    if isinstance(data, Tensor):
        return xp.host(data._a) if data._a.ndim else data._a.item()
    if isinstance(data, (list, tuple)):
        return [_plain(v) for v in data]
    return data


def _has_tensor(data):
    return isinstance(data, Tensor) or (isinstance(data, (list, tuple)) and any(_has_tensor(v) for v in data))


def _promoted(data, d):
    """The dtype that all Tensors in nested sequences promote to."""
    for v in data:
        if isinstance(v, Tensor):
            d = v.dtype if d is None else dt.promote_types(d, v.dtype)
        elif isinstance(v, (list, tuple)):
            d = _promoted(v, d)
    return d


def _array(data, dtype, function):
    """A fresh array of `data`, in torch's inferred dtype where none is given."""
    if isinstance(data, Tensor):
        a = xp.contiguous_copy(data._a)
        return a if dtype is None else a.astype(dtype.np)
    if isinstance(data, (xp.ndarray, xp.generic)):
        d = dt.from_np(data.dtype) if dtype is None else dtype
        return xp.contiguous_copy(xp.asarray(data).astype(d.np))
    inferred = dtype
    first = _leaf(data)
    if inferred is None and isinstance(first, Tensor):
        inferred = first.dtype
    elif inferred is None and isinstance(first, (xp.ndarray, xp.generic)):
        inferred = dt.from_np(first.dtype)
    if isinstance(data, (list, tuple)) and _has_tensor(data):
        if inferred is None or dtype is None:
            inferred = _promoted(data, inferred)
        data = _plain(data)
    if isinstance(data, (str, bytes)) or data is None:
        raise TypeError(
            f"{function}(): can't convert {type(data).__name__} to a tensor; give numbers, sequences or arrays"
        )
    try:
        a = xp.asarray(data)
    except ValueError as error:
        raise ValueError(f"{function}(): expected sequences of equal lengths ({error})") from None
    except OverflowError as error:
        raise RuntimeError(f"{function}(): {error}") from None
    if a.dtype.kind not in "biufc" and not (a.dtype.kind == "V" and inferred is not None):
        if a.dtype.kind == "O" and a.size and isinstance(_leaf(data), int):
            raise ValueError(f"{function}(): Overflow when unpacking long long: {_leaf(data)} does not fit int64")
        raise TypeError(f"{function}(): new(): invalid data type '{type(_leaf(data)).__name__}'")
    if inferred is None:
        kind = a.dtype.kind
        if a.size == 0 and not isinstance(data, xp.ndarray):
            inferred = dt.get_default_dtype()
        else:
            inferred = {"b": dt.bool_, "i": dt.int64, "u": dt.int64, "f": dt.get_default_dtype()}.get(kind)
            if inferred is None:
                inferred = dt.complex64 if dt.get_default_dtype() is not dt.float64 else dt.complex128
    if a.dtype.kind == "f" and inferred.category == 1 and not xp.isfinite(a).all():
        raise RuntimeError(f"{function}(): value cannot be converted to type {inferred} without overflow")
    if a.dtype.name == "uint64" and inferred is dt.int64:
        raise ValueError(f"{function}(): Overflow when unpacking long long: a value does not fit int64")
    a = a.astype(inferred.np)
    return a if a.flags.c_contiguous else xp.contiguous_copy(a)


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new leaf with a copy of `data`: a number, nested sequences, an array or a Tensor.

    Floats get the default dtype, integers int64; arrays and Tensors keep theirs. ValueError for ragged sequences,
    TypeError for what is not a number."""
    if device is None and isinstance(data, Tensor):
        device = data.device
    at = check_device(device, "tensor")
    a = _array(data, None if dtype is None else dt.as_dtype(dtype, "tensor"), "tensor")
    if at is xp and isinstance(data, Tensor):
        a = xp.host(a)
    return _finish(a, requires_grad, None, at)


def as_tensor(data, dtype=None, device=None):
    """A Tensor of `data`, sharing memory with an array or Tensor of the same dtype."""
    d = None if dtype is None else dt.as_dtype(dtype, "as_tensor")
    if isinstance(data, Tensor):
        from .cast import to

        return to(data, dtype=d, device=device)
    at = check_device(device, "as_tensor")
    if isinstance(data, xp.ndarray) and (d is None or data.dtype == d.np):
        return from_numpy(data) if at is xp else wrap(at.asarray(data))
    if hasattr(data, "__cuda_array_interface__") and not hasattr(data, "__array_interface__"):
        return to(from_dlpack(data), dtype=d, device=device)
    return _finish(_array(data, d, "as_tensor"), False, None, at)


asarray = as_tensor


def from_numpy(ndarray):
    """A Tensor over the array's own memory. ValueError for negative strides, TypeError for an unknown dtype."""
    if not isinstance(ndarray, xp.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dt.from_np(ndarray.dtype)
    if not ndarray.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion is not supported."
        )
    for s, n in zip(ndarray.strides, ndarray.shape, strict=True):
        if s < 0 and n > 1:
            raise ValueError(
                "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
                "currently supported. (You can probably work around this by making a copy of your array with array.copy().)"
            )
        if s % ndarray.itemsize and n > 1:
            raise ValueError(
                "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the "
                "memory."
            )
    return wrap(ndarray if type(ndarray) is xp.ndarray else ndarray.view(xp.ndarray))


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A Tensor over the memory of an object with the buffer protocol."""
    return _finish(xp.frombuffer(buffer, dt.as_dtype(dtype, "frombuffer").np, count, offset), requires_grad)


def from_dlpack(ext_tensor):
    """A Tensor over the memory of another library's array that speaks DLPack, on the CPU or on a CUDA device."""
    if not hasattr(ext_tensor, "__dlpack__"):
        raise RuntimeError(f"from_dlpack: expected an object with __dlpack__, got {type(ext_tensor).__name__}")
    if isinstance(ext_tensor, Tensor):
        t = wrap(ext_tensor._a)
        t._ver = shared_version(ext_tensor)
        return t
    if ext_tensor.__dlpack_device__()[0] in (2, 13):  # CUDA, and its managed memory
        return wrap(check_device("cuda", "from_dlpack").from_dlpack(ext_tensor))
    return from_numpy(xp.from_dlpack(ext_tensor))


def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False):
    return tensor(s, dtype=dtype or dt.get_default_dtype(), device=device, requires_grad=requires_grad)


# ---------------------------------------------------------------- filling in place


def fill_(self, value):
    """Every element set to value."""
    from .index import setitem

    if isinstance(value, Tensor) and value._a.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value._a.ndim} dimensions."
        )
    setitem(self, Ellipsis, value)
    return self


def fill(input, value):
    """A tensor of input's shape and dtype, every element `value`; differentiable with respect to a 0-d tensor."""
    from .shape import clone

    return fill_(clone(input), value)


def zero_(self):
    """Every element set to 0."""
    return fill_(self, 0)


def fill_diagonal_(self, fill_value, wrap=False):
    n = min(self._a.shape)
    for i in range(n):
        self._a[(i,) * self._a.ndim] = fill_value
    self._bump()
    return self
