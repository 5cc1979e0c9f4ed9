"""The operations as methods and operators of Tensor, under torch's names: one table."""

from . import dtypes, ops
from ._functions import LATER, method
from .backend import xp
from .ops.elementwise import check_not_number
from .tensor import Tensor, shared_version

# Functions whose first argument is the tensor: the method is the function.
_METHODS = """
add sub mul div floor_divide remainder fmod pow maximum minimum atan2 lerp addcmul addcdiv
eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor
bitwise_left_shift bitwise_right_shift
add_ sub_ mul_ div_ pow_ remainder_ fmod_ floor_divide_ addcmul_ addcdiv_ lerp_ bitwise_and_ bitwise_or_ bitwise_xor_
logical_and_ logical_or_ eq_ ne_ lt_ le_ gt_ ge_ copy_
neg abs sign exp expm1 exp2 log log1p log2 log10 sqrt rsqrt reciprocal square sin cos tan asin acos atan sinh cosh tanh
sigmoid erf erfc erfinv floor ceil round trunc frac isnan isinf isfinite logical_not bitwise_not positive deg2rad rad2deg
clamp clip clamp_min clamp_max nan_to_num
neg_ abs_ sign_ exp_ expm1_ exp2_ log_ log1p_ log2_ log10_ sqrt_ rsqrt_ reciprocal_ square_ sin_ cos_ tan_ asin_ acos_
atan_ sinh_ cosh_ tanh_ sigmoid_ erf_ floor_ ceil_ round_ trunc_ frac_ clamp_ clip_ clamp_min_ clamp_max_ nan_to_num_
relu relu_ softmax log_softmax prelu
sum mean prod amax amin max min argmax argmin any all var std norm logsumexp cumsum cumprod median std count_nonzero nansum
dist aminmax sum_to
reshape view view_as reshape_as flatten ravel unflatten squeeze unsqueeze permute transpose swapaxes swapdims t adjoint
movedim moveaxis expand broadcast_to expand_as repeat tile repeat_interleave narrow select split chunk tensor_split unbind
clone contiguous flip fliplr flipud roll tril triu diagonal diag diag_embed trace unfold as_strided resize_
squeeze_ unsqueeze_ transpose_ t_
index_select gather scatter scatter_add index_add index_copy index_fill index_put index_put_ take masked_fill
masked_select masked_scatter nonzero argwhere sort argsort msort topk kthvalue unique bincount
scatter_ scatter_add_ index_add_ index_copy_ index_fill_ masked_scatter_ masked_fill_
mm bmm matmul dot mv outer ger addmm addmv baddbmm addbmm addr
to type float double half bfloat16 long int short char byte type_as cpu cuda
new_zeros new_ones new_empty new_full new_tensor fill_ zero_ fill_diagonal_
uniform_ normal_ random_ bernoulli_ exponential_ geometric_ cauchy_ log_normal_ bernoulli multinomial
allclose equal isclose
acosh asinh atanh sgn angle conj conj_physical resolve_conj resolve_neg is_conj is_neg isreal isposinf isneginf signbit
copysign hypot logaddexp logaddexp2 heaviside gcd lcm nextafter float_power fmax fmin ldexp frexp xlogy cross vdot inner
kron logit sinc lgamma digamma mvlgamma i0 igamma igammac cummax cummin logcumsumexp diff quantile nanquantile nanmedian
nanmean mode histc histogram cov corrcoef renorm unique_consecutive scatter_reduce index_reduce select_scatter slice_scatter
diagonal_scatter as_strided_scatter put rot90 diagflat hsplit vsplit dsplit split_with_sizes unsafe_split var_mean std_mean
acosh_ asinh_ atanh_ erfc_ erfinv_ lgamma_ digamma_ sinc_ i0_ copysign_ float_power_ hypot_ gcd_ lcm_ heaviside_ nextafter_
xlogy_ ldexp_ scatter_reduce_ index_reduce_ put_ tril_ triu_ resize_as_ round_ bitwise_not_ logical_not_ bitwise_left_shift_
bitwise_right_shift_ negative_ absolute_ take_along_dim sum_to_size isin is_nonzero new_empty_strided
addbmm_ addmm_ addmv_ addr_ baddbmm_ atan2_ cumprod_ cumsum_ deg2rad_ rad2deg_ logit_ logical_xor_ igamma_ igammac_ mvlgamma_
renorm_ sgn_ conj_physical_ polygamma_ swapaxes_ unsafe_split_with_sizes
""".split()

