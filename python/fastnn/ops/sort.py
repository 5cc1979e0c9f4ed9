"""Order: sort, topk, kthvalue, unique; and where values lie among others: searchsorted, bincount, isin."""

import operator

from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from .gather import gather


class _Pair(tuple):
    """(values, indices) with names, printed as torch's."""

    __slots__ = ()
    _name = "sort"
    values = property(operator.itemgetter(0))
    indices = property(operator.itemgetter(1))

    def __new__(cls, values, indices):
        return tuple.__new__(cls, (values, indices))

    def __repr__(self):
        return f"torch.return_types.{self._name}(\nvalues={self[0]!r},\nindices={self[1]!r})"

    def __getnewargs__(self):
        return tuple(self)


class sort_result(_Pair):
    _name = "sort"


class topk_result(_Pair):
    _name = "topk"


class kthvalue_result(_Pair):
    _name = "kthvalue"


def sort(input, dim=-1, descending=False, stable=False):
    """(values, indices) in order along dim; NaN counts as the largest. Equal values keep their order."""
    i = check_dim(dim, input._a.ndim)
    if input._a.ndim == 0:
        return sort_result(input, wrap(xp.zeros((), "int64")))
    order = wrap(Tensor._k.sorting(input._a, i, descending, True))
    return sort_result(gather(input, i, order), order)


def argsort(input, dim=-1, descending=False, stable=False):
    return sort(input, dim, descending, stable)[1]


def msort(input):
    return sort(input, 0)[0]


def topk(input, k, dim=-1, largest=True, sorted=True):
    """The k largest (smallest) elements along dim, and where they are."""
    from .join import narrow

    i = check_dim(dim, input._a.ndim)
    if input._a.ndim == 0:
        return topk_result(input, wrap(xp.zeros((), "int64")))
    if not 0 <= k <= input._a.shape[i]:
        raise RuntimeError("selected index k out of range")
    order = wrap(Tensor._k.sorting(input._a, i, largest, True))
    order = wrap(xp.contiguous_copy(narrow(order, i, 0, k)._a))
    return topk_result(gather(input, i, order), order)


def kthvalue(input, k, dim=-1, keepdim=False):
    """The k-th smallest element along dim (k from 1), and where it is."""
    from .join import select
    from .shape import unsqueeze

    i = check_dim(dim, input._a.ndim)
    n = input._a.shape[i] if input._a.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError("kthvalue(): selected number k out of range for dimension " + str(i))
    values, order = sort(input, i)
    if input._a.ndim == 0:
        return kthvalue_result(values, order)
    values, order = select(values, i, k - 1), wrap(select(order, i, k - 1)._a.copy())
    if keepdim:
        values, order = unsqueeze(values, i), unsqueeze(order, i)
    return kthvalue_result(values, order)


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in ascending order (slices along dim), with positions and counts where asked."""
    values, inverse, counts = xp.unique(input._a, dim)
    out = [wrap(values)]
    if return_inverse:
        out.append(wrap(inverse.reshape(input._a.shape) if dim is None else inverse.reshape(-1)))
    if return_counts:
        out.append(wrap(counts))
    return out[0] if len(out) == 1 else tuple(out)


def bincount(input, weights=None, minlength=0):
    """How often each non-negative integer occurs."""
    a = input._a
    if a.ndim != 1 or a.dtype.kind not in "iu" or (a.size and a.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    return wrap(xp.bincount(a, None if weights is None else weights._a, minlength))


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None):
    """Where each value would go in a sorted vector."""
    v = input._a if isinstance(input, Tensor) else xp.asarray(input)
    side = side or ("right" if right else "left")
    return wrap(xp.asarray(xp.searchsorted(sorted_sequence._a, v, side)).astype("int32" if out_int32 else "int64"))


def bucketize(input, boundaries, *, out_int32=False, right=False):
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def isin(elements, test_elements):
    """Whether each element is among the others."""
    return wrap(
        xp.asarray(xp.isin(elements._a, test_elements._a if isinstance(test_elements, Tensor) else test_elements))
    )
