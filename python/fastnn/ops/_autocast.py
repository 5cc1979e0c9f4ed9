"""Mixed precision: what ops do with their operands inside autocast.

Ops that gain from bfloat16 call low(), losses call full(); both only where `depth` is not 0, so that elsewhere it costs
a look at a module's variable. The casts are ops: gradients come back in the operands' own dtypes.
"""

import threading

from .. import dtypes as dt
from ..tensor import Tensor


class _Mode(threading.local):
    dtype = None  # the dtype that this thread's innermost autocast of the CPU lowers to; None: none is active
    cuda = None  # and that of the CUDA device


mode = _Mode()
depth = 0  # enabled autocast blocks, in any thread


def low(*operands):
    """The operands; float32 and 16-bit tensors in autocast's dtype."""
    return _all_to(_active(operands), operands)


def full(*operands):
    """The operands, 16-bit tensors in float32."""
    return _all_to(None if _active(operands) is None else dt.float32, operands)


def _active(operands):
    """The dtype of the autocast that the first tensor's device is in."""
    for t in operands:
        if isinstance(t, Tensor):
            return mode.cuda if t.is_cuda else mode.dtype
    return None


def _all_to(d, operands):
    if d is None:
        return operands
    from .cast import cast

    return tuple(
        cast(t, d)
        if isinstance(t, Tensor) and t.dtype is not d and t.dtype in (dt.float32, dt.float16, dt.bfloat16)
        else t
        for t in operands
    )
