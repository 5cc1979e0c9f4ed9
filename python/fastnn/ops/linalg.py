"""Factorisations and solutions of linear systems, batched over leading dimensions, with their gradients.

The functions here are those that a kernel computes; `linalg_forms.py` has what is made of them. fastnn.linalg names
both. Matrices are the last two dimensions.
"""

from .._tape import grad_mode, own_version, record, record_many
from ..backend import xp
from ..tensor import Tensor, wrap
from ._common import GRAPH
from .reduce import _result

LinAlgError = type("LinAlgError", (RuntimeError,), {"__doc__": "A matrix that is singular, or not positive definite."})
LinAlgError.__module__ = "torch._C"

svd_result = _result("linalg_svd", ("U", "S", "Vh"))
eigh_result, eig_result = (_result(n, ("eigenvalues", "eigenvectors")) for n in ("linalg_eigh", "linalg_eig"))
qr_result = _result("linalg_qr", ("Q", "R"))
slogdet_result = _result("linalg_slogdet", ("sign", "logabsdet"))


def check_matrix(t, function, square=True):
    """Raise unless t is a floating Tensor of matrices (square ones)."""
    if not isinstance(t, Tensor):
        raise TypeError(f"{function}(): argument 'A' must be Tensor, not {type(t).__name__}")
    x = t._a
    if x.ndim < 2:
        raise RuntimeError(f"{function}: The input tensor A must have at least 2 dimensions.")
    if square and x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"{function}: A must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices"
        )
    if x.dtype.kind not in "fc":
        raise RuntimeError(f"{function}: Expected a floating point or complex tensor as input. Got {t.dtype.short}")
    if x.dtype.itemsize < 4:
        raise RuntimeError(f"{function}: Low precision dtypes not supported. Got {t.dtype.short}")


def _complex(x):
    return getattr(x.dtype, "kind", None) == "c" or getattr(x.dtype, "category", 0) == 3


def hermitian(k, x):
    """The conjugate transpose, in a rule."""
    x = k.transpose(x, -2, -1)
    return k.conj(x) if _complex(x) else x


def _column(k, v):
    return k.unsqueeze(v, -1)


def _row(k, v):
    return k.unsqueeze(v, -2)


def _eye(k, like):
    """1 on the diagonal of matrices like `like`, as a bool mask."""
    mask = xp.on(like).tri_mask((like.shape[-2], like.shape[-1]), 0, True) & xp.on(like).tri_mask(
        (like.shape[-2], like.shape[-1]), 0, False
    )
    return mask if k is not GRAPH else wrap(mask)


def _triangle(k, x, lower, diagonal=0):
    mask = xp.on(x).tri_mask((x.shape[-2], x.shape[-1]), diagonal, lower)
    return k.where(mask if k is not GRAPH else wrap(mask), x, 0.0)


# ---------------------------------------------------------------- inverse, solve, determinant


def inv(A, *, out=None):
    """A⁻¹. Raises LinAlgError for a singular matrix."""
    from ._common import write_out

    check_matrix(A, "linalg.inv")
    x = A._a
    try:
        r = wrap(Tensor._k.inv(x))
    except ValueError as error:  # NumPy's LinAlgError
        raise LinAlgError(
            f"linalg.inv: The diagonal element of U is zero, the inversion could not be completed because the input "
            f"matrix is singular ({error})."
        ) from None
    if A._fn is not None and grad_mode.enabled:
        record(r, linalg_inv_rule, (A._fn,), (r._a,), (own_version(r),))
    return r if out is None else write_out(out, r)


def linalg_inv_rule(k, dy, saved, needs):
    yh = hermitian(k, saved[0])
    return (k.neg(k.matmul(k.matmul(yh, dy), yh)),)


def solve_matrix(a, b):
    """a⁻¹·b, b of matrices; leading dimensions broadcast."""
    x, y = a._a, b._a
    try:
        r = wrap(Tensor._k.solve_matrix(x, y))
    except ValueError as error:
        if "ingular" not in str(error):
            raise RuntimeError(
                f"linalg.solve: shapes {list(x.shape)} and {list(y.shape)} do not fit: {error}"
            ) from None
        raise LinAlgError("linalg.solve: The solver failed because the input matrix is singular.") from None
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        record(r, linalg_solve_rule, (a._fn, b._fn), (x, r._a, y.shape), (a, own_version(r), None))
    return r


