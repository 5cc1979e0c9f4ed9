"""
The compiled kernels. Not a public interface: fastnn.backend.cpu_kernels is built on it.
"""

from __future__ import annotations
import typing

def _cpu_quota(root: str) -> float:
    """
    Processors allowed by the control group whose files lie under root; 0: unlimited.
    """

def _fail_allocation(n: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    The n-th allocation from now fails, once; 0: none.
    """

def _os() -> str:
    """
    Which of the runtime/os_*.cpp this is.
    """

def _parallel_indices(
    n: typing.SupportsInt | typing.SupportsIndex, spins: typing.SupportsInt | typing.SupportsIndex = 0
) -> list[int]:
    """
    Which thread ran each of n chunks; -2 where a nested call ran elsewhere.
    """

def compiler() -> str:
    """
    The compiler that built this module.
    """

def counters() -> dict:
    """
    How often each kernel variant has run.
    """

def empty(module, shape, dtype):
    """
    An uninitialised C-contiguous array over the caching allocator.
    """

def empty_cache() -> None:
    """
    Give cached memory back to the system.
    """

def get_num_threads() -> int: ...
def isa() -> str:
    """
    The instruction set in use.
    """

def memory_stats() -> dict:
    """
    Bytes in use, cached and in use at most so far; allocations, and how many of them the cache served.
    """

def set_isa(name: str) -> None:
    """
    Use another of supported_isas().
    """

def set_num_threads(n: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def supported_isas() -> list[str]:
    """
    Compiled in and supported by this CPU, weakest first.
    """
