"""A library that fastnn does not use: it has kernels and threads of its own."""

from ._absent import is_available

__all__ = ["is_available"]