_ALIASES = {
    "bool": "bool_",
    "absolute": "abs",
    "absolute_": "abs_",
    "subtract": "sub",
    "subtract_": "sub_",
    "multiply": "mul",
    "multiply_": "mul_",
    "divide": "div",
    "divide_": "div_",
    "true_divide": "div",
    "true_divide_": "div_",
    "negative": "neg",
    "negative_": "neg_",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "not_equal": "ne",
    "arccos": "acos",
    "arcsin": "asin",
    "arctan": "atan",
    "arctan2": "atan2",
    "fix": "trunc",
    "arccosh": "acosh",
    "arcsinh": "asinh",
    "arctanh": "atanh",
    "clip_": "clamp_",
    "arccos_": "acos_",
    "arcsin_": "asin_",
    "arctan_": "atan_",
    "less_": "lt_",
    "less_equal_": "le_",
    "greater_equal_": "ge_",
    "not_equal_": "ne_",
    "arctan2_": "atan2_",
    "arccosh_": "acosh_",
    "arcsinh_": "asinh_",
    "arctanh_": "atanh_",
    "fix_": "trunc_",
    "swapdims_": "swapaxes_",
    "greater_": "gt_",
    "multigammaln": "mvlgamma",
    "unsafe_chunk": "chunk",
    "__getitem__": "getitem",
    "__setitem__": "setitem",
    "__neg__": "neg",
    "__pos__": "positive",
    "__abs__": "abs",
    "__invert__": "bitwise_not",
    "__matmul__": "matmul",
}
for _name in LATER:
    setattr(Tensor, _name, method(_name))
for _name in _METHODS:
    setattr(Tensor, _name, getattr(ops, _name))
for _name, _op in _ALIASES.items():
    setattr(Tensor, _name, getattr(ops, _op))


def _number_like(v):
    return isinstance(v, (Tensor, int, float, complex, xp.generic, xp.ndarray))


def _operator(op, reflected=False):
    """A binary operator: NotImplemented for operands that are neither tensor, array nor number."""
    if reflected:

        def method(self, other):
            if not _number_like(other):
                return NotImplemented
            check_not_number(self, op.__name__)
            return op(other, self)

    else:

        def method(self, other):
            if not _number_like(other):
                return NotImplemented
            return op(self, other)

    return method


# + - * / are judged by the microsecond: the ops themselves, which raise TypeError for strange operands.
Tensor.__add__ = ops.add
Tensor.__sub__ = ops.sub
Tensor.__mul__ = ops.mul
Tensor.__truediv__ = ops.div


def _radd(self, other):
    check_not_number(self, "__radd__")
    return ops.add(self, other)


def _rmul(self, other):
    check_not_number(self, "__rmul__")
    return ops.mul(self, other)


Tensor.__radd__, Tensor.__rmul__ = _radd, _rmul
for _dunder, _op in {
    "floordiv": ops.floor_divide,
    "mod": ops.remainder,
    "pow": ops.pow,
    "and": ops.bitwise_and,
    "or": ops.bitwise_or,
    "xor": ops.bitwise_xor,
    "lshift": ops.bitwise_left_shift,
    "rshift": ops.bitwise_right_shift,
}.items():
    setattr(Tensor, f"__{_dunder}__", _operator(_op))
    setattr(Tensor, f"__r{_dunder}__", _operator(_op, reflected=True))
Tensor.__rsub__ = _operator(ops.sub, reflected=True)
Tensor.__rtruediv__ = _operator(ops.div, reflected=True)
for _dunder, _op in {
    "iadd": ops.add_,
    "isub": ops.sub_,
    "imul": ops.mul_,
    "itruediv": ops.div_,
    "ifloordiv": ops.floor_divide_,
    "imod": ops.remainder_,
    "ipow": ops.pow_,
    "iand": ops.bitwise_and_,
    "ior": ops.bitwise_or_,
    "ixor": ops.bitwise_xor_,
    "ilshift": ops.bitwise_left_shift_,
    "irshift": ops.bitwise_right_shift_,
}.items():
    setattr(Tensor, f"__{_dunder}__", _op)


def _comparison(op, otherwise):
    def compare(self, other):
        if not _number_like(other):
            return otherwise
        return op(self, other)

    return compare


