"""Linear algebra made of the factorisations in linalg.py: solve, norms, pinv, lstsq, powers ... (linalg_lu.py has LU)."""

import math

from .. import dtypes as dt
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from . import linalg as base
from ._common import numpy_names, write_out
from .arrange import tril
from .complex import conj
from .elementwise import div, mul, pow, sub
from .join import narrow
from .linalg import LinAlgError, check_matrix
from .matmul import matmul
from .reduce import _result, amax, amin
from .reduce import sum as sum_
from .shape import expand, movedim, mT, reshape, squeeze, unsqueeze
from .spread import vector_norm
from .unary import abs, operand

inv_ex_result = _result("linalg_inv_ex", ("inverse", "info"))
solve_ex_result = _result("linalg_solve_ex", ("result", "info"))
cholesky_ex_result = _result("linalg_cholesky_ex", ("L", "info"))
lstsq_result = _result("linalg_lstsq", ("solution", "residuals", "rank", "singular_values"))


def _finish(r, out):
    return r if out is None else write_out(out, r)


def _check_pair(a, b, function):
    if a._a.dtype != b._a.dtype:
        raise RuntimeError(
            f"{function}: Expected A and B to have the same dtype, but found A of type {a.dtype} and B of type {b.dtype} instead"
        )


def _eye(m, n, like):
    return xp.on(like).identity(max(m, n), like.dtype)[:m, :n]


# ---------------------------------------------------------------- solve, inverse


def _is_vector(a, b):
    return b._a.ndim == 1 or (a._a.ndim - 1 == b._a.ndim and b._a.shape == a._a.shape[:-1])


def _batched(x, y, function):
    try:
        return xp.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise RuntimeError(
            f"{function}: batch sizes {list(x.shape[:-2])} and {list(y.shape[:-2])} do not broadcast"
        ) from None


def solve(A, B, *, left=True, out=None):
    """X with A·X = B (X·A = B where left is False); B a vector or matrices. LinAlgError for a singular A."""
    check_matrix(A, "linalg.solve")
    _check_pair(A, B, "linalg.solve")
    vector = _is_vector(A, B)
    if vector and not left:
        raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this "
                           "case linalg.solve is equivalent to B / A.squeeze(-1)")  # fmt: skip
    b = unsqueeze(B, -1) if vector else B
    n = A._a.shape[-1]
    if b._a.ndim < 2 or b._a.shape[-2 if left else -1] != n:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A._a.shape[-2]}x{n} and {b._a.shape[-2] if b._a.ndim > 1 else 1}x{b._a.shape[-1]})"
        )
    _batched(A._a, b._a, "linalg.solve")
    r = base.solve_matrix(A, b) if left else mT(base.solve_matrix(mT(A), mT(b)))
    return _finish(squeeze(r, -1) if vector else r, out)


def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """(solve(A, B), info)"""
    return solve_ex_result(solve(A, B, left=left), wrap(xp.on(A._a).zeros(A._a.shape[:-2], "int32")))


def inv_ex(A, *, check_errors=False, out=None):
    """(inv(A), info): info is 0, or the index of the pivot that is zero."""
    check_matrix(A, "linalg.inv_ex")
    try:
        return inv_ex_result(base.inv(A), wrap(xp.on(A._a).zeros(A._a.shape[:-2], "int32")))
    except LinAlgError:
        if check_errors:
            raise
        info = Tensor._k.lu(A._a)[2]
        return inv_ex_result(wrap(xp.on(A._a).full(A._a.shape, math.nan, A._a.dtype)), wrap(info))


def solve_triangular(A, B, *, upper, left=True, unitriangular=False, out=None):
    """X with A·X = B (X·A = B where left is False) for a triangular A; only its triangle is read."""
    check_matrix(A, "linalg.solve_triangular")
    _check_pair(A, B, "linalg.solve_triangular")
    n = A._a.shape[-1]
    if B._a.ndim < 2 or B._a.shape[-2 if left else -1] != n:
        raise RuntimeError(
            f"linalg.solve_triangular: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({n}x{n} and {list(B._a.shape)})"
        )
    _batched(A._a, B._a, "linalg.solve_triangular")
    if left:
        r = base.triangular_solve_matrix(A, B, bool(upper), bool(unitriangular))
    else:
        r = mT(base.triangular_solve_matrix(mT(A), mT(B), not upper, bool(unitriangular)))
    return _finish(r, out)


