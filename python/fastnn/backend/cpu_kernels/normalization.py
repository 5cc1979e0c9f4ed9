"""The compiled normalisations, under their twins' names: C functions that pass on to the twin what they do not cover."""

from fastnn._cpu import (
    batch_norm,
    batch_norm_backward,
    batch_norm_eval,
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
)

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_eval",
    "group_norm",
    "group_norm_backward",
    "layer_norm",
    "layer_norm_backward",
]
