"""Triangles keep the dtype of what they cut."""

import numpy as np
import pytest

import fastnn


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "float32", "float64", "complex64"])
def test_triangles_keep_the_dtype(dtype):
    x = fastnn.ones(3, 4, dtype=getattr(fastnn, dtype))
    for diagonal in (-1, 0, 2):
        for name in ("tril", "triu"):
            cut = getattr(fastnn, name)(x, diagonal)
            assert cut.dtype is x.dtype
            assert cut.numpy().tolist() == getattr(np, name)(np.ones((3, 4), dtype), diagonal).tolist()
            assert getattr(x.clone(), name + "_")(diagonal).tolist() == cut.tolist()