def triangular_solve(b, A, upper=True, transpose=False, unitriangular=False):
    """(solution, A): the old form of solve_triangular."""
    a = mT(A) if transpose else A
    r = solve_triangular(a, b, upper=upper != transpose, unitriangular=unitriangular)
    return _result("triangular_solve", ("solution", "cloned_coefficient"))(r, A.clone())


def cholesky_ex(A, *, upper=False, check_errors=False, out=None):
    """(factor, info): info is 0, or the order of the minor that is not positive definite."""
    return cholesky_ex_result(*base.cholesky_factor(A, upper, "linalg.cholesky_ex", check_errors))


def cholesky(input, upper=False, *, out=None):
    """The lower (upper) Cholesky factor (torch.cholesky)."""
    return _finish(base.cholesky_factor(input, upper, "cholesky", True)[0], out)


def cholesky_solve(B, L, upper=False, *, out=None):
    """A⁻¹·B from A's Cholesky factor L."""
    for t, name in ((B, "b"), (L, "u")):
        if t._a.ndim < 2:
            raise RuntimeError(f"{name} should have at least 2 dimensions, but has {t._a.ndim} dimensions instead")
    check_matrix(L, "cholesky_solve")
    _check_pair(L, B, "cholesky_solve")
    if L._a.shape[-1] != B._a.shape[-2]:
        raise RuntimeError(f"cholesky_solve: Incompatible matrix sizes: {list(B._a.shape)} and {list(L._a.shape)}")
    _batched(L._a, B._a, "cholesky_solve")
    return _finish(base.cholesky_solve_matrix(B, L, bool(upper)), out)


def cholesky_inverse(L, upper=False, *, out=None):
    """A⁻¹ from A's Cholesky factor L."""
    check_matrix(L, "cholesky_inverse")
    eye = expand(wrap(xp.on(L._a).identity(L._a.shape[-1], L._a.dtype)), L._a.shape)
    return _finish(cholesky_solve(eye, L, upper), out)


# ---------------------------------------------------------------- pseudo-inverse, least squares, rank


def _cut(A, s, atol, rtol, rcond, function):
    """The size below which a singular value counts as 0: max(atol, rtol·σ₁), an array [..., 1]."""
    if rcond is not None:
        rtol = rcond
    eps = dt.finfo(dt.from_np(s.dtype)).eps
    atol, rtol = (v._a[..., None] if isinstance(v, Tensor) else v for v in (atol, rtol))
    if rtol is None:
        zero = atol is not None and not hasattr(atol, "shape") and atol > 0
        rtol = 0.0 if zero else eps * max(A._a.shape[-2:])
        if atol is not None and hasattr(atol, "shape"):
            rtol = xp.where(atol > 0, 0.0, rtol)
    largest = s.max(-1, keepdims=True) if s.shape[-1] else xp.zeros((*s.shape[:-1], 1), s.dtype)
    return xp.maximum(0.0 if atol is None else atol, rtol * largest).astype(s.dtype)


def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """The pseudo-inverse: singular values up to max(atol, rtol·σ₁) count as 0."""
    check_matrix(A, "linalg.pinv", square=hermitian)
    if A._a.size == 0:
        return mT(A).clone()
    if hermitian:
        w, v = Tensor._k.eigh(A._a, True)
        size = xp.absolute(w)
        cut = _cut(A, size, atol, rtol, rcond, "linalg.pinv")
        return _finish(base.pinv_of_hermitian(A, w, v, cut), out)
    s = Tensor._k.svd(A._a, False)[1]
    return _finish(base.pinv_of(A, _cut(A, s, atol, rtol, rcond, "linalg.pinv")), out)


def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """How many singular values are above max(atol, rtol·σ₁); int64."""
    if not isinstance(A, Tensor) or A._a.ndim < 2:
        raise RuntimeError("linalg.matrix_rank: The input tensor input must have at least 2 dimensions.")
    check_matrix(A, "linalg.matrix_rank", square=hermitian)
    if tol is not None:
        atol, rtol = tol, 0.0
    if A._a.size == 0:
        return wrap(xp.on(A._a).zeros(A._a.shape[:-2], "int64"))
    s = xp.absolute(Tensor._k.eigh(A._a, True)[0]) if hermitian else Tensor._k.svd(A._a, False)[1]
    return wrap(xp.asarray((s > _cut(A, s, atol, rtol, None, "linalg.matrix_rank")).sum(-1)).astype("int64"))