Tensor.__eq__ = _comparison(ops.eq, False)
Tensor.__ne__ = _comparison(ops.ne, True)
for _dunder in ("lt", "le", "gt", "ge"):
    setattr(Tensor, f"__{_dunder}__", _operator(getattr(ops, _dunder)))


def _iter(self):
    if self._a.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(ops.unbind(self, 0))


def _contains(self, element):
    if not isinstance(element, (Tensor, int, float, complex)):
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
    return bool(ops.eq(self, element)._a.any())


def _apply_(self, callable):
    flat = self._a.reshape(-1)
    self._a[...] = xp.array([callable(v) for v in flat.tolist()]).astype(self._a.dtype).reshape(self._a.shape)
    self._bump()
    return self


def _new(self, *size):
    if len(size) == 1 and not isinstance(size[0], int):
        return ops.tensor(size[0], dtype=self.dtype)
    return ops.empty(*(size or (0,)), dtype=self.dtype)


def _no_deletion(self, key):
    raise TypeError("Tensor does not support deleting items")


def _polygamma(self, n):
    """The n-th derivative of digamma."""
    return ops.polygamma(n, self)


def _resize(self, *sizes):
    """A deprecated name of reshape for tensors of as many elements."""
    return ops.resize_(self.detach().clone(), *sizes)


def _where(self, condition, other):
    """self where condition, else other."""
    return ops.where(condition, self, other)


def _as_subclass(self, cls):
    """The same memory and history under a subclass of Tensor."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass(): cls must be a subclass of Tensor, not {cls!r}")
    t = object.__new__(cls)
    t._a, t._fn, t._ver, t._grad, t._view = self._a, self._fn, shared_version(self), None, self._view
    return t


def _of_sparse(name):
    def method(self):
        raise RuntimeError(
            f"{name} expected sparse tensor layout (torch.sparse_coo) but got Strided: use to_sparse() first"
        )

    method.__name__ = method.__qualname__ = name
    return method


def _reinforce(self, reward):
    """Removed from torch in 0.4."""
    raise RuntimeError(
        "reinforce() was removed. Use torch.distributions instead: m = Categorical(probs); action = m.sample(); "
        "loss = -m.log_prob(action) * reward; loss.backward()"
    )


for _name in (
    "indices",
    "values",
    "_indices",
    "_values",
    "coalesce",
    "is_coalesced",
    "sparse_dim",
    "dense_dim",
    "_nnz",
):
    setattr(Tensor, _name, _of_sparse(_name))


def _storage(self):
    """The memory behind the tensor, flat."""
    from ._storage import storage

    return storage(self)


def _untyped_storage(self):
    """The memory behind the tensor, in bytes."""
    from ._storage import untyped_storage

    return untyped_storage(self)


def _record_stream(self, stream):
    raise RuntimeError("record_stream: this tensor lives on the CPU, which has no streams")


Tensor.storage, Tensor.untyped_storage, Tensor.record_stream = _storage, _untyped_storage, _record_stream
Tensor.to_sparse_coo = Tensor.to_sparse
Tensor.where, Tensor.as_subclass, Tensor.reinforce = _where, _as_subclass, _reinforce
Tensor.cfloat = lambda self, memory_format=None: self.to(dtypes.complex64)
Tensor.cdouble = lambda self, memory_format=None: self.to(dtypes.complex128)
Tensor.output_nr = 0
Tensor.polygamma = _polygamma
Tensor.resize = _resize
Tensor.__rmatmul__ = lambda self, other: ops.matmul(other, self)
Tensor.__rdiv__ = Tensor.__rtruediv__
Tensor.__iter__ = _iter
Tensor.__delitem__ = _no_deletion
Tensor.__reversed__ = lambda self: ops.flip(self, 0) if self._a.ndim else self
Tensor.__contains__ = _contains
Tensor.apply_ = _apply_
Tensor.new = _new
Tensor.T = property(ops.numpy_T)
Tensor.mT = property(ops.mT)
Tensor.H = property(ops.H)
Tensor.mH = property(ops.adjoint)
Tensor.real, Tensor.imag = property(ops.real, ops.real_set), property(ops.imag, ops.imag_set)
Tensor.pin_memory = lambda self, device=None: self
Tensor.share_memory_ = lambda self: self
Tensor.is_same_size = lambda self, other: self._a.shape == other._a.shape


def _set_(self, source):
    self._a = source._a
    return self


Tensor.set_ = _set_
