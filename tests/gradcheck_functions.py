"""Gradient cases of the functions beyond layers: special functions, scans, linear algebra, transforms, sparse matrices."""

from gradcheck_cases import case, each

each("lgamma digamma i0", "positive", shapes=((5,),))
each("sinc", shapes=((5,),))
each("i0e i1 i1e erfcx ndtr log_ndtr", shapes=((5,),), find=lambda T: T.special)
each("ndtri entr", "probability", shapes=((5,),), find=lambda T: T.special)
case("polygamma", lambda T, x: T.polygamma(1, x), ("positive", (5,)))
case("mvlgamma", lambda T, x: T.mvlgamma(x, 3), ("above1", (5,)))
case("zeta", lambda T, x: T.special.zeta(T.tensor([2.0, 3.5, 5.0]).to(x.dtype), x), ("positive", (3,)))
case("igamma", lambda T, x: T.igamma(T.tensor([0.5, 2.0, 3.0]).to(x.dtype), x), ("positive", (3,)))
case("igammac", lambda T, x: T.igammac(T.tensor([0.5, 2.0, 3.0]).to(x.dtype), x), ("positive", (3,)))

PAIRS = {
    "logaddexp": lambda T, x, y: T.logaddexp(x, y),
    "logaddexp2": lambda T, x, y: T.logaddexp2(x, y),
    "hypot": lambda T, x, y: T.hypot(x, y),
    "copysign": lambda T, x, y: T.copysign(x, y),
    "fmax": lambda T, x, y: T.fmax(x, y),
    "fmin": lambda T, x, y: T.fmin(x, y),
    "xlogy": lambda T, x, y: T.xlogy(x, y.abs()),
    "xlog1py": lambda T, x, y: T.special.xlog1py(x, y.abs()),
    "ldexp": lambda T, x, y: T.ldexp(x, y),
    "polar": lambda T, x, y: T.view_as_real(T.polar(x.abs(), y)),
    "complex product": lambda T, x, y: T.view_as_real(T.complex(x, y) * T.complex(y, x)),
    "complex quotient": lambda T, x, y: T.view_as_real(T.complex(x, y) / T.complex(y, x + 3)),
    "complex abs": lambda T, x, y: T.complex(x, y).abs(),
    "complex angle": lambda T, x, y: T.complex(x, y).angle(),
    "complex exp": lambda T, x, y: T.view_as_real(T.complex(x, y).exp()),
    "complex power": lambda T, x, y: T.view_as_real(T.complex(x, y) ** 3),
    "complex matmul": lambda T, x, y: T.view_as_real(T.complex(x, y) @ T.complex(y, x).mH),
    "complex conj": lambda T, x, y: (T.complex(x, y).conj() * T.complex(y, x)).real,
    "tensordot": lambda T, x, y: T.tensordot(x, y, dims=([1], [1])),
    "inner": lambda T, x, y: T.inner(x, y),
    "kron": lambda T, x, y: T.kron(x, y),
    "einsum product": lambda T, x, y: T.einsum("ij,kj->ik", x, y),
    "einsum elementwise": lambda T, x, y: T.einsum("ij,ij->j", x, y),
    "cdist 2": lambda T, x, y: T.cdist(x, y),
    "cdist 1": lambda T, x, y: T.cdist(x, y, 1.0),
    "cdist 3": lambda T, x, y: T.cdist(x, y, 3.0),
    "block_diag": lambda T, x, y: T.block_diag(x, y),
}
for name, function in PAIRS.items():
    case(name, function, (2, 3), (2, 3))
case("cross", lambda T, x, y: T.cross(x, y, dim=1), (2, 3), (2, 3))
case("einsum attention", lambda T, q, k: T.einsum("bhid,bhjd->bhij", q, k), (1, 2, 2, 3), (1, 2, 2, 3))
case("einsum ellipsis", lambda T, x, y: T.einsum("...i,ij->...j", x, y), (2, 2, 3), (3, 2))
case("einsum diagonal", lambda T, x: T.einsum("iij->j", x), (2, 2, 3))
case("einsum three", lambda T, x, y, z: T.einsum("ij,jk,kl->il", x, y, z), (2, 3), (3, 2), (2, 2))

