"""The compiled sampling, under its twins' names: C functions that pass on to the twin what they do not cover."""

from fastnn._cpu import grid_sample, grid_sample_backward

__all__ = ["grid_sample", "grid_sample_backward"]
