"""The same bits at any number of threads: every op's results and gradients, and 20 training steps, on CPU tables."""

import numpy as np
import pytest
from conftest import tables
from models import build, images, train

import fastnn
from fastnn.nn import functional as F

THREADS = (1, 2, 3, 5, 8)
CPU_TABLES = [t for t in tables() if t != "numpy"]  # NumPy's BLAS makes no such promise


DRAWN: list = []  # the leaves that an op's inputs are made of


def draw(*shape, dtype="float32", seed=0):
    array = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    DRAWN.append(fastnn.from_numpy(array).requires_grad_())
    return DRAWN[-1]


# Large enough that work is shared out, and of sizes that no tile divides.
LONG, WIDE = (300_007,), (517, 1031)
CLASSES = np.random.default_rng(1).integers(0, 1031, 517)


def ids(count, high, seed=2):
    return fastnn.from_numpy(np.random.default_rng(seed).integers(0, high, count))


UNARY = ["exp", "log1p", "sqrt", "tanh", "sigmoid", "relu", "abs", "square", "sin", "erf", "expm1", "reciprocal"]
OPS = {
    **{name: lambda d, n=name: getattr(draw(*LONG, dtype=d).abs() + 0.5, n)() for name in UNARY},
    "add broadcast": lambda d: draw(*WIDE, dtype=d) + draw(1031, dtype=d, seed=1),
    "mul broadcast": lambda d: draw(517, 1, dtype=d) * draw(1031, dtype=d, seed=1),
    "div": lambda d: draw(*LONG, dtype=d) / (draw(*LONG, dtype=d, seed=1).abs() + 0.1),
    "pow": lambda d: draw(*LONG, dtype=d).abs() ** draw(*LONG, dtype=d, seed=1),
    "maximum": lambda d: fastnn.maximum(draw(*LONG, dtype=d), draw(*LONG, dtype=d, seed=1)),
    "where": lambda d: fastnn.where(
        draw(*LONG, dtype=d).detach() > 0, draw(*LONG, dtype=d), draw(*LONG, dtype=d, seed=1)
    ),
    "gelu": lambda d: F.gelu(draw(*LONG, dtype=d)),
    "gelu tanh": lambda d: F.gelu(draw(*LONG, dtype=d), approximate="tanh"),
    "silu": lambda d: F.silu(draw(*LONG, dtype=d)),
    "elu": lambda d: F.elu(draw(*LONG, dtype=d)),
    "softplus": lambda d: F.softplus(draw(*LONG, dtype=d)),
    "leaky_relu": lambda d: F.leaky_relu(draw(*LONG, dtype=d)),
    "mish": lambda d: F.mish(draw(*LONG, dtype=d)),
    "hardswish": lambda d: F.hardswish(draw(*LONG, dtype=d)),
    "logsigmoid": lambda d: F.logsigmoid(draw(*LONG, dtype=d)),
    "softshrink": lambda d: F.softshrink(draw(*LONG, dtype=d)),
    "prelu": lambda d: F.prelu(draw(7, 1031, 61, dtype=d), draw(1031, dtype=d, seed=1)),
    "lerp": lambda d: fastnn.lerp(draw(*WIDE, dtype=d), draw(*WIDE, dtype=d, seed=1), draw(517, 1, dtype=d, seed=2)),
    "addcmul": lambda d: fastnn.addcmul(draw(*LONG, dtype=d), draw(*LONG, dtype=d, seed=1), draw(*LONG, dtype=d)),
    "dropout": lambda d: (fastnn.manual_seed(3), F.dropout(draw(*LONG, dtype=d), 0.3))[1],
    "sum all": lambda d: draw(*LONG, dtype=d).sum(),
    "sum 0": lambda d: draw(*WIDE, dtype=d).sum(0),
    "sum 1": lambda d: draw(*WIDE, dtype=d).sum(1),
    "sum middle": lambda d: draw(13, 601, 37, dtype=d).sum(1),
    "sum outer": lambda d: draw(13, 601, 37, dtype=d).sum((0, 2)),
    "mean": lambda d: draw(*WIDE, dtype=d).mean(),
    "prod": lambda d: (draw(*WIDE, dtype=d) / 1000 + 1).prod(1),
    "var": lambda d: draw(*WIDE, dtype=d).var(),
    "std 0": lambda d: draw(*WIDE, dtype=d).std(0),
    "norm": lambda d: draw(*LONG, dtype=d).norm(),
    "norm 3": lambda d: draw(*WIDE, dtype=d).norm(3, 1),
    "max": lambda d: draw(*LONG, dtype=d).max(),
    "max 1": lambda d: draw(*WIDE, dtype=d).max(1)[0],
    "amin 0": lambda d: draw(*WIDE, dtype=d).amin(0),
    "logsumexp": lambda d: draw(*WIDE, dtype=d).logsumexp(1),
    "cumsum": lambda d: draw(*WIDE, dtype=d).cumsum(1),
    "cumsum 0": lambda d: draw(*WIDE, dtype=d).cumsum(0),
    "cumprod": lambda d: (draw(*WIDE, dtype=d) / 1000 + 1).cumprod(1),
    "scatter_add 0": lambda d: draw(*WIDE, dtype=d).scatter_add(0, ids((517, 1031), 517), draw(*WIDE, dtype=d, seed=1)),
    "index_add": lambda d: draw(103, 1031, dtype=d).index_add(0, ids(517, 103), draw(517, 1031, dtype=d, seed=1)),
    "sort": lambda d: draw(*WIDE, dtype=d).sort(0)[0],
    "topk": lambda d: draw(*WIDE, dtype=d).topk(7, 1)[0],
    "median": lambda d: draw(*WIDE, dtype=d).median(1)[0],
    "softmax": lambda d: draw(*WIDE, dtype=d).softmax(1),
    "softmax 0": lambda d: draw(*WIDE, dtype=d).softmax(0),
    "log_softmax": lambda d: draw(*WIDE, dtype=d).log_softmax(1),
    "cross_entropy": lambda d: F.cross_entropy(draw(*WIDE, dtype=d), fastnn.from_numpy(CLASSES)),
    "cross_entropy smooth": lambda d: F.cross_entropy(
        draw(*WIDE, dtype=d), fastnn.from_numpy(CLASSES), label_smoothing=0.1
    ),
    "mse_loss": lambda d: F.mse_loss(draw(*WIDE, dtype=d), draw(*WIDE, dtype=d, seed=1)),
    "matmul": lambda d: draw(301, 257, dtype=d) @ draw(257, 199, dtype=d, seed=1),
    "matmul deep": lambda d: draw(31, 20_011, dtype=d) @ draw(20_011, 17, dtype=d, seed=1),
    "matmul transposed": lambda d: draw(257, 301, dtype=d).t() @ draw(199, 257, dtype=d, seed=1).t(),
    "matvec": lambda d: draw(1031, 1517, dtype=d) @ draw(1517, dtype=d, seed=1),
    "dot": lambda d: draw(*LONG, dtype=d) @ draw(*LONG, dtype=d, seed=1),
    "bmm": lambda d: draw(7, 65, 129, dtype=d) @ draw(7, 129, 33, dtype=d, seed=1),
    "linear": lambda d: F.linear(draw(130, 511, dtype=d), draw(257, 511, dtype=d, seed=1), draw(257, dtype=d, seed=2)),
    "conv2d": lambda d: F.conv2d(
        draw(5, 3, 29, 31, dtype=d), draw(17, 3, 3, 3, dtype=d, seed=1), draw(17, dtype=d), padding=1
    ),
    "conv2d 3x3": lambda d: F.conv2d(
        draw(5, 33, 29, 31, dtype=d), draw(37, 33, 3, 3, dtype=d, seed=1), draw(37, dtype=d), padding=1
    ),
    "conv2d 3x3 small images": lambda d: F.conv2d(
        draw(9, 65, 7, 7, dtype=d), draw(70, 65, 3, 3, dtype=d, seed=1), padding=1
    ),
    "conv2d depthwise": lambda d: F.conv2d(
        draw(5, 33, 29, 31, dtype=d), draw(33, 1, 5, 5, dtype=d, seed=1), draw(33, dtype=d), padding=2, groups=33
    ),
    "conv2d stride groups": lambda d: F.conv2d(
        draw(3, 8, 29, 31, dtype=d),
        draw(16, 4, 5, 3, dtype=d, seed=1),
        stride=2,
        padding=(2, 1),
        dilation=(1, 2),
        groups=2,
    ),
    "conv2d 1x1": lambda d: F.conv2d(draw(3, 33, 29, 31, dtype=d), draw(17, 33, 1, 1, dtype=d, seed=1)),
    "max_pool2d": lambda d: F.max_pool2d(draw(5, 16, 57, 55, dtype=d), 3, 2, 1),
    "avg_pool2d": lambda d: F.avg_pool2d(draw(5, 16, 57, 55, dtype=d), 3, 2, 1),
    "layer_norm": lambda d: F.layer_norm(
        draw(*WIDE, dtype=d), (1031,), draw(1031, dtype=d, seed=1), draw(1031, dtype=d, seed=2)
    ),
    "layer_norm many rows": lambda d: F.layer_norm(draw(20_011, 17, dtype=d), (17,), draw(17, dtype=d, seed=1)),
    "rms_norm": lambda d: F.rms_norm(draw(*WIDE, dtype=d), (1031,), draw(1031, dtype=d, seed=1)),
    "batch_norm": lambda d: F.batch_norm(
        draw(33, 17, 29, 31, dtype=d), None, None, draw(17, dtype=d, seed=1), draw(17, dtype=d, seed=2), True
    ),
    "batch_norm large planes": lambda d: F.batch_norm(draw(3, 2, 57_001, dtype=d), None, None, training=True),
    "batch_norm columns": lambda d: F.batch_norm(draw(*WIDE, dtype=d), None, None, training=True),
    "group_norm": lambda d: F.group_norm(draw(5, 12, 57, 55, dtype=d), 3, draw(12, dtype=d, seed=1)),
    "attention": lambda d: F.scaled_dot_product_attention(*(draw(2, 3, 301, 40, dtype=d, seed=i) for i in range(3))),
    "attention causal": lambda d: F.scaled_dot_product_attention(
        *(draw(1, 2, 777, 24, dtype=d, seed=i) for i in range(3)), is_causal=True
    ),
    "attention one head": lambda d: F.scaled_dot_product_attention(
        draw(1, 1, 130, 16, dtype=d), draw(1, 1, 2100, 16, dtype=d, seed=1), draw(1, 1, 2100, 16, dtype=d, seed=2)
    ),
    "embedding": lambda d: F.embedding(ids(20_011, 103), draw(103, 33, dtype=d)),
    "index": lambda d: draw(1031, 33, dtype=d)[ids(20_011, 1031)],
    "gather": lambda d: draw(*WIDE, dtype=d).gather(0, ids((517, 1031), 517)),
    "cat": lambda d: fastnn.cat([draw(*WIDE, dtype=d), draw(*WIDE, dtype=d, seed=1)], 1),
    "transposed copy": lambda d: draw(*WIDE, dtype=d).t().contiguous(),
}


