"""Names for annotations, as torch.types."""

import os
from collections.abc import Sequence
from typing import Any

from .dtypes import dtype as _dtype
from .tensor import Size, Tensor
from .tensor import device as _device

_TensorOrTensors = Tensor | Sequence[Tensor]
_int, _float, _bool = int, float, bool
_size = Size | list[int] | tuple[int, ...]
_dispatchkey = str
_layout = Any
Number = int | float | bool
Device = _device | str | int | None
FileLike = str | os.PathLike | Any
Storage = Any
Dtype = _dtype
