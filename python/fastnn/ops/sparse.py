"""Sparse COO tensors: indices and values, for adjacency matrices of graphs. fastnn.sparse names the functions.

A SparseTensor has no array of its own: a function that does not know it fails where it asks for one. Its place in the
graph is that of its values.
"""

import builtins

from .. import dtypes as dt
from .._device import check_device, sparse_coo
from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Size, Tensor, check_dim, wrap
from .cast import cast
from .elementwise import add, div, mul
from .index import getitem, index_put_zeros
from .reduce import sum as dense_sum
from .unary import neg


class NotSparse(NotImplementedError):
    """A function of dense tensors was given a sparse one."""


class SparseTensor(Tensor):
    """A tensor of which only some elements are kept: `indices` [sparse_dim, nnz] and `values` [nnz, *dense sizes].

    An index may occur more than once, until coalesce() adds its values up."""

    __slots__ = ("_indices_", "_values_", "_shape", "_coalesced")
    is_sparse = True

    def __new__(cls, *args, **keywords):
        raise TypeError("a SparseTensor is made by sparse_coo_tensor or to_sparse")

    @property
    def _a(self):
        raise NotSparse(
            "this function is not implemented for sparse tensors (layout torch.sparse_coo); call .to_dense() first"
        )

    # ------------------------------------------------------------ what it is

    shape = property(lambda self: Size(self._shape))
    dtype = property(lambda self: self._values_.dtype)
    ndim = property(lambda self: len(self._shape))
    layout = property(lambda self: sparse_coo)
    itemsize = property(lambda self: self._values_.itemsize)

    def size(self, dim=None):
        return Size(self._shape) if dim is None else self._shape[check_dim(dim, len(self._shape))]

    def dim(self):
        return len(self._shape)

    ndimension = dim

    def numel(self):
        return Size(self._shape).numel()

    nelement = numel

    def __len__(self):
        return self._shape[0]

    def __hash__(self):
        return id(self)

    def _nnz(self):
        """How many values are kept."""
        return self._indices_._a.shape[1]

    def sparse_dim(self):
        return self._indices_._a.shape[0]

    def dense_dim(self):
        return self._values_._a.ndim - 1

    def is_coalesced(self):
        return self._coalesced

    def is_floating_point(self):
        return self._values_.is_floating_point()

    def is_contiguous(self, memory_format=None):
        raise NotSparse("Tensors of type SparseTensorImpl do not have is_contiguous")

    def __repr__(self, *, tensor_contents=None):
        def indented(t):
            return repr(t).replace("\n", "\n       ")

        grad = ", requires_grad=True" if self._fn is not None and self._fn.leaf else ""
        return (
            f"tensor(indices={indented(self._indices_)},\n       values={indented(self._values_.detach())},\n       "
            f"size={tuple(self._shape)}, nnz={self._nnz()}, layout=torch.sparse_coo{grad})"
        )

    def _indices(self):
        """The indices as they are, coalesced or not."""
        return self._indices_

    def _values(self):
        return self._values_

    def indices(self):
        self._check_coalesced("indices")
        return self._indices_

    def values(self):
        self._check_coalesced("values")
        return self._values_

    def _check_coalesced(self, what):
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    # ------------------------------------------------------------ the graph

    def requires_grad_(self, requires_grad=True):
        self._values_.requires_grad_(requires_grad)
        self._fn = self._values_._fn
        return self

    @property
    def grad(self):
        g = self._values_._grad
        return None if g is None else _sparse(self._indices_, g, self._shape, self._coalesced)

    @grad.setter
    def grad(self, value):
        if value is not None and not (isinstance(value, SparseTensor) and value._indices_ is self._indices_):
            raise TypeError("the gradient of a sparse tensor is sparse, with the same indices")
        self._values_._grad = None if value is None else value._values_

    def detach(self):
        return _sparse(self._indices_, self._values_.detach(), self._shape, self._coalesced)

    data = property(detach)

    def clone(self, *, memory_format=None):
        return _sparse(self._indices_.clone(), self._values_.clone(), self._shape, self._coalesced)

    def __reduce_ex__(self, protocol):
        return _rebuild, (self._indices_, self._values_.detach(), self._shape, self._coalesced, self._fn is not None)

    def __deepcopy__(self, memo):
        import copy

        r = _sparse(
            copy.deepcopy(self._indices_, memo), copy.deepcopy(self._values_, memo), self._shape, self._coalesced
        )
        memo[id(self)] = r
        return r

    # ------------------------------------------------------------ other forms

    def coalesce(self):
        """Each index once, in ascending order, its values added up."""
        if self._coalesced:
            return self
        index, size = self._indices_._a, self._shape[: self.sparse_dim()]
        flat = xp.zeros(index.shape[1], "int64")
        for row, n in zip(index, size, strict=True):
            flat = flat * n + row
        kept, inverse, _ = xp.unique(flat, None)
        rows = []
        rest = kept
        for n in reversed(size):
            rows.append(rest % n)
            rest = rest // n
        values = index_put_zeros(self._values_, (kept.size, *self._values_._a.shape[1:]), inverse.reshape(-1), False)
        return _sparse(wrap(xp.array(rows[::-1]).reshape(len(size), kept.size)), values, self._shape, True)

    def to_dense(self, dtype=None, *, masked_grad=None):
        """The tensor with every element, zeros where none was kept."""
        index = tuple(self._indices_._a)
        r = index_put_zeros(self._values_, self._shape, index, self._coalesced)
        return r if dtype is None else cast(r, dtype)

    def to_sparse(self, sparse_dim=None, *, layout=None):
        return self

    def _with(self, values, coalesced=None):
        return _sparse(self._indices_, values, self._shape, self._coalesced if coalesced is None else coalesced)

    def to(self, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None):
        """As Tensor.to: another dtype, or the CPU."""
        for a in args:
            if isinstance(a, Tensor):
                dtype = a.dtype
            elif isinstance(a, dt.dtype):
                dtype = a
            elif a is not None and not isinstance(a, bool):
                device = a
        _on_cpu(device, "to")
        if dtype is None or dtype is self.dtype:
            return self.clone() if copy else self
        return self._with(cast(self._values_, dtype))

    def type(self, dtype=None, non_blocking=False):
        return f"torch.sparse.{self.dtype.short}Tensor" if dtype is None else self.to(dt.as_dtype(dtype))

    def float(self):
        return self.to(dt.float32)

    def double(self):
        return self.to(dt.float64)

    def cpu(self, memory_format=None):
        return self

    def numpy(self, *, force=False):
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    __array__ = numpy

    def transpose(self, dim0, dim1):
        """Two sparse dimensions swapped."""
        i, j = check_dim(dim0, self.ndim), check_dim(dim1, self.ndim)
        if builtins.max(i, j) >= self.sparse_dim():
            raise RuntimeError("transpose: transposed dimensions must both be sparse ones")
        order = list(range(self.sparse_dim()))
        order[i], order[j] = order[j], order[i]
        shape = list(self._shape)
        shape[i], shape[j] = shape[j], shape[i]
        index = wrap(xp.contiguous_copy(self._indices_._a[order]))
        return _sparse(index, self._values_, tuple(shape), self._coalesced and i == j)

    def t(self):
        if self.ndim != 2:
            raise RuntimeError(f"t() expects a tensor with 2 dimensions, but self is {self.ndim}D")
        return self.transpose(0, 1)

    T = property(t)

    # ------------------------------------------------------------ arithmetic

    def neg(self):
        return self._with(neg(self._values_))

    def mul(self, other):
        """By a number, or by a tensor: only the elements kept are read."""
        if isinstance(other, SparseTensor):
            return _intersection(self, other)
        if isinstance(other, Tensor) and other._a.ndim:
            _check_shape(self, other, "mul")
            other = getitem(other, tuple(map(wrap, self._indices_._a)))
        return self._with(mul(self._values_, other))

    def div(self, other):
        """By a number or a 0-d tensor."""
        if isinstance(other, Tensor) and (other.is_sparse or other._a.ndim):
            raise NotSparse("div: a sparse tensor is divided by a number or a 0-d tensor alone")
        return self._with(div(self._values_, other))

    def add(self, other, *, alpha=1):
        """With another sparse tensor: sparse. With a dense one: dense."""
        if not isinstance(other, Tensor):
            raise TypeError("add(sparse, dense) expects two tensors: a number would fill the gaps")
        if not other.is_sparse:
            return add(self.to_dense(), other, alpha=alpha)
        if self._shape != other._shape or self.sparse_dim() != other.sparse_dim():
            raise RuntimeError(f"add: Expected sizes of self and other to match, but {self._shape} != {other._shape}")
        from .join import cat

        right = other._values_ if alpha == 1 else mul(other._values_, alpha)
        index = wrap(xp.array([[*a, *b] for a, b in zip(self._indices_._a, other._indices_._a, strict=True)]))
        return _sparse(cast(index, dt.int64), cat([self._values_, right]), self._shape, False).coalesce()

    def sub(self, other, *, alpha=1):
        return self.add(other, alpha=-alpha)

    def matmul(self, other):
        return matmul(self, other)

    mm = mv = spmm = __matmul__ = matmul

    def __rmatmul__(self, other):
        return matmul(other, self)

    def sum(self, dim=None, keepdim=False, dtype=None):
        return sum(self, dim, dtype)

    def abs(self):
        return self.coalesce()._with(self.coalesce()._values_.abs())

    def __eq__(self, other):
        return self is other

    __neg__, __mul__, __rmul__, __truediv__, __add__, __sub__ = neg, mul, mul, div, add, sub

    def __radd__(self, other):
        return self.add(other)

    def __getitem__(self, key):
        raise NotSparse("indexing is not implemented for sparse tensors; call .to_dense() first")

    def __iter__(self):
        raise NotSparse("iteration is not implemented for sparse tensors; call .to_dense() first")


