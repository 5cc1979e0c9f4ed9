"""Softmax over every dimension and cross-entropy with every option, against plain loops with fsum."""

import itertools
import math

import numpy as np

from . import Case

CASES = []


def _rows(x, dim, f, *others):
    """f(row, rows of the others) -> row, along dim."""
    out = np.empty(x.shape)
    for at in itertools.product(*(range(s) for d, s in enumerate(x.shape) if d != dim)):
        index = (*at[:dim], slice(None), *at[dim:])
        out[index] = f([float(v) for v in x[index]], *([float(v) for v in o[index]] for o in others))
    return out


def _lse(row):
    """As torch's log_softmax: NaN where the largest value is not finite."""
    m = max(row, default=math.nan) if not any(map(math.isnan, row)) else math.nan
    return m + math.log(math.fsum(math.exp(v - m) for v in row)) if math.isfinite(m) else math.nan


def _softmax(row):
    m = _lse(row)
    return [math.exp(v - m) if not math.isnan(m) else math.nan for v in row]


def _log_softmax(row):
    m = _lse(row)
    return [v - m for v in row]


def _softmax_backward(dy, y):
    total = math.fsum(a * b for a, b in zip(dy, y, strict=True))
    return [b * (a - total) for a, b in zip(dy, y, strict=True)]


def _log_softmax_backward(dy, y):
    total = math.fsum(dy)
    return [a - math.exp(b) * total for a, b in zip(dy, y, strict=True)]


def _logits(shape, scale=3.0, special=False):
    def make(rng, d):
        x = rng.standard_normal(shape) * scale
        if special:
            rows = x.reshape(-1, shape[-1])
            rows[0, 0], rows[1, -1], rows[2, :], rows[3, ::2] = np.nan, np.inf, -np.inf, -np.inf
        return x.astype(d)

    return make


SHAPES = [((7,), 0), ((5, 1), 1), ((3, 10), 1), ((4, 16), 1), ((3, 17), 1), ((10, 33), 0), ((2, 3000), 1), ((1500, 3), 0),
          ((3, 5, 7), 1), ((2, 4, 600), 1), ((2, 2, 3, 5), 3), ((0, 4), 1), ((4, 0), 1)]  # fmt: skip
for shape, dim in SHAPES:
    label = f"{'x'.join(map(str, shape))}_{dim}"
    for op, f in (("softmax", _softmax), ("log_softmax", _log_softmax)):
        CASES.append(
            Case(
                op,
                label,
                lambda rng, d, s=shape, dim=dim: (_logits(s)(rng, d), dim),
                lambda x, dim, f=f: _rows(x, dim, f),
            )
        )
    CASES += [
        Case(
            "softmax_backward",
            label,
            lambda rng, d, s=shape, dim=dim: (_logits(s, 1)(rng, d), rng.random(s).astype(d), dim),
            lambda dy, y, dim: _rows(dy, dim, _softmax_backward, y),
            lambda dy, y, dim: np.broadcast_to(
                (np.abs(dy * y).sum(dim, keepdims=True) + np.abs(dy)) * np.abs(y) * math.sqrt(max(dy.shape[dim], 1)),
                dy.shape,
            ),
        ),
        Case(
            "log_softmax_backward",
            label,
            lambda rng, d, s=shape, dim=dim: (_logits(s, 1)(rng, d), -rng.random(s).astype(d) * 9, dim),
            lambda dy, y, dim: _rows(dy, dim, _log_softmax_backward, y),
            lambda dy, y, dim: (np.abs(dy).sum(dim, keepdims=True) + np.abs(dy)) * math.sqrt(max(dy.shape[dim], 1)) * 4,
        ),
    ]
for width in (6, 40, 3000):
    for op, f in (("softmax", _softmax), ("log_softmax", _log_softmax)):
        CASES.append(
            Case(
                op,
                f"special_{width}",
                lambda rng, d, w=width: (_logits((5, w), 3, True)(rng, d), 1),
                lambda x, dim, f=f: _rows(x, dim, f),
            )
        )


def _cross_entropy(logits, target, weight, ignore_index, smoothing, reduction):
    n, classes = logits.shape
    w = np.ones(classes) if weight is None else weight
    losses, lse, total = [], [], 0.0
    for row, t in zip(logits, target, strict=True):
        m = _lse([float(v) for v in row])
        lse.append(m)
        if t == ignore_index:
            losses.append(0.0)
            continue
        own = w[t] * (m - row[t])
        even = math.fsum(w[c] * (m - row[c]) for c in range(classes)) / classes if smoothing else 0.0
        losses.append((1 - smoothing) * own + smoothing * even)
        total += w[t]
    if reduction == "none":
        loss = np.array(losses)
    else:
        loss = math.fsum(losses)
        loss = loss / total if reduction == "mean" and total else math.nan if reduction == "mean" else loss
    return np.asarray(loss), np.array(lse), None


