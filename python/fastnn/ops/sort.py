"""Order: sort, topk, kthvalue, unique; and where values lie among others: searchsorted, bincount, isin."""

import operator

from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, check_dim, wrap
from ._common import numpy_dim, numpy_names, write_out
from .reduce import _picked


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


def sort(input, dim=-1, descending=False, stable=False, *, out=None, **numpy):
    """(values, indices) in order along dim; NaN counts as the largest. Equal values keep their order."""
    if numpy:
        dim = numpy_dim("sort", numpy, dim, default=-1)
    i = check_dim(dim, input._a.ndim)
    if input._a.ndim == 0:
        values, order = input, wrap(xp.on(input._a).zeros((), "int64"))
    else:
        values, order = _recorded(sort_rule, input, i, Tensor._k.sort(input._a, i, bool(descending)))
    if out is not None:
        values, order = write_out(out[0], values), write_out(out[1], order)
    return sort_result(values, order)


def _recorded(rule, input, dim, found):
    """(values, indices) of a kernel as tensors, the values as part of the graph."""
    values, order = wrap(found[0]), wrap(found[1])
    if input._fn is not None and grad_mode.enabled:
        record(values, rule, (input._fn,), (input._a.shape, dim, found[1]), ())
    return values, order


def sort_rule(k, dy, saved, needs):
    return (k.scatter_add_zeros(dy, *saved),)


def topk_rule(k, dy, saved, needs):
    return (k.scatter_add_zeros(dy, *saved),)


def argsort(input, dim=-1, descending=False, stable=False, **numpy):
    """The indices that sort input along dim."""
    if numpy:
        dim = numpy_dim("argsort", numpy, dim, default=-1)
    if input._fn is not None:
        input = wrap(input._a)
    return sort(input, dim, descending, stable)[1]


def msort(input):
    return sort(input, 0)[0]


def topk(input, k, dim=-1, largest=True, sorted=True, **numpy):
    """The k largest (smallest) elements along dim, and where they are."""
    if numpy:
        dim = numpy_dim("topk", numpy, dim, default=-1)
    i = check_dim(dim, input._a.ndim)
    if input._a.ndim == 0:
        return topk_result(input, wrap(xp.on(input._a).zeros((), "int64")))
    if not 0 <= k <= input._a.shape[i]:
        raise RuntimeError("selected index k out of range")
    return topk_result(*_recorded(topk_rule, input, i, Tensor._k.topk(input._a, operator.index(k), i, bool(largest))))