def lstsq(A, B, rcond=None, *, driver=None):
    """(solution, residuals, rank, singular_values) of min ‖A·X - B‖; what the driver does not compute is empty."""
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss) on the CPU, got "
            + repr(driver)
        )
    check_matrix(A, "torch.linalg.lstsq", square=False)
    if B._a.ndim < 1:
        raise RuntimeError("torch.linalg.lstsq: other must have at least 1 dimension.")
    _check_pair(A, B, "torch.linalg.lstsq")
    vector = B._a.ndim == 1 or (A._a.ndim - 1 == B._a.ndim and B._a.shape == A._a.shape[:-1])
    b = unsqueeze(B, -1) if vector else B
    m, n = A._a.shape[-2:]
    if b._a.ndim < 2 or b._a.shape[-2] != m:
        raise RuntimeError("torch.linalg.lstsq: input.size(-2) should match other.size(-2)")
    if A._a.ndim != b._a.ndim or A._a.shape[:-2] != b._a.shape[:-2]:
        batch = _batched(A._a, b._a, "torch.linalg.lstsq")
        A = expand(A, (*batch, m, n))
        b = expand(b, (*batch, *b._a.shape[-2:]))
    driver = driver or "gelsy"
    s = Tensor._k.svd(A._a, False)[1] if A._a.size else xp.zeros((*A._a.shape[:-2], min(m, n)), A._a.real.dtype)
    cut = _cut(A, s, None, rcond, None, "lstsq")
    x = (
        matmul(base.pinv_of(A, cut), b)
        if A._a.size
        else wrap(xp.zeros((*A._a.shape[:-2], n, b._a.shape[-1]), A._a.dtype))
    )
    rank = (s > cut).sum(-1)
    empty = wrap(xp.zeros(0, s.dtype))
    residuals = empty
    if m > n and driver != "gelsy" and (rank == n).all():
        d = abs(sub(matmul(A, x), b))
        residuals = sum_(mul(d, d), -2)
    if vector:
        x = squeeze(x, -1)
    return lstsq_result(
        x, residuals.detach() if residuals is empty else residuals,
        wrap(xp.zeros(0, "int64")) if driver == "gels" else wrap(xp.asarray(rank).astype("int64")),
        wrap(s) if driver in ("gelsd", "gelss") else empty,
    )  # fmt: skip


# ---------------------------------------------------------------- norms


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None):
    """The norm of matrices: 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2."""
    from .cast import cast

    t = operand(A, "linalg.matrix_norm")
    if t._a.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions. Got {t._a.ndim}")
    if t._a.dtype.kind not in "fc":
        raise RuntimeError(
            f"linalg.matrix_norm: Expected a floating point or complex tensor as input. Got {t.dtype.short}"
        )
    if dtype is not None:
        if not (dtype.is_floating_point or dtype.is_complex):
            raise RuntimeError(f"linalg.matrix_norm: dtype should be floating point or complex. Got {dtype.short}")
        t = cast(t, dtype)
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    i, j = (check_dim(d, t._a.ndim) for d in dim)
    if i == j:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord == "fro":
        return _finish(vector_norm(t, 2, (i, j), keepdim), out)
    number = float(ord) if not isinstance(ord, str) else None
    if ord == "nuc" or (number is not None and math.fabs(number) == 2):
        s = base.svdvals(movedim(t, (i, j), (-2, -1)))
        _check_reducible(s, number)
        r = sum_(s, -1) if ord == "nuc" else (amax if number > 0 else amin)(s, -1)
        if keepdim:
            for d in sorted((i, j)):
                r = unsqueeze(r, d)
        return _finish(r, out)
    if number is None or math.fabs(number) not in (1, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if math.isinf(number):
        i, j = j, i
    total = sum_(abs(t), i, keepdim=True)
    r = (amax if number > 0 else amin)(total, j, keepdim=True)
    return _finish(r if keepdim else squeeze(r, (i, j)), out)


def _check_reducible(s, number):
    if number is not None and s._a.shape[-1] == 0:
        raise RuntimeError("linalg.matrix_norm cannot compute the norm of an empty matrix: it has no identity")


def norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None, **numpy):
    """linalg.norm: of vectors, or of matrices where dim has two or ord says so; without both, of all elements."""
    if numpy:
        dim, keepdim = numpy_names("norm", numpy, dim, keepdim)
    t = operand(A, "linalg.norm")
    if t._a.dtype.kind not in "fc":
        raise RuntimeError(f"linalg.norm: Expected a floating point or complex tensor as input. Got {t.dtype.short}")
    dims = None if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if ord is None:
        return vector_norm(t, 2, dims, keepdim, dtype=dtype, out=out)
    if dims is not None:
        if len(dims) not in (1, 2):
            raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    elif t._a.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {t._a.ndim}D."
        )
    if isinstance(ord, str) or (len(dims) if dims is not None else t._a.ndim) == 2:
        return matrix_norm(t, ord, dims if dims is not None else (-2, -1), keepdim, dtype=dtype, out=out)
    return vector_norm(t, ord, dims, keepdim, dtype=dtype, out=out)


