"""Discrete Fourier transforms by NumPy's, with gradients. fastnn.fft names them.

A transform is linear: its gradient is the conjugate transpose, which is the opposite transform with the opposite
scaling.
"""

from .. import dtypes as dt
from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import GRAPH, write_out
from .arrange import roll
from .cast import cast
from .complex import conj
from .create import _finish as _made
from .join import cat, narrow

_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}

# ---------------------------------------------------------------- the three kernels


def fft_c2c(x, dims, norm, inverse):
    """The transform of `dims`, complex to complex."""
    r = wrap(Tensor._k.fft_c2c(x._a, dims, norm, inverse))
    if x._fn is not None and grad_mode.enabled:
        record(r, fft_c2c_rule, (x._fn,), (dims, norm, inverse), ())
    return r


def fft_c2c_rule(k, dy, saved, needs):
    dims, norm, inverse = saved
    return (k.fft_c2c(dy, dims, _OPPOSITE[norm], not inverse),)


def fft_r2c(x, dims, norm):
    """Real to the half of its spectrum, along the last of dims."""
    r = wrap(Tensor._k.fft_r2c(x._a, dims, norm))
    if x._fn is not None and grad_mode.enabled:
        record(r, fft_r2c_rule, (x._fn,), (x._a.shape[dims[-1]], dims, norm), ())
    return r


def fft_r2c_rule(k, dy, saved, needs):
    n, dims, norm = saved
    last = dims[-1]
    if dy.shape[last] < n:
        rest = tuple(n - dy.shape[last] if i == last else s for i, s in enumerate(dy.shape))
        dy = k.cat([dy, k.zeros(rest, dy.dtype)], last)
    return (k.real_part(k.fft_c2c(dy, dims, _OPPOSITE[norm], True)),)


def fft_c2r(x, dims, norm, n):
    """The half of a spectrum to n real values along the last of dims."""
    r = wrap(Tensor._k.fft_c2r(x._a, dims, norm, n))
    if x._fn is not None and grad_mode.enabled:
        record(r, fft_c2r_rule, (x._fn,), (x._a.shape[dims[-1]], n, dims, norm), ())
    return r


def fft_c2r_rule(k, dy, saved, needs):
    """What stands for itself and for its mirror image counts twice."""
    size, n, dims, norm = saved
    g = k.fft_r2c(dy, dims, _OPPOSITE[norm])
    last, have = dims[-1], n // 2 + 1
    twice = xp.on(dy).ones(have, dy.dtype if k is not GRAPH else dy._a.dtype)
    twice[1 : 1 + n - have] = 2
    shape = tuple(-1 if i == last else 1 for i in range(len(g.shape)))
    twice = twice.reshape(shape)
    g = k.mul(g, k.cast(twice, g.dtype) if k is not GRAPH else cast(wrap(twice), g.dtype))
    if size > have:
        rest = tuple(size - have if i == last else s for i, s in enumerate(g.shape))
        g = k.cat([g, k.zeros(rest, g.dtype)], last)
    return (g,)


# ---------------------------------------------------------------- arguments


def _norm(norm, function):
    if norm not in (None, "backward", "forward", "ortho"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}" ({function} takes "backward", "forward" or "ortho")')
    return norm or "backward"


def _operand(x, function, real=False):
    if not isinstance(x, Tensor):
        raise TypeError(f"{function}(): argument 'input' must be Tensor, not {type(x).__name__}")
    if real and x._a.dtype.kind == "c":
        raise RuntimeError(f"{function} expects a real input tensor, but got {x.dtype.short}")
    if x._a.dtype.kind in "iub":
        return cast(x, dt.get_default_dtype())
    if x._a.dtype.itemsize == 2:
        raise RuntimeError(f"Unsupported dtype {x.dtype.short} in {function}; convert it with .to(torch.float32)")
    return x


def _to_complex(x):
    if x._a.dtype.kind == "c":
        return x
    return cast(x, dt.complex128 if x._a.dtype.name == "float64" else dt.complex64)


