"""NumPy's transforms, in the precision of their operand."""

import numpy as np

_NAMES = ("fftn", "ifftn", "rfftn", "irfftn")


def _in_precision(x, r):
    single = x.dtype in (np.float32, np.complex64, np.float16)
    d = (np.complex64 if single else np.complex128) if r.dtype.kind == "c" else (np.float32 if single else np.float64)
    return np.ascontiguousarray(r).astype(d, copy=False)


def fft_c2c(x, dims, norm, inverse):
    """The transform of all of `dims`, complex to complex."""
    return _in_precision(x, (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=dims, norm=norm))


def fft_r2c(x, dims, norm):
    """Real to the half of the spectrum that tells the rest; the last of dims is halved."""
    return _in_precision(x, np.fft.rfftn(x, axes=dims, norm=norm))


def fft_c2r(x, dims, norm, n):
    """The half of a spectrum to n real values in the last of dims."""
    rest = dims[:-1]
    if rest:
        x = np.fft.ifftn(x, axes=rest, norm=norm)
    return _in_precision(x, np.fft.irfft(x, n, axis=dims[-1], norm=norm))


__all__ = ["fft_c2c", "fft_c2r", "fft_r2c"]
