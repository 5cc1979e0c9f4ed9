"""Random samples of every op in float32: the result and all gradients against torch's."""

import functools

import numpy as np
import pytest
import torch
from gradcheck_cases import CASES

import fastnn

SAMPLES = 500  # random configurations beside the gradient checks' cases


def run(T, function, arrays, seed):
    """The results and the gradients of a random weighting of them, as arrays."""
    inputs = [
        T.from_numpy(a.copy()).requires_grad_() if a.dtype.kind == "f" else T.from_numpy(a.copy()) for a in arrays
    ]
    results = function(T, *inputs)
    results = results if isinstance(results, tuple | list) else (results,)
    rng = np.random.default_rng(seed)
    loss = None
    for r in results:
        if r.requires_grad:
            weights = T.from_numpy(rng.standard_normal(tuple(r.shape)).astype(str(r.dtype).split(".")[-1]))
            loss = (r * weights).sum() if loss is None else loss + (r * weights).sum()
    if loss is not None:
        loss.backward()
    return [r.detach().numpy() for r in results], [i.grad.numpy() if i.grad is not None else None for i in inputs]


def compare(function, arrays, seed, depth=1):
    """depth: how many terms a sum has; float32 errors may grow with its root."""
    theirs = run(torch, function, arrays, seed)
    ours = run(fastnn, function, arrays, seed)
    for what, a, b in zip(("result", "gradient"), theirs, ours, strict=True):
        assert len(a) == len(b)
        for i, (want, got) in enumerate(zip(a, b, strict=True)):
            assert (want is None) == (got is None), f"{what} {i}: torch {want}, fastnn {got}"
            if want is None:
                continue
            assert want.dtype == got.dtype and want.shape == got.shape, f"{what} {i}: {got.dtype} {got.shape}"
            scale = float(np.abs(want[np.isfinite(want)]).max()) if want.size and np.isfinite(want).any() else 1.0
            tolerance = 1e-5 + 2e-6 * scale * depth**0.5
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=tolerance, err_msg=f"{what} {i}")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_case_in_float32(case, table):
    compare(case.function, [a.astype(np.float32) for a in case.arrays()], len(case.name), 8)


def choose(rng, *options):
    return options[rng.integers(len(options))]


def size(rng):
    return int(choose(rng, 1, 2, 3, 5, 8, 13, 16, 17, 31, 33))


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def sample_matmul(rng):
    m, k, n = size(rng), int(choose(rng, 1, 7, 33, 300)), size(rng)
    batch = choose(rng, (), (2,), (3, 1), (1, 2))
    other = choose(rng, (), batch)
    a, b = floats(rng, *batch, m, k), floats(rng, *other, k, n)
    swap = bool(rng.integers(2))
    if swap:
        b = np.ascontiguousarray(b.swapaxes(-1, -2))
    return lambda T, x, y: x @ (y.mT if swap else y), [a, b], k + m


def sample_linear(rng):
    n, i, o = size(rng), int(choose(rng, 1, 10, 129, 400)), size(rng)
    lead = choose(rng, (n,), (2, n), ())
    return (
        lambda T, x, w, b: T.nn.functional.linear(x, w, b),
        [floats(rng, *lead, i), floats(rng, o, i), floats(rng, o)],
        i + n,
    )


def sample_conv2d(rng):
    groups = int(choose(rng, 1, 1, 2, 4))
    c, k = groups * int(rng.integers(1, 5)), groups * int(rng.integers(1, 5))
    r, s = rng.integers(1, 6, 2)
    stride, padding, dilation = (
        tuple(int(v) for v in rng.integers(low, high, 2)) for low, high in ((1, 4), (0, 3), (1, 3))
    )
    h = int(dilation[0] * (r - 1) + 1 + rng.integers(0, 12))
    w = int(dilation[1] * (s - 1) + 1 + rng.integers(0, 12))
    arrays = [floats(rng, int(rng.integers(1, 4)), c, h, w), floats(rng, k, c // groups, r, s), floats(rng, k)]
    return lambda T, x, f, b: T.nn.functional.conv2d(x, f, b, stride, padding, dilation, groups), arrays, 30 * c * r * s


def sample_pool2d(rng):
    kernel = tuple(int(v) for v in rng.integers(1, 5, 2))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    stride = tuple(int(v) for v in rng.integers(1, 5, 2))
    ceil = bool(rng.integers(2))
    x = floats(
        rng, int(rng.integers(1, 3)), int(rng.integers(1, 5)), int(rng.integers(9, 20)), int(rng.integers(9, 20))
    )
    if rng.integers(2):
        dilation = tuple(int(v) for v in rng.integers(1, 3, 2))
        return lambda T, v: T.nn.functional.max_pool2d(v, kernel, stride, padding, dilation, ceil), [x], 4
    include, divisor = bool(rng.integers(2)), choose(rng, None, None, 3)
    return lambda T, v: T.nn.functional.avg_pool2d(v, kernel, stride, padding, ceil, include, divisor), [x], 16


def sample_reduction(rng):
    shape = tuple(size(rng) for _ in range(rng.integers(1, 5)))
    name = choose(
        rng, "sum", "mean", "amax", "amin", "var", "std", "logsumexp", "prod", "max", "cumsum", "softmax", "log_softmax"
    )
    one = int(rng.integers(-len(shape), len(shape)))
    some = tuple(int(d) for d in rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)])
    x = floats(rng, *shape)
    if name in ("prod", "max"):
        keep = bool(rng.integers(2))
        return lambda T, v: getattr(v, name)(one, keep)[0] if name == "max" else v.prod(one, keep), [x], 8
    if name in ("cumsum", "softmax", "log_softmax"):
        return lambda T, v: getattr(v, name)(one), [x], 64
    if name in ("var", "std") and np.prod([shape[d] for d in some]) < 2:
        some = tuple(range(len(shape)))
        x = floats(rng, *shape, 2)
    order = rng.permutation(len(shape))
    if name == "sum" and x.ndim == len(shape):  # over a permuted layout too
        return lambda T, v: v.permute(*map(int, order)).sum(some, keepdim=True), [x], x.size
    return lambda T, v: getattr(v, name)(some, keepdim=bool(len(some) % 2)), [x], x.size


