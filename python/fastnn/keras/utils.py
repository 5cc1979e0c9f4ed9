"""Helpers of Keras."""

from fastnn.backend import xp

__all__ = ["normalize", "set_random_seed", "to_categorical"]


def to_categorical(x, num_classes=None):
    """Integers [...] as one-hot rows [..., num_classes], float32."""
    x = xp.asarray(x).astype("int64")
    if x.ndim > 1 and x.shape[-1] == 1:
        x = x[..., 0]
    n = int(x.max()) + 1 if num_classes is None else num_classes
    if x.size and (int(x.min()) < 0 or int(x.max()) >= n):
        raise ValueError(f"to_categorical: values lie in {int(x.min())}..{int(x.max())}, outside 0..{n - 1}")
    out = xp.zeros((x.size, n), "float32")
    out[xp.arange(x.size), x.reshape(-1)] = 1
    return out.reshape(*x.shape, n)


def normalize(x, axis=-1, order=2):
    """x over its norm along an axis."""
    x = xp.asarray(x)
    norm = (abs(x) ** order).sum(axis, keepdims=True) ** (1 / order)
    return x / xp.where(norm == 0, 1, norm)


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and fastnn."""
    import random

    import fastnn

    random.seed(seed)
    xp.seed_numpy(seed)
    fastnn.manual_seed(seed)
