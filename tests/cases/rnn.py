"""Recurrent layers forward, against loops over sequences and steps in float64 (their gradients: gradcheck_cases.py, and
test_rnn.py at the sizes of these cases)."""

import numpy as np

from . import Case

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(cell, x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr):
    """One step of one sequence: (h, c)."""
    gx, gh = w_ih @ x, w_hh @ h
    if b_ih is not None:
        gx, gh = gx + b_ih, gh + b_hh
    if cell == "LSTM":
        i, f, g, o = np.split(gx + gh, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return (h if w_hr is None else w_hr @ h), c
    if cell == "GRU":
        (xr, xz, xn), (hr, hz, hn) = np.split(gx, 3), np.split(gh, 3)
        z, n = sigmoid(xz + hz), np.tanh(xn + sigmoid(xr + hr) * hn)
        return (1 - z) * n + z * h, c
    return (np.tanh(gx + gh) if cell == "RNN_TANH" else np.maximum(gx + gh, 0)), c


def forward(cell, x, h0, c0, weights, sizes, keep):
    weights = [[None if w is None else w.astype(np.float64) for w in one] for one in weights]
    width, hidden = weights[0][1].shape[1], weights[0][1].shape[0] // GATES[cell]
    starts = np.cumsum([0, *sizes])
    y = np.zeros((len(x), width * len(weights)))
    h_last = np.zeros((len(weights), sizes[0], width))
    c_last = np.zeros((len(weights), sizes[0], hidden))
    for d, w in enumerate(weights):
        for b in range(sizes[0]):
            rows = [starts[t] + b for t in range(len(sizes)) if sizes[t] > b]
            h = np.zeros(width) if h0 is None else h0[d, b]
            c = np.zeros(hidden) if c0 is None else c0[d, b]
            for row in rows[::-1] if d else rows:
                h, c = step(cell, x[row], h, c, *w)
                y[row, d * width : (d + 1) * width] = h
            h_last[d, b], c_last[d, b] = h, c
    return y, h_last, c_last if cell == "LSTM" else None, None


# name: sizes, input, hidden, projection, directions, states, bias
SHAPES = {
    "small": ((3,) * 4, 5, 7, 0, 1, True, True),
    "both": ((20,) * 6, 30, 50, 0, 2, True, True),
    "packed": ((5, 4, 4, 1), 3, 33, 0, 2, True, True),
    "no_bias": ((5, 4, 4, 1), 3, 33, 0, 1, False, False),
    "one_row": ((1,) * 9, 8, 128, 0, 1, False, True),
    "one_step": ((7,), 8, 20, 0, 2, True, True),
    "one_step_zeros": ((7,), 8, 20, 0, 1, False, True),
    "projected": ((13, 9, 9, 2, 2), 6, 40, 11, 2, True, True),
    "many_rows": ((64,) * 5, 32, 200, 37, 1, False, True),
    "threads": ((40,) * 7, 10, 96, 0, 1, True, True),
    "h256": ((32,) * 3, 20, 256, 0, 1, True, True),  # rows 4 KiB apart
}
BENCH = {  # name: cell, steps, batch, input, hidden
    "lstm_L35B20I200H200": ("LSTM", 35, 20, 200, 200),
    "lstm_L100B1I64H128": ("LSTM", 100, 1, 64, 128),
    "gru_L64B32I128H256": ("GRU", 64, 32, 128, 256),
    "rnn_L64B32I128H256": ("RNN_TANH", 64, 32, 128, 256),
}


def arguments(rng, dtype, cell, sizes, features, hidden, proj, directions, states, bias, scale=0.3):
    def draw(*shape):
        return (rng.standard_normal(shape) * scale).astype(dtype)

    gates, width = GATES[cell] * hidden, proj or hidden
    weights = tuple(
        (
            draw(gates, features), draw(gates, width), draw(gates) if bias else None, draw(gates) if bias else None,
            draw(proj, hidden) if proj else None,
        )
        for _ in range(directions)
    )  # fmt: skip
    h0 = draw(directions, sizes[0], width) if states else None
    c0 = draw(directions, sizes[0], hidden) if states and cell == "LSTM" else None
    return cell, draw(sum(sizes), features), h0, c0, weights, sizes


def bound(cell, x, h0, c0, weights, sizes, keep):
    """Errors of the products, K·eps a step, which the recurrence carries on: gates and tanh do not enlarge them."""
    y, h, c, _ = forward(cell, x, h0, c0, weights, sizes, keep)
    k = weights[0][1].shape[1] + x.shape[1]
    grows = 4 * k**0.5 * len(sizes) ** 0.5
    if cell == "RNN_RELU":  # nothing holds h down: relative to the largest
        grows *= 1 + np.abs(y).max() * 10
    return tuple(None if a is None else np.full(a.shape, grows) for a in (y, h, c)) + (None,)


def _flops(cell, steps, batch, features, hidden):
    return 2 * steps * batch * GATES[cell] * hidden * (features + hidden)


CASES = [
    Case(
        "rnn_layer",
        f"{cell.lower()}_{name}",
        lambda rng, t, cell=cell, row=row: (*arguments(rng, t, cell, *row), False),
        forward,
        bound,
    )
    for cell in GATES
    for name, row in SHAPES.items()
    if cell == "LSTM" or not row[3]
] + [
    Case(
        "rnn_layer",
        name,
        lambda rng, t, row=(cell, (b,) * steps, i, h, 0, 1, False, True): (*arguments(rng, t, *row, scale=0.05), False),
        forward,
        bound,
        flops=_flops(cell, steps, b, i, h),
        bench=True,
        dtypes=("float32",),
    )
    for name, (cell, steps, b, i, h) in BENCH.items()
]