def linalg_solve_rule(k, dy, saved, needs):
    a, x, shape = saved
    db = k.solve_matrix(hermitian(k, a), dy)
    da = None if needs[0] is None else k.sum_to(k.neg(k.matmul(db, hermitian(k, x))), a.shape)
    return da, None if needs[1] is None else k.sum_to(db, shape)


def triangular_solve_matrix(a, b, upper, unit):
    """a⁻¹·b for a triangular a."""
    x, y = a._a, b._a
    r = wrap(Tensor._k.triangular_solve_matrix(x, y, upper, unit))
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        saved = (x, r._a, y.shape, upper, unit)
        record(r, solve_triangular_rule, (a._fn, b._fn), saved, (a, own_version(r), None, None, None))
    return r


def solve_triangular_rule(k, dy, saved, needs):
    a, x, shape, upper, unit = saved
    db = k.triangular_solve_matrix(hermitian(k, a), dy, not upper, unit)
    da = None
    if needs[0] is not None:
        da = _triangle(k, k.neg(k.matmul(db, hermitian(k, x))), not upper, (1 if upper else -1) if unit else 0)
        da = k.sum_to(da, a.shape)
    return da, None if needs[1] is None else k.sum_to(db, shape)


def det(A, *, out=None):
    """The determinant."""
    from ._common import write_out

    check_matrix(A, "linalg.det")
    r = wrap(Tensor._k.det(A._a))
    if A._fn is not None and grad_mode.enabled:
        record(r, linalg_det_rule, (A._fn,), (A._a,), (A,))
    return r if out is None else write_out(out, r)


def linalg_det_rule(k, dy, saved, needs):
    return (k.mul(_column(k, _column(k, dy)), k.cofactors(saved[0])),)


def cofactors(A):
    """The conjugate cofactor matrix, det's gradient; its own gradient holds where A is invertible."""
    from .complex import conj
    from .elementwise import mul
    from .shape import mT, unsqueeze

    return conj(mul(unsqueeze(unsqueeze(det(A), -1), -1), mT(inv(A))))


def slogdet(A, *, out=None):
    """(sign, ln |det|)"""
    check_matrix(A, "linalg.slogdet")
    sign, logabs = (wrap(v) for v in Tensor._k.slogdet(A._a))
    if A._fn is not None and grad_mode.enabled:
        record_many((sign, logabs), linalg_slogdet_rule, (A._fn,), (A._a,), (A,))
    return slogdet_result(sign, logabs)


def linalg_slogdet_rule(k, dy, saved, needs):
    """The sign of a real determinant has no gradient."""
    a, dy = saved[0], dy[1]
    if dy is None or a.shape[-1] == 0:
        return (k.zeros(a.shape, a.dtype),)
    return (k.mul(_column(k, _column(k, dy)), hermitian(k, k.inv(a))),)


# ---------------------------------------------------------------- singular and eigenvalues


def svd(A, full_matrices=True, *, driver=None, out=None):
    """(U, S, Vh): A = U·diag(S)·Vh, S descending. The gradient needs full_matrices=False, and distinct S where those of
    U or Vh are used."""
    check_matrix(A, "linalg.svd", square=False)
    arrays = Tensor._k.svd(A._a, bool(full_matrices))
    u, s, vh = map(wrap, arrays)
    if A._fn is not None and grad_mode.enabled:
        record_many(
            (u, s, vh),
            linalg_svd_rule,
            (A._fn,),
            (*arrays, bool(full_matrices)),
            tuple(map(own_version, (u, s, vh))) + (None,),
        )
    return svd_result(u, s, vh)


def linalg_svd_rule(k, dy, saved, needs):
    """gA = U·[(skew(UᴴgU)/E)·S + S·(skew(VᴴgV)/E) + gS]·Vᴴ, and what lies outside U's and V's spans."""
    u, s, vh, full = saved
    gu, gs, gvh = dy
    size = s.shape[-1]
    if full:
        u = k.index_get(u, (Ellipsis, slice(0, size)))
        vh = k.index_get(vh, (Ellipsis, slice(0, size), slice(None)))
        gu = None if gu is None else k.index_get(gu, (Ellipsis, slice(0, size)))
        gvh = None if gvh is None else k.index_get(gvh, (Ellipsis, slice(0, size), slice(None)))
    if gu is None and gvh is None:
        return (k.matmul(k.mul(u, _row(k, gs)), vh),)
    uh, v = hermitian(k, u), hermitian(k, vh)

    def skew(x):
        return k.sub(x, hermitian(k, x))

    square = k.mul(s, s)
    gap = k.sub(_row(k, square), _column(k, square))
    gap = k.where(_eye(k, gap), 1.0, gap)
    inner = 0.0
    if gu is not None:
        inner = k.mul(k.div(skew(k.matmul(uh, gu)), gap), _row(k, s))
    if gvh is not None:
        right = k.mul(k.div(skew(k.matmul(vh, hermitian(k, gvh))), gap), _column(k, s))
        inner = right if gu is None else k.add(inner, right)
    if gs is not None:
        inner = k.add(inner, k.where(_eye(k, gap), _row(k, gs), 0.0))
    g = k.matmul(k.matmul(u, inner), vh)
    if gu is not None and u.shape[-2] > size:
        scaled = k.div(gu, _row(k, s))
        g = k.add(g, k.matmul(k.sub(scaled, k.matmul(u, k.matmul(uh, scaled))), vh))
    if gvh is not None and vh.shape[-1] > size:
        scaled = k.div(gvh, _column(k, s))
        g = k.add(g, k.matmul(u, k.sub(scaled, k.matmul(k.matmul(scaled, v), vh))))
    return (g,)