def _rebuild(indices, values, shape, coalesced, requires_grad):
    r = _sparse(indices, values, shape, coalesced)
    return r.requires_grad_() if requires_grad else r


def _sparse(indices, values, shape, coalesced):
    t = object.__new__(SparseTensor)
    t._fn, t._ver, t._grad, t._view = values._fn, None, None, None
    t._indices_, t._values_, t._shape, t._coalesced = indices, values, tuple(shape), bool(coalesced)
    return t


def _check_shape(a, b, function):
    if tuple(a.shape) != tuple(b.shape):
        raise RuntimeError(f"{function}: sizes {list(a.shape)} and {list(b.shape)} do not match")


def _intersection(a, b):
    _check_shape(a, b, "mul")
    a, b = a.coalesce(), b.coalesce()
    dense = b.to_dense()
    there = index_put_zeros(wrap(xp.ones(b._nnz(), bool)), b._shape, tuple(b._indices_._a), True)._a
    keep = there[tuple(a._indices_._a)]
    index = wrap(xp.contiguous_copy(a._indices_._a[:, keep]))
    values = mul(getitem(a._values_, wrap(keep)), getitem(dense, tuple(map(wrap, index._a))))
    return _sparse(index, values, a._shape, True)


# ---------------------------------------------------------------- making


