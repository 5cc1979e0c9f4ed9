"""gemm and bmm. The error allowed is 4 sqrt(K) eps sum|a||b|, on operands whose elements span 2^±20."""

import math

import numpy as np

from . import Case

ACTS = {
    "none": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))),
    "gelu_tanh": lambda x: x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-np.clip(x, -700, 700))),
}


def spread(rng, shape, dtype):
    return (rng.standard_normal(shape) * 2.0 ** rng.uniform(-20, 20, shape)).astype(dtype)


def operand(rng, rows, cols, order, dtype, wide):
    """[rows, cols], contiguous along its columns ("n") or its rows ("t")."""
    make = spread if wide else lambda r, s, d: r.standard_normal(s).astype(d)
    return make(rng, (rows, cols), dtype) if order == "n" else make(rng, (cols, rows), dtype).T


def gemm_case(m, k, n, layout="nn", bias=False, act="none", bench=False):
    wide = act in ("none", "relu")

    def args(rng, dtype):
        a, b = operand(rng, m, k, layout[0], dtype, wide), operand(rng, k, n, layout[1], dtype, wide)
        if not wide:  # keep the activations out of saturation
            a = (a / math.sqrt(k)).astype(dtype)
        return a, b, rng.standard_normal(n).astype(dtype) if bias else None, act

    def reference(a, b, c, act):
        with np.errstate(over="ignore"):
            return ACTS[act](a @ b + (0 if c is None else c))

    def bound(a, b, c, act):
        linear = math.sqrt(max(k, 1)) * (np.abs(a) @ np.abs(b)) + (0 if c is None else np.abs(c))
        return linear if wide else 1.2 * linear + 1 + np.abs(a @ b)

    return Case(
        "gemm",
        f"{m}x{k}x{n}_{layout}" + ("_bias" if bias else "") + (f"_{act}" if act != "none" else ""),
        args,
        reference,
        bound,
        flops=2 * m * k * n,
        bytes=4 * (m * k + k * n + m * n),
        bench=bench,
    )


def bmm_case(batch, m, k, n, layout="nn", shared=False):
    def args(rng, dtype):
        a = spread(rng, (batch, m, k), dtype) if layout[0] == "n" else spread(rng, (batch, k, m), dtype).swapaxes(1, 2)
        b = spread(rng, (batch, k, n), dtype) if layout[1] == "n" else spread(rng, (batch, n, k), dtype).swapaxes(1, 2)
        if shared:
            b = np.broadcast_to(b[:1], b.shape)
        return a, b

    return Case(
        "bmm",
        f"{batch}x{m}x{k}x{n}_{layout}" + ("_shared" if shared else ""),
        args,
        lambda a, b: a @ b,
        lambda a, b: math.sqrt(max(k, 1)) * (np.abs(a) @ np.abs(b)),
        flops=2 * batch * m * k * n,
        bytes=4 * batch * (m * k + k * n + m * n),
    )


LAYOUTS = ("nn", "nt", "tn", "tt")
CASES = [
    # around the tiles: 6 rows; 64, 48, 32, 16 columns
    *(gemm_case(m, k, n, lay) for m, k, n in [(5, 7, 15), (6, 16, 64), (7, 33, 65), (13, 5, 47)] for lay in LAYOUTS),
    *(gemm_case(m, k, n, lay) for m, k, n in [(31, 37, 41), (61, 67, 129), (70, 70, 70)] for lay in LAYOUTS),
    # K blocks, packed operands
    *(gemm_case(m, k, n, lay) for m, k, n in [(97, 1031, 131), (300, 513, 257)] for lay in LAYOUTS),
    # by columns: rows in groups, weights by rows, inside a batch
    gemm_case(410, 70, 131, "nt", True, "relu"),
    gemm_case(200, 600, 450, "nn", True),
    bmm_case(3, 64, 100, 129, "nt"),
    # matrix-vector and few rows or columns, in all four orientations
    *(gemm_case(m, k, n, lay) for m, k, n in [(1, 300, 500), (500, 300, 1), (3, 600, 700)] for lay in LAYOUTS),
    *(gemm_case(m, k, n, lay) for m, k, n in [(8, 130, 1100), (400, 260, 3), (1, 1, 1)] for lay in LAYOUTS),
    # operands whose rows lie whole pages apart
    gemm_case(8, 512, 130, "nt", True, "relu"),
    gemm_case(5, 1024, 67, "nt"),
    gemm_case(140, 300, 512),
    # a handful of columns, turned round
    *(gemm_case(m, k, n, "nn", True, act) for act in ACTS for m, k, n in [(9, 33, 2), (255, 255, 3)]),
    gemm_case(64, 517, 4),
    bmm_case(5, 40, 90, 3),
    # the outer dimensions alone
    gemm_case(3, 0, 5, bias=True),
    gemm_case(0, 4, 5),
    gemm_case(4, 4, 0),
    gemm_case(40, 1, 50, "tt"),
    gemm_case(1, 40, 1),
    # epilogues, by tile, dot, row stream and more than one K block
    *(gemm_case(m, k, n, lay, True, act) for act in ACTS for m, k, n, lay in [(20, 30, 70, "nn"), (2, 50, 37, "nt")]),
    *(gemm_case(m, k, n, lay, True, act) for act in ACTS for m, k, n, lay in [(1, 40, 90, "nn"), (50, 1100, 70, "nt")]),
    *(gemm_case(m, k, 1, lay, True, "tanh") for m, k, lay in [(90, 40, "nn"), (90, 40, "tn")]),
    # those of the side-by-side table
    *(gemm_case(s, s, s, bench=True) for s in (32, 64, 128, 256, 512)),
    gemm_case(64, 784, 256, "nt", True, "relu", bench=True),
    gemm_case(8, 1024, 4096, "nt", True, bench=True),
    gemm_case(128, 4096, 1000, "nt", True, bench=True),
    bmm_case(7, 5, 9, 11),
    bmm_case(3, 33, 40, 70, "nt"),
    bmm_case(4, 20, 30, 40, "tn", shared=True),
    bmm_case(2, 130, 300, 200, "tt"),
    bmm_case(0, 3, 4, 5),
    bmm_case(16, 1, 64, 64),
    # batches of tiny ones
    *(bmm_case(b, m, k, n, lay) for b, m, k, n in [(70, 4, 4, 4), (300, 3, 3, 3), (5, 9, 16, 11)] for lay in LAYOUTS),
    *(bmm_case(3, m, k, n) for m, k, n in [(16, 16, 16), (1, 16, 2), (16, 1, 16), (5, 0, 3)]),
    bmm_case(6, 7, 5, 10, "nt", shared=True),
]