def svdvals(A, *, driver=None, out=None):
    """The singular values, descending."""
    return svd(A, False)[1]


def eigh(A, UPLO="L", *, out=None):
    """(values ascending, vectors) of a symmetric (Hermitian) matrix: only the triangle UPLO is read."""
    check_matrix(A, "linalg.eigh")
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    w, v = map(wrap, Tensor._k.eigh(A._a, UPLO.upper() == "L"))
    if A._fn is not None and grad_mode.enabled:
        record_many((w, v), linalg_eigh_rule, (A._fn,), (w._a, v._a), (own_version(w), own_version(v)))
    return eigh_result(w, v)


def linalg_eigh_rule(k, dy, saved, needs):
    w, v = saved
    gw, gv = dy
    vh = hermitian(k, v)
    if gv is None:
        return (k.matmul(k.mul(v, _row(k, gw)), vh),)
    gap = k.sub(_row(k, w), _column(k, w))
    inner = k.matmul(vh, gv)
    inner = k.where(_eye(k, gap), 0.0 if gw is None else _row(k, gw), k.div(inner, k.where(_eye(k, gap), 1.0, gap)))
    g = k.matmul(k.matmul(v, inner), vh)
    return (k.mul(k.add(g, hermitian(k, g)), 0.5),)


def eigvalsh(A, UPLO="L", *, out=None):
    """The eigenvalues of a symmetric (Hermitian) matrix, ascending."""
    return eigh(A, UPLO)[0]


def eig(A, *, out=None):
    """(values, vectors), complex, of any square matrix; in no particular order."""
    check_matrix(A, "linalg.eig")
    if not xp.isfinite(A._a).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    w, v = map(wrap, Tensor._k.eig(A._a))
    if A._fn is not None and grad_mode.enabled:
        record_many(
            (w, v),
            linalg_eig_rule,
            (A._fn,),
            (w._a, v._a, A._a.dtype.kind == "c"),
            (own_version(w), own_version(v), None),
        )
    return eig_result(w, v)


def linalg_eig_rule(k, dy, saved, needs):
    w, v, is_complex = saved
    gw, gv = dy
    vh = hermitian(k, v)
    if gv is None:
        g = k.solve_matrix(vh, k.mul(_column(k, gw), vh))
    else:
        vhgv = k.matmul(vh, gv)
        eye = _eye(k, vhgv)
        diagonal = k.sum(k.where(eye, k.real_part(vhgv), 0.0), (len(vhgv.shape) - 2,), True)
        inner = k.sub(vhgv, k.mul(k.matmul(vh, v), diagonal))
        gap = k.conj(k.sub(_row(k, w), _column(k, w)))
        inner = k.div(inner, k.where(eye, 1.0, gap))
        inner = k.where(eye, 0.0 if gw is None else _row(k, gw), inner)
        g = k.solve_matrix(vh, k.matmul(inner, vh))
    return (g if is_complex else k.real_part(g),)


def eigvals(A, *, out=None):
    """The eigenvalues of any square matrix, complex."""
    return eig(A)[0]


# ---------------------------------------------------------------- QR, Cholesky, LU


