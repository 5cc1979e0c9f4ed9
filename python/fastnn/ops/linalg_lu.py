"""LU factorisations, unpacked or packed, and what is solved with them."""

from ..backend import xp
from ..tensor import Tensor, wrap
from . import linalg as base
from .arrange import tril, triu
from .join import cat, narrow
from .linalg import LinAlgError, check_matrix
from .linalg_forms import _batched, _check_pair, _eye, _finish, solve_triangular
from .matmul import matmul
from .reduce import _result
from .shape import expand, mT

lu_result = _result("linalg_lu", ("P", "L", "U"))
lu_factor_result = _result("linalg_lu_factor", ("LU", "pivots"))
lu_factor_ex_result = _result("linalg_lu_factor_ex", ("LU", "pivots", "info"))


def _factored(A, function):
    """(P's row order, L, U, packed, pivots, info), differentiable: rows of A in the order found, then without pivots."""
    from .gather import take_along_dim

    check_matrix(A, function, square=False)
    packed, pivots, info = base.lu_compact(A)
    m, n = A._a.shape[-2:]
    k = min(m, n)
    order = Tensor._k.permutation_of(pivots, m)
    place = wrap(xp.contiguous_copy(xp.broadcast_to(order[..., None], A._a.shape)))
    permuted = take_along_dim(A, place, -2) if A._a.size else A
    lower, upper = base.lu_square(_corner(permuted, k, k), packed[..., :k, :k])
    if m > k:
        below = narrow(permuted, -2, k, m - k)
        lower = cat([lower, solve_triangular(upper, below, upper=True, left=False)], -2)
    if n > k:
        right = narrow(permuted, -1, k, n - k)
        upper = cat([upper, solve_triangular(lower, right, upper=False, unitriangular=True)], -1)
    return order, lower, upper, packed, pivots, info


def _corner(t, m, n):
    return narrow(narrow(t, -2, 0, m), -1, 0, n)


def _permutation(order, d):
    m = order.shape[-1]
    p = xp.on(order).zeros((*order.shape, m), d)
    for place in xp.ndindex(*order.shape):
        p[(*place[:-1], order[place], place[-1])] = 1
    return wrap(p)


def lu(A, *, pivot=True, out=None):
    """(P, L, U) with A = P·L·U."""
    if not pivot:
        raise RuntimeError("linalg.lu: LU without pivoting is not implemented on the CPU")
    order, lower, upper, *_ = _factored(A, "linalg.lu")
    return lu_result(_permutation(order, A._a.dtype), lower, upper)


def lu_factor_ex(A, *, pivot=True, check_errors=False, out=None):
    """(LU, pivots, info): L without its unit diagonal below U, in one matrix."""
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    _, lower, upper, packed, pivots, info = _factored(A, "linalg.lu_factor")
    if check_errors and info.any():
        raise LinAlgError("linalg.lu_factor: U has a zero on its diagonal")
    r = wrap(packed)
    if lower._fn is not None or upper._fn is not None:
        m, n = A._a.shape[-2:]
        k = min(m, n)
        below = tril(lower, -1)
        if n > k:
            below = cat([below, wrap(xp.zeros((*A._a.shape[:-1], n - k), A._a.dtype))], -1)
        if m > k:
            upper = cat([upper, wrap(xp.zeros((*A._a.shape[:-2], m - k, n), A._a.dtype))], -2)
        r = below + upper
    return lu_factor_ex_result(r, wrap(pivots), wrap(info))


def lu_factor(A, *, pivot=True, out=None):
    """(LU, pivots)"""
    return lu_factor_result(*lu_factor_ex(A, pivot=pivot)[:2])


def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True, *, out=None):
    """(P, L, U) of lu_factor's results; what is not asked for is empty."""
    x = LU_data._a
    if LU_pivots._a.dtype.name != "int32":
        raise RuntimeError("torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.")
    m, n = x.shape[-2:]
    k = min(m, n)
    empty = wrap(xp.zeros(0, x.dtype))
    lower = upper = p = empty
    if unpack_data:
        lower = tril(narrow(LU_data, -1, 0, k), -1) + expand(wrap(_eye(m, k, x)), (*x.shape[:-2], m, k))
        upper = triu(narrow(LU_data, -2, 0, k))
    if unpack_pivots:
        p = _permutation(Tensor._k.permutation_of(LU_pivots._a, m), x.dtype)
    return _result("lu_unpack", ("P", "L", "U"))(p, lower, upper)


def lu_solve(LU, pivots, B, *, left=True, adjoint=False, out=None):
    """X with A·X = B from A's lu_factor (X·A = B where left is False; Aᴴ in A's place where adjoint)."""
    _check_pair(LU, B, "linalg.lu_solve")
    p, lower, upper = lu_unpack(LU, pivots)
    if not left:
        return _finish(base._mh(lu_solve(LU, pivots, base._mh(B), adjoint=not adjoint)), out)
    if LU._a.shape[-1] != B._a.shape[-2]:
        raise RuntimeError(
            f"linalg.lu_solve: Incompatible shapes of A and B: {list(LU._a.shape)} and {list(B._a.shape)}"
        )
    _batched(LU._a, B._a, "linalg.lu_solve")
    if adjoint:
        y = base.triangular_solve_matrix(base._mh(upper), B, False, False)
        return _finish(matmul(p, base.triangular_solve_matrix(base._mh(lower), y, True, True)), out)
    y = base.triangular_solve_matrix(lower, matmul(mT(p), B), False, True)
    return _finish(base.triangular_solve_matrix(upper, y, True, False), out)


def lu_solve_old(b, LU_data, LU_pivots, *, out=None):
    """lu_solve with torch.lu_solve's order of arguments."""
    return lu_solve(LU_data, LU_pivots, b, out=out)