def _on_cpu(device, function):
    if check_device(device, function) is not xp:
        raise NotImplementedError(f"{function}: sparse tensors live on the CPU; use to_dense() before moving one")


def sparse_coo_tensor(
    indices, values=None, size=None, *, dtype=None, device=None, requires_grad=False, check_invariants=None,
    is_coalesced=None, pin_memory=False,
):  # fmt: skip
    """A sparse tensor of `values` [nnz, …] at `indices` [sparse_dim, nnz]; the size is the least that holds them unless
    given. sparse_coo_tensor(size) has no values."""
    from .create import as_tensor

    _on_cpu(device, "sparse_coo_tensor")
    if values is None:
        shape = tuple(indices)
        d = dt.get_default_dtype() if dtype is None else dtype
        return _sparse(wrap(xp.zeros((len(shape), 0), "int64")), wrap(xp.zeros(0, d.np)), shape, True)
    index = as_tensor(indices)
    v = values if isinstance(values, Tensor) else as_tensor(values)
    if dtype is not None:
        v = cast(v, dtype)
    a = index._a
    if a.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(a.shape)}")
    if a.size and a.dtype.kind not in "iu":
        raise RuntimeError(f"indices must be an int64 tensor, but got {index.dtype}")
    if v._a.ndim == 0:
        v = v.expand(a.shape[1])
    if v._a.shape[0] != a.shape[1]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {a.shape[1]}, nnz from values: "
            f"{v._a.shape[0]}"
        )
    if a.size and int(a.min()) < 0:
        raise RuntimeError(f"found negative index {int(a.min())} in indices")
    if size is None:
        size = (*((int(row.max()) + 1 if row.size else 0) for row in a), *v._a.shape[1:])
    size = tuple(int(n) for n in size)
    if len(size) != a.shape[0] + v._a.ndim - 1:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({a.shape[0]}) + dense_dim ({v._a.ndim - 1}), but got {len(size)}"
        )
    for d, (row, n) in enumerate(zip(a, size, strict=False)):
        if row.size and int(row.max()) >= n:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {d}, size is {n} but found index {int(row.max())}"
            )
    if v._a.shape[1:] != size[a.shape[0] :]:
        raise RuntimeError(
            f"values has incorrect size, expected {[a.shape[1], *size[a.shape[0] :]]}, got {list(v._a.shape)}"
        )
    if requires_grad and (v is values and v._fn is None):
        v = v.detach()
    r = _sparse(cast(index, dt.int64) if a.size else wrap(a.astype("int64")), v, size, bool(is_coalesced))
    return r.requires_grad_() if requires_grad else r


