"""Cross-entropy of linear logits over the compiled products and row kernels."""

import numpy as np

from ..numpy_kernels.linear_cross_entropy import Fused
from ..numpy_kernels.softmax import checked_targets
from .gemm import gemm
from .softmax import cross_entropy_backward, logsumexp, loss_sum

__all__ = ["linear_cross_entropy", "linear_cross_entropy_backward"]

# Two tiles of 8 MB: larger ones are not faster.
_fused = Fused(gemm, logsumexp, cross_entropy_backward, loss_sum, np.empty, checked_targets, 1 << 21)
linear_cross_entropy, linear_cross_entropy_backward = _fused.forward, _fused.backward
