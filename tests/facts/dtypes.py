"""Dtypes: promotion, inference, conversion, and integer arithmetic."""

import math

import numpy as np

from . import answer, fact, kind

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
SCALARS = [True, 2, 2.5]


def table(T, combine, rows=NAMES, columns=NAMES):
    return {(a, b): answer(lambda a=a, b=b: combine(getattr(T, a), getattr(T, b)).dtype) for a in rows for b in columns}


@fact
def promotion_of_two_arrays(T):
    return table(T, lambda a, b: T.ones(2, dtype=a) + T.ones(2, dtype=b))


@fact
def promotion_of_array_and_0d(T):
    return table(T, lambda a, b: T.ones(2, dtype=a) + T.ones((), dtype=b))


@fact
def promotion_of_0d_and_array(T):
    return table(T, lambda a, b: T.ones((), dtype=a) * T.ones(2, dtype=b))


@fact
def promotion_of_two_0d(T):
    return table(T, lambda a, b: T.ones((), dtype=a) + T.ones((), dtype=b))


@fact
def promotion_in_true_division(T):
    return table(T, lambda a, b: T.ones(2, dtype=a) / T.ones(2, dtype=b))


@fact
def promotion_with_python_numbers(T):
    return {(n, s): (T.ones(2, dtype=getattr(T, n)) * s).dtype for n in NAMES for s in SCALARS}


@fact
def promotion_of_0d_with_python_numbers(T):
    return {(n, s): (T.ones((), dtype=getattr(T, n)) * s).dtype for n in NAMES for s in SCALARS}


@fact
def promotion_with_a_number_on_the_left(T):
    return {(n, s): (s + T.ones(2, dtype=getattr(T, n))).dtype for n in NAMES for s in SCALARS}


@fact
def division_by_python_numbers(T):
    return {(n, s): (T.ones(2, dtype=getattr(T, n)) / s).dtype for n in NAMES for s in SCALARS}


@fact
def result_type_and_promote_types(T):
    return table(T, lambda a, b: T.ones(1, dtype=T.promote_types(a, b)))


@fact
def result_type_of_tensors_and_numbers(T):
    x, z, i = T.ones(2), T.ones((), dtype=T.float64), T.ones(2, dtype=T.int32)
    return [
        T.result_type(x, z),
        T.result_type(i, 1.5),
        T.result_type(i, z),
        T.result_type(1, 2.0),
        T.result_type(i, True),
    ]


@fact
def float32_times_int64_is_float32(T):
    return T.tensor([1.5, 2]) * T.tensor([2, 3])


@fact
def int64_by_2_5_is_float32(T):
    return T.tensor([1, 2]) * 2.5, T.tensor([1, 2]) / T.tensor([2, 4])


@fact
def comparison_gives_bool_and_promotes(T):
    a, b = T.tensor([1, 2, 3]), T.tensor([1.5, 2.0, 2.5])
    return a < b, a == b, a != b, a >= 2, b > T.tensor(2), (a == 2).dtype


@fact
def integer_comparison_with_a_float(T):
    return T.tensor([1, 2, 3]) > 1.5, T.tensor([1, 2, 3]) == 2.0


@fact
def boolean_subtraction_raises(T):
    t = T.tensor([True, False])
    return kind(lambda: t - t), kind(lambda: -t), kind(lambda: T.neg(t)), kind(lambda: 1 - t), t + t, t * t


@fact
def floor_division(T):
    a, b = T.tensor([7, -7, 7, -7]), T.tensor([2, 2, -2, -2])
    return a // b, a // 2, -7 // b, a.float() // b, a // 2.5, T.div(a, b, rounding_mode="trunc")


@fact
def division_with_rounding_mode(T):
    a, b = T.tensor([7.0, -7.0]), T.tensor([2.0, 2.0])
    return (
        T.div(a, b, rounding_mode="floor"),
        T.div(a, b, rounding_mode="trunc"),
        T.div(a, b, rounding_mode=None),
        kind(T.div, a, b, rounding_mode="up"),
    )


