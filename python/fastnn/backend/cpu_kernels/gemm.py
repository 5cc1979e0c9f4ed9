"""The compiled gemm kernels, under their twins' names; what they do not cover goes to the twin."""

from ... import _cpu
from .. import variants
from ..numpy_kernels.gemm import bmm as twin_bmm
from ..numpy_kernels.gemm import gemm as twin_gemm
from ..numpy_kernels.gemm import gemm_counters as twin_counters

__all__ = ["bmm", "gemm", "gemm_counters"]

_cpu.gemm_setup(variants.gemm_variant, twin_gemm, twin_bmm)

# C functions as they are: a Python wrapper would cost as much as a small product.
gemm = _cpu.gemm
bmm = _cpu.bmm


def gemm_counters() -> dict[str, int]:
    """Calls so far by the variant that ran."""
    return _cpu.gemm_counters() | {"blas": twin_counters()["blas"]}
