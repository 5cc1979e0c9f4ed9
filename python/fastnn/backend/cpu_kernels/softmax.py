"""The compiled softmax and cross-entropy kernels, under their twins' names: C functions that pass on to the twin what
they do not cover."""

from fastnn._cpu import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    logsumexp,
    loss_sum,
    softmax,
    softmax_backward,
)

__all__ = [
    "cross_entropy",
    "cross_entropy_backward",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "loss_sum",
    "softmax",
    "softmax_backward",
]
