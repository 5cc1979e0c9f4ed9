"""Initial weights by name. Shapes are Keras's: (inputs, outputs), (rows, columns, inputs, outputs)."""

import math

import fastnn

__all__ = ["Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "LecunNormal", "LecunUniform",
           "Ones", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "Zeros", "get"]  # fmt: skip


def _fans(shape) -> tuple:
    """How many inputs and outputs a weight of this shape connects."""
    if len(shape) < 2:
        return (shape[0] if shape else 1,) * 2
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


class Initializer:
    """Called with a shape, gives a tensor."""

    def __call__(self, shape, dtype=None):
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict:
        return dict(self.__dict__)


class Constant(Initializer):
    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return fastnn.full(tuple(shape), float(self.value))


class Zeros(Initializer):
    def __call__(self, shape, dtype=None):
        return fastnn.zeros(tuple(shape))


class Ones(Initializer):
    def __call__(self, shape, dtype=None):
        return fastnn.ones(tuple(shape))


class RandomNormal(Initializer):
    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape, dtype=None):
        return fastnn.empty(tuple(shape)).normal_(self.mean, self.stddev, generator=_generator(self.seed))


class RandomUniform(Initializer):
    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape, dtype=None):
        return fastnn.empty(tuple(shape)).uniform_(self.minval, self.maxval, generator=_generator(self.seed))


class TruncatedNormal(Initializer):
    """Normal, within two standard deviations."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape, dtype=None):
        low, high = self.mean - 2 * self.stddev, self.mean + 2 * self.stddev
        return fastnn.nn.init.trunc_normal_(
            fastnn.empty(tuple(shape)), self.mean, self.stddev, low, high, generator=_generator(self.seed)
        )


class _Scaled(Initializer):
    """Variance scale/n, n the inputs, or the mean of inputs and outputs."""

    scale, both, normal = 1.0, True, False

    def __init__(self, seed=None):
        self.seed = seed

    def __call__(self, shape, dtype=None):
        inputs, outputs = _fans(shape)
        variance = self.scale / max(1.0, (inputs + outputs) / 2 if self.both else inputs)
        if self.normal:  # a normal distribution cut at two deviations has this share of its own
            return TruncatedNormal(0.0, math.sqrt(variance) / 0.87962566103423978, self.seed)(shape)
        limit = math.sqrt(3 * variance)
        return RandomUniform(-limit, limit, self.seed)(shape)


class GlorotUniform(_Scaled):
    pass


class GlorotNormal(_Scaled):
    normal = True


class HeUniform(_Scaled):
    scale, both = 2.0, False


class HeNormal(HeUniform):
    normal = True


class LecunUniform(_Scaled):
    both = False


class LecunNormal(LecunUniform):
    normal = True


class Orthogonal(Initializer):
    """Rows, or columns, at right angles."""

    def __init__(self, gain=1.0, seed=None):
        self.gain, self.seed = gain, seed

    def __call__(self, shape, dtype=None):
        return fastnn.nn.init.orthogonal_(fastnn.empty(tuple(shape)), self.gain, generator=_generator(self.seed))


class Identity(Initializer):
    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        return self.gain * fastnn.eye(*shape)


def _generator(seed):
    return None if seed is None else fastnn.Generator().manual_seed(seed)


_NAMES = {"zeros": Zeros, "ones": Ones, "constant": Constant, "random_normal": RandomNormal,
          "random_uniform": RandomUniform, "truncated_normal": TruncatedNormal, "glorot_uniform": GlorotUniform,
          "glorot_normal": GlorotNormal, "he_uniform": HeUniform, "he_normal": HeNormal, "lecun_uniform": LecunUniform,
          "lecun_normal": LecunNormal, "orthogonal": Orthogonal, "identity": Identity, "uniform": RandomUniform,
          "normal": RandomNormal}  # fmt: skip


def get(identifier):
    """The initializer of a name; an object or function as it is."""
    if isinstance(identifier, str):
        by_class = {cls.__name__: cls for cls in _NAMES.values()}
        found = _NAMES.get(identifier) or by_class.get(identifier)
        if found is None:
            raise ValueError(f"initializer: unknown {identifier!r}; one of {', '.join(_NAMES)}")
        return found()
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"initializer: expected a name or a function of a shape, got {identifier!r}")
