"""From a list of samples to a batch."""

import fastnn
from fastnn.backend import xp
from fastnn.tensor import Tensor

_CONTAINERS = "batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def _rebuild(original, values):
    """A mapping or sequence like `original` with other contents; a plain dict or list where its type cannot."""
    try:
        return type(original)(values)
    except TypeError:
        return values


def _array_tensor(array):
    if array.dtype.kind not in "fiub":
        raise TypeError("default_collate: " + _CONTAINERS.format(array.dtype))
    return fastnn.as_tensor(array)


def default_collate(batch):
    """Stack tensors, arrays and numbers along a new first dimension; keep dictionaries, tuples and lists around them.

    Tuples become lists. Strings and bytes stay lists of themselves. Python floats give float64, ints int64.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return fastnn.stack(list(batch), 0)
    if isinstance(first, xp.ndarray):
        return fastnn.stack([_array_tensor(array) for array in batch], 0)
    if isinstance(first, xp.generic):
        return _array_tensor(xp.asarray(batch))
    if isinstance(first, float):
        return fastnn.tensor(batch, dtype=fastnn.float64)
    if isinstance(first, int):
        return fastnn.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if hasattr(first, "keys"):
        return _rebuild(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(part) for part in zip(*batch, strict=True)))
    if isinstance(first, (tuple, list)):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return parts if isinstance(first, tuple) else _rebuild(first, parts)
    raise TypeError("default_collate: " + _CONTAINERS.format(type(first)))


def default_convert(data):
    """NumPy arrays and numbers to tensors, inside dictionaries, tuples and lists; all else as it is."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (xp.ndarray, xp.generic)):
        return fastnn.as_tensor(data) if data.dtype.kind in "fiub" else data
    if hasattr(data, "keys"):
        return _rebuild(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(part) for part in data))
    if isinstance(data, tuple):
        return [default_convert(part) for part in data]
    if isinstance(data, list):
        return _rebuild(data, [default_convert(part) for part in data])
    return data
