"""Triangles, joins and copies keep the dtype of what they move, bit for bit."""

import numpy as np
import pytest

import fastnn

DTYPES = ["bool", "uint8", "int16", "int64", "float32", "float64", "complex64"]


@pytest.mark.parametrize("dtype", [*DTYPES, "complex128"])
def test_joins_and_copies_keep_the_dtype(dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 200, (5, 37)).astype(dtype)
    shifted = (
        np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(dtype).reshape(x.shape)
    )  # not aligned to its elements
    for a in (x, shifted):
        t = fastnn.from_numpy(a.copy())
        for view in (np.broadcast_to(a[:, :1], a.shape), a[:, ::-1], a[::2, ::-1], a[:, ::3]):
            got = fastnn.backend.active().copy(view)
            assert got.flags.c_contiguous and got.dtype == a.dtype and got.tolist() == view.tolist()
        for dim in (0, 1):
            joined = fastnn.cat([t, t[:, :], t.flip(1)], dim)
            assert joined.dtype is t.dtype
            assert joined.tolist() == np.concatenate([a, a, a[:, ::-1]], dim).tolist()
            assert fastnn.stack([t, t], dim).tolist() == np.stack([a, a], dim).tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_triangles_keep_the_dtype(dtype):
    x = fastnn.ones(3, 4, dtype=getattr(fastnn, dtype))
    for diagonal in (-1, 0, 2):
        for name in ("tril", "triu"):
            cut = getattr(fastnn, name)(x, diagonal)
            assert cut.dtype is x.dtype
            assert cut.numpy().tolist() == getattr(np, name)(np.ones((3, 4), dtype), diagonal).tolist()
            assert getattr(x.clone(), name + "_")(diagonal).tolist() == cut.tolist()