def to_sparse(input, sparse_dim=None, *, layout=None):
    """The elements that are not zero, as a sparse tensor; with sparse_dim, the slices over the first dimensions."""
    n = input._a.ndim
    sparse = n if sparse_dim is None or not isinstance(sparse_dim, int) else sparse_dim
    if not 0 <= sparse <= n or (sparse == 0 and n):
        raise RuntimeError(f"sparse_dim must be in [1, {n}], got {sparse_dim}")
    there = input._a != 0
    if sparse < n:
        there = there.any(tuple(range(sparse, n)))
    found = xp.nonzero(there)
    values = getitem(input, tuple(map(wrap, found)))
    return _sparse(wrap(xp.array(found).reshape(sparse, -1)), values, input._a.shape, True)


def to_dense(input, dtype=None, *, masked_grad=None):
    """input itself: it is dense."""
    return input if dtype is None else cast(input, dtype)


# ---------------------------------------------------------------- products


def coo_mm(rows, cols, values, dense, n):
    """Σ values[i]·dense[cols[i]] into row rows[i] of n: a sparse matrix times a dense one."""
    r = wrap(Tensor._k.coo_mm(_array(rows), _array(cols), values._a, dense._a, n))
    if (values._fn is not None or dense._fn is not None) and grad_mode.enabled:
        saved = (_array(rows), _array(cols), values._a, dense._a)
        record(r, sparse_mm_rule, (values._fn, dense._fn), saved, (None, None, values, dense))
    return r


def _array(v):
    return v._a if isinstance(v, Tensor) else v


def sparse_mm_rule(k, dy, saved, needs):
    rows, cols, values, dense = saved
    dv = dd = None
    if needs[0] is not None:
        dv = k.sum(k.mul(k.index_get(dy, rows), k.index_get(dense, cols)), (1,))
    if needs[1] is not None:
        dd = k.coo_mm(cols, rows, values, dy, dense.shape[0])
    return dv, dd


def mm(mat1, mat2, reduce=None):
    """The product of a sparse matrix and a dense or sparse one (or dense and dense)."""
    if reduce is not None:
        raise NotImplementedError(f"sparse.mm: reduce={reduce!r} is not implemented")
    return matmul(mat1, mat2)


