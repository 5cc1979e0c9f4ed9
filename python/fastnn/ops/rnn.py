"""Recurrent layers: Elman networks, LSTM and GRU, whole sequences and single cells.

    tanh, relu   h = f(W_ih x + b_ih + W_hh h + b_hh)
    LSTM         i, f, o = σ(...), g = tanh(...);  c = f·c + i·g,  h = o·tanh(c), with a projection W_hr (o·tanh(c))
    GRU          r, z = σ(...), n = tanh(W_in x + b_in + r·(W_hn h + b_hn));  h = (1 - z)·n + z·h

A layer (in one direction or both) is one op over all steps. What `fastnn.kernels(lstm=..., gru=..., rnn=...)` says
holds for it and its gradient; the products over all steps follow gemm's variant, the fused kernel's own do not.
"""

from .._tape import grad_mode, own_version, record_many
from ..backend import variants
from ..tensor import Tensor, wrap
from .dropout import dropout
from .join import cat
from .shape import transpose

__all__ = [
    "gru", "gru_cell", "lstm", "lstm_cell", "rnn_layer", "rnn_layer_backward", "rnn_relu", "rnn_relu_cell", "rnn_tanh",
    "rnn_tanh_cell",
]  # fmt: skip

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _arrays(weights):
    return tuple(tuple(None if w is None else w._a for w in one) for one in weights)


def rnn_layer(cell, x, h0, c0, weights, sizes):
    """One layer over all steps: x [..., I], whose rows, flattened, are those of a packed batch: sizes[t] of step t,
    longest sequence first. h0 [D, B, K], c0 [D, B, H] or None for zeros; weights: for each of the D directions
    (w_ih, w_hh, b_ih, b_hh, w_hr), the last three or None.

    (y [..., D·K], h [D, B, K]) and for an LSTM c [D, B, H], after the last step of each sequence."""
    a = x._a
    rows = a if a.ndim == 2 else a.reshape(-1, a.shape[-1])
    flat = [w for one in weights for w in one]
    tensors = (x, h0, c0, *flat)
    nodes = tuple(None if t is None else t._fn for t in tensors)
    tracked = grad_mode.enabled and any(n is not None for n in nodes)
    ha, ca = None if h0 is None else h0._a, None if c0 is None else c0._a
    y, h, c, kept = Tensor._k.rnn_layer(cell, rows, ha, ca, _arrays(weights), sizes, tracked)
    outs = [wrap(y if a.ndim == 2 else y.reshape(*a.shape[:-1], y.shape[1])), wrap(h)]
    if c is not None:
        outs.append(wrap(c))
    if tracked:
        choices = variants.in_force("gemm", "lstm", "gru", "rnn")
        saved = (rows, ha, ca, *(None if w is None else w._a for w in flat), y, kept, cell, sizes, a.shape, choices)
        record_many(outs, rnn_layer_rule, nodes, saved, (*tensors, own_version(outs[0]), *(None,) * 5))
    return tuple(outs)


def rnn_layer_rule(k, grads, saved, needs):
    x, h0, c0, *flat, y, kept, cell, sizes, shape, choices = saved
    weights = [flat[i : i + 5] for i in range(0, len(flat), 5)]
    dy, dh, dc = (*grads, None)[:3]
    if dy is not None and len(shape) != 2:
        dy = dy.reshape(y.shape)
    wanted = [n is not None for n in needs]
    with variants.kernels(**choices):
        dx, *rest = k.rnn_layer_backward(cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, wanted)
    return dx if dx is None else dx.reshape(shape), *rest


