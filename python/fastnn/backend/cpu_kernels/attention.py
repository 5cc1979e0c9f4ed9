"""The compiled attention, under its twin's names: C functions that pass on to the twin what they do not cover."""

from fastnn._cpu import attention, attention_backward

__all__ = ["attention", "attention_backward"]
