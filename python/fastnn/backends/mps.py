"""Apple's device, which fastnn has no kernels for."""

from ._absent import is_available

__all__ = ["is_available", "is_built"]

is_built = is_available
