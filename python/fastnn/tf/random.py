"""tf.random: fastnn's generator, which gives other numbers than TensorFlow's."""

import fastnn

__all__ = ["normal", "set_seed", "shuffle", "uniform"]


def set_seed(seed: int) -> None:
    """Seed the generator."""
    fastnn.manual_seed(seed)


def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None, name=None):
    """Normal numbers."""
    return fastnn.randn([int(n) for n in shape], dtype=dtype) * stddev + mean


def uniform(shape, minval=0, maxval=None, dtype=None, seed=None, name=None):
    """Uniform numbers of [minval, maxval)."""
    shape = [int(n) for n in shape]
    if dtype is not None and not dtype.is_floating_point:
        return fastnn.randint(minval, maxval, shape, dtype=dtype)
    return fastnn.rand(shape, dtype=dtype) * ((1 if maxval is None else maxval) - minval) + minval


def shuffle(value, seed=None, name=None):
    """The rows in a random order."""
    from . import convert_to_tensor

    value = convert_to_tensor(value)
    return value[fastnn.randperm(len(value))]