@fact
def remainder_takes_the_divisors_sign_and_fmod_the_dividends(T):
    a, b = T.tensor([7, -7, 7, -7]), T.tensor([3, 3, -3, -3])
    return a % b, a.float() % b.float(), T.fmod(a, b), T.fmod(a.float(), b.float()), T.remainder(a, 3), -7 % b


@fact
def integer_division_by_zero_raises(T):
    a, z = T.tensor([1, 2]), T.tensor([1, 0])
    return kind(lambda: a // z), kind(lambda: a % z), kind(lambda: a // 0), kind(lambda: T.fmod(a, z))


@fact
def float_division_by_zero(T):
    a, z = T.tensor([1.0, -1.0, 0.0]), T.zeros(3)
    return a / z, a // z, a % z, T.fmod(a, z)


@fact
def integer_true_division_by_zero_is_infinite(T):
    return T.tensor([1, -1, 0]) / T.tensor([0, 0, 0])


@fact
def integers_to_negative_powers_raise(T):
    a = T.tensor([1, 2, 3])
    return kind(lambda: a**-1), kind(lambda: T.pow(a, -2)), a ** T.tensor([0, 1, 2]), a**2, a**0.5, 2**a, a**2.0


@fact
def power_of_floats(T):
    x = T.tensor([-2.0, 0.0, 2.0, float("nan")])
    return x**2, x**0, x**0.5, x**-1, 2.0**x, T.pow(x, T.tensor([3, 0, -1, 0]))


@fact
def integer_arithmetic_wraps(T):
    u, i = T.tensor([200, 255], dtype=T.uint8), T.tensor([127], dtype=T.int8)
    return u + u, u * 2, i + 1, -u, T.tensor([2**63 - 1]) + 1


@fact
def bitwise_operators(T):
    a, b, t = T.tensor([6, 5]), T.tensor([3, 1]), T.tensor([True, False])
    return a & b, a | b, a ^ b, ~a, ~t, t & True, t | t, t ^ True, a & 3, 3 | a


@fact
def shifts(T):
    a = T.tensor([1, 8])
    return a << 2, a >> 1, a << T.tensor([1, 2])


@fact
def bitwise_on_floats_raises(T):
    x = T.ones(2)
    return kind(lambda: x & x), kind(lambda: ~x), kind(lambda: x | 1)


@fact
def logical_functions(T):
    a, b = T.tensor([0, 1, 2]), T.tensor([0.0, 0.0, 1.0])
    return T.logical_and(a, b), T.logical_or(a, b), T.logical_xor(a, b), T.logical_not(a), T.logical_not(b).dtype


@fact
def unary_functions_of_integers_are_float32(T):
    i = T.tensor([1, 2, 4])
    return [f(i) for f in (T.sqrt, T.exp, T.log, T.sin, T.tanh, T.sigmoid, T.reciprocal, T.rsqrt, T.erf)]


@fact
def unary_functions_that_keep_integers(T):
    i = T.tensor([-3, 0, 2])
    return [f(i) for f in (T.abs, T.neg, T.sign, T.square, T.ceil, T.floor, T.round, T.trunc, T.relu)]


@fact
def unary_functions_of_bools(T):
    t = T.tensor([True, False])
    return T.exp(t), T.sqrt(t), T.sigmoid(t), kind(T.neg, t), answer(T.abs, t), answer(T.sign, t)


@fact
def unary_functions_of_float64_stay(T):
    x = T.tensor([0.5, 2.0], dtype=T.float64)
    return [f(x) for f in (T.sqrt, T.exp, T.log1p, T.expm1, T.cos, T.tan, T.atan, T.sinh, T.cosh, T.log2, T.log10)]


@fact
def rounding_is_to_even(T):
    x = T.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    return T.round(x), T.trunc(x), T.floor(x), T.ceil(x), T.sign(x), T.round(T.tensor([1.256, -2.347]), decimals=2)


@fact
def special_values_through_unary_functions(T):
    x = T.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, -1.0])
    names = "exp log sqrt sigmoid tanh relu abs sign floor expm1 log1p rsqrt reciprocal erf sin isnan isinf isfinite"
    return {name: getattr(T, name)(x) for name in names.split()}


