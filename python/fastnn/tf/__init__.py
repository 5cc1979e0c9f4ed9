"""The little of TensorFlow that Keras scripts use beside tf.keras: `import fastnn.tf as tf`."""

import fastnn
from fastnn import keras
from fastnn.backend import xp
from fastnn.dtypes import bfloat16, complex64, float16, float32, float64, int8, int16, int32, int64, uint8
from fastnn.dtypes import bool_ as bool  # noqa: A004
from fastnn.tensor import Tensor
from fastnn.torch_version import TorchVersion

from . import data, math, nn, random

__version__ = TorchVersion("2.20.0+fastnn.0.1.0")

__all__ = [
    "Tensor", "argmax", "bfloat16", "bool", "cast", "complex64", "concat", "constant", "convert_to_tensor", "data",
    "equal", "expand_dims", "eye", "fill", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "keras",
    "math", "matmul", "newaxis", "nn", "one_hot", "ones", "ones_like", "random", "range", "reduce_max", "reduce_mean",
    "reduce_min", "reduce_sum", "reshape", "shape", "squeeze", "stack", "transpose", "uint8", "zeros", "zeros_like",
]  # fmt: skip

newaxis = None


def convert_to_tensor(value, dtype=None, name=None):
    """A tensor of a value; Python floats, and float64 given as such, become float32."""
    if isinstance(value, Tensor):
        return value if dtype is None else value.to(_dtype(dtype))
    if isinstance(value, (xp.ndarray, xp.generic)):
        t = fastnn.from_numpy(xp.array(value))
    else:
        t = fastnn.tensor(value)
        if dtype is None and t.dtype is int64:
            t = t.to(int32)  # TensorFlow's type of Python's integers
    return t if dtype is None else t.to(_dtype(dtype))


def _dtype(d):
    if isinstance(d, str):
        found = fastnn.dtype._all.get(d)
        if found is None:
            raise TypeError(f"Cannot convert the argument `type_value`: {d!r} to a TensorFlow DType.")
        return found
    return fastnn.dtypes.from_np(xp.dtype(d)) if not isinstance(d, fastnn.dtype) else d


def constant(value, dtype=None, shape=None, name="Const"):
    """convert_to_tensor, in a shape."""
    t = convert_to_tensor(value, dtype)
    if shape is None:
        return t
    return t.reshape(tuple(shape)) if t.numel() != 1 else t.expand(tuple(shape)).clone()


def cast(x, dtype, name=None):
    """x in another dtype."""
    return convert_to_tensor(x).to(_dtype(dtype))


def reshape(tensor, shape, name=None):
    """The values in another shape; -1 stands for the size that is left."""
    return convert_to_tensor(tensor).reshape([int(n) for n in shape])


def shape(input, out_type=None, name=None):
    """The shape, as a tensor of integers."""
    return fastnn.tensor(list(convert_to_tensor(input).shape), dtype=int32)


def transpose(a, perm=None, conjugate=False, name=None):
    """Dimensions in the order perm, by default reversed."""
    a = convert_to_tensor(a)
    return a.permute(*(perm if perm is not None else reversed([*xp.arange(a.dim()).tolist()])))


def expand_dims(input, axis, name=None):
    """One more dimension of size 1."""
    return convert_to_tensor(input).unsqueeze(axis)


def squeeze(input, axis=None, name=None):
    """Without dimensions of size 1."""
    input = convert_to_tensor(input)
    return input.squeeze() if axis is None else input.squeeze(axis if isinstance(axis, int) else tuple(axis))


def concat(values, axis, name=None):
    """Several tensors along an axis."""
    return fastnn.cat([convert_to_tensor(v) for v in values], axis)


def stack(values, axis=0, name=None):
    """Several tensors along a new axis."""
    return fastnn.stack([convert_to_tensor(v) for v in values], axis)


def matmul(a, b, transpose_a=False, transpose_b=False, name=None):
    """The matrix product."""
    a, b = convert_to_tensor(a), convert_to_tensor(b)
    return (a.mT if transpose_a else a) @ (b.mT if transpose_b else b)


def zeros(shape, dtype=float32, name=None):
    """Zeros."""
    return fastnn.zeros([int(n) for n in shape], dtype=_dtype(dtype))


def ones(shape, dtype=float32, name=None):
    """Ones."""
    return fastnn.ones([int(n) for n in shape], dtype=_dtype(dtype))


def fill(dims, value, name=None):
    """A constant."""
    return fastnn.full([int(n) for n in dims], value)


def zeros_like(input, dtype=None, name=None):
    """Zeros in the shape of another tensor."""
    return fastnn.zeros_like(convert_to_tensor(input), dtype=None if dtype is None else _dtype(dtype))


def ones_like(input, dtype=None, name=None):
    """Ones in the shape of another tensor."""
    return fastnn.ones_like(convert_to_tensor(input), dtype=None if dtype is None else _dtype(dtype))


def eye(num_rows, num_columns=None, dtype=float32, name=None):
    """The identity matrix."""
    return fastnn.eye(num_rows, num_columns or num_rows, dtype=_dtype(dtype))


def range(start, limit=None, delta=1, dtype=None, name="range"):  # noqa: A001
    """Numbers from start to limit."""
    start, limit = (0, start) if limit is None else (start, limit)
    made = fastnn.arange(start, limit, delta, dtype=None if dtype is None else _dtype(dtype))
    return made.to(int32) if dtype is None and made.dtype is int64 else made


def one_hot(indices, depth, on_value=1.0, off_value=0.0, axis=-1, dtype=float32, name=None):
    """Rows with on_value at the index."""
    rows = fastnn.nn.functional.one_hot(convert_to_tensor(indices).to(int64), depth).to(_dtype(dtype))
    rows = rows * (on_value - off_value) + off_value
    return rows if axis in (-1, rows.dim() - 1) else rows.movedim(-1, axis)


def argmax(input, axis=None, output_type=int64, name=None):
    """The place of the largest value along an axis (the first, where none is given)."""
    return convert_to_tensor(input).argmax(0 if axis is None else axis).to(_dtype(output_type))


def equal(x, y, name=None):
    """x == y, element by element."""
    return convert_to_tensor(x) == convert_to_tensor(y)


def _reduction(method, name):
    def reduce(input_tensor, axis=None, keepdims=False, name=None):
        x = convert_to_tensor(input_tensor)
        dims = tuple(xp.arange(x.dim()).tolist()) if axis is None else axis
        dims = tuple(dims) if isinstance(dims, (list, tuple)) else (dims,)
        return getattr(x, method)(dims, keepdim=keepdims) if x.dim() else x

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = f"{method} over the axes, by default over all."
    return reduce


reduce_sum, reduce_mean = _reduction("sum", "reduce_sum"), _reduction("mean", "reduce_mean")
reduce_max, reduce_min = _reduction("amax", "reduce_max"), _reduction("amin", "reduce_min")
