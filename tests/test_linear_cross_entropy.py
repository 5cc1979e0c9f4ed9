"""Cross-entropy of linear logits, tile by tile: values and gradients against float64's whole logits, and the memory it takes."""

import itertools
import os
import subprocess
import sys

import emulation
import numpy as np
import pytest

import fastnn as T
from fastnn import backend as backends
from fastnn import nn
from fastnn.backend import numpy_kernels
from fastnn.nn import functional as F


@pytest.fixture(params=["cpu", "numpy", "cuda"])
def device(request):
    """A device, or the twin; with tiles of few elements, so that small shapes are cut in all directions."""
    if request.param == "cpu" and "cpu" not in backends.available():
        pytest.skip("the compiled kernels are not here")
    if request.param == "cuda":
        emulation.install()
        from fastnn.backend.cuda_kernels import linear_cross_entropy

        fused = linear_cross_entropy.__self__
    else:
        fused = backends.load(request.param).linear_cross_entropy.__self__
    before, elements = backends.active().__name__.rpartition(".")[2].removesuffix("_kernels"), fused.elements
    if request.param == "numpy":
        backends.use("numpy")
    fused.elements = 600
    yield "cuda" if request.param == "cuda" else "cpu"
    fused.elements = elements
    backends.use(before)
    if request.param == "cuda":
        emulation.uninstall()


def reference(x, w, b, target, weight, ignore_index, smoothing, reduction, dloss):
    """Loss and gradients from all logits, in float64."""
    z = x @ w.T + (0 if b is None else b)
    n, classes = z.shape
    m = np.ones(classes) if weight is None else weight
    top = z.max(1, keepdims=True)
    log_p = z - top - np.log(np.exp(z - top).sum(1, keepdims=True))
    kept = target != ignore_index
    safe = np.where(kept, target, 0)
    q = np.tile(smoothing / classes * m, (n, 1))
    q[np.arange(n), safe] += (1 - smoothing) * m[safe]
    q[~kept] = 0
    loss, total = -(q * log_p).sum(1), (m[safe] * kept).sum()
    g = dloss / total if reduction == "mean" else dloss
    dz = (np.exp(log_p) * q.sum(1, keepdims=True) - q) * np.broadcast_to(g, n)[:, None]
    loss = loss if reduction == "none" else loss.sum() / (total if reduction == "mean" else 1)
    return loss, dz @ w, dz.T @ x, dz.sum(0)


@pytest.mark.parametrize("dtype", [T.float64, T.float32, T.float16], ids=str)
@pytest.mark.parametrize("shape", [(3, 5, 601), (70, 3, 13), (1, 1, 1)], ids=str)
def test_values_and_gradients(device, shape, dtype):
    """float32: sums of C exponentials and products of D, N or C terms, each with a relative error below 1e-5; float16: the
    logits are rounded to 11 bits, 2^-11 of values of at most 8, in the reference's units, as in the two separate ops."""
    n, d, classes = shape
    rng = np.random.default_rng(classes)
    tolerance = {T.float64: 1e-12, T.float32: 2e-5, T.float16: 2e-2}[dtype]
    many = [(True, True, 0.1, "mean", 3), (False, False, 0.0, "sum", -100), (True, True, 0.3, "none", 0)]
    if dtype is T.float64 and device == "cpu":
        many = itertools.product((False, True), (False, True), (0.0, 0.2), ("mean", "sum", "none"), (-100, 2))
    for biased, weighted, smoothing, reduction, ignore_index in many:
        x, w = rng.standard_normal((n, d)), rng.standard_normal((classes, d))
        b = rng.standard_normal(classes) if biased else None
        target = rng.integers(0, classes, n)
        if n > 3:
            target[2] = ignore_index
        weight = rng.uniform(0.5, 2, classes) if weighted else None
        dloss = rng.standard_normal(n if reduction == "none" else ())
        given = [None if v is None else T.tensor(v, dtype=dtype) for v in (x, w, b, weight, np.asarray(dloss))]
        x, w, b, weight, dloss = (None if v is None else v.double().numpy() for v in given)  # as rounded
        tx, tw, tb, tweight, tdloss = (None if v is None else v.to(device) for v in given)
        leaves = [t.requires_grad_() for t in (tx, tw, tb) if t is not None]
        loss = F.linear_cross_entropy(
            tx, tw, T.tensor(target).to(device), linear_bias=tb, weight=tweight, reduction=reduction,
            ignore_index=ignore_index, label_smoothing=smoothing,
        )  # fmt: skip
        assert loss.dtype is dtype and loss.device.type == device and loss.requires_grad
        loss.backward(tdloss)
        want = reference(x, w, b, target, weight, ignore_index, smoothing, reduction, dloss)
        for got, right in zip([loss.detach(), *(t.grad for t in leaves)], want, strict=False):
            scale = max(np.abs(right).max(), 1e-3)
            assert np.isfinite(right).all() == bool(got.isfinite().all())
            if np.isfinite(right).all():
                np.testing.assert_allclose(got.double().cpu().numpy(), right, rtol=0, atol=tolerance * scale)


