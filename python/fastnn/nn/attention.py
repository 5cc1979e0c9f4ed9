"""Which implementation of scaled_dot_product_attention may be used: on the CPU there is one, under every choice."""

import contextlib
import enum

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.IntEnum):
    """torch's implementations."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority: bool = False):
    """Choose among `backends` in the block. They compute the same, and the CPU's own kernel stands for MATH and
    FLASH_ATTENTION; a choice of others alone makes scaled_dot_product_attention impossible and raises RuntimeError."""
    chosen = [backends] if isinstance(backends, SDPBackend) else list(backends)
    if not chosen or not all(isinstance(b, SDPBackend) for b in chosen):
        raise AssertionError(
            f"sdpa_kernel: Backend must be an instance of SDPBackend or a list of SDPBackend instances, got {backends!r}"
        )
    if not {SDPBackend.MATH, SDPBackend.FLASH_ATTENTION} & set(chosen):
        raise RuntimeError(
            f"No available kernel: {', '.join(b.name for b in chosen)} need a CUDA device; add SDPBackend.MATH"
        )
    yield
