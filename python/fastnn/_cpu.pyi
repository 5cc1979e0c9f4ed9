"""
The compiled kernels. Not a public interface: fastnn.backend.cpu_kernels is built on it.
"""

from __future__ import annotations
import typing
