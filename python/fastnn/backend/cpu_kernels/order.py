"""The compiled orders, under their twins' names: C functions that pass on to the twin what they do not cover."""

from fastnn._cpu import kthvalue, sort, topk

__all__ = ["kthvalue", "sort", "topk"]
