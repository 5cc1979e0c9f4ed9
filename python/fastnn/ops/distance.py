"""Distances between rows: cdist and pdist."""

from .._tape import grad_mode, own_version, record
from ..backend import xp
from ..tensor import Tensor, wrap
from ._common import GRAPH


def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm distance of every row of x1 from every row of x2: [..., P, R]; its gradient is 0 where it is 0."""
    from .matmul import _to_batch

    if x1._a.ndim < 2 or x2._a.ndim < 2:
        raise RuntimeError(f"cdist only supports at least 2D tensors, X1 got: {x1._a.ndim}D, X2 got: {x2._a.ndim}D")
    if x1._a.shape[-1] != x2._a.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1._a.shape[-1]} X2: {x2._a.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    for t in (x1, x2):
        if t._a.dtype.kind != "f":
            raise RuntimeError(f"cdist only supports floating-point dtypes, X1 got: {x1.dtype}, X2 got: {x2.dtype}")
    if x1._a.dtype != x2._a.dtype:
        raise RuntimeError(f"cdist: x1 and x2 must have the same dtype, got {x1.dtype} and {x2.dtype}")
    try:
        batch = tuple(xp.broadcast_shapes(x1._a.shape[:-2], x2._a.shape[:-2]))
    except ValueError:
        raise RuntimeError(
            f"cdist: batch sizes {list(x1._a.shape[:-2])} and {list(x2._a.shape[:-2])} do not broadcast"
        ) from None
    a, b = _to_batch(x1, batch), _to_batch(x2, batch)
    r = wrap(Tensor._k.cdist(a._a, b._a, float(p)))
    if (a._fn is not None or b._fn is not None) and grad_mode.enabled:
        saved = (a._a, b._a, r._a, float(p))
        record(r, cdist_rule, (a._fn, b._fn), saved, (a, b, own_version(r), None))
    return r


def cdist_rule(k, dy, saved, needs):
    x, z, y, p = saved
    if p == 0:
        return k.zeros(x.shape, dy.dtype), k.zeros(z.shape, dy.dtype)
    return k.cdist_backward(dy, x, z, y, p)


def cdist_backward(dy, x, z, y, p):
    """dy·(d|d|^(p-2))/y^(p-1) for each pair's differences d, 0 where y is 0."""
    k = GRAPH
    last = len(x.shape) - 1
    d = k.sub(k.unsqueeze(x, last), k.unsqueeze(z, last - 1))
    y, dy = k.unsqueeze(y, last + 1), k.unsqueeze(dy, last + 1)
    none = k.eq(y, 0.0)
    if p == 2:
        g = k.mul(d, k.where(none, 0.0, k.div(dy, k.where(none, 1.0, y))))
    elif p == 1:
        g = k.mul(dy, k.sign(d))
    elif p == float("inf"):
        g = k.mul(k.mul(dy, k.sign(d)), k.cast(k.eq(k.abs(d), y), x.dtype))
    else:
        size = k.abs(d)
        power = k.where(k.eq(d, 0.0), 0.0, k.pow(k.where(k.eq(d, 0.0), 1.0, size), p - 1.0))
        scale = k.where(none, 0.0, k.div(dy, k.pow(k.where(none, 1.0, y), p - 1.0)))
        g = k.mul(k.mul(k.sign(d), power), scale)
    return k.sum(g, (last,)), k.neg(k.sum(g, (last - 1,)))


def pdist(input, p=2.0):
    """The distances of all pairs of rows i < j, as a vector."""
    from .index import getitem

    if input._a.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input._a.ndim}D")
    if input._a.dtype.kind != "f":
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    n = input._a.shape[0]
    i, j = xp.nonzero(xp.on(input._a).tri_mask((n, n), 1, False))
    return getitem(cdist(input, input, p), (wrap(i), wrap(j)))