def at_every_thread_count(compute):
    """compute() at each thread count; it returns arrays, whose bits are compared with those at one thread."""
    before = fastnn.get_num_threads()
    first = None
    try:
        for threads in THREADS:
            fastnn.set_num_threads(threads)
            assert fastnn.get_num_threads() == threads
            got = [a.tobytes() for a in compute()]
            first = first or got
            same = [a == b for a, b in zip(first, got, strict=True)]
            assert all(same), f"{threads} threads differ from one in result {same.index(False)}"
    finally:
        fastnn.set_num_threads(before)


@pytest.mark.parametrize("table", CPU_TABLES, indirect=True)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPS)
def test_op(name, dtype, table):
    def compute():
        DRAWN.clear()
        y = OPS[name](dtype)
        leaves = list(DRAWN)
        y.backward(draw(*y.shape, dtype=dtype, seed=9).detach())
        return [y.detach().numpy(), *(w.grad.numpy() for w in leaves if w.grad is not None)]

    at_every_thread_count(compute)


@pytest.mark.parametrize("table", CPU_TABLES, indirect=True)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_twenty_training_steps(name, optimizer, table):
    def compute():
        fastnn.manual_seed(0)
        model = build(fastnn, name)
        x, y = images(fastnn, name, 20 * 32)
        batches = list(zip(x.split(32), y.split(32), strict=True))
        options = {"lr": 0.05, "momentum": 0.9} if optimizer == "SGD" else {"lr": 1e-3}
        losses = train(fastnn, model, getattr(fastnn.optim, optimizer)(model.parameters(), **options), batches)
        return [np.array(losses), *(p.detach().numpy() for p in model.parameters())]

    at_every_thread_count(compute)