def qr(A, mode="reduced", *, out=None):
    """(Q, R): Q with orthonormal columns, R upper triangular; mode 'reduced', 'complete', or 'r' (R alone)."""
    from .join import cat, narrow
    from .matmul import matmul

    check_matrix(A, "linalg.qr", square=False)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    m, n = A._a.shape[-2:]
    recorded = A._fn is not None and grad_mode.enabled
    if recorded and m < n and mode != "r":  # R's further columns follow from Q
        q, r = qr(narrow(A, -1, 0, m), "reduced")
        return qr_result(q, cat([r, matmul(_mh(q), narrow(A, -1, m, n - m))], -1))
    q, r = map(wrap, Tensor._k.qr(A._a, mode))
    if recorded:
        record_many((q, r), linalg_qr_rule, (A._fn,), (q._a, r._a, mode), (own_version(q), own_version(r), None))
    return qr_result(q, r)


def _mh(t):
    from .complex import conj
    from .shape import mT

    return conj(mT(t))


def linalg_qr_rule(k, dy, saved, needs):
    q, r, mode = saved
    gq, gr = dy
    if mode == "r":
        raise RuntimeError("The derivative of linalg.qr depends on Q, which is not computed when mode='r'.")
    if mode == "complete" and q.shape[-1] > r.shape[-1]:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    inner = 0.0
    if gr is not None:
        inner = k.matmul(r, hermitian(k, gr))
    if gq is not None:
        part = k.matmul(hermitian(k, gq), q)
        inner = k.neg(part) if gr is None else k.sub(inner, part)
    lower = _triangle(k, inner, True, -1)
    eye = k.where(_eye(k, inner), inner, 0.0)
    inner = k.add(k.add(lower, hermitian(k, lower)), k.where(_eye(k, eye), eye, 0.0))
    g = k.matmul(q, inner)
    if gq is not None:
        g = k.add(g, gq)
    return (hermitian(k, k.triangular_solve_matrix(r, hermitian(k, g), True, False)),)


def cholesky_factor(A, upper, function, check):
    """(factor, info): the lower (upper) Cholesky factor; LinAlgError with `check` where A is not positive definite."""
    check_matrix(A, function)
    factor, info = Tensor._k.cholesky(A._a, bool(upper))
    if check and info.any():
        bad = int(info[info > 0][0])
        raise LinAlgError(
            f"{function}: The factorization could not be completed because the input is not positive-definite (the "
            f"leading minor of order {bad} is not positive-definite)."
        )
    r = wrap(factor)
    if A._fn is not None and grad_mode.enabled:
        record(r, linalg_cholesky_rule, (A._fn,), (factor, bool(upper)), (own_version(r), None))
    return r, wrap(info)


def linalg_cholesky_rule(k, dy, saved, needs):
    """L⁻ᴴ·Φ(LᴴgL)·L⁻¹ made symmetric, Φ the lower triangle with half the diagonal."""
    factor, upper = saved
    if upper:
        factor, dy = hermitian(k, factor), hermitian(k, dy)
    lh = hermitian(k, factor)
    phi = _triangle(k, k.matmul(lh, dy), True)
    phi = k.where(_eye(k, phi), k.mul(phi, 0.5), phi)
    g = k.triangular_solve_matrix(lh, phi, True, False)
    g = hermitian(k, k.triangular_solve_matrix(lh, hermitian(k, g), True, False))
    return (k.mul(k.add(g, hermitian(k, g)), 0.5),)


def cholesky_solve_matrix(b, factor, upper):
    """(L·Lᴴ)⁻¹·b, L the factor or its conjugate transpose."""
    k = Tensor._k
    x, y = factor._a, b._a
    lower = hermitian(k, x) if upper else x
    half = k.triangular_solve_matrix(lower, y, False, False)
    r = wrap(k.triangular_solve_matrix(hermitian(k, lower), half, True, False))
    if (b._fn is not None or factor._fn is not None) and grad_mode.enabled:
        saved = (x, r._a, y.shape, upper)
        record(r, cholesky_solve_rule, (b._fn, factor._fn), saved, (factor, own_version(r), None, None))
    return r


def cholesky_solve_rule(k, dy, saved, needs):
    """torch's convention: the whole of the factor's gradient, not its triangle alone."""
    factor, x, shape, upper = saved
    db = k.cholesky_solve_matrix(dy, factor, upper)
    df = None
    if needs[1] is not None:
        common = k.matmul(db, hermitian(k, x))
        common = k.add(common, hermitian(k, common))
        df = k.neg(k.matmul(factor, common) if upper else k.matmul(common, factor))
        df = k.sum_to(df, factor.shape)
    return None if needs[0] is None else k.sum_to(db, shape), df


def cholesky(A, *, upper=False, out=None):
    """The lower triangular L with A = L·Lᴴ (or its conjugate transpose)."""
    from ._common import write_out

    r = cholesky_factor(A, upper, "linalg.cholesky", True)[0]
    return r if out is None else write_out(out, r)