def cond(A, p=None, *, out=None):
    """The condition number ‖A‖·‖A⁻¹‖ in the norm p (2)."""
    if A._a.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p in (None, 2, -2):
        s = base.svdvals(A)
        first, last = narrow(s, -1, 0, 1), narrow(s, -1, s._a.shape[-1] - 1, 1)
        return _finish(squeeze(div(last, first) if p == -2 else div(first, last), -1), out)
    check_matrix(A, "linalg.cond")
    if p == "nuc":
        s = base.svdvals(A)
        return _finish(mul(sum_(s, -1), sum_(pow(s, -1.0), -1)), out)
    try:
        inverse = base.inv(A)
    except LinAlgError:
        return wrap(xp.on(A._a).full(A._a.shape[:-2], math.inf, A._a.real.dtype))
    return _finish(mul(matrix_norm(A, p), matrix_norm(inverse, p)), out)


# ---------------------------------------------------------------- products


def matrix_power(A, n, *, out=None):
    """A·A·…·A, n times; the inverse's where n is negative."""
    check_matrix(A, "linalg.matrix_power")
    if n == 0:
        return _finish(expand(wrap(xp.on(A._a).identity(A._a.shape[-1], A._a.dtype)), A._a.shape).clone(), out)
    if n < 0:
        A, n = base.inv(A), -n
    r = None
    while n:
        if n & 1:
            r = A if r is None else matmul(r, A)
        n >>= 1
        if n:
            A = matmul(A, A)
    return _finish(r, out)


def multi_dot(tensors, *, out=None):
    """The product of several matrices, in the order that costs least; the ends may be vectors."""
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError("multi_dot(): expected at least 2 tensors but got " + str(len(tensors)))
    first, last = tensors[0]._a.ndim == 1, tensors[-1]._a.ndim == 1
    for i, t in enumerate(tensors):
        ends = i in (0, len(tensors) - 1)
        if t._a.ndim != 2 and not (ends and t._a.ndim == 1):
            raise RuntimeError(f"multi_dot(): tensor {i} must be {'1D or 2D' if ends else '2D'} but got {t._a.ndim}D")
        if t._a.dtype != tensors[0]._a.dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {tensors[0].dtype} and tensor "
                f"{i} {t.dtype}"
            )
    if first:
        tensors[0] = unsqueeze(tensors[0], 0)
    if last:
        tensors[-1] = unsqueeze(tensors[-1], 1)
    for a, b in zip(tensors[:-1], tensors[1:], strict=True):
        if a._a.shape[1] != b._a.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors with shapes {list(a._a.shape)} and {list(b._a.shape)} cannot be multiplied"
            )
    r = _chain(tensors)
    if first and last:
        r = reshape(r, ())
    elif first or last:
        r = squeeze(r, 0 if first else 1)
    return _finish(r, out)


