"""Layer: weights made when the shape of the input is known."""

import re

import fastnn
from fastnn import nn
from fastnn.tensor import Tensor

from .. import initializers

__all__ = ["Input", "InputLayer", "Layer"]

_counts: dict = {}


def _automatic_name(cls) -> str:
    """conv2d, conv2d_1, max_pooling2d ..."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", cls.__name__)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    n = _counts[name] = _counts.get(name, -1) + 1
    return name if n == 0 else f"{name}_{n}"


class Layer(nn.Module):
    """A module whose build(input_shape) makes the weights at the first call, and whose call(x) computes.

    A subclass gives `call`, and `build` where it has weights. input_shape: the shape of one sample, for the first layer
    of a Sequential. Arguments of the constructor are kept in `_config` by the subclasses here, for saving.
    """

    def __init__(self, *, trainable=True, name=None, input_shape=None, batch_input_shape=None, dtype=None, **kwargs):
        super().__init__()
        self.training = False  # fit turns it on; a call of one's own does with training=True
        if "input_dim" in kwargs:
            input_shape = (kwargs.pop("input_dim"),)
        if kwargs:
            raise TypeError(f"{type(self).__name__}: unknown arguments {', '.join(kwargs)}")
        self.name = name or _automatic_name(type(self))
        if batch_input_shape is not None:
            input_shape = tuple(batch_input_shape[1:])
        self._given_shape = None if input_shape is None else tuple(input_shape)
        self.built = False
        self._trainable = trainable
        self.input_shape = self.output_shape = None

    # ---- for subclasses ----

    def build(self, input_shape) -> None:
        """Make the weights for inputs of that shape (the first entry, the batch, is None)."""

    def call(self, inputs):
        raise NotImplementedError(f"{type(self).__name__} has no call()")

    def add_weight(self, shape=(), initializer="glorot_uniform", dtype=None, trainable=True, name=None, **ignored):
        """A parameter of this layer (or, not trainable, a buffer)."""
        value = initializers.get(initializer)(tuple(shape))
        name = name or f"weight_{len(self._parameters) + len(self._buffers)}"
        if trainable:
            parameter = nn.Parameter(value, requires_grad=self._trainable)
            self.register_parameter(name, parameter)
            return parameter
        self.register_buffer(name, value)
        return value

    def get_config(self) -> dict:
        """The arguments that make this layer again."""
        config = dict(getattr(self, "_config", {}))
        config["name"] = self.name
        if self._given_shape is not None:
            config["input_shape"] = self._given_shape
        return config

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)

    # ---- calling ----

    def __call__(self, inputs, *args, training=None, **kwargs):
        if not isinstance(inputs, (Tensor, list, tuple, dict)):
            inputs = fastnn.as_tensor(inputs)
        if not self.built:
            if isinstance(inputs, Tensor):
                self._build((None, *inputs.shape[1:]))
            else:
                self._build(None)
        if training is None or training == self.training:
            return super().__call__(inputs, *args, **kwargs)
        self.train(training)
        try:
            return super().__call__(inputs, *args, **kwargs)
        finally:
            self.train(not training)

    def forward(self, inputs, *args, **kwargs):
        return self.call(inputs, *args, **kwargs)

    def _build(self, shape) -> None:
        self.build(shape)
        self.built = True
        self.input_shape = shape

    # ---- weights ----

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for module in self.modules():
            if isinstance(module, Layer):
                module.__dict__["_trainable"] = bool(value)
        for p in self.parameters():
            p.requires_grad_(bool(value))

    @property
    def trainable_weights(self) -> list:
        return [p for p in self.parameters() if p.requires_grad]

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list:
        return [p for p in self.parameters() if not p.requires_grad] + list(self.buffers())

    @property
    def weights(self) -> list:
        return self.trainable_weights + self.non_trainable_weights

    variables = weights

    def _weight_list(self) -> list:
        """(parameter or buffer, to Keras's layout and back) of this layer itself, in Keras's order."""
        return [(t, None) for t in (*self._parameters.values(), *self._buffers.values()) if t is not None]

    def _all_weights(self) -> list:
        found = self._weight_list()
        for child in self.children():
            if isinstance(child, Layer):
                found += child._all_weights()
        return found

    def get_weights(self) -> list:
        """Arrays, in Keras's shapes and order."""
        return [_keras_layout(t.detach(), order).numpy().copy() for t, order in self._all_weights()]

    def set_weights(self, weights) -> None:
        """Take arrays of get_weights' shapes. Raises ValueError for another number or shape of them."""
        own = self._all_weights()
        if len(own) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of length {len(weights)}, "
                f"but the layer was expecting {len(own)} weights."
            )
        for (t, order), value in zip(own, weights, strict=True):
            value = fastnn.as_tensor(value, dtype=t.dtype)
            expected = tuple(_keras_layout(t, order).shape)
            if tuple(value.shape) != expected:
                raise ValueError(f"Layer {self.name} weight shape {expected} is not compatible with provided weight shape "
                                 f"{tuple(value.shape)}.")  # fmt: skip
            with fastnn.no_grad():
                t.copy_(value if order is None else value.permute([order.index(i) for i in range(len(order))]))

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(t.numel() for t, _ in self._all_weights())

    def extra_repr(self) -> str:
        return f"name={self.name}"


def _keras_layout(t, order):
    return t if order is None else t.permute(order)


class InputLayer(Layer):
    """The shape of one sample, at the head of a Sequential."""

    def __init__(self, shape=None, batch_size=None, input_shape=None, **kwargs):
        shape = shape if shape is not None else input_shape
        kwargs.pop("dtype", None)
        super().__init__(input_shape=shape, **kwargs)

    def call(self, inputs):
        return inputs

    def get_config(self) -> dict:
        return {"shape": self._given_shape, "name": self.name}


def Input(shape=None, batch_size=None, dtype=None, name=None, **ignored):  # noqa: N802
    """An InputLayer: Sequential([Input((28, 28, 1)), ...])."""
    return InputLayer(shape, batch_size, name=name)
