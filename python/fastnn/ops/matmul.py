"""Matrix products. One kernel for two matrices (gemm), one for a batch (bmm); matmul brings every case to them.

The GEMM variant that was in force (fastnn.kernels) is kept on the tape and used for the gradient too.
"""

from .._tape import grad_mode, record
from ..backend import variants, xp
from ..tensor import Tensor, wrap
from . import _autocast
from ._common import write_out
from .elementwise import _holomorphic
from .shape import expand, reshape, squeeze, unsqueeze


def _same_dtype(a, b, function):
    for v, name in ((a, "self"), (b, "mat2")):
        if not isinstance(v, Tensor):
            raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(v).__name__}")
    if a._a.dtype != b._a.dtype:
        raise RuntimeError(
            f"{function}: expected m1 and m2 to have the same dtype, but got: {a.dtype} and {b.dtype}; convert one with "
            f".to({a.dtype})"
        )


def _is_sparse(a, b):
    return getattr(a, "is_sparse", False) or getattr(b, "is_sparse", False)


def _sparse_matmul(a, b):
    from .sparse import matmul as product

    return product(a, b)


def mm(input, mat2, *, out=None):
    """The product of two matrices."""
    if (input.__class__ is not Tensor or mat2.__class__ is not Tensor) and _is_sparse(input, mat2):
        return _sparse_matmul(input, mat2)
    if _autocast.depth:
        input, mat2 = _autocast.low(input, mat2)
    _same_dtype(input, mat2, "mm")
    x, y = input._a, mat2._a
    if x.ndim != 2 or y.ndim != 2:
        raise RuntimeError(f"mm: both arguments must be matrices, got {x.ndim}D and {y.ndim}D")
    r = gemm(input, mat2)
    return r if out is None else write_out(out, r)


def gemm(a, b, bias=None, act="none"):
    """a @ b for matrices: what mm, matmul and the rules share."""
    x, y = a._a, b._a
    if x.shape[1] != y.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({x.shape[0]}x{x.shape[1]} and {y.shape[0]}x{y.shape[1]})"
        )
    r = wrap(Tensor._k.gemm(x, y))
    fa, fb = a._fn, b._fn
    if (fa is not None or fb is not None) and grad_mode.enabled:
        rule = mm_rule if x.dtype.kind != "c" else mm_of_complex_rule
        record(r, rule, (fa, fb), (x, y, variants.current()), (a, b, None))
    return r


def mm_rule(k, dy, saved, needs):
    x, y, variant = saved
    if variant is None:
        return (
            None if needs[0] is None else k.gemm(dy, y.T),
            None if needs[1] is None else k.gemm(x.T, dy),
        )
    with variants.kernels(gemm=variant):
        return mm_rule(k, dy, (x, y, None), needs)


mm_of_complex_rule = _holomorphic(mm_rule)


def bmm(input, mat2, *, out=None):
    """The products of two batches of matrices [B, M, K] and [B, K, N]."""
    if _autocast.depth:
        input, mat2 = _autocast.low(input, mat2)
    _same_dtype(input, mat2, "bmm")
    x, y = input._a, mat2._a
    if x.ndim != 3 or y.ndim != 3:
        raise RuntimeError(f"batch1 and batch2 must be 3D tensors, got {x.ndim}D and {y.ndim}D")
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{x.shape[0]}, {x.shape[2]}] but got: "
            f"[{y.shape[0]}, {y.shape[1]}]."
        )
    r = wrap(Tensor._k.bmm(x, y))
    fa, fb = input._fn, mat2._fn
    if (fa is not None or fb is not None) and grad_mode.enabled:
        rule = bmm_rule if x.dtype.kind != "c" else bmm_of_complex_rule
        record(r, rule, (fa, fb), (x, y, variants.current()), (input, mat2, None))
    return r if out is None else write_out(out, r)


def bmm_rule(k, dy, saved, needs):
    x, y, variant = saved
    if variant is None:
        return (
            None if needs[0] is None else k.bmm(dy, k.transpose(y, 1, 2)),
            None if needs[1] is None else k.bmm(k.transpose(x, 1, 2), dy),
        )
    with variants.kernels(gemm=variant):
        return bmm_rule(k, dy, (x, y, None), needs)


bmm_of_complex_rule = _holomorphic(bmm_rule)