@fact
def sums_of_integers_are_int64(T):
    kinds = ["bool", "uint8", "int8", "int16", "int32", "int64"]
    out = {}
    for name in kinds:
        x = T.ones(3, dtype=getattr(T, name))
        out[name] = x.sum(), x.prod(), x.cumsum(0), x.sum(0), x.sum(dtype=T.float32), x.cumprod(0)
    return out


@fact
def mean_of_integers_raises(T):
    i = T.tensor([1, 2])
    return kind(i.mean), kind(lambda: T.mean(i, 0)), i.mean(dtype=T.float32), kind(T.tensor([True]).mean)


@fact
def std_and_var_are_unbiased(T):
    x = T.tensor([[1.0, 2.0, 4.0], [3.0, 3.0, 9.0]])
    return (
        [x.std(), x.var(), x.std(0), x.var(1), x.std(dim=1, unbiased=False), x.var(unbiased=False)],
        [x.var(dim=1, correction=0), x.std(1, keepdim=True), T.var(x, (0, 1)), T.std(x, dim=0, correction=2)],
    )


@fact
def var_of_one_element_is_nan(T):
    return T.ones(1).var(), T.ones(1).std(), T.ones(1).var(unbiased=False), T.ones(2, 0).var(1), T.ones(2, 0).mean(1)


@fact
def var_of_integers_raises(T):
    return kind(T.tensor([1, 2]).var), kind(T.tensor([1, 2]).std)


@fact
def var_mean_and_std_mean(T):
    x = T.tensor([[1.0, 2.0, 4.0], [3.0, 3.0, 9.0]])
    return T.var_mean(x, 1), T.std_mean(x)


@fact
def any_and_all(T):
    i, u, x = T.tensor([0, 2]), T.tensor([0, 2], dtype=T.uint8), T.tensor([[0.0, 1.0], [2.0, 3.0]])
    e = T.ones(0)
    return i.any(), i.all(), u.any(), u.all(), x.any(0), x.all(1), x.all(1, keepdim=True), e.any(), e.all()


@fact
def empty_reductions(T):
    e = T.ones(0, 3)
    return (
        [e.sum(), e.prod(), e.sum(0), e.mean(), T.ones(0, dtype=T.int64).sum()],
        [kind(e.max), kind(e.min), kind(e.argmax), kind(lambda: e.max(0)), kind(lambda: e.amax()), e.max(1).values],
    )


@fact
def tensor_infers_the_dtype(T):
    values = [
        1,
        1.0,
        True,
        [1, 2],
        [1, 2.0],
        [True, 2],
        [True, False],
        [True, 2.5],
        [[1], [2.0]],
        [],
        [[]],
        (1, 2),
        range(3),
    ]
    return [T.tensor(v) for v in values]


@fact
def tensor_of_numpy_values(T):
    return (
        [T.tensor(np.float32(1)), T.tensor(np.float64(1)), T.tensor(np.int32(1)), T.tensor(np.bool_(True))],
        [T.tensor([np.float32(1), 2]), T.tensor([np.float64(1)]), T.tensor([np.int64(3)]), T.tensor([np.int16(3)])],
        [
            T.tensor(np.arange(3.0)),
            T.tensor(np.arange(3)),
            T.tensor(np.uint8([1])),
            T.tensor(np.ones((2, 0), np.int16)),
        ],
        [T.tensor([np.arange(2.0), np.arange(2.0)])],
    )


@fact
def tensor_of_tensors(T):
    a, b = T.tensor(1.5), T.tensor(2, dtype=T.float64)
    return T.tensor(a), T.tensor([a, b]), T.tensor([T.tensor(1), T.tensor(2)]), T.tensor([[a, 1], [2, b]])


@fact
def tensor_refuses(T):
    bad = [[[1, 2], [3]], "abc", None, ["a"], {"a": 1}, [1, None], [[1], 2], object()]
    return [kind(T.tensor, v) in ("ValueError", "TypeError", "RuntimeError") for v in bad]