def test_rows_with_infinities(device):
    """As cross_entropy of the whole logits: NaN where a row has NaN, +inf or nothing but -inf; inf for a target at -inf."""
    z = np.zeros((5, 40))
    z[0, 39], z[1, 0], z[2, :], z[3, 7] = np.inf, np.nan, -np.inf, -np.inf
    target = T.tensor([3, 3, 3, 7, 7]).to(device)
    bias = T.tensor(z).to(device)  # by rows: one row of x at a time
    x, w = T.ones(1, 1, dtype=T.float64, device=device), T.zeros(40, 1, dtype=T.float64, device=device)
    for i in range(5):
        got = F.linear_cross_entropy(x, w, target[i : i + 1], linear_bias=bias[i]).item()
        want = F.cross_entropy(bias[i : i + 1], target[i : i + 1]).item()
        assert got == want or (np.isnan(got) and np.isnan(want)), i
    assert F.linear_cross_entropy(x, w, target[4:], linear_bias=bias[4]).item() == pytest.approx(np.log(40))
    nothing = F.linear_cross_entropy(x, w, T.tensor([-100]).to(device))
    assert np.isnan(nothing.item())


def test_other_forms(device):
    rng = np.random.default_rng(3)
    x, w = (T.tensor(rng.standard_normal(s)).to(device) for s in ((6, 4), (30, 4)))
    y = T.tensor(rng.integers(0, 30, 6)).to(device)
    z = F.linear(x, w)
    close = lambda a, b: np.testing.assert_allclose(a.cpu().numpy(), b.cpu().numpy(), rtol=1e-12)  # noqa: E731
    close(F.linear_cross_entropy(x[0], w, y[0], reduction="none"), F.cross_entropy(z[0], y[0], reduction="none"))
    close(F.linear_cross_entropy(x[0], w, y[0]), F.cross_entropy(z[0], y[0]))
    p = T.softmax(T.tensor(rng.standard_normal((6, 30))).to(device), 1)
    close(F.linear_cross_entropy(x, w, p, label_smoothing=0.1), F.cross_entropy(z, p, label_smoothing=0.1))
    deep, ids = w.reshape(5, 2, 3, 4), T.tensor(rng.integers(0, 5, (6, 2, 3))).to(device)
    bias = T.tensor(rng.standard_normal((5, 2, 3))).to(device)
    whole = F.linear(x, w).reshape(6, 5, 2, 3) + bias
    close(F.linear_cross_entropy(x, deep, ids, linear_bias=bias), F.cross_entropy(whole, ids))
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=2)
    close(F.linear_cross_entropy(x, w, y, options=options), F.cross_entropy(z, y))
    T.manual_seed(0)
    layer = nn.LinearCrossEntropyLoss(4, 5, out_features=(2, 3), bias=True, label_smoothing=0.1).double().to(device)
    with T.no_grad():
        layer.linear.weight.copy_(w)
        layer.linear.bias.copy_(bias.reshape(-1))
    close(layer(x, ids).detach(), F.cross_entropy(whole, ids, label_smoothing=0.1))
    plain = nn.LinearCrossEntropyLoss(4, 30, ignore_index=3, reduction="sum").double().to(device)
    close(plain(x, y).detach(), F.cross_entropy(plain.linear(x), y, ignore_index=3, reduction="sum").detach())
    with T.autocast(device, dtype=T.float16):
        low = F.linear_cross_entropy(x.float(), w.float(), y)
    assert low.dtype is T.float32 and abs(low.item() - F.cross_entropy(z, y).item()) < 1e-2


