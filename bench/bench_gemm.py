"""gemm by variant and size: `pytest bench/bench_gemm.py --benchmark-only`. extra_info has GFLOP/s and, for the compiled
variants, the share of the FMA peak measured in the same run. `python bench/bench_gemm.py` prints the sweep of sizes."""

import time

import numpy as np
import pytest

from fastnn import _cpu, backend
from fastnn.backend import variants

SHAPES = [
    *((f"{n}", n, n, n, "nn") for n in (32, 64, 128, 256, 512, 1024)),
    ("linear_64x784x256", 64, 784, 256, "nt"),
    ("linear_8x1024x4096", 8, 1024, 4096, "nt"),
    ("linear_1x4096x4096", 1, 4096, 4096, "nt"),
    ("linear_128x4096x1000", 128, 4096, 1000, "nt"),
    ("dw_256x64x784", 256, 64, 784, "tn"),
    ("dx_64x256x784", 64, 256, 784, "nn"),
    ("head_64x128x10", 64, 128, 10, "nt"),
    ("gemv_t_4096x4096x1", 4096, 4096, 1, "tn"),
]
SLOW = {"naive": 3e6, "tiled": 1e12}  # FLOPs beyond which a variant is left out


def operands(m, k, n, layout, dtype=np.float32):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, k) if layout[0] == "n" else (k, m)).astype(dtype)
    b = rng.standard_normal((k, n) if layout[1] == "n" else (n, k)).astype(dtype)
    return a if layout[0] == "n" else a.T, b if layout[1] == "n" else b.T


@pytest.fixture(scope="session")
def peak():
    return _cpu.peak_fma("float32", 200_000, 10)


@pytest.mark.parametrize("variant", ["naive", "tiled", "avx2", "avx512", "blas"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s[0])
def test_gemm(benchmark, shape, variant, peak):
    name, m, k, n, layout = shape
    flops = 2 * m * k * n
    if flops > SLOW.get(variant, float("inf")):
        pytest.skip("too slow")
    if variant not in variants.available():
        pytest.skip("this machine does not run it")
    a, b = operands(m, k, n, layout)
    gemm = backend.active().gemm
    benchmark.group = f"gemm {name}"
    with variants.kernels(gemm=variant):
        benchmark(gemm, a, b)
    rate = flops / benchmark.stats.stats.min * 1e-9
    benchmark.extra_info |= {"GFLOP/s": round(rate, 1), "% of peak": round(100 * rate / peak, 1)}


def best_time(call, budget=0.05):
    call()
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < budget:
        t = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - t)
    return best


def sweep(sizes):
    """Square sizes and odd skinny ones: where a size is far below its neighbours there is a cliff."""
    peak = _cpu.peak_fma("float32", 200_000, 10)
    print(f"{_cpu.isa()}, {_cpu.get_num_threads()} threads, FMA peak {peak:.1f} GFLOP/s")
    shapes = [(n, n, n, "nn") for n in sizes]
    shapes += [(m, 1000, n, lay) for m in (1, 3, 9, 17) for n in (7, 130, 1025) for lay in ("nn", "nt")]
    shapes += [(m, 700, n, lay) for m in (65, 1030) for n in (1, 3, 10) for lay in ("nn", "tn")]
    for m, k, n, layout in shapes:
        a, b = operands(m, k, n, layout)
        t = best_time(lambda: backend.active().gemm(a, b))  # noqa: B023 called here
        rate = 2 * m * k * n / t * 1e-9
        print(f"{m:5} x {k:5} x {n:5} {layout}  {t * 1e6:9.1f} us {rate:8.1f} GFLOP/s {100 * rate / peak:5.1f} %")


if __name__ == "__main__":
    sweep(range(1, 301))
