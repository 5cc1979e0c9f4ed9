"""GEMM over every small size and over skinny shapes, to see cliffs: `python bench/gemm_sweep.py --out bench/results/gemm_sweep`
writes a table (.csv) and a picture (.png; needs the extra `examples`).

Each figure is the best of several batches, in GFLOP/s, and as a share of the FMA limit measured before and after. Peers, where
they are installed: torch, and NumPy's BLAS. A size counts as a cliff where it falls under 70% of the median of the sixteen
sizes around it.
"""

import argparse
import csv
import importlib.util
import statistics
import time

import numpy as np

import fastnn
from fastnn import _cpu

SQUARES = list(range(1, 301))
SKINNY = [
    (m, n, k)
    for wide in (64, 255, 1024)
    for thin in (1, 2, 3, 5, 8, 13, 16, 31, 33, 64)
    for m, n, k in ((thin, wide, wide), (wide, thin, wide), (wide, wide, thin))
]


def limit(repeats=5) -> float:
    """GFLOP/s of fused multiply-adds on all threads."""
    return _cpu.peak_fma("float32", 200_000, repeats)


def products(with_torch: bool) -> dict:
    """name -> a function that makes the product of two arrays, ready to be called again and again."""

    def ours(a, b):
        x, y = fastnn.from_numpy(a), fastnn.from_numpy(b)
        return lambda: x @ y

    def theirs(a, b):
        import torch

        x, y = torch.from_numpy(a), torch.from_numpy(b)
        return lambda: x @ y

    found = {"fastnn": ours, "numpy": lambda a, b: lambda: a @ b}
    if with_torch:
        found["torch"] = theirs
    return found


def rate(call, flops: float, budget: float) -> float:
    """GFLOP/s of the best batch of calls."""
    call(), call()
    start, n = time.perf_counter(), 0
    while time.perf_counter() - start < budget / 4:
        call()
        n += 1
    batch = max(1, n // 3)
    best, end = float("inf"), time.perf_counter() + budget
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(batch):
            call()
        best = min(best, (time.perf_counter() - start) / batch)
    return flops / best / 1e9


def sweep(shapes, makers, budget, rng) -> list:
    """[(m, n, k, {library: GFLOP/s})]: one library after the other, as a library's threads spin for a while after a call."""
    rows = [(m, n, k, {}) for m, n, k in shapes]
    for name, make in makers.items():
        time.sleep(0.5)
        for m, n, k, found in rows:
            a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
            found[name] = rate(make(a, b), 2.0 * m * n * k, budget)
    return rows


def cliffs(rows) -> list:
    """(size, its share of the median around it) where that is under 0.7; from 8 on: below, a call's overhead rules."""
    rates = {m: r["fastnn"] for m, _, _, r in rows}
    found = []
    for m, r in rates.items():
        around = [rates[j] for j in range(m - 8, m + 9) if j in rates]
        share = r / statistics.median(around)
        if m >= 8 and share < 0.7:
            found.append((m, round(share, 2)))
    return found


def draw(squares, skinny, peak, path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(13, 4.5))
    for name in squares[0][3]:
        left.plot([m for m, *_ in squares], [r[name] for *_, r in squares], label=name, linewidth=1)
        ordered = sorted(skinny, key=lambda row: row[0] * row[1] * row[2])
        right.plot([m * n * k for m, n, k, _ in ordered], [r[name] for *_, r in ordered], ".", label=name)
    for axes, title, x in (
        (left, "Square products", "size"),
        (right, "Products with one side of 1 to 64", "multiply-adds"),
    ):
        axes.axhline(peak, color="grey", linewidth=0.8, label="FMA limit")
        axes.set(title=title, xlabel=x, ylabel="GFLOP/s", ylim=0)
        axes.legend()
    right.set_xscale("log")
    fig.tight_layout()
    fig.savefig(path, dpi=90)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="write OUT.csv and OUT.png")
    parser.add_argument("--threads", type=int, help="threads of every library (default: what fastnn uses)")
    parser.add_argument("--budget", type=float, default=0.01, help="seconds a figure")
    parser.add_argument("--step", type=int, default=1, help="every so many sizes only")
    options = parser.parse_args(argv)
    with_torch = importlib.util.find_spec("torch") is not None
    if options.threads:
        fastnn.set_num_threads(options.threads)
        if with_torch:
            import torch

            torch.set_num_threads(options.threads)
    makers, rng = products(with_torch), np.random.default_rng(0)
    before = limit()
    squares = sweep([(n, n, n) for n in SQUARES[:: options.step]], makers, options.budget, rng)
    skinny = sweep(SKINNY, makers, options.budget, rng)
    after = limit()
    peak = max(before, after)
    print(f"FMA limit: {before:.0f} before, {after:.0f} after, {fastnn.get_num_threads()} threads")
    for title, rows in (("square", squares), ("skinny", skinny)):
        for name in makers:
            if name != "fastnn":
                ratios = [r["fastnn"] / r[name] for *_, r in rows]
                worst = min(rows, key=lambda row: row[3]["fastnn"] / row[3][name])
                print(
                    f"{title}: fastnn / {name}: geometric mean {statistics.geometric_mean(ratios):.2f}, least "
                    f"{min(ratios):.2f} at {'x'.join(map(str, worst[:3]))}"
                )
    print("cliffs (size, share of what is around it):", cliffs(squares) or "none")
    if options.out:
        with open(options.out + ".csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["m", "n", "k", *(f"{name} GFLOP/s" for name in makers), "fastnn share of the limit"])
            for m, n, k, r in squares + skinny:
                table.writerow([m, n, k, *(f"{r[x]:.2f}" for x in makers), f"{r['fastnn'] / peak:.3f}"])
        draw(squares, skinny, peak, options.out + ".png")


if __name__ == "__main__":
    main()