@fact
def ragged_lists_are_value_errors(T):
    return kind(T.tensor, [[1, 2], [3]]), kind(T.tensor, [[1], [2, 3]])


@fact
def huge_integers(T):
    return T.tensor(2**62), T.tensor([-(2**63)]), kind(T.tensor, 2**63), kind(T.tensor, [2**64])


@fact
def tensor_with_dtype(T):
    return T.tensor([1.7, -1.7], dtype=T.int64), T.tensor([0, 2], dtype=T.bool), T.tensor([1, 2], dtype=T.float64)


@fact
def full_infers_the_dtype(T):
    return T.full((2,), 1), T.full((2,), 1.0), T.full((2,), True), T.full((), 3, dtype=T.float32), T.full([1, 2], 0)


@fact
def factories(T):
    return (
        [T.zeros(2, 3), T.ones([2]), T.zeros((1, 2), dtype=T.int32), T.eye(2, 3), T.ones(()), T.zeros(0), T.eye(2)],
        [T.empty(2, 0).shape, T.empty((3,), dtype=T.bool).dtype, T.zeros(T.Size([2])), T.scalar_tensor(2)],
    )


@fact
def like_factories(T):
    i = T.tensor([[1, 2]])
    return (
        T.zeros_like(i),
        T.ones_like(i, dtype=T.float32),
        T.full_like(i, 2.7),
        T.empty_like(i).shape,
        T.rand_like(i * 1.0).shape,
    )


@fact
def new_factories(T):
    x = T.ones(2, dtype=T.float64)
    return x.new_zeros(2, 1), x.new_ones((2,)), x.new_full((1,), 3), x.new_tensor([1, 2]), x.new_empty(3).shape


@fact
def arange_infers_dtype_and_length(T):
    return (
        [
            T.arange(3),
            T.arange(3.0),
            T.arange(1, 4),
            T.arange(1, 2, 0.25),
            T.arange(5, 0, -2),
            T.arange(0),
            T.arange(1, 2.5),
        ],
        [T.arange(0, 1, 0.1).shape, T.arange(3, dtype=T.float64), T.arange(0, 3, 2, dtype=T.int32), T.arange(True)],
        [kind(T.arange, 1, 0), kind(T.arange, 0, 1, 0), kind(T.arange, 0, float("inf")), kind(T.arange, 0, 1, -1)],
    )


@fact
def linspace_and_logspace(T):
    return (
        [
            T.linspace(0, 1, 5),
            T.linspace(3, -3, 4),
            T.linspace(0, 10, 1),
            T.linspace(0, 1, 0),
            T.linspace(1, 5, 3, dtype=T.int64),
        ],
        [T.logspace(0, 2, 3), kind(T.linspace, 0, 1, -1)],
    )


@fact
def dtype_attributes(T):
    return {n: [getattr(T, n).is_floating_point, getattr(T, n).is_signed, getattr(T, n).itemsize] for n in NAMES}


@fact
def dtype_aliases(T):
    pairs = "float float32 double float64 half float16 long int64 int int32 short int16".split()  # noqa: SIM905
    return [getattr(T, a) is getattr(T, b) for a, b in zip(pairs[::2], pairs[1::2], strict=True)]


@fact
def dtype_names(T):
    return [str(getattr(T, n)) for n in NAMES], isinstance(T.float32, T.dtype), T.float32 == T.float64


@fact
def finfo_and_iinfo(T):
    floats = {n: [getattr(T.finfo(getattr(T, n)), k) for k in ("eps", "max", "min", "tiny", "bits")] for n in NAMES[6:]}
    ints = {n: [getattr(T.iinfo(getattr(T, n)), k) for k in ("max", "min", "bits")] for n in NAMES[1:6]}
    return floats, ints, kind(T.finfo, T.int64), kind(T.iinfo, T.float32)


@fact
def default_dtype(T):
    before = T.get_default_dtype()
    try:
        T.set_default_dtype(T.float64)
        inside = [
            T.get_default_dtype(),
            T.tensor(1.5).dtype,
            T.ones(1).dtype,
            (T.tensor([1]) / 2).dtype,
            T.tensor(1).dtype,
        ]
    finally:
        T.set_default_dtype(before)
    return before, inside, kind(T.set_default_dtype, T.int64)


