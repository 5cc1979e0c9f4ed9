"""Mixed precision: what ops do with their operands inside autocast.

Ops that gain from bfloat16 call low(), losses call full(); both only where `depth` is not 0, so that elsewhere it costs
a look at a module's variable. The casts are ops: gradients come back in the operands' own dtypes.
"""

import threading

from .. import dtypes as dt
from ..tensor import Tensor


class _Mode(threading.local):
    dtype = None  # the dtype that this thread's innermost autocast lowers to; None: none is active


mode = _Mode()
depth = 0  # enabled autocast blocks, in any thread


def low(*operands):
    """The operands; float32 and 16-bit tensors in autocast's dtype."""
    return _all_to(mode.dtype, operands)


def full(*operands):
    """The operands, 16-bit tensors in float32."""
    return _all_to(None if mode.dtype is None else dt.float32, operands)


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
