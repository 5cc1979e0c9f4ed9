"""Linear algebra (torch.linalg): LAPACK through NumPy, with gradients."""

from ..ops.linalg import (
    LinAlgError,
    cholesky,
    det,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    inv,
    matrix_exp,
    qr,
    slogdet,
    svd,
    svdvals,
)
from ..ops.linalg_forms import (
    cholesky_ex,
    cond,
    diagonal,
    householder_product,
    inv_ex,
    lstsq,
    matrix_norm,
    matrix_power,
    matrix_rank,
    multi_dot,
    norm,
    pinv,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
    vecdot,
)
from ..ops.linalg_lu import lu, lu_factor, lu_factor_ex, lu_solve
from ..ops.matmul import matmul
from ..ops.pairs import linalg_cross as cross
from ..ops.scan import linalg_vander as vander
from ..ops.spread import vector_norm

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh",
    "householder_product", "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul",
    "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve",
    "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
