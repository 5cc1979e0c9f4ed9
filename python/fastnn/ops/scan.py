"""Along one dimension, element after element: running extremes, running log-sums, differences, integrals."""

from .. import dtypes as dt
from .._tape import grad_mode, own_version, record, record_many
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import missing_dim, numpy_dim, write_out
from .cast import cast
from .elementwise import add, div, mul, sub
from .join import cat, narrow
from .reduce import cummax_result, cummin_result, cumsum, select_rule
from .reduce import sum as sum_
from .shape import unsqueeze
from .unary import operand


def _running(name, result):
    def rule(k, dy, saved, needs):
        return select_rule(k, dy, saved, needs)

    rule.__name__ = rule.__qualname__ = name + "_rule"

    def extreme(input, dim=None, *, out=None, **numpy):
        if numpy:
            dim = numpy_dim(name, numpy, dim)
        if dim is None:
            raise missing_dim(name)
        t = operand(input, name)
        x = t._a
        dim = check_dim(dim, x.ndim)
        values, index = getattr(Tensor._k, name)(x, dim)
        v, i = wrap(values), wrap(index)
        if t._fn is not None and grad_mode.enabled:
            record_many((v, i), rule, (t._fn,), (x.shape, dim, index, True), ())
        if out is not None:
            v, i = write_out(out[0], v), write_out(out[1], i)
        return result(v, i)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = (
        f"(values, indices): the {name[3:]}imum up to each element along dim, the last of equal ones; NaN stays."
    )
    return extreme


cummax, cummin = _running("cummax", cummax_result), _running("cummin", cummin_result)


def logcumsumexp(input, dim=None, *, out=None, **numpy):
    """ln of the running sums of e^input along dim, without overflow."""
    if numpy:
        dim = numpy_dim("logcumsumexp", numpy, dim)
    if dim is None:
        raise missing_dim("logcumsumexp")
    t = operand(input, "logcumsumexp")
    x = t._a
    if x.dtype.kind in "iub":
        raise NotImplementedError(f"\"logcumsumexp_out_cpu\" not implemented for '{t.dtype.short}'")
    dim = check_dim(dim, x.ndim)
    r = wrap(Tensor._k.logcumsumexp(x, dim))
    if t._fn is not None and grad_mode.enabled:
        record(r, logcumsumexp_rule, (t._fn,), (x, r._a, dim), (t, own_version(r), None))
    return r if out is None else write_out(out, r)


def logcumsumexp_rule(k, dy, saved, needs):
    """e^x · Σ_{j≥i} dyⱼ·e^-yⱼ: by logarithms of dy's positive and negative parts, so that nothing overflows."""
    x, y, dim = saved
    if not len(x.shape):
        return (dy,)

    def backwards(v):
        return k.flip(k.logcumsumexp(k.flip(v, (dim,)), dim), (dim,))

    def part(positive):
        size = k.where(positive, k.abs(dy), 1.0)
        logs = k.where(positive, k.sub(k.log(size), y), -float("inf"))
        return k.exp(k.add(backwards(logs), x))

    return (k.sub(part(k.gt(dy, 0.0)), part(k.lt(dy, 0.0))),)


