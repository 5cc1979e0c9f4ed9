"""Which variant of a kernel runs: `with kernels(gemm="tiled"):` changes every product made inside.

Each choice is a context variable, so threads and tasks do not see each other's. `current()` reads one; `in_force()`
collects what an op's backward pass shall find again, for the tape to keep.
"""

from contextvars import ContextVar, Token

CUDA_ONLY = ("warptiled", "tensorcore", "3xtf32", "implicit")
GEMM = ("naive", "tiled", "warptiled", "tensorcore", "3xtf32", "avx2", "avx512", "blas", "auto")
ATTENTION = ("naive", "fused", "auto")  # the matrix of scores in memory, made of ops; one kernel without it
CONV = ("naive", "im2col", "implicit", "packed", "winograd", "auto")
SEQUENCE = ("steps", "fused", "auto")  # a loop over the time steps in Python; the whole sequence in one kernel
FAMILIES = {"gemm": GEMM, "conv": CONV, "attention": ATTENTION, "lstm": SEQUENCE, "gru": SEQUENCE, "rnn": SEQUENCE}

gemm_variant: ContextVar[str | None] = ContextVar("fastnn.kernels.gemm", default=None)  # None is auto
_variables: dict[str, ContextVar[str | None]] = {
    family: gemm_variant if family == "gemm" else ContextVar(f"fastnn.kernels.{family}", default=None)
    for family in FAMILIES
}


def available(family: str = "gemm") -> list[str]:
    """The variants that the active backend, or a device in use, can run on this machine."""
    if family not in FAMILIES:
        raise ValueError(f"kernels: no family {family!r}; there is {', '.join(FAMILIES)}")
    from . import active, devices

    if active().name == "numpy":
        here = {"naive", "im2col", "steps", "blas", "auto"}
    else:
        from .. import _cpu

        here = set(FAMILIES[family]) - {"avx2", "avx512", *CUDA_ONLY} | set(_cpu.supported_isas())
    if devices is not None:
        here |= {"naive", "tiled", "im2col", *CUDA_ONLY}
    return [v for v in FAMILIES[family] if v in here]


def current(family: str = "gemm") -> str | None:
    """The variant in force; None is auto."""
    return _variables[family].get()


def in_force(*families: str) -> dict[str, str]:
    """What is chosen for these families, to run a backward pass under: kernels(**in_force(...))."""
    found = {}
    for family in families:
        variant = _variables[family].get()
        if variant is not None:
            found[family] = variant
    return found


class kernels:
    """Context manager: kernels(gemm=...) runs every matrix product inside it with the variant named, and so on for
    each of FAMILIES; a family that is not named stays as it was.

    ValueError for an unknown name, RuntimeError for a variant that this backend or CPU does not have.
    """

    __slots__ = ("choices", "_tokens")

    def __init__(self, **choices: str) -> None:
        for family, name in choices.items():
            if family not in FAMILIES:
                raise TypeError(f"kernels: no family {family!r}; there is {', '.join(FAMILIES)}")
            if name not in FAMILIES[family]:
                raise ValueError(f"kernels: unknown {family} variant {name!r}; one of {', '.join(FAMILIES[family])}")
            if name not in available(family):
                raise RuntimeError(
                    f"kernels: {family} variant {name!r} does not run here; available: {', '.join(available(family))}"
                )
        self.choices = {family: None if name == "auto" else name for family, name in choices.items()}
        self._tokens: list[list[tuple[ContextVar, Token]]] = []

    def __enter__(self) -> "kernels":
        self._tokens.append([(_variables[f], _variables[f].set(name)) for f, name in self.choices.items()])
        return self

    def __exit__(self, *exc) -> None:
        for variable, token in reversed(self._tokens.pop()):
            variable.reset(token)