def sample_binary(rng):
    full = tuple(size(rng) for _ in range(rng.integers(1, 4)))
    shapes = []
    for _ in range(2):
        shape = [1 if rng.random() < 0.3 else s for s in full]
        shapes.append(tuple(shape[rng.integers(0, len(shape)) if rng.random() < 0.3 else 0 :]))
    name = choose(rng, "add", "sub", "mul", "div", "maximum", "minimum", "pow", "where", "atan2")
    a, b = (floats(rng, *s) for s in shapes)
    if name in ("div", "pow", "atan2"):
        b = np.abs(b) + 0.5
    if name == "pow":
        a = np.abs(a) + 0.1
    if name == "where":
        return lambda T, x, y: T.where(x > y, x, y), [a, b], a.size + b.size
    return lambda T, x, y: getattr(T, name)(x, y), [a, b], a.size + b.size


def sample_index(rng):
    shape = tuple(int(v) for v in rng.integers(2, 9, 3))
    count = int(rng.integers(1, 12))
    rows, columns = rng.integers(-shape[0], shape[0], count), rng.integers(-shape[1], shape[1], count)
    kind = rng.integers(6)
    x = floats(rng, *shape)
    if kind == 0:
        return lambda T, v, i: v[i], [x, rows], count
    if kind == 1:
        return lambda T, v, i, j: v[i, j], [x, rows, columns], count
    if kind == 2:
        return lambda T, v, i, j: v[i, :, j % v.shape[2]], [x, rows, columns], count
    if kind == 3:
        low, step = int(rng.integers(0, 2)), int(rng.integers(1, 4))
        return lambda T, v: v[low:, ..., ::step], [x], 1
    if kind == 4:
        return lambda T, v: v[v.detach() > 0], [x], 1
    y = floats(rng, count, shape[2])
    unique = rng.permutation(shape[0])[:count]

    def write(T, v, u, i):
        out = v * 2
        out[i, 0] = u[: len(i)]
        return out * out

    return write, [x, y, unique], 2


def sample_loss(rng):
    n, c = size(rng), int(rng.integers(2, 40))
    x, y = 3 * floats(rng, n, c), rng.integers(0, c, n)
    options = {"reduction": choose(rng, "mean", "sum", "none"), "label_smoothing": float(choose(rng, 0.0, 0.0, 0.1))}
    weight = (rng.random(c) + 0.5).astype(np.float32) if rng.integers(2) else None
    if n > 1 and rng.integers(2):
        y[0] = options["ignore_index"] = int(choose(rng, -100, 1))

    def loss(T, logits, target):
        w = None if weight is None else T.from_numpy(weight.copy())
        return T.nn.functional.cross_entropy(logits, target, w, **options)

    return loss, [x, y], n * c


FAMILIES = [
    sample_matmul,
    sample_linear,
    sample_conv2d,
    sample_pool2d,
    sample_reduction,
    sample_binary,
    sample_index,
    sample_loss,
]


@functools.cache
def sample(number):
    rng = np.random.default_rng(number)
    return FAMILIES[number % len(FAMILIES)](rng)


@pytest.mark.parametrize("number", range(SAMPLES), ids=lambda n: f"{FAMILIES[n % len(FAMILIES)].__name__[7:]}-{n}")
def test_random_sample(number, table):
    function, arrays, depth = sample(number)
    compare(function, arrays, number, depth)