def _chain(tensors):
    sizes = [t._a.shape[0] for t in tensors] + [tensors[-1]._a.shape[1]]
    n = len(tensors)
    cost = [[0] * n for _ in range(n)]
    cut = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], cut[i][j] = min(
                (cost[i][m] + cost[m + 1][j] + sizes[i] * sizes[m + 1] * sizes[j + 1], m) for m in range(i, j)
            )

    def product(i, j):
        return tensors[i] if i == j else matmul(product(i, cut[i][j]), product(cut[i][j] + 1, j))

    return product(0, n - 1)


def vecdot(x, y, *, dim=-1, out=None):
    """Σ conj(x)·y along dim."""
    if x._a.dtype.kind not in "fc" or y._a.dtype.kind not in "fc":
        raise RuntimeError(f"linalg.vecdot: Expected a floating point or complex tensor as input. Got {x.dtype.short}")
    return _finish(sum_(mul(conj(x), y), dim), out)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of matrices, as a view."""
    from .arrange import diagonal as plain

    return plain(A, offset, dim1, dim2)


def householder_product(A, tau, *, out=None):
    """The first columns of the product of the reflections I - tau·v·vᴴ, v below A's unit diagonal."""
    check_matrix(A, "torch.linalg.householder_product", square=False)
    m, n = A._a.shape[-2:]
    if m < n:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    k = tau._a.shape[-1]
    if n < k:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if A._a.ndim - tau._a.ndim != 1 or A._a.shape[:-2] != tau._a.shape[:-1]:
        raise RuntimeError(
            f"torch.linalg.householder_product: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
            f"{list(tau._a.shape)} and {list(A._a.shape)}"
        )
    _check_pair(A, tau, "torch.linalg.householder_product")
    q = expand(wrap(_eye(m, n, A._a)), (*A._a.shape[:-2], m, n))
    v = tril(A, -1) + expand(wrap(_eye(m, n, A._a)), A._a.shape)
    for i in range(k - 1, -1, -1):
        column = narrow(v, -1, i, 1)
        t = unsqueeze(narrow(tau, -1, i, 1), -1)
        q = sub(q, mul(t, matmul(column, matmul(base._mh(column), q))))
    return _finish(q, out)


orgqr = householder_product


def tensorinv(A, ind=2, *, out=None):
    """The inverse of A as a map from its last dimensions to its first `ind`."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    s = A._a.shape
    rows, cols = math.prod(s[:ind]), math.prod(s[ind:])
    if rows != cols:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got {cols} != {rows}"
        )
    return _finish(reshape(base.inv(reshape(A, (rows, cols))), s[ind:] + s[:ind]), out)


def tensorsolve(A, B, dims=None, *, out=None):
    """X with tensordot(A, X, X.ndim) = B."""
    if dims is not None:
        A = movedim(A, tuple(dims), tuple(range(A._a.ndim - len(dims), A._a.ndim)))
    rest = A._a.shape[B._a.ndim :]
    size = math.prod(rest)
    if B._a.size != size or A._a.size != size * size:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got "
            f"{size} != {B._a.size}"
        )
    return _finish(reshape(solve(reshape(A, (size, size)), reshape(B, (size,))), rest), out)


# ---------------------------------------------------------------- torch's older names


def svd(input, some=True, compute_uv=True, *, out=None):
    """(U, S, V) with A = U·diag(S)·Vᴴ (torch.svd)."""
    named = _result("svd", ("U", "S", "V"))
    if not compute_uv:
        m, n = input._a.shape[-2:]
        k = min(m, n)
        zero = [wrap(xp.zeros((*input._a.shape[:-2], r, k if some else r), input._a.dtype)) for r in (m, n)]
        return named(zero[0], base.svdvals(input), zero[1])
    u, s, vh = base.svd(input, not some)
    return named(u, s, base._mh(vh))


def qr(input, some=True, *, out=None):
    """(Q, R), reduced unless some is False (torch.qr)."""
    return _result("qr", ("Q", "R"))(*base.qr(input, "reduced" if some else "complete"))


def logdet(input):
    """ln det; NaN where the determinant is negative."""
    from .elementwise import where

    sign, size = base.slogdet(input)
    r = where(wrap(xp.asarray(sign._a < 0)), math.nan, size)
    return r


def pinverse(input, rcond=1e-15):
    """pinv with a relative cutoff (torch.pinverse)."""
    return pinv(input, rtol=rcond)
