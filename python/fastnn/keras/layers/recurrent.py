"""Recurrent layers over [batch, steps, features]: torch's cells under Keras's names."""

import fastnn
from fastnn import nn

from .. import initializers
from .base import Layer
from .core import saved_name

__all__ = ["GRU", "LSTM", "Bidirectional", "SimpleRNN"]


class _Recurrent(Layer):
    """`cell` is fastnn.nn's; `_order` says in which places of its rows Keras's gates lie."""

    _order: tuple = (0,)
    _activation, _recurrent_activation = "tanh", None

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        dropout=0.0,
        recurrent_dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        name = type(self).__name__
        if saved_name(activation) not in self._activations or (
            self._recurrent_activation and saved_name(recurrent_activation) != self._recurrent_activation
        ):
            raise NotImplementedError(
                f"{name}: activation={activation!r}, recurrent_activation={recurrent_activation!r}; available are "
                f"{' or '.join(self._activations)} with {self._recurrent_activation}"
            )
        if recurrent_dropout:
            raise NotImplementedError(f"{name}: recurrent_dropout is not available; dropout is")
        self.units, self.use_bias, self.dropout = units, use_bias, dropout
        self._nonlinearity = saved_name(activation)
        self._initializers = kernel_initializer, recurrent_initializer, bias_initializer
        self.return_sequences, self.return_state, self.go_backwards = return_sequences, return_state, go_backwards
        self._config = {
            "units": units, "activation": self._nonlinearity, "use_bias": use_bias, "return_sequences": return_sequences,
            "return_state": return_state, "go_backwards": go_backwards, "dropout": dropout,
        }  # fmt: skip

    _activations: tuple = ("tanh",)

    def _cell(self, features):
        raise NotImplementedError

    def build(self, input_shape):
        self.cell = self._cell(input_shape[-1])
        kernel, recurrent, bias = (initializers.get(i) for i in self._initializers)
        gates = len(self._order)
        with fastnn.no_grad():
            self.cell.weight_ih_l0.copy_(self._rows(kernel((input_shape[-1], gates * self.units)).T))
            self.cell.weight_hh_l0.copy_(self._rows(recurrent((self.units, gates * self.units)).T))
            if self.use_bias:
                self.cell.bias_ih_l0.copy_(self._rows(bias((gates * self.units,))))
                self.cell.bias_hh_l0.zero_()
                self._start_bias()

    def _start_bias(self) -> None:
        """What a cell's biases start from beyond the initializer."""

    def _rows(self, rows):
        """Rows in Keras's order of gates in torch's (an exchange, and so its own inverse)."""
        parts = rows.chunk(len(self._order))
        return fastnn.cat([parts[i] for i in self._order])

    def _weight_list(self):
        return []

    def get_weights(self):
        if not self.built:
            return []
        cell = self.cell
        found = [self._rows(w.detach()).T.numpy().copy() for w in (cell.weight_ih_l0, cell.weight_hh_l0)]
        return found + ([self._bias().numpy().copy()] if self.use_bias else [])

    def _bias(self):
        return self._rows(self.cell.bias_ih_l0.detach() + self.cell.bias_hh_l0.detach())

    def _take_bias(self, value):
        self.cell.bias_ih_l0.copy_(self._rows(value))
        self.cell.bias_hh_l0.zero_()

    def _all_weights(self):
        return [(p, None) for p in self.cell.parameters()] if self.built else []

    def set_weights(self, weights):
        own = self.get_weights()
        if len(weights) != len(own) or any(tuple(w.shape) != o.shape for w, o in zip(weights, own, strict=True)):
            raise ValueError(
                f"set_weights: layer '{self.name}' has weights of shapes {[w.shape for w in own]}, got "
                f"{[tuple(w.shape) for w in weights]}"
            )
        values = [fastnn.as_tensor(w, dtype=fastnn.float32) for w in weights]
        with fastnn.no_grad():
            self.cell.weight_ih_l0.copy_(self._rows(values[0].T))
            self.cell.weight_hh_l0.copy_(self._rows(values[1].T))
            if self.use_bias:
                self._take_bias(values[2])

    def count_params(self):
        return sum(w.size for w in self.get_weights())

    def call(self, inputs, initial_state=None):
        if self.go_backwards:
            inputs = inputs.flip(1)
        if self.dropout:
            inputs = nn.functional.dropout(inputs, self.dropout, self.training)
        state = None
        if initial_state is not None:
            parts = initial_state if isinstance(initial_state, (list, tuple)) else [initial_state]
            parts = [s.unsqueeze(0) for s in parts]
            state = tuple(parts) if len(parts) > 1 else parts[0]
        sequence, last = self.cell(inputs, state)
        states = [s.squeeze(0) for s in (last if isinstance(last, tuple) else (last,))]
        out = sequence if self.return_sequences else states[0]
        return (out, *states) if self.return_state else out


