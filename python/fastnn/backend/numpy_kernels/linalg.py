"""Factorisations by NumPy (LAPACK), batched over leading dimensions. 16-bit operands are refused above."""

import numpy as np


def inv(x):
    return np.linalg.inv(x)


def solve_matrix(a, b):
    """a⁻¹·b for matrices b; leading dimensions broadcast."""
    return np.asarray(np.linalg.solve(a, b))


def det(x):
    return np.asarray(np.linalg.det(x)).astype(x.dtype, copy=False)


def slogdet(x):
    sign, logabs = np.linalg.slogdet(x)
    return np.asarray(sign).astype(x.dtype, copy=False), np.asarray(logabs).astype(x.real.dtype, copy=False)


def svd(x, full):
    return tuple(map(np.asarray, np.linalg.svd(x, full_matrices=full)))


def matmul(x, y):
    return np.asarray(np.matmul(x, y))


def cofactors(x):
    """The conjugate cofactor matrix, also of a singular one: by the singular values' products that leave one out."""
    u, s, vh = np.linalg.svd(x)
    n = s.shape[-1]
    others = np.empty_like(s)
    for i in range(n):
        others[..., i] = np.prod(np.delete(s, i, -1), -1)
    phase = np.linalg.det(u) * np.linalg.det(vh)
    return np.asarray((np.conj(phase)[..., None, None] * np.matmul(u * others[..., None, :], vh)).astype(x.dtype))


def eigh(x, lower):
    return tuple(map(np.asarray, np.linalg.eigh(x, "L" if lower else "U")))


def eig(x):
    """(values, vectors), complex always."""
    d = np.complex128 if x.dtype in (np.float64, np.complex128) else np.complex64
    w, v = np.linalg.eig(x)
    return np.asarray(w).astype(d), np.asarray(v).astype(d)


def qr(x, mode):
    """(Q, R); Q is empty in mode 'r'. The signs are LAPACK's."""
    if mode == "r":
        return np.zeros(0, x.dtype), np.asarray(np.linalg.qr(x, "r"))
    if x.shape[-1] == 0 and mode == "complete":
        n = x.shape[-2]
        return np.broadcast_to(np.eye(n, dtype=x.dtype), (*x.shape[:-1], n)).copy(), x.copy()
    q, r = np.linalg.qr(x, mode)
    return np.asarray(q), np.asarray(r)


def cholesky(x, upper):
    """(factor, index of the first minor that is not positive definite, 0 for none), matrix by matrix."""
    n = x.shape[-1]
    lower = np.swapaxes(x, -1, -2).conj() if upper else x
    out, info = np.zeros_like(x), np.zeros(x.shape[:-2], np.int32)
    for place in np.ndindex(x.shape[:-2]):
        try:
            out[place] = np.linalg.cholesky(lower[place])
        except np.linalg.LinAlgError:
            for k in range(1, n + 1):
                try:
                    np.linalg.cholesky(lower[place][:k, :k])
                except np.linalg.LinAlgError:
                    info[place] = k
                    break
    return (np.ascontiguousarray(np.swapaxes(out, -1, -2).conj()) if upper else out), info


def cholesky_solve_matrix(b, factor, upper):
    """(L·Lᴴ)⁻¹·b, L the factor or its conjugate transpose."""
    t = np.swapaxes(factor, -1, -2).conj() if upper else factor
    half = triangular_solve_matrix(t, b, False, False)
    return triangular_solve_matrix(np.swapaxes(t, -1, -2).conj(), half, True, False)


def lu(x):
    """(LU, pivots from 1, index of the first zero pivot or 0): rows are swapped for the largest pivot."""
    a = np.array(x, copy=True)
    m, n = a.shape[-2:]
    k = min(m, n)
    pivots = np.zeros((*a.shape[:-2], k), np.int32)
    info = np.zeros(a.shape[:-2], np.int32)
    for place in np.ndindex(a.shape[:-2]):
        work = a[place]
        for j in range(k):
            p = j + int(np.absolute(work[j:, j]).argmax())
            pivots[(*place, j)] = p + 1
            if p != j:
                work[[j, p]] = work[[p, j]]
            if work[j, j] == 0:
                info[place] = info[place] or j + 1
                continue
            work[j + 1 :, j] /= work[j, j]
            work[j + 1 :, j + 1 :] -= np.outer(work[j + 1 :, j], work[j, j + 1 :])
    return a, pivots, info


def permutation_of(pivots, n):
    """The row order that a sequence of swaps leads to."""
    out = np.broadcast_to(np.arange(n), (*pivots.shape[:-1], n)).copy()
    for place in np.ndindex(pivots.shape[:-1]):
        order = out[place]
        for j, p in enumerate(pivots[place]):
            order[[j, p - 1]] = order[[p - 1, j]]
    return out


def triangular_solve_matrix(a, b, upper, unit):
    """a⁻¹·b for a triangular a: only its triangle is read."""
    n = a.shape[-1]
    t = np.triu(a) if upper else np.tril(a)
    if unit:
        i = np.arange(n)
        t[..., i, i] = 1
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    t = np.broadcast_to(t, (*batch, n, n))
    x = np.array(np.broadcast_to(b, (*batch, *b.shape[-2:])), copy=True)
    for i in range(n - 1, -1, -1) if upper else range(n):
        rest = slice(i + 1, n) if upper else slice(0, i)
        x[..., i, :] -= np.einsum("...k,...kj->...j", t[..., i, rest], x[..., rest, :])
        if not unit:
            x[..., i, :] /= t[..., i, i, None]
    return x


def pinv_cut(s, cutoff):
    """1/s where s is above the cutoff, 0 elsewhere."""
    keep = s > cutoff
    return np.where(keep, 1 / np.where(keep, s, 1), 0).astype(s.dtype)


def matrix_exp(x):
    """e^x by scaling, a Taylor polynomial of degree 18, and squaring."""
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    a = x.astype(wide)
    out = np.empty_like(a)
    eye = np.eye(x.shape[-1], dtype=wide)
    for place in np.ndindex(a.shape[:-2]):
        m = a[place]
        size = np.absolute(m).sum(-1).max() if m.size else 0
        if not np.isfinite(size):
            out[place] = np.nan
            continue
        squarings = max(0, int(np.ceil(np.log2(size))) + 1) if size > 0.5 else 0
        m = m / 2.0**squarings
        r = eye.copy()
        for k in range(18, 0, -1):
            r = eye + m @ r / k
        for _ in range(squarings):
            r = r @ r
        out[place] = r
    return out.astype(x.dtype)


__all__ = [
    "cholesky", "cholesky_solve_matrix", "cofactors", "det", "eig", "eigh", "inv", "lu", "matmul", "matrix_exp",
    "permutation_of", "pinv_cut", "qr", "slogdet", "solve_matrix", "svd", "triangular_solve_matrix",
]  # fmt: skip
