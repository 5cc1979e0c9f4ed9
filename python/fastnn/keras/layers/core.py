"""Dense, Embedding, and layers without weights."""

import fastnn
from fastnn.nn import functional as F  # noqa: N812

from .. import activations
from .base import Layer

__all__ = ["Activation", "Dense", "Dropout", "Embedding", "Flatten", "LeakyReLU", "Permute", "ReLU", "Rescaling",
           "Reshape", "Softmax"]  # fmt: skip


def saved_name(value):
    """A function by its name, for a configuration."""
    if callable(value) and not isinstance(value, type):
        return getattr(value, "__name__", type(value).__name__)
    return value


class Dense(Layer):
    """activation(x·kernel + bias), kernel [inputs, units]."""

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(
                f"Received an invalid value for `units`, expected a positive integer. Received: units={units}"
            )
        self.units, self.activation, self.use_bias = units, activations.get(activation), use_bias
        self._initializers = kernel_initializer, bias_initializer
        self._config = {"units": units, "activation": saved_name(self.activation), "use_bias": use_bias}

    def build(self, input_shape):
        kernel, bias = self._initializers
        self.kernel = self.add_weight((input_shape[-1], self.units), kernel, name="kernel")
        self.bias = self.add_weight((self.units,), bias, name="bias") if self.use_bias else None

    def call(self, inputs):
        if inputs.shape[-1] != self.kernel.shape[0]:
            raise ValueError(
                f'Input 0 of layer "{self.name}" is incompatible with the layer: expected axis -1 of input shape to have '
                f"value {self.kernel.shape[0]}, but received input with shape {tuple(inputs.shape)}"
            )
        return self.activation(F.linear(inputs, self.kernel.T, self.bias))


class Embedding(Layer):
    """Row i of a table [input_dim, output_dim] for each integer i."""

    def __init__(
        self, input_dim, output_dim, embeddings_initializer="uniform", mask_zero=False, input_length=None, **kwargs
    ):
        if mask_zero:
            raise NotImplementedError("Embedding: mask_zero=True is not available")
        super().__init__(**kwargs)
        if input_length is not None and self._given_shape is None:
            self._given_shape = (input_length,)
        self.input_dim, self.output_dim, self._initializer = input_dim, output_dim, embeddings_initializer
        self._config = {"input_dim": input_dim, "output_dim": output_dim}

    def build(self, input_shape):
        self.embeddings = self.add_weight((self.input_dim, self.output_dim), self._initializer, name="embeddings")

    def call(self, inputs):
        return F.embedding(inputs.to(fastnn.int64), self.embeddings)


class Flatten(Layer):
    """One row a sample."""

    def call(self, inputs):
        return inputs.reshape(inputs.shape[0], -1)


class Reshape(Layer):
    """Samples of target_shape."""

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        self._config = {"target_shape": self.target_shape}

    def call(self, inputs):
        return inputs.reshape(inputs.shape[0], *self.target_shape)


class Permute(Layer):
    """Dimensions of a sample, counted from 1, in the order `dims`."""

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(dims) + 1)):
            raise ValueError(f"Invalid permutation argument `dims` for Permute Layer: {dims}")
        self._config = {"dims": self.dims}

    def call(self, inputs):
        return inputs.permute(0, *self.dims)


class Dropout(Layer):
    """In training, zeros with probability `rate`, the rest scaled up."""

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate <= 1:
            raise ValueError(f"Invalid value received for argument `rate`. Expected a float value between 0 and 1. "
                             f"Received: rate={rate}")  # fmt: skip
        if noise_shape is not None:
            raise NotImplementedError("Dropout: noise_shape is not available")
        self.rate = rate
        self._config = {"rate": rate}

    def call(self, inputs):
        return F.dropout(inputs, self.rate, self.training)


class Activation(Layer):
    """A function, by name."""

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self._config = {"activation": saved_name(self.activation)}

    def call(self, inputs):
        return self.activation(inputs)


class ReLU(Layer):
    """max(x, 0)"""

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        self._config = {"max_value": max_value, "negative_slope": negative_slope, "threshold": threshold}

    def call(self, inputs):
        c = self._config
        return activations.relu(inputs, c["negative_slope"], c["max_value"], c["threshold"])


class LeakyReLU(Layer):
    """x, below 0 times negative_slope."""

    def __init__(self, negative_slope=0.3, alpha=None, **kwargs):
        super().__init__(**kwargs)
        self.negative_slope = negative_slope if alpha is None else alpha
        self._config = {"negative_slope": self.negative_slope}

    def call(self, inputs):
        return F.leaky_relu(inputs, self.negative_slope)


class Softmax(Layer):
    """Softmax over an axis."""

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self._config = {"axis": axis}

    def call(self, inputs):
        return activations.softmax(inputs, self._config["axis"])


class Rescaling(Layer):
    """x·scale + offset"""

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self._config = {"scale": scale, "offset": offset}

    def call(self, inputs):
        return inputs * self._config["scale"] + self._config["offset"]