def diff(input, n=1, dim=-1, prepend=None, append=None, *, out=None, **numpy):
    """The n-th differences of neighbours along dim."""
    if numpy:
        dim = numpy_dim("diff", numpy, dim, default=-1)
    t = operand(input, "diff")
    if t._a.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    dim = check_dim(dim, t._a.ndim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    for v, name in ((prepend, "prepend"), (append, "append")):
        if v is not None and v._a.ndim != t._a.ndim:
            raise RuntimeError(
                f"diff expects prepend or append to be the same dimension as input: {name} has {v._a.ndim}"
            )
    if n == 0:
        return t if out is None else write_out(out, t)
    parts = [v for v in (prepend, t, append) if v is not None]
    r = cat(parts, dim) if len(parts) > 1 else t
    for _ in range(min(n, r._a.shape[dim])):
        size = r._a.shape[dim]
        a, b = narrow(r, dim, 1, size - 1), narrow(r, dim, 0, size - 1)
        if r._a.dtype.kind == "b":
            from .elementwise import logical_xor

            r = logical_xor(a, b)
        else:
            r = sub(a, b)
    return r if out is None else write_out(out, r)


def _spacing(y, x, dx, dim, function):
    """The distances between neighbours along dim: a number, or a tensor that broadcasts to y's pairs."""
    if x is None:
        return dx
    if x._a.ndim == 0 or x._a.shape[-1] == 0 and y._a.shape[dim]:
        raise RuntimeError(
            f"{function}: Expected the values of `x` to have at least one dimension, got {list(x._a.shape)}"
        )
    if x._a.ndim == 1:
        if x._a.shape[0] != y._a.shape[dim]:
            raise RuntimeError(
                f"{function}: There must be one `x` value for each sample point, got {x._a.shape[0]} and {y._a.shape[dim]}"
            )
        d = diff(x)
        for _ in range(y._a.ndim - 1 - dim):
            d = unsqueeze(d, -1)
        return d
    while x._a.ndim < y._a.ndim:
        x = unsqueeze(x, 0)
    if x._a.shape[dim] not in (1, y._a.shape[dim]):
        raise RuntimeError(f"{function}: There must be one `x` value for each sample point")
    return diff(x, 1, dim) if x._a.shape[dim] > 1 else sub(x, x)


def _areas(y, x, dx, dim, function):
    t = operand(y, function)
    if t._a.ndim == 0:
        raise (
            RuntimeError(f"{function}: Expected `y` to have at least one dimension")
            if x is not None
            else _no_dimension()
        )
    dim = check_dim(dim, t._a.ndim)
    if t._a.dtype.kind == "b" or (x is not None and x._a.dtype.kind == "b"):
        raise RuntimeError(f"{function}: received a bool input for `x` or `y`, but bool is not supported")
    n = t._a.shape[dim]
    if n < 1:
        return None, t, dim
    pairs = add(narrow(t, dim, 1, n - 1), narrow(t, dim, 0, n - 1))
    return mul(mul(pairs, _spacing(t, x, dx, dim, function)), 0.5), t, dim


def _no_dimension():
    return IndexError("Dimension specified as -1 but tensor has no dimensions")


def trapezoid(y, x=None, *, dx=1, dim=-1, **numpy):
    """The integral of y over dim by the trapezoid rule: points x, or dx apart."""
    if numpy:
        dim = numpy_dim("trapezoid", numpy, dim, default=-1)
    areas, t, dim = _areas(y, x, dx, dim, "trapezoid")
    return sum_(t, dim) if areas is None else sum_(areas, dim)


trapz = trapezoid


def cumulative_trapezoid(y, x=None, *, dx=1, dim=-1):
    """The running integral of y along dim: one element fewer."""
    areas, t, dim = _areas(y, x, dx, dim, "cumulative_trapezoid")
    return t if areas is None else cumsum(areas, dim)


def gradient(input, *, spacing=None, dim=None, edge_order=1):
    """The derivative of samples by second-order differences, one tensor a dimension.

    spacing: one number, or one number or one tensor of coordinates a dimension; edge_order 1 or 2 at the ends."""
    t = operand(input, "gradient")
    n = t._a.ndim
    dims = list(range(n)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = [check_dim(d, n) for d in dims]
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"dim {max(dims, key=dims.count)} appears multiple times in the list of dims")
    if spacing is None:
        spacing = 1.0
    spaces = list(spacing) if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if isinstance(spacing, Tensor) and len(dims) != 1 or len(spaces) != len(dims):
        raise RuntimeError(
            f"torch.gradient expected spacing to be unspecified, a scalar, or it's spacing and dim arguments to have the "
            f"same length, but got a spacing argument of length {len(spaces)} and a dim argument of length {len(dims)}."
        )
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if t._a.dtype.name == "uint8":
        raise RuntimeError("torch.gradient does not support uint8 input.")
    if any(isinstance(s, Tensor) and s._a.ndim not in (0, 1) for s in spaces):
        raise RuntimeError("torch.gradient expected each element of spacing to have one dimension")
    for d in dims:
        if t._a.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    if t._a.dtype.kind in "iub":
        t = cast(t, dt.get_default_dtype())
    return tuple(_gradient(t, s, d, edge_order) for s, d in zip(spaces, dims, strict=True))


def _gradient(t, space, dim, edge_order):
    n = t._a.shape[dim]

    def part(i, j):
        return narrow(t, dim, i, j - i)

    if isinstance(space, Tensor) and space._a.ndim == 1:
        if space._a.size != n:
            raise RuntimeError(
                f"torch.gradient expected each element of spacing to have as many values as the dimension, {n}, got "
                f"{space._a.size}"
            )
        h = space._a[1:] - space._a[:-1]
    else:
        h = xp.full((n - 1,), space.item() if isinstance(space, Tensor) else space, "float64")
    shape = (-1,) + (1,) * (t._a.ndim - 1 - dim)

    def weight(a):
        return wrap(xp.on(t._a).asarray(a, t._a.dtype).reshape(shape))

    h1, h2 = h[:-1], h[1:]
    inner = add(
        add(mul(part(0, n - 2), weight(-h2 / (h1 * (h1 + h2)))), mul(part(1, n - 1), weight((h2 - h1) / (h1 * h2)))),
        mul(part(2, n), weight(h1 / (h2 * (h1 + h2)))),
    )
    if edge_order == 1:
        first = div(sub(part(1, 2), part(0, 1)), float(h[0]))
        last = div(sub(part(n - 1, n), part(n - 2, n - 1)), float(h[-1]))
    else:
        a, b = float(h[0]), float(h[1])
        first = add(
            add(mul(part(0, 1), -(2 * a + b) / (a * (a + b))), mul(part(1, 2), (a + b) / (a * b))),
            mul(part(2, 3), -a / (b * (a + b))),
        )
        a, b = float(h[-2]), float(h[-1])
        last = add(
            add(mul(part(n - 3, n - 2), b / (a * (a + b))), mul(part(n - 2, n - 1), -(a + b) / (a * b))),
            mul(part(n - 1, n), (2 * b + a) / (b * (a + b))),
        )
    return cat([first, inner, last] if n > 2 else [first, last], dim)


def vander(x, N=None, increasing=False):
    """Powers of the vector x as columns, the highest first unless `increasing`."""
    from .arrange import flip

    if x._a.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x._a.size if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    r = linalg_vander(x, N=n)
    return r if increasing else flip(r, -1)


def linalg_vander(x, *, N=None):
    """linalg.vander: 1, x, x² … in a last dimension of size N."""
    from .create import ones_like
    from .reduce import cumprod
    from .shape import expand

    t = operand(x, "linalg.vander")
    if t._a.ndim == 0:
        t = unsqueeze(t, 0)
    n = t._a.shape[-1] if N is None else N
    if n < 0 or (N is not None and N < 1):
        raise RuntimeError(f"N must be greater than 1, got {n}")
    if t._a.dtype.kind in "iub":
        t = cast(t, dt.int64)
    column = unsqueeze(t, -1)
    rest = expand(column, (*t._a.shape, max(n - 1, 0)))
    return narrow(cumprod(cat([ones_like(column), rest], -1), -1), -1, 0, n)