@pytest.mark.parametrize("table", CPU_TABLES, indirect=True)
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop"])
def test_optimizer_step(name, table):
    def compute():
        parameters = [draw(1031, 517), draw(33_001, seed=1), draw(7, seed=2)]
        optimizer = getattr(fastnn.optim, name)(parameters, lr=0.01, weight_decay=0.1)
        for step in range(3):
            for p in parameters:
                p.grad = draw(*p.shape, seed=10 + step).detach()
            norm = fastnn.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        return [norm.numpy(), *(p.detach().numpy() for p in parameters)]

    at_every_thread_count(compute)


@pytest.mark.parametrize("table", CPU_TABLES, indirect=True)
def test_batches_of_small_products(table):
    """Small products of a batch are one task, which shares its scratch with no other thread: repeated, for a race shows
    itself now and then only."""
    rng = np.random.default_rng(0)
    for m, k, n in ((31, 33, 16), (20, 300, 9), (41, 33, 46)):
        a, b = (rng.standard_normal((3, r, k)).astype("float32") for r in (m, n))
        want = np.einsum("zmk,znk->zmn", a.astype("float64"), b.astype("float64"))
        x, y = fastnn.from_numpy(a), fastnn.from_numpy(b)
        before = fastnn.get_num_threads()
        try:
            for threads in (2, 8):
                fastnn.set_num_threads(threads)
                for _ in range(150):
                    np.testing.assert_allclose((x @ y.mT).numpy(), want, rtol=1e-4, atol=1e-3)
        finally:
            fastnn.set_num_threads(before)
