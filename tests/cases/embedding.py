"""Look-ups and their gradients: repeated, padded, scaled, in bags; against a loop over the look-ups."""

import itertools

import numpy as np

from . import Case

CASES = []


def _backward(dy, index, shape, padding, by_frequency):
    dw = np.zeros(shape)
    ids = index.reshape(-1)
    for row, i in zip(dy.reshape(-1, shape[1]), ids, strict=True):
        if i != padding:
            dw[i] += row / (np.count_nonzero(ids == i) if by_frequency else 1)
    return dw


def _bag(w, index, start, factor, mode, padding):
    out, chosen = np.zeros((len(start) - 1, w.shape[1])), np.full((len(start) - 1, w.shape[1]), -1)
    for b in range(len(out)):
        rows = [
            (i, w[index[i]] * (1 if factor is None else factor[i]))
            for i in range(*start[b : b + 2])
            if index[i] != padding
        ]
        for j in range(w.shape[1]) if rows else ():
            values = [r[j] for _, r in rows]
            out[b, j] = max(values) if mode == 2 else sum(values) / (len(values) if mode == 1 else 1)
            chosen[b, j] = rows[int(np.argmax(values))][0]
    return out, chosen if mode == 2 else None


def _bag_backward(dy, index, source, factor, shape, padding):
    dw = np.zeros(shape)
    for i, (row, s) in enumerate(zip(index, source, strict=True)):
        if row != padding:
            dw[row] += dy[s] * (1 if factor is None else factor[i])
    return dw


for rows, width, shape in [
    (1, 1, (3,)),
    (7, 5, (4, 6)),
    (50, 33, (200,)),
    (1000, 64, (3, 11)),
    (5, 130, ()),
    (3, 4, (0,)),
]:
    name = f"{rows}x{width}_{'x'.join(map(str, shape)) or 'one'}"
    CASES.append(
        Case(
            "embedding",
            name,
            lambda rng, d, r=rows, w=width, s=shape: (
                rng.standard_normal((r, w)).astype(d),
                rng.integers(0, r, s) + np.zeros(s, np.int64),
            ),
            lambda w, i: w[i],
        )
    )
    for padding, by_frequency in itertools.product((None, 0), (False, True)):
        CASES.append(
            Case(
                "embedding_backward",
                f"{name}_{padding}_{by_frequency}",
                lambda rng, d, r=rows, w=width, s=shape, p=padding, f=by_frequency: (
                    rng.standard_normal((*s, w)).astype(d), rng.integers(0, r, s) + np.zeros(s, np.int64), (r, w), p, f
                ),
                _backward,
            )
        )  # fmt: skip
for mode, weighted, padding in itertools.product((0, 1, 2), (False, True), (None, 2)):
    if weighted and mode:
        continue
    for rows, width, start in [(6, 3, (0, 2, 2, 7)), (40, 33, (0, 10, 11, 50)), (4, 16, (0,)), (5, 70, (0, 0, 30))]:

        def args(rng, d, rows=rows, width=width, start=start, mode=mode, weighted=weighted, padding=padding):
            n = start[-1]
            factor = rng.standard_normal(n).astype(d) if weighted else None
            w = rng.standard_normal((rows, width)).astype(d)
            return w, rng.integers(0, rows, n), np.array(start), factor, mode, padding

        def back(rng, d, rows=rows, width=width, start=start, weighted=weighted, padding=padding):
            n, bags = start[-1], max(len(start) - 1, 1)
            factor = rng.standard_normal(n).astype(d) if weighted else None
            dy = rng.standard_normal((bags, width)).astype(d)
            return dy, rng.integers(0, rows, n), rng.integers(0, bags, n), factor, (rows, width), padding

        label = f"{rows}x{width}_{mode}_{'w' if weighted else ''}_{padding}_{len(start)}"
        CASES.append(Case("embedding_bag", label, args, _bag))
        if mode == 0:
            CASES.append(Case("embedding_bag_backward", label, back, _bag_backward))


def _table(rng, d):
    return rng.standard_normal((30000, 256)).astype(d)


BENCH = {"bench": True, "dtypes": ("float32",)}
CASES += [
    Case(
        "embedding", "bench_30000x256",
        lambda rng, d: (_table(rng, d), rng.integers(0, 30000, (64, 128))), lambda w, i: w[i],
        bytes=2 * 4.0 * 8192 * 256, **BENCH,
    ),
    Case(
        "embedding_backward", "bench_30000x256",
        lambda rng, d: (
            rng.standard_normal((64, 128, 256)).astype(d), rng.integers(0, 30000, (64, 128)), (30000, 256), None, False
        ),
        _backward, bytes=4.0 * 256 * (30000 + 8192), **BENCH,
    ),
]  # fmt: skip
