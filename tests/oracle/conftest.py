"""Data for the comparison with torch: MNIST's IDX files where they are, and noise in the same shape."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

DATA = Path(os.environ.get("FASTNN_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data" / "mnist")


def read_idx(name, header):
    with gzip.open(DATA / f"{name}.gz") as f:
        return np.frombuffer(f.read(), np.uint8, offset=header)


@pytest.fixture(scope="session")
def mnist():
    """The first 2,000 training images in [0, 1] and their classes."""
    if not (DATA / "train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"MNIST's files are not in {DATA}: set FASTNN_DATA to their folder")
    x = read_idx("train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)[:2000].astype(np.float32) / 255
    return x, read_idx("train-labels-idx1-ubyte", 8)[:2000].astype(np.int64)


@pytest.fixture(scope="session")
def noise():
    """Images of the same shape and range, drawn from a seed, so that the comparison runs without the files."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 2000)
    centres = rng.random((10, 1, 28, 28)) < 0.2
    x = np.clip(centres[y] * rng.random((2000, 1, 28, 28)) + 0.1 * rng.standard_normal((2000, 1, 28, 28)), 0, 1)
    return x.astype(np.float32), y
