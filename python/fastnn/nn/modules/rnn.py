"""Recurrent layers and cells. The equations stand in fastnn.ops.rnn; a whole layer, all steps of it, is one op."""

import math
import warnings

import fastnn
from fastnn.nn import init
from fastnn.nn.modules.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.nn.utils.rnn import PackedSequence

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _check_type(value, kind, name):
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")


class RNNBase(Module):
    """What RNN, LSTM and GRU share: num_layers layers, each in one direction or both, dropout between them.

    Shape: input [L, N, input_size], [N, L, input_size] with batch_first, [L, input_size], or a PackedSequence →
    output [L, N, D·K] alike, and the state after each sequence's last step [num_layers·D, N, K]; D = 2 if bidirectional
    else 1, K = proj_size or hidden_size. Parameters of layer k: weight_ih_lk, weight_hh_lk, bias_ih_lk, bias_hh_lk,
    weight_hr_lk, and the other direction's with _reverse; they start uniform in ±1/√hidden_size.
    """

    __constants__ = [
        "mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
        "proj_size",
    ]  # fmt: skip

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                f"dropout should be a number in range [0, 1] representing the probability of an element being zeroed, "
                f"got {dropout!r}"
            )
        _check_type(bias, bool, "bias")
        _check_type(batch_first, bool, "batch_first")
        _check_type(input_size, int, "input_size")
        _check_type(hidden_size, int, "hidden_size")
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if value <= 0:
                raise ValueError(f"{name} must be greater than zero, got {value}")
        if proj_size < 0:
            raise ValueError(f"proj_size should be a positive integer or zero to disable projections, got {proj_size}")
        if proj_size >= hidden_size:
            raise ValueError(f"proj_size has to be smaller than hidden_size, got {proj_size} and {hidden_size}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        gates, width = _GATES[mode] * hidden_size, proj_size or hidden_size
        self._all_weights = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: 2 if bidirectional else 1]:
                features = width * (2 if bidirectional else 1) if layer else input_size
                shapes = {"weight_ih": (gates, features), "weight_hh": (gates, width)}
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    parameter = Parameter(fastnn.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(f"{name}_l{layer}{suffix}", parameter)
                self._all_weights.append([f"{name}_l{layer}{suffix}" for name in shapes])
        self._flat_weights_names = [name for names in self._all_weights for name in names]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every parameter anew."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: weights are packed by the kernel, once a call."""

    def __getstate__(self):
        return super().__getstate__() | {"_flat_weights": self._flat_weights}  # torch's RNNs read it from a pickle

    def __setstate__(self, state):
        super().__setstate__({k: v for k, v in state.items() if k != "_flat_weights"})

    @property
    def _flat_weights(self):
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self):
        """The parameters of each layer and direction, as lists."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def _expected_state(self, batch: int, width: int) -> tuple:
        return (self.num_layers * (2 if self.bidirectional else 1), batch, width)

    def _check_input(self, input, dimensions: int) -> None:
        weight = self._parameters["weight_ih_l0"]
        if input.dtype != weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.dim() != dimensions:
            raise RuntimeError(f"input must have {dimensions} dimensions, got {input.dim()}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )

    def _check_states(self, states, batch: int) -> None:
        widths = (self.proj_size or self.hidden_size, self.hidden_size)
        for i, state in enumerate(states):
            expected = self._expected_state(batch, widths[i])
            if tuple(state.shape) != expected:
                name = f"hidden[{i}]" if len(states) > 1 else "hidden"
                raise RuntimeError(f"Expected {name} size {expected}, got {list(state.shape)}")

    def forward(self, input, hx=None):
        """(output, state): state is h, for an LSTM (h, c); hx is what it starts from, zeros by default."""
        lstm = self.mode == "LSTM"
        states = None if hx is None else tuple(hx) if lstm else (hx,)
        if lstm and states is not None and len(states) != 2:
            raise RuntimeError(f"LSTM: hx must be a pair (h, c), got {len(states)} tensors")
        run = getattr(fastnn, self.mode.lower())
        options = (self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if isinstance(input, PackedSequence):
            data, batch_sizes, order, back = input
            self._check_input(data, 2)
            if states is not None:
                states = tuple(_permuted(s, order) for s in states)
                self._check_states(states, int(batch_sizes[0]))
            given = states if states is None or lstm else states[0]
            y, *found = run(data, batch_sizes, given, *options)
            y = PackedSequence(y, batch_sizes, order, back)
            found = [_permuted(s, back) for s in found]
        else:
            layer = "LSTM" if lstm else "GRU" if self.mode == "GRU" else "RNN"
            dims = input.dim()
            if dims not in (2, 3):
                raise ValueError(f"{layer}: Expected input to be 2D or 3D, got {dims}D tensor instead")
            if states is not None and any(s.dim() != dims for s in states):
                kind = "batched 3-D" if dims == 3 else "unbatched 2-D"
                names = "hx and cx" if lstm else "hx"
                got = " and ".join(f"{s.dim()}-D" for s in states)
                raise RuntimeError(f"For {kind} input, {names} should also be {dims}-D but got {got} tensors")
            batched = input if dims == 3 else input.unsqueeze(0 if self.batch_first else 1)
            self._check_input(batched, 3)
            if states is not None:
                if dims == 2:
                    states = tuple(s.unsqueeze(1) for s in states)
                self._check_states(states, batched.shape[0 if self.batch_first else 1])
            given = states if states is None or lstm else states[0]
            y, *found = run(batched, given, *options, self.batch_first)
            if dims == 2:
                y = y.squeeze(0 if self.batch_first else 1)
                found = [s.squeeze(1) for s in found]
        return y, tuple(found) if lstm else found[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0),
            ("bidirectional", False),
        ):  # fmt: skip
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


def _permuted(state, order):
    return state if order is None else state.index_select(1, order)


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu with nonlinearity="relu".

    RNN(input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False, dropout=0.0,
    bidirectional=False). See RNNBase for shapes and parameters.
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__("RNN_" + nonlinearity.upper(), *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """i, f, o = σ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), g the same with tanh; c_t = f·c_{t-1} + i·g, h_t = o·tanh(c_t),
    and with proj_size h_t = W_hr (o·tanh(c_t)).

    LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
    proj_size=0). The state is a pair (h, c). See RNNBase for shapes and parameters.
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """r, z = σ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), n = tanh(W_in x_t + b_in + r·(W_hn h_{t-1} + b_hn)),
    h_t = (1 - z)·n + z·h_{t-1}.

    GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False).
    See RNNBase for shapes and parameters.
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """What single cells share: parameters weight_ih, weight_hh, bias_ih, bias_hh, uniform in ±1/√hidden_size."""

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size), "bias_ih": rows, "bias_hh": rows}
        for name, shape in shapes.items():
            wanted = bias or name.startswith("weight")
            value = Parameter(fastnn.empty(shape, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every parameter anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _run(self, function, input, states):
        """The function's states for an input [N, I] or [I]; the states may be left out: zeros."""
        name = type(self).__name__
        dims = input.dim()
        if dims not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {dims}D instead")
        for i, state in enumerate(states or ()):
            if state.dim() not in (1, 2):
                which = f"hx[{i}]" if len(states) > 1 else "hidden"
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {state.dim()}D instead")
        if dims == 1:
            input = input.unsqueeze(0)
            states = states and [s.unsqueeze(0) for s in states]
        found = function(input, states, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        found = found if isinstance(found, tuple) else (found,)
        return tuple(s.squeeze(0) for s in found) if dims == 1 else found

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """One step of RNN: input [N, input_size] or [input_size], h [N, hidden_size] → h."""

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device=None, dtype=None
    ):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        function = fastnn.rnn_tanh_cell if self.nonlinearity == "tanh" else fastnn.rnn_relu_cell
        return self._run(function, input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of LSTM: input [N, input_size] or [input_size], hx a pair (h, c) of [N, hidden_size] → (h, c)."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        return self._run(fastnn.lstm_cell, input, None if hx is None else tuple(hx))


class GRUCell(RNNCellBase):
    """One step of GRU: input [N, input_size] or [input_size], h [N, hidden_size] → h."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        return self._run(fastnn.gru_cell, input, None if hx is None else (hx,))[0]