def kthvalue(input, k, dim=-1, keepdim=False, **numpy):
    """The k-th smallest element along dim (k from 1), and where it is."""
    if numpy:
        dim, keepdim = numpy_names("kthvalue", numpy, dim, keepdim, default=-1)
    i = check_dim(dim, input._a.ndim)
    n = input._a.shape[i] if input._a.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError("kthvalue(): selected number k out of range for dimension " + str(i))
    if input._a.ndim == 0:
        return kthvalue_result(*sort(input, i))
    values, index = Tensor._k.kthvalue(input._a, operator.index(k), i)
    return _picked(input, values if keepdim else values.squeeze(i), index, i, keepdim, kthvalue_result)


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in ascending order (slices along dim), with positions and counts where asked."""
    x = input._a
    if dim is None and x.size and x.dtype.kind in "fiub":
        return _unique_elements(input, return_inverse, return_counts)
    values, inverse, counts = xp.unique(x, None if dim is None else check_dim(dim, x.ndim))
    return _unique_results(input, values, inverse, counts, return_inverse, return_counts, dim)


def _unique_elements(input, return_inverse, return_counts):
    k = Tensor._k
    ordered, order = k.sort(input._a.reshape(-1), 0, False)
    first = xp.on(ordered).ones(ordered.size, bool)
    first[1:] = ordered[1:] != ordered[:-1]  # a NaN equals none
    starts = k.nonzero(first).reshape(-1)
    values = k.index_select(ordered, 0, starts)
    inverse = counts = None
    if return_inverse:
        inverse = xp.on(ordered).empty(ordered.size, "int64")
        inverse[order] = k.cumsum(first, 0) - 1
    if return_counts:
        counts = xp.on(ordered).full(starts.shape, ordered.size, "int64")
        counts[:-1] = starts[1:]
        counts -= starts
    return _unique_results(input, values, inverse, counts, return_inverse, return_counts, None)


def _unique_results(input, values, inverse, counts, return_inverse, return_counts, dim):
    out = [wrap(values)]
    if return_inverse:
        out.append(wrap(inverse.reshape(input._a.shape) if dim is None else inverse.reshape(-1)))
    if return_counts:
        out.append(wrap(counts))
    return out[0] if len(out) == 1 else tuple(out)


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """Runs of equal elements (of equal slices along dim) as one each, with positions and lengths where asked."""
    x = input._a
    if dim is not None:
        i = check_dim(dim, x.ndim)
        if x.ndim and 0 in x.shape[:i] + x.shape[i + 1 :] and x.shape[i]:
            raise RuntimeError(
                "There are 0 sized dimensions, and they aren't selected by `dim`, so unique cannot be applied"
            )
        rows = (
            xp.contiguous(x.swapaxes(0, i)).reshape(x.shape[i], x.size // max(x.shape[i], 1))
            if x.ndim
            else x.reshape(1, 1)
        )
    else:
        rows = x.reshape(-1, 1)
    n = rows.shape[0]
    first = xp.on(x).ones(n, bool)
    if n > 1:
        first[1:] = (rows[1:] != rows[:-1]).any(1)
    starts = xp.nonzero(first)[0]
    inverse = first.cumsum() - 1
    counts = xp.bincount(inverse, None, 0) if n else xp.on(x).zeros(0, "int64")
    if dim is None:
        values = x.reshape(-1)[starts]
    else:
        values = x[(slice(None),) * i + (starts,)] if x.ndim else x
    return _unique_results(input, values, inverse, counts, return_inverse, return_counts, dim)


def bincount(input, weights=None, minlength=0):
    """How often each non-negative integer occurs."""
    a = input._a
    if a.ndim != 1 or a.dtype.kind not in "iu" or (a.size and a.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    return wrap(xp.bincount(a, None if weights is None else weights._a, minlength))


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None, out=None):
    """Where each value would go in a sorted vector, or in the sorted rows of the same leading sizes; `sorter` orders
    rows that are not. side 'right' is after equal ones."""
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    rows = sorted_sequence._a
    if isinstance(input, Tensor):
        v = input._a
    elif rows.ndim == 1:
        v = xp.asarray(input)
    else:
        raise RuntimeError(
            f"torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, but we got "
            f"boundaries tensor dim({rows.ndim}) and input value's dim(0) numel(1)"
        )
    if rows.ndim == 0:
        raise RuntimeError(
            "torch.searchsorted(): input value's dimension is larger than 0 but boundaries tensor has no dimension"
        )
    if rows.ndim > 1 and (v.ndim != rows.ndim or v.shape[:-1] != rows.shape[:-1]):
        raise RuntimeError(
            f"torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor "
            f"and input value tensor must match, but we got boundaries tensor {list(rows.shape)} and input value tensor "
            f"{list(v.shape)}"
        )
    if isinstance(input, Tensor) and v.dtype != rows.dtype:
        raise RuntimeError(
            f"torch.searchsorted(): boundary tensor and input value tensor should have same dtype, but got boundary tensor "
            f"dtype {sorted_sequence.dtype.short} and input value tensor dtype {input.dtype.short}"
        )
    if sorter is not None:
        if sorter._a.shape != rows.shape:
            raise RuntimeError(
                f"torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
                f"{list(rows.shape)} and got sorter tensor {list(sorter._a.shape)}"
            )
        if sorter._a.dtype.name != "int64":
            raise RuntimeError(
                f"torch.searchsorted(): sorter must be a tensor of long dtype but got dtype {sorter.dtype.short}"
            )
        if sorter._a.size and (sorter._a.min() < 0 or sorter._a.max() >= rows.shape[-1]):
            raise RuntimeError("torch.searchsorted(): sorter index out of range")
        rows = Tensor._k.gather(rows, rows.ndim - 1, sorter._a)
    side = side or ("right" if right else "left")
    found = xp.searchsorted(rows, v, side) if rows.ndim == 1 else Tensor._k.search_rows(rows, v, side)
    r = wrap(xp.asarray(found).astype("int32" if out_int32 else "int64"))
    if out is not None and out._a.dtype != r._a.dtype:
        raise RuntimeError(f"torch.searchsorted(): output tensor's dtype is wrong, it can only be {r.dtype.short}")
    return r if out is None else write_out(out, r)


def bucketize(input, boundaries, *, out_int32=False, right=False, out=None):
    """The index of the bucket between sorted boundaries that each value lies in."""
    if boundaries._a.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries._a.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)


def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Whether each element is among the others (with invert: is not)."""
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin(): one of elements and test_elements must be a Tensor")
    x, y = (v._a if isinstance(v, Tensor) else xp.asarray(v) for v in (elements, test_elements))
    found = xp.asarray(xp.isin(x, y))
    return wrap(~found if invert else found)
