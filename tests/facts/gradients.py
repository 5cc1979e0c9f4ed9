"""Values of gradients where convention decides: ties, bounds, zeros, infinities and NaN."""

from . import answer, fact

NAN, INF = float("nan"), float("inf")


def gradient(T, f, *values):
    """The gradient of f(x).sum() at x."""
    x = T.tensor(values, requires_grad=True)
    f(x).sum().backward()
    return x.grad


def gradients(T, f, a, b):
    a, b = T.tensor(a, requires_grad=True), T.tensor(b, requires_grad=True)
    f(a, b).sum().backward()
    return a.grad, b.grad


@fact
def max_of_all_splits_ties(T):
    return gradient(T, lambda x: x.max(), 1.0, 3.0, 3.0), gradient(T, lambda x: x.min(), 1.0, 1.0, 3.0, 1.0)


@fact
def max_along_a_dim_takes_the_first(T):
    return gradient(T, lambda x: x.max(0).values, 1.0, 3.0, 3.0), gradient(T, lambda x: x.min(0)[0], 1.0, 1.0, 3.0)


@fact
def amax_splits_ties(T):
    return gradient(T, lambda x: x.amax(), 1.0, 3.0, 3.0), gradient(T, lambda x: x.amin(0), 2.0, 2.0, 3.0, 2.0)