def _cross_entropy_backward(dloss, logits, target, weight, ignore_index, smoothing, reduction, lse, total):
    n, classes = logits.shape
    w = np.ones(classes) if weight is None else weight
    dx = np.zeros((n, classes))
    for i, t in enumerate(target):
        if t == ignore_index:
            continue
        g = dloss[i] if reduction == "none" else float(dloss) / (total if reduction == "mean" else 1)
        p = _softmax([float(v) for v in logits[i]])
        # loss = sum_c q[c] (lse - x[c]) with q the smoothed target: gradient softmax sum(q) - q
        q = [smoothing / classes * w[c] + ((1 - smoothing) * w[t] if c == t else 0.0) for c in range(classes)]
        mass = math.fsum(q)
        dx[i] = [g * (mass * p[c] - q[c]) for c in range(classes)]
    return dx


for n, classes in ((1, 1), (32, 2), (64, 10), (5, 17), (3, 5000), (150, 3), (0, 4)):
    for weighted, smoothing, reduction, ignore in itertools.product(
        (False, True), (0.0, 0.1), ("mean", "sum", "none"), (-100, 1)
    ):
        label = f"{n}x{classes}_{reduction}{'_w' if weighted else ''}{'_s' if smoothing else ''}_{ignore}"

        def make(
            rng, d, n=n, classes=classes, weighted=weighted, smoothing=smoothing, reduction=reduction, ignore=ignore
        ):
            target = rng.integers(0, classes, n)
            if n > 2:
                target[1] = ignore
                target[2] = 0
            weight = rng.uniform(0.5, 2, classes).astype(d) if weighted else None
            return _logits((n, classes))(rng, d), target, weight, ignore, smoothing, reduction

        def make_backward(rng, d, make=make):
            logits, target, weight, ignore, smoothing, reduction = make(rng, d)
            lse = np.array([_lse([float(v) for v in row]) for row in logits]).astype(d)
            w = np.ones(logits.shape[1]) if weight is None else weight
            total = float(math.fsum(w[t] for t in target if t != ignore))
            dloss = rng.standard_normal(len(target) if reduction == "none" else ()).astype(d)
            return np.asarray(dloss, d), logits, target, weight, ignore, smoothing, reduction, lse, total or 1.0

        CASES.append(Case("cross_entropy", label, make, _cross_entropy))
        CASES.append(Case("cross_entropy_backward", label, make_backward, _cross_entropy_backward))


# The pixels of images: [N, C, L].
for n, classes, length in ((2, 3, 17), (1, 21, 70), (3, 5, 1)):
    for weighted, smoothing, reduction in itertools.product((False, True), (0.0, 0.1), ("mean", "none")):

        def make_images(rng, d, shape=(n, classes, length), weighted=weighted, how=(0, smoothing, reduction)):
            target = rng.integers(0, shape[1], shape[0] * shape[2])
            target[-1] = 1
            weight = rng.uniform(0.5, 2, shape[1]).astype(d) if weighted else None
            return _logits(shape)(rng, d), target, weight, *how

        def make_images_backward(rng, d, make=make_images):
            logits, target, weight, ignore, smoothing, reduction = make(rng, d)
            rows = logits.swapaxes(1, 2).reshape(-1, logits.shape[1])
            lse = np.array([_lse([float(v) for v in row]) for row in rows]).astype(d)
            w = np.ones(logits.shape[1]) if weight is None else weight
            total = float(math.fsum(w[t] for t in target if t != ignore))
            dloss = rng.standard_normal(len(target) if reduction == "none" else ()).astype(d)
            return np.asarray(dloss, d), logits, target, weight, ignore, smoothing, reduction, lse, total

        def images(logits, *rest):
            return _cross_entropy(logits.swapaxes(1, 2).reshape(-1, logits.shape[1]), *rest)

        def images_backward(dloss, logits, *rest):
            shape = logits.shape
            rows = _cross_entropy_backward(dloss, logits.swapaxes(1, 2).reshape(-1, shape[1]), *rest)
            return rows.reshape(shape[0], shape[2], shape[1]).swapaxes(1, 2)

        label = f"images_{n}x{classes}x{length}_{reduction}{'_w' if weighted else ''}{'_s' if smoothing else ''}"
        CASES.append(Case("cross_entropy", label, make_images, images))
        CASES.append(Case("cross_entropy_backward", label, make_images_backward, images_backward))


def _large(rng, d):
    return rng.standard_normal((64, 5003)).astype(d), rng.integers(0, 5003, 64), None, -100, 0.0, "mean"


CASES += [
    Case(
        "cross_entropy", "bench_64x5003", _large, _cross_entropy, bytes=4.0 * 64 * 5003, bench=True, dtypes=("float32",)
    ),
    Case(
        "softmax",
        "bench_512x1024",
        lambda rng, d: (rng.standard_normal((512, 1024)).astype(d), 1),
        lambda x, dim: np.exp(x) / np.exp(x).sum(dim, keepdims=True),
        bytes=8.0 * 512 * 1024,
        bench=True,
        dtypes=("float32",),
    ),
]
