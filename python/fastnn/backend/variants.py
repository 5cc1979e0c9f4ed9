"""Which variant of a kernel runs: `with kernels(gemm="tiled"):` changes every product made inside.

The choice is a context variable, so threads and tasks do not see each other's. `current()` reads it, `enter` sets it
again later: the tape keeps it for backward.
"""

from contextvars import ContextVar, Token

GEMM = ("naive", "tiled", "avx2", "avx512", "blas", "auto")
FAMILIES = {"gemm": GEMM}

gemm_variant: ContextVar[str | None] = ContextVar("fastnn.kernels.gemm", default=None)  # None is auto


def available(family: str = "gemm") -> list[str]:
    """The variants that the active backend can run on this machine."""
    if family not in FAMILIES:
        raise ValueError(f"kernels: no family {family!r}; there is {', '.join(FAMILIES)}")
    from . import active

    if active().name == "numpy":
        return ["naive", "blas", "auto"]
    from .. import _cpu

    isas = _cpu.supported_isas()
    return [v for v in GEMM if v not in ("avx2", "avx512") or v in isas]


def current() -> str | None:
    """The gemm variant in force; None is auto."""
    return gemm_variant.get()


class kernels:
    """Context manager: kernels(gemm=...) runs every matrix product inside it with the variant named.

    ValueError for an unknown name, RuntimeError for a variant that this backend or CPU does not have.
    """

    __slots__ = ("variant", "_tokens")

    def __init__(self, *, gemm: str = "auto") -> None:
        if gemm not in GEMM:
            raise ValueError(f"kernels: unknown gemm variant {gemm!r}; one of {', '.join(GEMM)}")
        if gemm not in available():
            raise RuntimeError(f"kernels: gemm variant {gemm!r} does not run here; available: {', '.join(available())}")
        self.variant = None if gemm == "auto" else gemm
        self._tokens: list[Token] = []

    def __enter__(self) -> "kernels":
        self._tokens.append(gemm_variant.set(self.variant))
        return self

    def __exit__(self, *exc) -> None:
        gemm_variant.reset(self._tokens.pop())


def enter(variant: str | None) -> Token:
    """Set the variant that current() gave earlier; undo with leave(). No checks: for the tape."""
    return gemm_variant.set(variant)


def leave(token: Token) -> None:
    gemm_variant.reset(token)