@fact
def conversions(T):
    x = T.tensor([-1.7, 0.0, 2.9])
    names = ["long", "int", "short", "double", "half", "bool", "float", "bfloat16"]
    return {n: getattr(x, n)() for n in names}, x.char(), T.tensor([3.9]).byte()


@fact
def to_keeps_identity_where_nothing_changes(T):
    x = T.ones(2)
    return x.to(T.float32) is x, x.float() is x, x.to("cpu") is x, x.to(T.float64) is x, x.to(T.float32, copy=True) is x


@fact
def forms_of_to(T):
    x, y = T.ones(2), T.ones(1, dtype=T.int32)
    return (
        x.to(y).dtype,
        x.to("cpu", T.float64).dtype,
        x.to(dtype=T.int64).dtype,
        x.to(T.device("cpu")).dtype,
        x.type(T.int8).dtype,
    )


@fact
def type_names(T):
    return x_type(T.ones(1)), x_type(T.ones(1, dtype=T.int64)), T.ones(1).type_as(T.ones(1, dtype=T.float64)).dtype


def x_type(x):
    return x.type().rsplit(".", 1)[-1]


@fact
def where_promotes(T):
    c = T.tensor([True, False])
    return (
        [
            T.where(c, T.tensor([1, 2]), T.tensor([1.5, 2.5])),
            T.where(c, T.ones(2), 0),
            T.where(c, 1, 2.5),
            T.where(c, 1, 0),
        ],
        [T.where(c, T.ones(2, dtype=T.float64), T.ones(2)).dtype, T.where(T.tensor([[True], [False]]), c, c).shape],
        [kind(T.where, T.tensor([1, 0]), c, c), T.where(T.tensor([0, 1, 1]) == 1)],
    )


@fact
def cat_and_stack_promote(T):
    a, b = T.tensor([1, 2]), T.tensor([1.5])
    return T.cat([a, b]), T.cat([b.double(), a]).dtype, T.stack([a, a.float()]), T.cat([T.tensor([True]), a])


@fact
def clamp_of_integers(T):
    i = T.tensor([-2, 0, 5])
    return i.clamp(-1, 2), i.clamp(min=0), i.clamp(max=1.5), i.clamp(0.5, 2), T.clamp(i, 3, 1), kind(i.clamp)


@fact
def item_types(T):
    return (
        T.tensor(1).item(),
        T.tensor([[1.5]]).item(),
        T.tensor(True).item(),
        T.tensor([1, 2]).tolist(),
        T.tensor(2.5).tolist(),
    )


@fact
def extreme_conversions(T):
    return T.tensor([300, -1]).to(T.uint8), T.tensor([1e300], dtype=T.float64).float(), T.tensor([2, 0]).bool()


@fact
def isclose_allclose_equal(T):
    a, b = T.tensor([1.0, float("nan"), float("inf")]), T.tensor([1.0 + 1e-6, float("nan"), float("inf")])
    return (
        T.isclose(a, b),
        T.isclose(a, b, equal_nan=True),
        T.allclose(a, b, equal_nan=True),
        T.equal(a, a),
        T.equal(T.ones(2), T.ones(3)),
    )


@fact
def maximum_and_minimum_spread_nan(T):
    a, b = T.tensor([1.0, math.nan, 3.0]), T.tensor([2.0, 2.0, math.nan])
    return (
        T.maximum(a, b),
        T.minimum(a, b),
        T.maximum(T.tensor([1, 5]), T.tensor([2.5, 2.5])),
    )


@fact
def half_arithmetic(T):
    h = T.tensor([1.0, 2.0, 65504.0], dtype=T.float16)
    b = T.tensor([1.0, 2.0, 3.141592], dtype=T.bfloat16)
    return h + h, h * 0.5, b * b, b + 1, (h + b).dtype, b.float(), h.sum(), T.tensor([1], dtype=T.int32) + h[:1]
