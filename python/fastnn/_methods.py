"""The operations as methods and operators of Tensor, under torch's names: one table."""

from . import ops
from .backend import xp
from .tensor import Tensor

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
    "unsafe_chunk": "chunk",
    "__getitem__": "getitem",
    "__setitem__": "setitem",
    "__neg__": "neg",
    "__pos__": "positive",
    "__abs__": "abs",
    "__invert__": "bitwise_not",
    "__matmul__": "matmul",
}
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
Tensor.__radd__ = lambda self, other: ops.add(self, other)
Tensor.__rmul__ = lambda self, other: ops.mul(self, other)
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


Tensor.__iter__ = _iter
Tensor.__delitem__ = _no_deletion
Tensor.__reversed__ = lambda self: ops.flip(self, 0) if self._a.ndim else self
Tensor.__contains__ = _contains
Tensor.apply_ = _apply_
Tensor.new = _new
Tensor.T = property(ops.numpy_T)
Tensor.mT = property(ops.mT)
Tensor.H = property(ops.mT)
Tensor.pin_memory = lambda self, device=None: self
Tensor.share_memory_ = lambda self: self
Tensor.is_same_size = lambda self, other: self._a.shape == other._a.shape


def _set_(self, source):
    self._a = source._a
    return self


Tensor.set_ = _set_