def _resized(x, dim, n, function):
    """x cut, or continued with zeros, to n along dim."""
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    have = x._a.shape[dim]
    if have > n:
        return narrow(x, dim, 0, n)
    if have < n:
        shape = tuple(n - have if i == dim else s for i, s in enumerate(x._a.shape))
        return cat([x, wrap(xp.on(x._a).zeros(shape, x._a.dtype))], dim)
    return x


def _one(x, n, dim, function):
    if x._a.ndim == 0:
        raise IndexError("Dimension specified as -1 but tensor has no dimensions")
    return check_dim(dim, x._a.ndim)


def _several(x, s, dim, function):
    """(dims, sizes) of an n-dimensional transform."""
    ndim = x._a.ndim
    if dim is not None:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        dims = tuple(check_dim(d, ndim) for d in dims)
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
    elif s is not None:
        if len(s) > ndim:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {ndim} dimensions.")
        dims = tuple(range(ndim - len(s), ndim))
    else:
        dims = tuple(range(ndim))
    if s is None:
        sizes = tuple(x._a.shape[d] if ndim else 1 for d in dims)
    else:
        s = (s,) if isinstance(s, int) else tuple(s)
        if len(s) != len(dims):
            raise RuntimeError(
                f"When given, dim and shape arguments must have the same length, got {len(dims)} and {len(s)}"
            )
        sizes = tuple(x._a.shape[d] if n == -1 else n for n, d in zip(s, dims, strict=True))
    if any(n < 1 for n in sizes):
        raise RuntimeError(f"Invalid number of data points ({min(sizes)}) specified")
    return dims, sizes


def _fit(x, dims, sizes, function):
    for d, n in zip(dims, sizes, strict=True):
        x = _resized(x, d, n, function)
    return x


def _result(r, out):
    return r if out is None else write_out(out, r)


# ---------------------------------------------------------------- one dimension


def _c2c_form(name, inverse, doc):
    def transform(input, n=None, dim=-1, norm=None, *, out=None):
        x = _operand(input, name)
        d = _one(x, n, dim, name)
        x = _resized(x, d, x._a.shape[d] if n is None else n, name)
        return _result(fft_c2c(_to_complex(x), (d,), _norm(norm, name), inverse), out)

    transform.__name__ = transform.__qualname__ = name
    transform.__doc__ = doc
    return transform


fft = _c2c_form("fft", False, "The Fourier transform along dim, of n points (input cut or continued with zeros).")
ifft = _c2c_form("ifft", True, "The inverse of fft.")


def rfft(input, n=None, dim=-1, norm=None, *, out=None):
    """fft of real values: the n//2 + 1 frequencies that tell the rest."""
    x = _operand(input, "rfft", real=True)
    d = _one(x, n, dim, "rfft")
    return _result(fft_r2c(_resized(x, d, x._a.shape[d] if n is None else n, "rfft"), (d,), _norm(norm, "rfft")), out)


