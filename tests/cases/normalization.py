"""Layer, group and batch normalisation, sizes on both sides of every cut, against the formulas in float64."""

import numpy as np

from . import Case

CASES = []
EPS = 1e-5


def _normalized(x, dims, weight, bias, eps, centre=True):
    mean = x.mean(dims, keepdims=True) if centre else None
    d = x - mean if centre else x
    var = (d * d).mean(dims, keepdims=True)
    y = d / np.sqrt(var + eps)
    y = y if weight is None else y * weight
    return (y if bias is None else y + bias), mean, var


def _gradients(dy, x, dims, weight, mean, var, eps, constant=False):
    """dx by the chain rule through mean and variance, written out; dy·xhat for the weight."""
    d = x if mean is None else x - mean
    rstd = 1 / np.sqrt(var + eps)
    g = dy if weight is None else dy * weight
    dx = g * rstd
    if not constant:
        n = np.prod([x.shape[i] for i in dims])
        dvar = (g * d).sum(dims, keepdims=True) * -0.5 * rstd**3
        dx = dx + dvar * 2 * d / n
        if mean is not None:
            dx = dx - dx.sum(dims, keepdims=True) / n
    return dx, dy * d * rstd


def _last(x, dims):
    return tuple(range(x.ndim - dims, x.ndim))


def _layer(x, dims, weight, bias, eps, centre):
    return _normalized(x, _last(x, dims), weight, bias, eps, centre)


def _layer_backward(dy, x, dims, weight, mean, var, eps, wanted):
    dx, dw = _gradients(dy, x, _last(x, dims), weight, mean, var, eps)
    rest = tuple(range(x.ndim - dims))
    return dx if wanted[0] else None, dw.sum(rest) if wanted[1] else None, dy.sum(rest) if wanted[2] else None


def _column(v, x):
    return None if v is None else v.reshape((1, -1) + (1,) * (x.ndim - 2))


def _batch(x, weight, bias, eps):
    y, mean, var = _normalized(x, (0, *range(2, x.ndim)), _column(weight, x), _column(bias, x), eps)
    return y, mean.reshape(-1), var.reshape(-1)


def _batch_eval(x, mean, var, weight, bias, eps):
    y = (x - _column(mean, x)) / np.sqrt(_column(var, x) + eps)
    y = y if weight is None else y * _column(weight, x)
    return y if bias is None else y + _column(bias, x)


def _batch_backward(dy, x, weight, mean, var, eps, training, wanted):
    dims = (0, *range(2, x.ndim))
    dx, dw = _gradients(dy, x, dims, _column(weight, x), _column(mean, x), _column(var, x), eps, not training)
    return dx if wanted[0] else None, dw.sum(dims) if wanted[1] else None, dy.sum(dims) if wanted[2] else None


def _rows(x, groups):
    return x.reshape(x.shape[0], groups, -1)


def _group(x, groups, weight, bias, eps):
    y, mean, var = _normalized(_rows(x, groups), (2,), None, None, eps)
    y = y.reshape(x.shape)
    y = y if weight is None else y * _column(weight, x)
    return (y if bias is None else y + _column(bias, x)), mean[..., 0], var[..., 0]


def _group_backward(dy, x, groups, weight, mean, var, eps, wanted):
    g = dy if weight is None else dy * _column(weight, x)
    m, v = mean[..., None], var[..., None]
    dx, _ = _gradients(_rows(g, groups), _rows(x, groups), (2,), None, m, v, eps)
    xhat = ((_rows(x, groups) - m) / np.sqrt(v + eps)).reshape(x.shape)
    rest = (0, *range(2, x.ndim))
    dw = (dy * xhat).sum(rest) if wanted[1] else None
    return dx.reshape(x.shape) if wanted[0] else None, dw, dy.sum(rest) if wanted[2] else None


def _draw(shape, parameters, affine, backward=False):
    """x (and dy), weight and bias; away from 0, so that the mean matters."""

    def make(rng, d):
        x = (rng.standard_normal(shape) * 1.5 + 2).astype(d)
        dy = rng.standard_normal(shape).astype(d)
        w, b = (rng.standard_normal(parameters).astype(d) for _ in range(2))
        return (x, *(dy,) * backward, w if affine else None, b if affine == "both" else None)

    return make


