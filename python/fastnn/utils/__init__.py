"""Utilities: `data` (datasets and loaders)."""

from fastnn.utils import data

__all__ = ["data"]
