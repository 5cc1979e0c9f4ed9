"""The compiled reductions, under their twins' names: C functions that pass on to the twin what they do not cover."""

from fastnn._cpu import amax, amin, argmax, argmin, max_dim, mean, min_dim, norm, prod, sum, sum_to, var

__all__ = ["amax", "amin", "argmax", "argmin", "max_dim", "mean", "min_dim", "norm", "prod", "sum", "sum_to", "var"]
