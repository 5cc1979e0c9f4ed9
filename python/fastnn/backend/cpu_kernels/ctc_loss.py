"""The compiled CTC loss, under its twins' names: C functions that pass on to the twin what they do not cover."""

from fastnn._cpu import ctc_loss, ctc_loss_backward

__all__ = ["ctc_loss", "ctc_loss_backward"]