def matmul(input, other, *, out=None):
    """The matrix product: vectors, matrices, or batches of matrices that broadcast (torch.matmul's rules)."""
    if (input.__class__ is not Tensor or other.__class__ is not Tensor) and _is_sparse(input, other):
        return _sparse_matmul(input, other)
    if _autocast.depth:
        input, other = _autocast.low(input, other)
    if isinstance(input, Tensor) and isinstance(other, Tensor) and input._a.ndim == 2 and other._a.ndim == 2:
        if input._a.dtype is not other._a.dtype:
            _same_dtype(input, other, "matmul")
        r = gemm(input, other)
        return r if out is None else write_out(out, r)
    _same_dtype(input, other, "matmul")
    n, m = input._a.ndim, other._a.ndim
    if n == 0 or m == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {n}D and {m}D")
    graph = grad_mode.enabled and (input._fn is not None or other._fn is not None)
    if n <= 2 and m <= 2 and not graph and input._a.shape[-1] == other._a.shape[0]:
        # A vector is a matrix here without the bookkeeping of views.
        a = input if n == 2 else wrap(input._a[None])
        r = gemm(a, other if m == 2 else wrap(other._a[:, None]))
        r._a = r._a.reshape(input._a.shape[: n - 1] + other._a.shape[1:])
    elif n == 1 and m == 1:
        r = dot(input, other)
    elif m == 1:
        r = squeeze(matmul(input, unsqueeze(other, 1)), -1)
    elif n == 1:
        r = squeeze(matmul(unsqueeze(input, 0), other), -2)
    elif m == 2:  # one matrix on the right: the batch is just more rows
        s = input._a.shape
        _check_inner(s, other._a.shape)
        r = reshape(
            gemm(reshape(input, -1 if s[-1] and input._a.size else _product(s[:-1]), s[-1]), other),
            s[:-1] + other._a.shape[-1:],
        )
    else:
        r = _batched(input, other)
    return r if out is None else write_out(out, r)


def _product(sizes):
    n = 1
    for s in sizes:
        n *= s
    return n


def _check_inner(s, o):
    if s[-1] != o[-2]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({_product(s[:-1])}x{s[-1]} and {o[-2]}x{o[-1]})"
        )


def _batched(input, other):
    s, o = input._a.shape, other._a.shape
    if s[-1] != o[-2]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [*, {s[-1]}] but got: {list(o)}."
        )
    try:
        batch = tuple(xp.broadcast_shapes(s[:-2], o[:-2]))
    except ValueError:
        raise RuntimeError(f"matmul: batch sizes {list(s[:-2])} and {list(o[:-2])} do not broadcast") from None
    count = _product(batch)
    a = reshape(_to_batch(input, batch), count, s[-2], s[-1])
    b = reshape(_to_batch(other, batch), count, o[-2], o[-1])
    return reshape(bmm(a, b), batch + (s[-2], o[-1]))


def _to_batch(t, batch):
    shape = batch + t._a.shape[-2:]
    return t if t._a.shape == shape else expand(t, shape)


def dot(input, tensor, *, out=None):
    """The inner product of two vectors."""
    _same_dtype(input, tensor, "dot")
    x, y = input._a, tensor._a
    if x.ndim != 1 or y.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {x.ndim}D and {y.ndim}D tensors")
    if x.size != y.size:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{x.size}] and src [{y.size}] to have the same number of elements, "
            f"but got {x.size} and {y.size} elements respectively"
        )
    return reshape(gemm(unsqueeze(input, 0), unsqueeze(tensor, 1)), ())


def mv(input, vec, *, out=None):
    """A matrix times a vector."""
    if _is_sparse(input, vec):
        return _sparse_matmul(input, vec)
    if input._a.ndim != 2 or vec._a.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {input._a.ndim}, {vec._a.ndim}")
    return matmul(input, vec)


def outer(input, vec2):
    """The outer product of two vectors."""
    from .elementwise import mul

    if input._a.ndim != 1 or vec2._a.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D argument, but got {input._a.ndim}-D and {vec2._a.ndim}-D")
    return mul(unsqueeze(input, 1), unsqueeze(vec2, 0))


ger = outer


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta·input + alpha·(mat1 @ mat2)."""
    if _autocast.depth:
        input, mat1, mat2 = _autocast.low(input, mat1, mat2)
    return _scaled_sum(input, mm(mat1, mat2), beta, alpha)


def addmv(input, mat, vec, *, beta=1, alpha=1):
    return _scaled_sum(input, mv(mat, vec), beta, alpha)


def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    if _autocast.depth:
        input, batch1, batch2 = _autocast.low(input, batch1, batch2)
    return _scaled_sum(input, bmm(batch1, batch2), beta, alpha)


def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    if _autocast.depth:
        input, batch1, batch2 = _autocast.low(input, batch1, batch2)
    from .reduce import sum as sum_

    return _scaled_sum(input, sum_(bmm(batch1, batch2), 0), beta, alpha)


def addr(input, vec1, vec2, *, beta=1, alpha=1):
    return _scaled_sum(input, outer(vec1, vec2), beta, alpha)


def _scaled_sum(input, product, beta, alpha):
    from .elementwise import add, mul

    if alpha != 1:
        product = mul(product, alpha)
    if beta == 0:
        return product
    return add(input if beta == 1 else mul(input, beta), product)


def chain_matmul(*matrices):
    r = matrices[0]
    for m in matrices[1:]:
        r = mm(r, m)
    return r