def irfft(input, n=None, dim=-1, norm=None, *, out=None):
    """The inverse of rfft: n real values, 2·(size - 1) unless given."""
    x = _to_complex(_operand(input, "irfft"))
    d = _one(x, n, dim, "irfft")
    n = 2 * (x._a.shape[d] - 1) if n is None else n
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return _result(fft_c2r(_resized(x, d, n // 2 + 1, "irfft"), (d,), _norm(norm, "irfft"), n), out)


def hfft(input, n=None, dim=-1, norm=None, *, out=None):
    """fft of a Hermitian signal given by its half: real."""
    return irfft(conj(_to_complex(_operand(input, "hfft"))), n, dim, _OPPOSITE[_norm(norm, "hfft")], out=out)


def ihfft(input, n=None, dim=-1, norm=None, *, out=None):
    """The inverse of hfft."""
    return _result(conj(rfft(_operand(input, "ihfft", real=True), n, dim, _OPPOSITE[_norm(norm, "ihfft")])), out)


# ---------------------------------------------------------------- several dimensions


def _c2cn_form(name, inverse, default, doc):
    def transform(input, s=None, dim=default, norm=None, *, out=None):
        x = _operand(input, name)
        dims, sizes = _several(x, s, dim, name)
        norm = _norm(norm, name)
        x = _to_complex(_fit(x, dims, sizes, name))
        return _result(fft_c2c(x, dims, norm, inverse) if dims else x, out)

    transform.__name__ = transform.__qualname__ = name
    transform.__doc__ = doc
    return transform


fftn = _c2cn_form("fftn", False, None, "The Fourier transform along several dimensions.")
ifftn = _c2cn_form("ifftn", True, None, "The inverse of fftn.")
fft2 = _c2cn_form("fft2", False, (-2, -1), "fftn along two dimensions.")
ifft2 = _c2cn_form("ifft2", True, (-2, -1), "The inverse of fft2.")


def _rfftn(input, s, dim, norm, name):
    x = _operand(input, name, real=True)
    dims, sizes = _several(x, s, dim, name)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    return fft_r2c(_fit(x, dims, sizes, name), dims, norm)


def _irfftn(input, s, dim, norm, name):
    x = _to_complex(_operand(input, name))
    dims, sizes = _several(x, s, dim, name)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    n = sizes[-1] if s is not None and tuple(s)[-1] != -1 else 2 * (x._a.shape[dims[-1]] - 1)
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return fft_c2r(_fit(x, dims, (*sizes[:-1], n // 2 + 1), name), dims, norm, n)


def _pair(suffix, default):
    def rfftn(input, s=None, dim=default, norm=None, *, out=None):
        return _result(_rfftn(input, s, dim, _norm(norm, "rfft" + suffix), "rfft" + suffix), out)

    def irfftn(input, s=None, dim=default, norm=None, *, out=None):
        return _result(_irfftn(input, s, dim, _norm(norm, "irfft" + suffix), "irfft" + suffix), out)

    def hfftn(input, s=None, dim=default, norm=None, *, out=None):
        x = conj(_to_complex(_operand(input, "hfft" + suffix)))
        return _result(_irfftn(x, s, dim, _OPPOSITE[_norm(norm, "hfft" + suffix)], "hfft" + suffix), out)

    def ihfftn(input, s=None, dim=default, norm=None, *, out=None):
        return _result(conj(_rfftn(input, s, dim, _OPPOSITE[_norm(norm, "ihfft" + suffix)], "ihfft" + suffix)), out)

    docs = ("rfft", "irfft", "hfft", "ihfft")
    for f, name in zip((rfftn, irfftn, hfftn, ihfftn), docs, strict=True):
        f.__name__ = f.__qualname__ = name + suffix
        f.__doc__ = f"{name} along several dimensions: the last is halved, the others are transformed whole."
    return rfftn, irfftn, hfftn, ihfftn


rfftn, irfftn, hfftn, ihfftn = _pair("n", None)
rfft2, irfft2, hfft2, ihfft2 = _pair("2", (-2, -1))

# ---------------------------------------------------------------- frequencies and shifts


def _frequencies(values, n, d, dtype, requires_grad):
    t = dt.get_default_dtype() if dtype is None else dt.as_dtype(dtype)
    return _made((values / (n * d)).astype(t.np), requires_grad)


def fftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of fft's results, d the distance between samples."""
    i = xp.arange(n)
    return _frequencies(xp.where(i < (n + 1) // 2, i, i - n), n, d, dtype, requires_grad)


def rfftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of rfft's results."""
    return _frequencies(xp.arange(n // 2 + 1), n, d, dtype, requires_grad)


def _shift(input, dim, sign):
    n = input._a.ndim
    dims = tuple(range(n)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    dims = tuple(check_dim(d, n) for d in dims)
    sizes = [input._a.shape[d] for d in dims]
    return roll(input, tuple(s // 2 if sign > 0 else (s + 1) // 2 for s in sizes), dims) if dims else input


def fftshift(input, dim=None):
    """Frequency 0 in the middle."""
    return _shift(input, dim, 1)


def ifftshift(input, dim=None):
    """The inverse of fftshift."""
    return _shift(input, dim, -1)
