"""The processor's instruction set, in torch's words."""

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """ "AVX512", "AVX2" or "DEFAULT": what the compiled kernels use here."""
    from fastnn import backend

    if backend.active().name != "cpu":
        return "DEFAULT"
    from fastnn import _cpu

    isa = _cpu.isa()
    return "AVX512" if isa.startswith("avx512") else "AVX2" if isa == "avx2" else "DEFAULT"
