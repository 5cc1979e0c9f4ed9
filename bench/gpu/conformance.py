"""The native kernels on this GPU against float64 on the host: every rung of the GEMM's ladder and every family, at ragged
shapes. --small: the smallest shapes, for compute-sanitizer. Imports no torch."""

import json
import sys

import numpy as np

from fastnn.backend import cuda_runtime, numpy_kernels, variants

if reason := cuda_runtime.problem():
    sys.exit(f"conformance: {reason}")
import cupy as cp  # noqa: E402

from fastnn.backend import cuda_kernels as k  # noqa: E402

TOLERANCE = {"float32": 1e-5, "float16": 1e-2, "float64": 1e-12}


def error(got, want):
    got, want = cp.asnumpy(got).astype(np.float64), np.asarray(want, np.float64)
    return float(np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-30))


def report(op, shape, dtype, found):
    bad = not found <= TOLERANCE[dtype]
    print(
        json.dumps(
            {"op": op, "shape": str(shape), "dtype": dtype, "err": found, "tol": TOLERANCE[dtype], "ok": not bad}
        )
    )
    return bad


def convolutions(rng, small):
    """Every rung and every kernel of the implicit one: wgmma and mma.sync, FFMA, depthwise; channels first and last."""
    failures = 0
    for x, w, stride, dilation, groups in (
        ((2, 64, 9, 10), (72, 64, 3, 3), (1, 2), (1, 1), 1), ((1, 128, 7, 7), (64, 128, 1, 1), (1, 1), (1, 1), 1),
        ((2, 3, 21, 19), (24, 3, 7, 7), (2, 2), (1, 1), 1), ((2, 20, 9, 8), (12, 10, 3, 2), (2, 1), (2, 2), 2),
        ((2, 24, 9, 11), (24, 1, 3, 3), (1, 2), (1, 1), 24), ((4, 64, 56, 56), (64, 64, 3, 3), (2, 2), (1, 1), 1),
    )[: 5 if small else None]:  # fmt: skip
        how = (stride, (w[2] // 2, w[3] // 2), dilation, groups)
        for dtype in ("float16", "float32"):
            image, taps = (rng.standard_normal(s).astype(dtype) for s in (x, w))
            want = numpy_kernels.conv2d(image.astype("f8"), taps.astype("f8"), None, *how)
            dy = rng.standard_normal(want.shape).astype(dtype)
            dx = numpy_kernels.conv2d_backward_input(dy.astype("f8"), taps.astype("f8"), x, *how)
            dw = numpy_kernels.conv2d_backward_weight(dy.astype("f8"), image.astype("f8"), w, *how)
            for variant, last in (("im2col", False), ("implicit", False), ("implicit", True)):

                def there(a, last=last):
                    a = cp.asarray(a)
                    return cp.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if last else a

                token = variants._variables["conv"].set(variant)
                for op, got, right in (
                    ("conv2d", k.conv2d(there(image), there(taps), None, *how), want),
                    ("conv2d dx", k.conv2d_backward_input(there(dy), there(taps), x, *how), dx),
                    ("conv2d dw", k.conv2d_backward_weight(there(dy), there(image), w, *how), dw),
                ):
                    failures += report(f"{op} {variant}" + " last" * last, (x, w), dtype, error(got, right))
                variants._variables["conv"].reset(token)
    return failures


def main():
    small = "--small" in sys.argv
    rng = np.random.default_rng()
    failures = 0
    shapes = [(33, 17, 29)] if small else [(128, 128, 128), (257, 129, 65), (1000, 77, 513), (1, 4096, 33)]
    for variant in ("naive", "tiled", "warptiled", "tensorcore", "3xtf32"):
        for dtype in ("float32", "float16", "float64"):
            for m, n, depth in shapes:
                a, b = rng.standard_normal((m, depth)).astype(dtype), rng.standard_normal((depth, n)).astype(dtype)
                token = variants.gemm_variant.set(variant)
                try:
                    got = k.gemm(cp.asarray(a), cp.asarray(b))
                except ValueError:  # a rung that does not take this dtype says so
                    continue
                finally:
                    variants.gemm_variant.reset(token)
                failures += report(f"gemm {variant}", (m, n, depth), dtype, error(got, a.astype("f8") @ b.astype("f8")))
    rows, cols = (5, 37) if small else (123, 4099)
    for dtype in ("float32", "float64"):
        x, w = rng.standard_normal((rows, cols)).astype(dtype), rng.standard_normal(cols).astype(dtype)
        d, e, x8, w8 = cp.asarray(x), cp.asarray(w), x.astype("f8"), w.astype("f8")
        for op, arguments, given in (
            ("exp", (d,), (x8,)), ("add", (d, e), (x8, w8)), ("gelu", (d,), (x8,)), ("sum", (d, (1,)), (x8, (1,))),
            ("softmax", (d, 1), (x8, 1)), ("log_softmax", (d, 1), (x8, 1)), ("amax", (d, (0,)), (x8, (0,))),
            ("layer_norm", (d, 1, e, e, 1e-5, True), (x8, 1, w8, w8, 1e-5, True)),
        ):  # fmt: skip
            got, want = getattr(k, op)(*arguments), getattr(numpy_kernels, op)(*given)
            got, want = (v[0] if isinstance(v, tuple) else v for v in (got, want))
            failures += report(op, (rows, cols), dtype, error(got, want))
        image, taps = rng.standard_normal((2, 3, 13, 11)).astype(dtype), rng.standard_normal((5, 3, 3, 3)).astype(dtype)
        how = (None, (2, 1), (1, 1), (1, 1), 1)
        got = k.conv2d(cp.asarray(image), cp.asarray(taps), *how)
        failures += report(
            "conv2d", image.shape, dtype, error(got, numpy_kernels.conv2d(image.astype("f8"), taps.astype("f8"), *how))
        )
    sizes, hidden = ((3, 2), 9) if small else ((37,) * 20 + (11,) * 9, 150)
    for dtype in ("float32", "float16", "float64"):
        for cell, gates in (("RNN_TANH", 1), ("LSTM", 4), ("GRU", 3)):
            x = rng.standard_normal((sum(sizes), 13)).astype(dtype)
            shapes = (gates * hidden, 13), (gates * hidden, hidden), (gates * hidden,), (gates * hidden,)
            w = [(rng.standard_normal(n) * 0.1).astype(dtype) for n in shapes]
            got, *_, kept = k.rnn_layer(cell, cp.asarray(x), None, None, [(*map(cp.asarray, w), None)], sizes, True)
            w8 = [(*(a.astype("f8") for a in w), None)]
            want, *_, kept8 = numpy_kernels.rnn_layer(cell, x.astype("f8"), None, None, w8, sizes, True)
            failures += report(cell, (sizes[0], len(sizes), hidden), dtype, error(got, want))
            dy, needs = rng.standard_normal(want.shape).astype(dtype), (True, False, False, *(True,) * 4, False)
            given = cp.asarray(x), None, None, [(*map(cp.asarray, w), None)], sizes, got, kept, needs
            grads = k.rnn_layer_backward(cell, cp.asarray(dy), None, None, *given)
            given = x.astype("f8"), None, None, w8, sizes, want, kept8, needs
            wanted = numpy_kernels.rnn_layer_backward(cell, dy.astype("f8"), None, None, *given)
            for name, a, b in zip(("dx", "", "", "dw_ih", "dw_hh", "db_ih", "db_hh"), grads, wanted, strict=False):
                if name:
                    failures += report(f"{cell} {name}", (sizes[0], len(sizes), hidden), dtype, error(a, b))
    failures += convolutions(rng, small)
    cp.cuda.runtime.deviceSynchronize()
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