class SimpleRNN(_Recurrent):
    """h = activation(x·kernel + h·recurrent_kernel + bias)"""

    _activations = ("tanh", "relu")

    def _cell(self, features):
        return nn.RNN(features, self.units, nonlinearity=self._nonlinearity, bias=self.use_bias, batch_first=True)


class LSTM(_Recurrent):
    """Long short-term memory: gates in the order input, forget, cell, output; the forget gate's bias starts at 1."""

    _order = (0, 1, 2, 3)
    _recurrent_activation = "sigmoid"

    def __init__(self, units, *args, unit_forget_bias=True, **kwargs):
        super().__init__(units, *args, **kwargs)
        self.unit_forget_bias = unit_forget_bias
        self._config["unit_forget_bias"] = unit_forget_bias

    def _cell(self, features):
        return nn.LSTM(features, self.units, bias=self.use_bias, batch_first=True)

    def _start_bias(self):
        if self.unit_forget_bias:
            self.cell.bias_ih_l0[self.units : 2 * self.units] = 1.0


class GRU(_Recurrent):
    """Gated recurrent unit, the reset gate applied after the product (Keras's reset_after=True)."""

    _order = (1, 0, 2)  # Keras: update, reset, new; torch: reset, update, new
    _recurrent_activation = "sigmoid"

    def __init__(self, units, *args, reset_after=True, **kwargs):
        if not reset_after:
            raise NotImplementedError("GRU: reset_after=False is not available")
        super().__init__(units, *args, **kwargs)

    def _cell(self, features):
        return nn.GRU(features, self.units, bias=self.use_bias, batch_first=True)

    def _bias(self):
        return fastnn.stack([self._rows(b.detach()) for b in (self.cell.bias_ih_l0, self.cell.bias_hh_l0)])

    def _take_bias(self, value):
        self.cell.bias_ih_l0.copy_(self._rows(value[0]))
        self.cell.bias_hh_l0.copy_(self._rows(value[1]))


class Bidirectional(Layer):
    """A recurrent layer and its like over the steps in reverse; merge_mode: "concat", "sum", "mul", "ave" or None."""

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(layer, _Recurrent):
            raise ValueError(f"Please initialize `Bidirectional` layer with a recurrent layer. Received: layer={layer}")
        if merge_mode not in ("concat", "sum", "mul", "ave", None):
            raise ValueError(
                f"Invalid merge mode. Received: {merge_mode}. Merge mode should be one of sum, mul, ave, concat, None"
            )
        if self._given_shape is None:
            self._given_shape = layer._given_shape
        config = {k: v for k, v in layer.get_config().items() if k != "input_shape"}
        self.merge_mode = merge_mode
        self.forward_layer = layer
        self.backward_layer = backward_layer or type(layer)(
            **{**config, "name": f"backward_{layer.name}", "go_backwards": not layer.go_backwards}
        )
        self._config = {"merge_mode": merge_mode}

    def get_config(self):
        inner = {"class_name": type(self.forward_layer).__name__, "config": self.forward_layer.get_config()}
        return {**super().get_config(), "layer": inner}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        inner = config.pop("layer")
        kinds = {kind.__name__: kind for kind in (SimpleRNN, LSTM, GRU)}
        return cls(kinds[inner["class_name"]].from_config(inner["config"]), **config)

    def build(self, input_shape):
        for layer in (self.forward_layer, self.backward_layer):
            layer._build(input_shape)

    def get_weights(self):
        return self.forward_layer.get_weights() + self.backward_layer.get_weights()

    def set_weights(self, weights):
        half = len(weights) // 2
        self.forward_layer.set_weights(weights[:half])
        self.backward_layer.set_weights(weights[half:])

    def count_params(self):
        return self.forward_layer.count_params() + self.backward_layer.count_params()

    def call(self, inputs):
        a, b = self.forward_layer(inputs), self.backward_layer(inputs)
        states = []
        if self.forward_layer.return_state:
            (a, *first), (b, *second) = a, b
            states = [*first, *second]
        if self.forward_layer.return_sequences:
            b = b.flip(1)
        merged = {
            "concat": lambda: fastnn.cat([a, b], -1),
            "sum": lambda: a + b,
            "ave": lambda: (a + b) / 2,
            "mul": lambda: a * b,
            None: lambda: (a, b),
        }[self.merge_mode]()
        return (merged, *states) if states else merged