SCANS = {
    "cummax": lambda T, x: T.cummax(x, 1)[0],
    "cummin": lambda T, x: T.cummin(x, 0)[0],
    "logcumsumexp": lambda T, x: T.logcumsumexp(x, 1),
    "diff": lambda T, x: T.diff(x, 2),
    "trapezoid": lambda T, x: T.trapezoid(x, dx=0.5),
    "cumulative_trapezoid": lambda T, x: T.cumulative_trapezoid(x, dim=0),
    "gradient": lambda T, x: T.gradient(x, spacing=0.5, dim=1)[0],
    "quantile": lambda T, x: T.quantile(x, T.tensor([0.2, 0.7]).to(x.dtype), dim=1),
    "nanmedian": lambda T, x: T.nanmedian(x),
    "mode": lambda T, x: T.mode(x, 1)[0],
    "cov": lambda T, x: T.cov(x),
    "corrcoef": lambda T, x: T.corrcoef(x),
    "renorm": lambda T, x: T.renorm(x, 2, 0, 1.5),
    "rot90": lambda T, x: T.rot90(x),
    "combinations": lambda T, x: T.combinations(x.flatten(), 2),
    "pdist": lambda T, x: T.pdist(x),
    "vander": lambda T, x: T.linalg.vander(x[0], N=3),
    "put": lambda T, x: x.put(T.tensor([1, 3]), x[0, :2] * 2),
    "select_scatter": lambda T, x: T.select_scatter(x, x[0, :3], 1, 2),
    "slice_scatter": lambda T, x: T.slice_scatter(x, x[:, :2] * 2, 1, 1, 3),
    "diagonal_scatter": lambda T, x: T.diagonal_scatter(x, x[0, :3]),
    "scatter_reduce sum": lambda T, x: T.scatter_reduce(x, 1, T.tensor([[0, 1, 0], [2, 2, 1]]), x[1:, :3] * 2, "sum"),
    "scatter_reduce mean": lambda T, x: T.scatter_reduce(x, 1, T.tensor([[0, 1, 0], [2, 2, 1]]), x[1:, :3], "mean"),
    "scatter_reduce prod": lambda T, x: T.scatter_reduce(x, 1, T.tensor([[0, 1, 0], [2, 2, 1]]), x[1:, :3], "prod"),
    "scatter_reduce amax": lambda T, x: T.scatter_reduce(
        x, 1, T.tensor([[0, 1, 0], [2, 2, 1]]), x[1:, :3], "amax", include_self=False
    ),
    "index_reduce": lambda T, x: x.index_reduce(0, T.tensor([0, 0]), x[1:], "amin"),
    "sparse mm": lambda T, x: T.sparse.mm(
        T.sparse_coo_tensor(T.tensor([[0, 1, 1], [2, 0, 0]]), x[0, :3], (2, 3)), x[:, 1:]
    ),
    "sparse coalesce": lambda T, x: (
        T.sparse_coo_tensor(T.tensor([[0, 1, 1], [2, 0, 0]]), x[0, :3], (2, 3)).coalesce().to_dense()
    ),
    "sparse softmax": lambda T, x: T.sparse.softmax(x.to_sparse(), 1).to_dense(),
}
for name, function in SCANS.items():
    case(name, function, (3, 4))

TRANSFORMS = {
    "fft": lambda T, x: T.view_as_real(T.fft.fft(x)),
    "ifft ortho": lambda T, x: T.fft.ifft(x, norm="ortho").imag * 2,
    "fft2": lambda T, x: T.fft.fft2(x, norm="forward").abs(),
    "rfft": lambda T, x: T.view_as_real(T.fft.rfft(x, n=5)),
    "rfftn": lambda T, x: T.view_as_real(T.fft.rfftn(x)),
    "irfft": lambda T, x: T.fft.irfft(T.fft.rfft(x) ** 2, n=6),
    "hfft": lambda T, x: T.fft.hfft(x),
    "ihfft": lambda T, x: T.fft.ihfft(x).abs(),
}
for name, function in TRANSFORMS.items():
    case(name, function, (3, 4))

LINALG = {
    "inv": lambda T, x: T.linalg.inv(x),
    "det": lambda T, x: T.det(x),
    "slogdet": lambda T, x: T.linalg.slogdet(x)[1],
    "solve": lambda T, x: T.linalg.solve(x, x[:, :2]),
    "solve_triangular": lambda T, x: T.linalg.solve_triangular(x, x[:, :2], upper=True),
    "cholesky": lambda T, x: T.linalg.cholesky(x @ x.mT + 2 * T.eye(3, dtype=x.dtype)),
    "svdvals": lambda T, x: T.linalg.svdvals(x),
    "svd": lambda T, x: T.linalg.svd(x[:2], full_matrices=False)[2].abs(),
    "eigh": lambda T, x: T.linalg.eigh(x + x.mT)[1].abs(),
    "eigvalsh": lambda T, x: T.linalg.eigvalsh(x + x.mT),
    "eigvals": lambda T, x: T.linalg.eigvals(x @ x.mT).real,
    "qr": lambda T, x: T.linalg.qr(x)[1],
    "qr wide": lambda T, x: T.linalg.qr(x[:2])[0],
    "lu": lambda T, x: T.linalg.lu(x)[1:],
    "pinv": lambda T, x: T.linalg.pinv(x[:2]),
    "matrix_exp": lambda T, x: T.matrix_exp(x),
    "matrix_power": lambda T, x: T.linalg.matrix_power(x, -2),
    "matrix_norm nuc": lambda T, x: T.linalg.matrix_norm(x, "nuc"),
    "matrix_norm 1": lambda T, x: T.linalg.matrix_norm(x, 1),
    "cond": lambda T, x: T.linalg.cond(x),
    "multi_dot": lambda T, x: T.linalg.multi_dot([x[:2], x, x[:, :1]]),
    "lstsq": lambda T, x: T.linalg.lstsq(x[:, :2], x[:, 2:])[0],
    "householder_product": lambda T, x: T.linalg.householder_product(x[:, :2], x[0, :2]),
}
for name, function in LINALG.items():
    case(f"linalg {name}", lambda T, x, f=function: f(T, x + 2 * T.eye(3, dtype=x.dtype)), (3, 3))