def rnn_layer_backward(cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, needs):
    """The gradients as a graph: the layer again, step by step, from operands that stand for these alone."""
    from ..autograd import grad
    from .elementwise import mul

    flat = [w for one in weights for w in one]
    own = [None if t is None else mul(t, 1.0) for t in (x, h0, c0, *flat)]
    again = [own[i : i + 5] for i in range(3, len(own), 5)]
    outs = _steps(cell, *own[:3], again, sizes)
    pairs = [(o, g) for o, g in zip(outs, (dy, dh, dc), strict=False) if g is not None]
    wanted = [t for t, need in zip(own, needs, strict=True) if need]
    found = iter(grad([o for o, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needs]


def _steps(cell, x, h0, c0, weights, sizes):
    """rnn_layer made of other ops."""
    from .join import stack

    x = x.reshape(-1, x.shape[-1])
    starts = [sum(sizes[:t]) for t in range(len(sizes))]
    ys, hs, cs = [], [], []
    for d, w in enumerate(weights):
        batch = sizes[0]
        h = x.new_zeros(batch, w[1]._a.shape[1]) if h0 is None else h0[d]
        c = c0[d] if c0 is not None else x.new_zeros(batch, w[1]._a.shape[0] // 4)
        order = range(len(sizes))
        found = [None] * len(sizes)
        for t in reversed(order) if d else order:
            n = sizes[t]
            h_new, c_new = _one_step(cell, x[starts[t] : starts[t] + n], h[:n], c[:n], w)
            found[t] = h_new
            h = h_new if n == batch else cat([h_new, h[n:]])
            c = c_new if n == batch else cat([c_new, c[n:]])
        ys.append(cat(found))
        hs.append(h)
        cs.append(c)
    y = ys[0] if len(ys) == 1 else cat(ys, 1)
    return (y, stack(hs), stack(cs)) if cell == "LSTM" else (y, stack(hs))


def _one_step(cell, x, h, c, weights):
    from .linear import linear
    from .unary import sigmoid, tanh

    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    gx, gh = linear(x, w_ih, b_ih), linear(h, w_hh, b_hh)
    if cell == "RNN_TANH":
        return tanh(gx + gh), c
    if cell == "RNN_RELU":
        return (gx + gh).relu(), c
    if cell == "LSTM":
        i, f, g, o = (gx + gh).chunk(4, 1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return (h if w_hr is None else linear(h, w_hr)), c
    xr, xz, xn = gx.chunk(3, 1)
    hr, hz, hn = gh.chunk(3, 1)
    n = tanh(xn + sigmoid(xr + hr) * hn)
    return n + sigmoid(xz + hz) * (h - n), c


# ---------------------------------------------------------------- stacks of layers, torch's signatures


def _grouped(params, has_biases, projected, layers, directions, function):
    """A flat list of parameters as [layer][direction](w_ih, w_hh, b_ih, b_hh, w_hr)."""
    each = 2 + 2 * bool(has_biases) + bool(projected)
    if len(params) != each * layers * directions:
        raise RuntimeError(
            f"{function}: expected {each * layers * directions} parameters ({each} for each of {layers} layers and "
            f"{directions} directions), but got {len(params)}"
        )
    found = []
    for i in range(0, len(params), each):
        one = list(params[i : i + each])
        w_hr = one.pop() if projected else None
        found.append((*one, *(None,) * (4 - len(one)), w_hr))
    return [found[i : i + directions] for i in range(0, len(found), directions)]


def _check_layer(cell, x, weights, batch, h0, c0, function):
    features = x._a.shape[-1]
    for w_ih, w_hh, b_ih, b_hh, w_hr in weights:
        gates = w_ih._a.shape[0]
        if w_ih._a.ndim != 2 or w_ih._a.shape[1] != features:
            raise RuntimeError(
                f"{function}: input has {features} features, but weight_ih of shape {list(w_ih._a.shape)} takes "
                f"{list(w_ih._a.shape)[1:]}"
            )
        hidden = gates // _GATES[cell]
        width = hidden if w_hr is None else w_hr._a.shape[0]
        if w_hh._a.shape != (gates, width) or gates % _GATES[cell]:
            raise RuntimeError(
                f"{function}: expected weight_hh of shape {[gates, width]}, but got {list(w_hh._a.shape)}"
            )
        for name, p, shape in (
            ("bias_ih", b_ih, (gates,)),
            ("bias_hh", b_hh, (gates,)),
            ("weight_hr", w_hr, (width, hidden)),
        ):
            if p is not None and p._a.shape != shape:
                raise RuntimeError(f"{function}: expected {name} of shape {list(shape)}, but got {list(p._a.shape)}")
        for p in (w_ih, w_hh, b_ih, b_hh, w_hr, h0, c0):
            if p is not None and p._a.dtype != x._a.dtype:
                raise RuntimeError(
                    f"{function}: input has dtype {x.dtype}, but a weight or hidden state has {p.dtype}: they must agree"
                )
        for name, state, size in (("hidden", h0, width), ("cell", c0, hidden)):
            if state is not None and state._a.shape != (len(weights), batch, size):
                raise RuntimeError(
                    f"{function}: expected the {name} state of a layer to be {[len(weights), batch, size]}, but got "
                    f"{list(state._a.shape)}"
                )


def _layers(cell, x, sizes, hidden, layers, p, train, function):
    """All layers: (y, h [layers·D, B, K], c or None). hidden: (h,) or (h, c), or None for zeros."""
    h, c = (None, None) if hidden is None else (*hidden, None)[:2]
    states = []
    for i, weights in enumerate(layers):
        d = len(weights)
        part = slice(i * d, (i + 1) * d)
        h0, c0 = (s if s is None or len(layers) == 1 else s[part] for s in (h, c))
        _check_layer(cell, x, weights, sizes[0], h0, c0, function)
        x, *state = rnn_layer(cell, x, h0, c0, weights, sizes)
        states.append(state)
        if p and train and i + 1 < len(layers):
            x = dropout(x, p)
    if len(states) == 1:
        return x, *states[0]
    return x, *(cat(list(parts)) for parts in zip(*states, strict=True))


def _run(cell, function, args):
    """torch's two forms: (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), and
    for packed rows (data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional)."""
    if len(args) != 9:
        raise TypeError(
            f"{function}() takes 9 positional arguments: (input, hx, params, has_biases, num_layers, dropout, train, "
            f"bidirectional, batch_first) or (data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, "
            f"bidirectional), but got {len(args)}"
        )
    packed = isinstance(args[3], (list, tuple))
    if packed:
        x, batch_sizes, hx, params, biases, layers, p, train, both = args
        sizes = tuple(int(n) for n in batch_sizes.tolist())
        if x._a.ndim != 2 or sum(sizes) != x._a.shape[0]:
            raise RuntimeError(f"{function}: batch_sizes add up to {sum(sizes)} rows, but data is {list(x._a.shape)}")
        batch_first = False
    else:
        x, hx, params, biases, layers, p, train, both, batch_first = args
        if x._a.ndim not in (2, 3):
            raise RuntimeError(f"{function}: input must have 2 or 3 dimensions, got {x._a.ndim}")
    hidden = (hx,) if isinstance(hx, Tensor) else None if hx is None else tuple(hx)
    single = not packed and x._a.ndim == 2
    if single:
        x = x.unsqueeze(0 if batch_first else 1)
        hidden = hidden and tuple(h.unsqueeze(1) for h in hidden)
    if batch_first:
        x = transpose(x, 0, 1)
    if not packed:
        steps, batch = x._a.shape[:2]
        if steps == 0:
            raise RuntimeError(f"{function}: Expected sequence length to be larger than 0 in RNN")
        sizes = (batch,) * steps
    directions = 2 if both else 1
    projected = cell == "LSTM" and len(params) == (3 + 2 * bool(biases)) * layers * directions
    groups = _grouped(params, biases, projected, layers, directions, function)
    y, *states = _layers(cell, x, sizes, hidden, groups, p, train, function)
    if batch_first:
        y = transpose(y, 0, 1)
    if single:
        y = y.squeeze(0 if batch_first else 1)
        states = [s.squeeze(1) for s in states]
    return y, *states


def lstm(*args):
    """A stack of LSTM layers, torch.lstm's arguments: (output, h, c)."""
    return _run("LSTM", "lstm", args)


def gru(*args):
    """A stack of GRU layers, torch.gru's arguments: (output, h)."""
    return _run("GRU", "gru", args)


def rnn_tanh(*args):
    """A stack of Elman layers with tanh, torch.rnn_tanh's arguments: (output, h)."""
    return _run("RNN_TANH", "rnn_tanh", args)


def rnn_relu(*args):
    """A stack of Elman layers with relu, torch.rnn_relu's arguments: (output, h)."""
    return _run("RNN_RELU", "rnn_relu", args)


# ---------------------------------------------------------------- single cells


def _cell(cell, input, hx, weights, function):
    h, c = (*hx, None)[:2] if isinstance(hx, (tuple, list)) else (hx, None)
    if input._a.ndim != 2:
        raise RuntimeError(f"{function}: expected a 2-D input [N, features], but got {list(input._a.shape)}")
    n = input._a.shape[0]
    states = [None if s is None else s.unsqueeze(0) for s in (h, c)]
    _check_layer(cell, input, [weights], n, *states, function)
    return rnn_layer(cell, input, *states, [weights], (n,))


def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an LSTM: input [N, I], hx a pair (h, c) of [N, H] -> (h, c)."""
    h, _, c = _cell("LSTM", input, hx, (w_ih, w_hh, b_ih, b_hh, None), "lstm_cell")
    return h, c.squeeze(0)


def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of a GRU: input [N, I], hx [N, H] -> h."""
    return _cell("GRU", input, hx, (w_ih, w_hh, b_ih, b_hh, None), "gru_cell")[0]


def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an Elman network: tanh(W_ih x + b_ih + W_hh h + b_hh)."""
    return _cell("RNN_TANH", input, hx, (w_ih, w_hh, b_ih, b_hh, None), "rnn_tanh_cell")[0]


def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an Elman network: relu(W_ih x + b_ih + W_hh h + b_hh)."""
    return _cell("RNN_RELU", input, hx, (w_ih, w_hh, b_ih, b_hh, None), "rnn_relu_cell")[0]