def _tolerance(x, terms):
    """Sums of that many terms, normalised by a standard deviation of 1.5."""
    return np.full(x.shape, 8 * np.sqrt(terms) + 16 * np.abs(x).max())


def _three(dx, dw, db, x, terms, of):
    """Bounds of the three gradients: of dweight and dbias by the number of their terms."""
    many = 16 * np.sqrt(of) * 4 + 16
    pairs = (dx, 8 * np.sqrt(terms) + 64), (dw, many), (db, many)
    return tuple(None if v is None else np.broadcast_to(b, v.shape) for v, b in pairs)


def add(op, name, args, reference, bound=None, **kw):
    CASES.append(Case(op, name, args, reference, bound, **kw))


for shape, dims in [((3, 1), 1), ((2, 7), 1), ((5, 64), 1), ((4, 3, 35), 2), ((40, 33), 1), ((700, 65), 1), ((2, 9001), 1),
                    ((17, 2050), 1)]:  # fmt: skip
    for affine in (None, "weight", "both"):
        for centre in (True, False) if affine != "both" else (True,):
            label = f"{'x'.join(map(str, shape))}_{dims}_{affine}{'' if centre else '_rms'}"
            n = int(np.prod(shape[len(shape) - dims :]))

            tail, outer = shape[len(shape) - dims :], int(np.prod(shape[: len(shape) - dims]))
            make, make_back = _draw(shape, tail, affine), _draw(shape, tail, affine, True)

            def args(rng, d, make=make, dims=dims, centre=centre):
                x, w, b = make(rng, d)
                return x, dims, w, b, EPS, centre

            def back(rng, d, make=make_back, dims=dims, centre=centre):
                x, dy, w, _ = make(rng, d)
                _, mean, var = _layer(x.astype(np.float64), dims, None, None, EPS, centre)
                wanted = (True, w is not None, centre)
                return dy, x, dims, w, None if mean is None else mean.astype(d), var.astype(d), EPS, wanted

            add("layer_norm", label, args, _layer, lambda x, *_, n=n: (_tolerance(x, n), *[np.full(1, 16.0)] * 2))
            add(
                "layer_norm_backward", label, back, _layer_backward,
                lambda *a, n=n, m=outer: _three(*_layer_backward(*a), a[1], n, m),
            )  # fmt: skip