def lu_compact(A):
    """(LU, pivots, info) of batches of matrices; the gradient goes through lu_parts of the permuted matrix."""
    return Tensor._k.lu(A._a)


def lu_square(A, packed):
    """(L, U) of square matrices that need no permutation; packed: their LU, one array."""
    k = Tensor._k
    n = A._a.shape[-1]
    eye = _eye(k, packed)
    lower = k.where(eye, 1.0, _triangle(k, packed, True)).astype(packed.dtype)
    upper = _triangle(k, packed, False).astype(packed.dtype)
    pair = wrap(lower), wrap(upper)
    if A._fn is not None and grad_mode.enabled and n:
        record_many(pair, linalg_lu_rule, (A._fn,), (lower, upper), tuple(map(own_version, pair)))
    return pair


def linalg_lu_rule(k, dy, saved, needs):
    """L⁻ᴴ·[tril(LᴴgL, -1) + triu(gU·Uᴴ)]·U⁻ᴴ"""
    lower, upper = saved
    gl, gu = dy
    lh, uh = hermitian(k, lower), hermitian(k, upper)
    inner = 0.0
    if gl is not None:
        inner = _triangle(k, k.matmul(lh, gl), True, -1)
    if gu is not None:
        part = _triangle(k, k.matmul(gu, uh), False)
        inner = part if gl is None else k.add(inner, part)
    g = k.triangular_solve_matrix(lh, inner, True, True)
    return (hermitian(k, k.triangular_solve_matrix(upper, hermitian(k, g), True, False)),)


def matrix_exp(A):
    """e^A of square matrices."""
    check_matrix(A, "linalg.matrix_exp")
    r = wrap(Tensor._k.matrix_exp(A._a))
    if A._fn is not None and grad_mode.enabled:
        record(r, linalg_matrix_exp_rule, (A._fn,), (A._a,), (A,))
    return r


def linalg_matrix_exp_rule(k, dy, saved, needs):
    """The upper right block of exp([[Aᴴ, dy], [0, Aᴴ]])."""
    ah = hermitian(k, saved[0])
    n = ah.shape[-1]
    zero = k.mul(dy, 0.0)
    axis = len(ah.shape) - 1
    whole = k.cat([k.cat([ah, dy], axis), k.cat([zero, ah], axis)], axis - 1)
    return (k.index_get(k.matrix_exp(whole), (Ellipsis, slice(0, n), slice(n, None))),)


def pinv_of(A, cut):
    """The pseudo-inverse of matrices, by singular values above `cut` (an array that broadcasts to them)."""
    k = Tensor._k
    u, s, vh = k.svd(A._a, False)
    scaled = vh * k.pinv_cut(s, cut)[..., None]
    r = wrap(k.matmul(hermitian(k, scaled), hermitian(k, u)))
    if A._fn is not None and grad_mode.enabled:
        record(r, linalg_pinv_rule, (A._fn,), (A._a, r._a), (A, own_version(r)))
    return r


def pinv_of_hermitian(A, w, v, cut):
    """The pseudo-inverse of a symmetric (Hermitian) matrix by its eigenvalues w, those within `cut` of 0 left out."""
    k = Tensor._k
    inverse = k.mul(k.sign(w), k.pinv_cut(k.abs(w), cut))
    r = wrap(k.matmul(k.mul(v, inverse[..., None, :]), hermitian(k, v)))
    if A._fn is not None and grad_mode.enabled:
        record(r, linalg_pinv_rule, (A._fn,), (A._a, r._a), (A, own_version(r)))
    return r


def linalg_pinv_rule(k, dy, saved, needs):
    """The derivative where the rank stays: of Golub and Pereyra, from the smaller side."""
    a, p = saved
    m, n = a.shape[-2:]
    gh, ph = hermitian(k, dy), hermitian(k, p)
    mm = k.matmul
    if m <= n:
        kk = mm(gh, p)
        kp = mm(kk, ph)
        g = k.add(k.sub(k.sub(kp, hermitian(k, mm(p, kk))), mm(mm(a, p), kp)), mm(mm(ph, p), k.sub(gh, mm(kk, a))))
    else:
        kk = mm(p, gh)
        pk = mm(ph, kk)
        g = k.add(k.sub(mm(mm(k.sub(gh, mm(a, kk)), p), ph), hermitian(k, mm(kk, p))), k.sub(pk, mm(mm(pk, p), a)))
    return (g,)