def test_second_derivatives(device):
    rng = np.random.default_rng(4)
    leaves = [T.tensor(rng.standard_normal(s)).to(device).requires_grad_() for s in ((3, 2), (5, 2), (5,))]
    y = T.tensor([4, 0, 2]).to(device)
    found = []
    for f in (
        lambda x, w, b: F.linear_cross_entropy(x, w, y, linear_bias=b),
        lambda x, w, b: F.cross_entropy(F.linear(x, w, b), y),
    ):
        first = T.autograd.grad(f(*leaves), leaves, create_graph=True)
        found.append(T.autograd.grad(sum((g * g).sum() for g in first), leaves))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.cpu().numpy(), b.cpu().numpy(), rtol=1e-9, atol=1e-12)


def test_errors():
    x, w, y = T.randn(4, 3), T.randn(6, 3), T.tensor([0, 5, 1, 2])
    f = F.linear_cross_entropy
    for call, error, text in (
        (lambda: f(x, T.randn(6, 2), y), RuntimeError, "last dimensions .in_features., got 3 and 2"),
        (lambda: f(T.randn(1, 2, 3), w, y), RuntimeError, "expected input with dimensionality 1 or 2, got 3"),
        (lambda: f(x, w[0], y), RuntimeError, "linear_weight with dimensionality at least 2, got 1"),
        (lambda: f(x, w, y, linear_bias=T.ones(5)), RuntimeError, r"linear_bias shape \(6,\), got \(5,\)"),
        (lambda: f(x[0], T.randn(6, 2, 3), y), RuntimeError, "requires batched input"),
        (lambda: f(x, w, y[:2]), ValueError, r"batch_size \(4\) to match target batch_size \(2\)"),
        (lambda: f(x, w, y.float()), RuntimeError, "expected scalar type Long but found Float"),
        (lambda: f(x, w, y + 1), IndexError, "Target 6 is out of bounds"),
        (lambda: f(x, w, y, label_smoothing=1.5), RuntimeError, "label_smoothing must be between"),
        (lambda: f(x, w, y, weight=T.ones(5)), RuntimeError, "weight tensor should be defined"),
        (lambda: f(x, w, y, reduction="all"), ValueError, "all is not a valid value for reduction"),
        (lambda: f(x, w, T.rand(4, 6), ignore_index=1), RuntimeError, "ignore_index cannot be specified"),
        (lambda: f(x.double(), w, y), RuntimeError, "same dtype"),
        (lambda: f(x, w, [1]), TypeError, "'target' must be Tensor, not list"),
        (lambda: nn.LinearCrossEntropyLoss(3, 6, weight=T.ones(5)), RuntimeError, "expected weight shape"),
        (lambda: nn.LinearCrossEntropyOptions(batch_chunk_size=0), ValueError, "positive int or None, got 0"),
        (lambda: nn.LinearCrossEntropyOptions(chunking_method="ratio"), ValueError, "invalid chunking_method: 'ratio'"),
        (lambda: nn.LinearCrossEntropyOptions(acc_policy="x"), ValueError, "invalid acc_policy: 'x'"),
    ):
        with pytest.raises(error, match=text):
            call()


MEMORY = """
import resource, sys
import fastnn as T
from fastnn.nn import functional as F
n, d, classes = 2048, 16, 50257
x, w = T.randn(n, d, requires_grad=True), T.randn(classes, d, requires_grad=True)
y = T.randint(0, classes, (n,))
F.linear_cross_entropy(x[:8], w, y[:8]).backward()
x.grad = w.grad = None
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
F.linear_cross_entropy(x, w, y).backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes on Linux")
@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_the_logits_are_never_in_memory(backend):
    """Forward and backward of 2,048 rows over 50,257 classes: the process grows by less than a sixth of the logits' 412 MB."""
    if backend not in backends.available():
        pytest.skip("the compiled kernels are not here")
    environment = {**os.environ, "FASTNN_BACKEND": backend, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", MEMORY], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2048 * 50257 * 4 / 6


def test_tiles():
    """The cut by itself: covers everything, within the limit, whole classes' rows where they fit."""
    fused = numpy_kernels.linear_cross_entropy.__self__
    for n, classes, rows in ((4096, 50257, None), (1, 10, None), (1 << 17, 32000, None), (7, 300000, 2), (0, 5, None)):
        r, c = fused.tile(n, classes, rows)
        assert 0 < r * c <= max(fused.elements, 256) or n == 0
        assert r <= n and c <= classes and (rows is None or r <= rows)
    assert fused.tile(4096, 50257, None)[0] == 4096