for shape in [
    (5, 6),
    (2, 1),
    (300, 70),
    (4, 6, 5),
    (3, 12, 7, 9),
    (2, 4, 130, 150),
    (3, 2, 30000),
    (2000, 3),
    (9, 40),
    (40, 16, 20),
]:
    count, channels = int(np.prod(shape)) // shape[1], shape[1]
    for affine in (None, "both"):
        label = f"{'x'.join(map(str, shape))}_{affine}"
        make, make_back = _draw(shape, channels, affine), _draw(shape, channels, affine, True)

        def args(rng, d, make=make):
            return *make(rng, d), EPS

        def given(rng, d, make=make, channels=channels):
            x, w, b = make(rng, d)
            return x, rng.standard_normal(channels).astype(d), rng.uniform(0.5, 2, channels).astype(d), w, b, EPS

        add("batch_norm", label, args, _batch, lambda x, *_, n=count: (_tolerance(x, n), *[np.full(1, 16.0)] * 2))
        add("batch_norm_eval", label, given, _batch_eval, lambda x, *_: _tolerance(x, 1))
        for training in (True, False):

            def back(rng, d, make=make_back, training=training):
                x, dy, w, _ = make(rng, d)
                _, mean, var = _batch(x.astype(np.float64), None, None, EPS)
                return dy, x, w, mean.astype(d), var.astype(d), EPS, training, (True, w is not None, True)

            add(
                "batch_norm_backward", f"{label}_{'train' if training else 'eval'}", back, _batch_backward,
                lambda *a, n=count: _three(*_batch_backward(*a), a[1], n, n),
            )  # fmt: skip
        for groups in {1, channels, channels // 2} - {0}:
            size = int(np.prod(shape)) // shape[0] // groups
            if channels % groups or size < 2:
                continue

            def args(rng, d, make=make, groups=groups):
                x, w, b = make(rng, d)
                return x, groups, w, b, EPS

            def back(rng, d, make=make_back, groups=groups):
                x, dy, w, _ = make(rng, d)
                _, mean, var = _group(x.astype(np.float64), groups, None, None, EPS)
                return dy, x, groups, w, mean.astype(d), var.astype(d), EPS, (True, w is not None, True)

            def bound(x, groups, *_, n=size):
                _, _, var = _group(x, groups, None, None, EPS)
                rstd = 1 / np.sqrt(var + EPS)[..., None]
                wide = np.broadcast_to(rstd, _rows(x, groups).shape).reshape(x.shape)
                return _tolerance(x, n) * np.maximum(wide, 1), *[np.full(1, 16.0)] * 2

            def back_bound(dy, x, groups, w, mean, var, *rest, n=size, m=count):
                wide = float(np.max(1 / np.sqrt(var + EPS)))
                got = _group_backward(dy, x, groups, w, mean, var, *rest)
                return tuple(b if b is None else b * max(1, wide**3) for b in _three(*got, x, n, m))

            add("group_norm", f"{label}_{groups}", args, _group, bound)
            add("group_norm_backward", f"{label}_{groups}", back, _group_backward, back_bound)


def _far(rng, d):
    """A mean 10,000 times the standard deviation: what E[x²] - E[x]² loses altogether."""
    return (rng.standard_normal((64, 6, 70)) * 0.01 + 100).astype(d)


def _exact(x, *_):
    return np.full(x.shape, 64.0), np.full(1, 256.0), np.full(1, 16.0)


add("layer_norm", "far", lambda rng, d: (_far(rng, d), 2, None, None, 1e-12, True), _layer, _exact, dtypes=("float32",))
add("batch_norm", "far", lambda rng, d: (_far(rng, d), None, None, 1e-12), _batch, _exact, dtypes=("float32",))
add(
    "batch_norm",
    "far_columns",
    lambda rng, d: (_far(rng, d)[:, :, 0].copy(), None, None, 1e-12),
    _batch,
    _exact,
    dtypes=("float32",),
)
add("group_norm", "far", lambda rng, d: (_far(rng, d), 3, None, None, 1e-12), _group, _exact, dtypes=("float32",))

F32 = {"bench": True, "dtypes": ("float32",)}


def _bench_back(make, statistics, *between):
    def args(rng, d):
        x, dy, w, _ = make(rng, d)
        _, mean, var = statistics(x)
        return dy, x, *between, w, mean, var, EPS

    return args


def _bench():
    rows, image = _draw((4096, 768), 768, "both"), _draw((32, 64, 28, 28), 64, "both")
    rows2, image2 = _draw((4096, 768), 768, "both", True), _draw((32, 64, 28, 28), 64, "both", True)
    three = ((True, True, True),)

    def layer(rng, d):
        x, w, b = rows(rng, d)
        return x, 1, w, b, EPS, True

    def group(rng, d):
        x, w, b = image(rng, d)
        return x, 8, w, b, EPS

    size, pixels = 4096 * 768 * 4.0, 32 * 64 * 28 * 28 * 4.0
    layer_back = _bench_back(rows2, lambda x: _layer(x, 1, None, None, EPS, True), 1)
    batch_back = _bench_back(image2, lambda x: _batch(x, None, None, EPS))
    group_back = _bench_back(image2, lambda x: _group(x, 8, None, None, EPS), 8)
    loose = lambda *a: (np.full(1, 512.0), np.full(1, 2e5), np.full(1, 2e5))  # noqa: E731
    add("layer_norm", "bench_4096x768", layer, _layer, loose, bytes=2 * size, **F32)
    add("layer_norm_backward", "bench_4096x768", lambda r, d: layer_back(r, d) + three, _layer_backward, loose,
        bytes=3 * size, **F32)  # fmt: skip
    add("batch_norm", "bench_32x64x28", lambda r, d: (*image(r, d), EPS), _batch, loose, bytes=2 * pixels, **F32)
    add("batch_norm_backward", "bench_32x64x28", lambda r, d: (*batch_back(r, d), True, *three), _batch_backward, loose,
        bytes=3 * pixels, **F32)  # fmt: skip
    add("group_norm", "bench_32x64x28", group, _group, loose, bytes=2 * pixels, **F32)
    add("group_norm_backward", "bench_32x64x28", lambda r, d: group_back(r, d) + three, _group_backward, loose,
        bytes=3 * pixels, **F32)  # fmt: skip


_bench()
