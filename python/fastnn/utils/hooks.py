"""What registering a hook returns, under torch's path."""

from fastnn.tensor import RemovableHandle

__all__ = ["RemovableHandle"]
