"""gemm by variant: the one named runs and agrees; threads, NaN, out=, bf16, refusals."""

import threading

import numpy as np
import pytest

from fastnn import backend
from fastnn.backend import variants

cpu = pytest.mark.skipif("cpu" not in backend.available(), reason="the extension is not built")


@pytest.fixture
def native():
    before = backend.active().name
    backend.use("cpu")
    yield backend.active()
    backend.use(before)


def rand(rng, *shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def within(got, a, b, extra=0.0):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    eps = np.finfo(np.float32 if got.dtype.itemsize < 8 else np.float64).eps
    bound = 4 * np.sqrt(max(a.shape[-1], 1)) * eps * (np.abs(a) @ np.abs(b)) + extra
    assert np.all(np.abs(got.astype(np.float64) - a @ b) <= bound)


@cpu
def test_named_variant_runs(native):
    rng = np.random.default_rng(0)
    a, b = rand(rng, 19, 35), rand(rng, 35, 43)
    for name in variants.available():
        if name == "auto" or name in variants.CUDA_ONLY:  # a test before this one may have used a device
            continue
        before = native.gemm_counters()
        with variants.kernels(gemm=name):
            assert variants.current() == name
            for act in ("none", "gelu"):
                c = native.gemm(a, b, None, act)
            within(native.gemm(a, b), a, b)
            np.testing.assert_allclose(native.bmm(a[None], b[None])[0], a @ b, rtol=1e-4, atol=1e-4)
        assert c.shape == (19, 43)
        after = native.gemm_counters()
        assert {k for k in after if after[k] != before[k]} == {name}
        assert after[name] - before[name] == 4
    assert variants.current() is None


def test_numpy_variants():
    backend_before = backend.active().name
    backend.use("numpy")
    try:
        a, b = rand(np.random.default_rng(1), 5, 6), rand(np.random.default_rng(2), 6, 7)
        for name in ("naive", "blas"):
            before = backend.active().gemm_counters()[name]
            with variants.kernels(gemm=name):
                within(backend.active().gemm(a, b), a, b)
            assert backend.active().gemm_counters()[name] == before + 1
        with pytest.raises(RuntimeError, match="avx2"):
            variants.kernels(gemm="avx2")
    finally:
        backend.use(backend_before)


def test_unknown_variant():
    with pytest.raises(ValueError, match="mkl"):
        variants.kernels(gemm="mkl")


def test_context_is_of_the_thread():
    seen = []
    with variants.kernels(gemm="naive"):
        t = threading.Thread(target=lambda: seen.append(variants.current()))
        t.start()
        t.join()
        assert variants.current() == "naive"
    assert seen == [None]


def test_random_shapes(table):
    """Every residue of the tiles, both orders of both operands, with and without epilogue."""
    rng = np.random.default_rng(3)
    for step in range(300):
        m, n, k = (int(x) for x in rng.integers(1, 71, 3))
        dtype = (np.float32, np.float64)[step % 2]
        a, b = rand(rng, m, k, dtype=dtype), rand(rng, k, n, dtype=dtype)
        a = np.asfortranarray(a) if rng.random() < 0.5 else a
        b = np.asfortranarray(b) if rng.random() < 0.5 else b
        bias = rand(rng, n, dtype=dtype) if rng.random() < 0.5 else None
        want = a.astype(np.float64) @ b + (0 if bias is None else bias)
        tol = 4 * np.sqrt(k) * np.finfo(dtype).eps * (np.abs(a).astype(np.float64) @ np.abs(b) + 3)
        assert np.all(np.abs(table.gemm(a, b, bias) - want) <= tol), (m, n, k)
        assert np.all(np.abs(table.gemm(a, b, bias, "relu") - np.maximum(want, 0)) <= tol), (m, n, k)


def test_out_and_accumulate(table):
    rng = np.random.default_rng(4)
    for m, k, n in [(7, 9, 11), (1, 50, 70), (70, 50, 1), (33, 600, 65), (90, 40, 130)]:
        for order in "CF":
            a, b = rand(rng, m, k), np.array(rand(rng, k, n), order=order)
            big = np.full((m, 2 * n + 3), 7, np.float32)
            for out in (np.empty((m, n), np.float32), big[:, 2 : 2 + n], np.empty((n, m), np.float32).T):
                assert table.gemm(a, b, None, "none", out) is out
                within(out, a, b)
                before = out.copy()
                assert table.gemm(a, b, None, "none", out, True) is out
                np.testing.assert_allclose(out, before + a @ b, rtol=1e-4, atol=1e-3)
            assert (big[:, :2] == 7).all() and (big[:, 2 + n :] == 7).all()
    a = rand(rng, 40, 40)
    want = a @ a
    np.testing.assert_allclose(table.gemm(a, a, out=a), want, rtol=1e-4, atol=1e-4)


def test_nan_and_infinity(table):
    for m, k, n in [(9, 20, 70), (1, 40, 33), (33, 40, 1), (4, 700, 90), (70, 65, 64)]:
        for order in "CF":
            a, b = np.zeros((m, k), np.float32), np.array(np.ones((k, n), np.float32), order=order)
            b[k // 2, 0] = np.inf  # 0 * inf
            c = table.gemm(a, b)
            assert np.isnan(c[:, 0]).all()
            assert (c[:, 1:] == 0).all()
            a[m // 2, 0] = np.nan
            assert np.isnan(table.gemm(a, b, None, "relu")[m // 2]).all()


@cpu
def test_same_bits_at_any_thread_count(table):
    if table.name == "numpy":
        pytest.skip("BLAS is exempt")
    from fastnn import _cpu

    rng = np.random.default_rng(5)
    shapes = [(64, 784, 256), (257, 1111, 130), (8, 1024, 1024), (1, 900, 2000), (500, 30, 500), (3000, 700, 2)]
    threads = _cpu.get_num_threads()
    try:
        for m, k, n in shapes:
            for order in "CF":
                a, b = rand(rng, m, k), np.array(rand(rng, k, n), order=order)
                results = []
                for t in (1, 2, 3, 5, 8):
                    _cpu.set_num_threads(t)
                    results.append(table.gemm(a, b, None, "tanh").tobytes())
                assert len(set(results)) == 1, (m, k, n, order)
    finally:
        _cpu.set_num_threads(threads)


def test_bf16(table):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    rng = np.random.default_rng(6)
    for m, k, n in [(1, 1, 1), (7, 9, 33), (65, 129, 70), (4, 1500, 90), (130, 300, 1), (20, 2, 100)]:
        for orders in ("CC", "CF", "FC", "FF"):
            a = np.array(rand(rng, m, k).astype(bfloat16), order=orders[0])
            b = np.array(rand(rng, k, n).astype(bfloat16), order=orders[1])
            bias = rand(rng, n).astype(bfloat16)
            c = table.gemm(a, b, bias)
            assert c.dtype == a.dtype
            a64, b64 = a.astype(np.float64), b.astype(np.float64)
            want = a64 @ b64 + bias.astype(np.float64)
            tol = 2.0**-8 * np.abs(want) + 4 * np.sqrt(k) * 2.0**-23 * (np.abs(a64) @ np.abs(b64) + 3)
            assert np.all(np.abs(c.astype(np.float64) - want) <= tol), (m, k, n, orders)
    batch = table.bmm(np.ones((3, 4, 5), bfloat16), np.ones((3, 5, 6), bfloat16))
    assert (batch == 5).all() and batch.dtype == bfloat16


def test_integers(table):
    a = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(table.gemm(a, a.T), a @ a.T)


def test_refusals(table):
    a, b = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32)
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(3, 4\)"):
        table.gemm(a, a)
    with pytest.raises(ValueError, match="2 dimensions"):
        table.gemm(a[0], b)
    with pytest.raises(ValueError, match="act"):
        table.gemm(a, b, None, "swish")
    with pytest.raises(ValueError, match="bias"):
        table.gemm(a, b, np.ones(4, np.float32))
    with pytest.raises(ValueError, match="out"):
        table.gemm(a, b, None, "none", np.ones((5, 3), np.float32))
    with pytest.raises(ValueError, match="accumulate"):
        table.gemm(a, b, None, "none", None, True)
    with pytest.raises(ValueError, match="batches"):
        table.bmm(np.ones((2, 3, 4), np.float32), np.ones((3, 4, 5), np.float32))
    frozen = np.ones((3, 5), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        table.gemm(a, b, None, "none", frozen)