def matmul(a, b):
    """a @ b where at least one is a sparse matrix; the result is dense, or sparse where both are."""
    if not a.is_sparse and not b.is_sparse:
        from .matmul import matmul as dense_matmul

        return dense_matmul(a, b)
    for t in (a, b):
        if t.is_sparse and (t.ndim != 2 or t.sparse_dim() != 2):
            raise RuntimeError(
                f"sparse matmul: expected sparse matrices, got {t.ndim} dimensions, {t.sparse_dim()} sparse"
            )
    if a.dtype is not b.dtype:
        raise RuntimeError(f"sparse matmul: expected both operands of one dtype, got {a.dtype} and {b.dtype}")
    if a.is_sparse and b.is_sparse:
        return to_sparse(matmul(a, b.to_dense()))
    if not a.is_sparse:  # a·S = (Sᵀ·aᵀ)ᵀ
        return matmul(b.t(), a if a._a.ndim == 1 else a.t()).t()
    vector = b._a.ndim == 1
    dense = b.unsqueeze(1) if vector else b
    if dense._a.ndim != 2 or dense._a.shape[0] != a._shape[1]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a._shape[0]}x{a._shape[1]} and {'x'.join(map(str, b._a.shape))})"
        )
    rows, cols = a._indices_._a
    r = coo_mm(rows, cols, a._values_, dense, a._shape[0])
    return r.squeeze(1) if vector else r


def addmm(mat, mat1, mat2, *, beta=1.0, alpha=1.0):
    """beta·mat + alpha·(mat1 @ mat2), mat1 sparse."""
    product = matmul(mat1, mat2)
    product = product if alpha == 1 else mul(product, alpha)
    return add(mat if beta == 1 else mul(mat, beta), product)


def sum(input, dim=None, dtype=None):
    """The sum over all elements, or over `dim`: dense where no sparse dimension is left, else sparse."""
    v = input._values_ if dtype is None else cast(input._values_, dtype)
    if dim is None:
        return dense_sum(v)
    dims = {check_dim(d, input.ndim) for d in ((dim,) if isinstance(dim, int) else dim)}
    n = input.sparse_dim()
    inner = [d - n + 1 for d in dims if d >= n]
    if inner:
        v = dense_sum(v, inner)
    keep = [d for d in range(n) if d not in dims]
    shape = tuple(s for d, s in enumerate(input._shape) if d not in dims)
    if not keep:
        return dense_sum(v, 0)
    if len(keep) == n:
        return _sparse(input._indices_, v, shape, input._coalesced)
    return _sparse(wrap(xp.contiguous_copy(input._indices_._a[keep])), v, shape, False).coalesce()


def softmax(input, dim, *, dtype=None):
    """softmax along dim over the elements that are kept: the others count as -inf."""
    return _softmax(input, dim, dtype, False)


def log_softmax(input, dim, *, dtype=None):
    """log_softmax along dim over the elements that are kept."""
    return _softmax(input, dim, dtype, True)


def _softmax(input, dim, dtype, logarithm):
    from .scatter_reduce import scatter_reduce
    from .unary import exp, log

    s = input.coalesce()
    s = s if dtype is None else s.to(dtype)
    i = check_dim(dim, s.ndim)
    if i >= s.sparse_dim() or s.dense_dim():
        raise NotImplementedError("sparse softmax: only over a sparse dimension of a tensor without dense ones")
    rest = [row for d, row in enumerate(s._indices_._a) if d != i]
    flat = xp.zeros(s._nnz(), "int64")
    for row, n in zip(rest, [n for d, n in enumerate(s._shape) if d != i], strict=True):
        flat = flat * n + row
    kept, group, _ = xp.unique(flat, None)
    group = wrap(group.reshape(-1))
    low = wrap(xp.full(kept.shape, -float("inf"), s._values_._a.dtype))
    highest = scatter_reduce(low, 0, group, s._values_.detach(), "amax")
    shifted = s._values_ - getitem(highest, group)
    total = index_put_zeros(exp(shifted), kept.shape, group._a, False)
    if logarithm:
        return s._with(shifted - getitem(log(total), group))
    return s._with(exp(shifted) / getitem(total, group))