@fact
def maximum_and_minimum_split_ties(T):
    return gradients(T, lambda a, b: T.maximum(a, b), [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), gradients(
        T, lambda a, b: T.minimum(a, b), [1.0, 2.0], [1.0, 3.0]
    )


@fact
def argmax_takes_the_first_and_nan_wins(T):
    x = T.tensor([[1.0, 3.0, 3.0], [NAN, 5.0, NAN]])
    return (
        x.argmax(1),
        x.argmin(1),
        x.argmax(),
        x.max(),
        x.min(1),
        x.max(1),
        T.tensor([2, 7, 7]).argmax(),
        x.argmax(1, keepdim=True),
    )


@fact
def max_of_two_tensors_and_kinds(T):
    x = T.tensor([[1, 5], [7, 2]])
    m = x.max(dim=1)
    return T.max(x, T.tensor(3)), m.values, m.indices, T.max(x), T.max(x, 0, keepdim=True), tuple(T.min(x, 1))


@fact
def gradients_with_nan_in_max(T):
    return gradient(T, lambda x: x.max(), 1.0, NAN, 3.0), gradient(T, lambda x: x.max(0).values, 1.0, NAN, 3.0)


@fact
def clamp_at_its_bounds(T):
    x = (-2.0, -1.0, 0.0, 1.0, 2.0)
    return (
        gradient(T, lambda v: v.clamp(-1, 1), *x),
        gradient(T, lambda v: v.clamp(min=0), *x),
        gradient(T, lambda v: v.clamp(max=1), *x),
        gradient(T, lambda v: v.clamp(-1, 1), NAN),
    )


@fact
def clamp_with_tensor_bounds(T):
    x = T.tensor([-1.0, 0.5, 3.0, 2.0], requires_grad=True)
    low, high = T.tensor([0.0, 0.0, 0.0, 2.0], requires_grad=True), T.tensor(2.0, requires_grad=True)
    T.clamp(x, low, high).sum().backward()
    return x.grad, low.grad, high.grad


@fact
def relu_at_zero_and_nan(T):
    return gradient(T, T.relu, -1.0, 0.0, -0.0, 1.0, NAN), T.relu(T.tensor([-0.0, NAN, INF, -INF]))


@fact
def activations_at_zero_and_infinity(T):
    F = T.nn.functional
    names = "leaky_relu elu silu gelu softplus hardtanh relu6 hardsigmoid hardswish logsigmoid selu celu mish softsign"
    points = (0.0, -0.0, 1e-20, -1e-20, 30.0, -30.0)
    return {n: gradient(T, getattr(F, n), *points) for n in names.split()}


@fact
def activations_of_nan_and_infinity(T):
    F = T.nn.functional
    x = T.tensor([NAN, INF, -INF])
    names = ["leaky_relu", "elu", "softplus", "sigmoid", "tanh", "hardtanh", "relu6", "silu"]
    return {n: getattr(F, n)(x) for n in names}


@fact
def bounded_activations_at_their_corners(T):
    F = T.nn.functional
    return {
        "hardtanh": gradient(T, F.hardtanh, -1.0, 1.0),
        "relu6": gradient(T, F.relu6, 0.0, 6.0),
        "hardsigmoid": gradient(T, F.hardsigmoid, -3.0, 3.0),
        "threshold": gradient(T, lambda x: F.threshold(x, 1.0, 0.0), 1.0, 2.0),
        "hardshrink": gradient(T, F.hardshrink, -0.5, 0.5, 0.6),
    }


@fact
def abs_and_sign_at_zero(T):
    return gradient(T, T.abs, -2.0, 0.0, -0.0, 3.0, NAN), gradient(T, T.sign, -2.0, 0.0, 3.0)


@fact
def sqrt_log_and_reciprocal_at_zero(T):
    return (
        gradient(T, T.sqrt, 0.0, 4.0),
        gradient(T, T.log, 0.0, 2.0),
        gradient(T, T.reciprocal, 0.0, 2.0),
        gradient(T, T.rsqrt, 0.0, 4.0),
    )


@fact
def norms_at_zero(T):
    return (
        [
            gradient(T, lambda x: x.norm(), 0.0, 0.0),
            gradient(T, lambda x: x.norm(), 3.0, 4.0),
            gradient(T, lambda x: x.norm(p=1), 0.0, -2.0),
        ],
        [
            gradient(T, lambda x: x.norm(p=3), 0.0, 2.0),
            gradient(T, lambda x: x.norm(p=INF), 2.0, -2.0, 1.0),
        ],
    )


@fact
def norms_along_a_dim(T):
    x = T.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    x.norm(dim=1).sum().backward()
    return x.grad, x.norm(p=0), x.norm(p=-INF), T.norm(x, 2, (0, 1))


@fact
def powers_at_zero(T):
    return (
        [
            gradient(T, lambda x: x**2, 0.0),
            gradient(T, lambda x: x**0, 0.0),
            gradient(T, lambda x: x**0.5, 0.0),
            gradient(T, lambda x: x**1, 0.0),
        ],
        [gradient(T, lambda x: x**3, -2.0), gradient(T, lambda x: x**-1, 2.0), gradient(T, lambda x: x**2.5, 0.0, 2.0)],
    )


@fact
def powers_of_tensors_at_zero(T):
    return gradients(T, lambda a, b: a**b, [0.0, 0.0, 0.0, 2.0, -1.0], [0.0, 1.0, 2.0, 3.0, 2.0])


@fact
def powers_with_a_number_as_base(T):
    return (
        gradient(T, lambda x: 2**x, 0.0, 1.0),
        gradient(T, lambda x: 0**x, 0.0, 1.0),
        gradient(T, lambda x: T.pow(1.0, x), 3.0),
    )


@fact
def where_hides_the_value_but_not_the_nan_gradient(T):
    def f(x):
        return T.where(x > 0, x.sqrt(), T.zeros(()))

    return gradient(T, f, 0.0, 4.0), gradient(T, lambda x: T.where(x > 0, x.log(), x), -1.0, 2.0)


@fact
def where_routes_gradients(T):
    a, b = T.ones(2, 1, requires_grad=True), T.ones(2, requires_grad=True)
    T.where(T.tensor([[True, False], [True, True]]), a, b).sum().backward()
    return a.grad, b.grad


@fact
def products_with_zeros(T):
    return (
        gradient(T, lambda x: x.prod(), 2.0, 0.0, 3.0),
        gradient(T, lambda x: x.prod(), 0.0, 0.0, 3.0),
        gradient(T, lambda x: x.prod(0), 2.0, 0.0),
    )


@fact
def cumulative_products_with_zeros(T):
    return gradient(T, lambda x: x.cumprod(0), 2.0, 0.0, 3.0), gradient(T, lambda x: x.cumsum(0), 2.0, 0.0, 3.0)


@fact
def std_of_equal_values(T):
    return (
        gradient(T, lambda x: x.std(), 2.0, 2.0),
        gradient(T, lambda x: x.var(), 2.0, 2.0),
        gradient(T, lambda x: x.std(), 1.0, 2.0, 4.0),
    )


@fact
def division_by_zero_gradients(T):
    return (
        gradients(T, lambda a, b: a / b, [1.0, 0.0], [0.0, 0.0]),
        gradient(T, lambda x: 1 / x, 0.0),
        gradient(T, lambda x: x / 0, 1.0),
    )


@fact
def remainder_fmod_and_floor_divide(T):
    return (
        [
            gradient(T, lambda x: x % 3, 7.0, -7.0),
            gradient(T, lambda x: T.fmod(x, 3), -7.0),
            gradients(T, lambda a, b: a % b, [7.0], [3.0]),
        ],
        [answer(lambda: (T.ones(1, requires_grad=True) // 2).requires_grad)],
    )


@fact
def rounding_has_zero_gradients(T):
    return [gradient(T, f, 0.5, 2.0) for f in (T.floor, T.ceil, T.round, T.trunc)]


@fact
def trigonometry_at_its_edges(T):
    return (
        gradient(T, T.asin, 1.0, 0.0),
        gradient(T, T.acos, -1.0),
        gradients(T, lambda a, b: T.atan2(a, b), [0.0, 1.0], [0.0, 1.0]),
    )


@fact
def softmax_of_infinities(T):
    F = T.nn.functional
    x = T.tensor([[0.0, -INF], [-INF, -INF], [INF, 1.0], [NAN, 1.0], [1000.0, -1000.0]])
    return F.softmax(x, 1), F.log_softmax(x, 1), x.logsumexp(1), gradient(T, lambda v: v.softmax(0)[0], 0.0, -INF)


@fact
def logsumexp_of_minus_infinity(T):
    return (
        gradient(T, lambda x: x.logsumexp(0), -INF, -INF),
        gradient(T, lambda x: x.logsumexp(0), -INF, 0.0),
    )


@fact
def smooth_l1_and_huber_at_their_corners(T):
    F, zero = T.nn.functional, T.zeros(5)
    x = (-2.0, -1.0, 0.0, 1.0, 2.0)
    return (
        gradient(T, lambda v: F.smooth_l1_loss(v, zero), *x),
        gradient(T, lambda v: F.l1_loss(v, zero), *x),
        gradient(T, lambda v: F.huber_loss(v, zero), *x),
    )


@fact
def sort_and_topk_gradients(T):
    return (
        gradient(T, lambda x: x.sort().values * T.arange(3.0), 3.0, 1.0, 2.0),
        gradient(T, lambda x: x.topk(2).values * T.tensor([1.0, 5.0]), 3.0, 1.0, 2.0),
        gradient(T, lambda x: x.median() * 1, 3.0, 1.0, 2.0),
    )


@fact
def indexing_gradients_accumulate(T):
    i = T.tensor([0, 0, 2])
    return (
        gradient(T, lambda x: x[i] * T.tensor([1.0, 2.0, 3.0]), 1.0, 1.0, 1.0),
        gradient(T, lambda x: x.index_select(0, i), 1.0, 1.0, 1.0),
        gradient(T, lambda x: x.gather(0, i), 1.0, 1.0, 1.0),
    )


@fact
def expanded_and_repeated_gradients(T):
    return (
        gradient(T, lambda x: x.expand(3, 2) * T.arange(6.0).reshape(3, 2), 1.0, 2.0),
        gradient(T, lambda x: x.repeat(2), 1.0, 2.0),
        gradient(T, lambda x: x[None].expand(2, 2).t().reshape(4)[:3], 1.0, 2.0),
    )


@fact
def max_pool_ties_take_the_first(T):
    F = T.nn.functional
    x = T.tensor([[[[1.0, 1.0], [1.0, 1.0]]]], requires_grad=True)
    y, i = F.max_pool2d(x, 2, return_indices=True)
    y.sum().backward()
    return x.grad, i


@fact
def max_pool_spreads_nan(T):
    x = T.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 0, 1] = NAN
    return (
        T.nn.functional.max_pool2d(x, 2),
        T.nn.functional.avg_pool2d(x, 2),
        T.nn.functional.max_pool2d(x, 2, return_indices=True)[1],
    )
