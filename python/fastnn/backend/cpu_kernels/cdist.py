"""The compiled distances, under their twins' names: C functions that pass on to the twin what they do not cover."""

from fastnn._cpu import cdist, cdist_backward

__all__ = ["cdist", "cdist_backward"]
