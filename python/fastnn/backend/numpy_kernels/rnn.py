"""Recurrent layers: the readable definition of the kernels rnn and rnn_backward, a loop over steps, and what a layer
makes of them with products over all steps at once.

The rows of a packed batch: those of step t follow those of step t - 1, longest sequence first, so that step t has the
first sizes[t] sequences. A padded batch [L, B, ...] is the case sizes = (B,) * L. G gates a cell: 1, 4 (i, f, g, o) or
3 (r, z, n); H hidden, K = H or, with a projection, its size.
"""

from functools import partial

import numpy as np

from .gemm import gemm
from .reduce import sum as reduce_sum

__all__ = ["rnn_layer", "rnn_layer_backward"]

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _order(sizes, reverse):
    """(first row, rows, rows with a step before, first row of that step) of each step, in the order of the pass."""
    steps, at = [], 0
    for n in sizes:
        steps.append((at, n))
        at += n
    if reverse:
        steps.reverse()
    before_at = before = 0
    for at, n in steps:
        yield at, n, min(n, before), before_at
        before_at, before = at, n


def _previous(state, began, n, before, before_at, width):
    """What the n sequences of a step come from: rows of `state`, and for those that start here of `began`, or zeros."""
    earlier = state[before_at : before_at + before]
    if before == n:
        return earlier
    fresh = np.zeros((n - before, width), state.dtype) if began is None else began[before:n]
    return np.concatenate([earlier, fresh])


def steps_forward(gemm, cell, gates, w_hh, w_hr, b_hn, h0, c0, gh, sizes, reverse, keep, y):
    """(cells, hn, outputs), None where a cell has none: each row's c; W_hn h + b_hn of a GRU; o·tanh(c) where w_hr
    projects it. `gates`, the input's share of them with all biases but b_hn, become the gates; h goes into y.

    h = tanh(g) or relu(g) with g = gates + w_hh·h; LSTM: c = f·c + i·g, h = o·tanh(c), then w_hr·h; GRU:
    n = tanh(gates_n + r·(w_hn·h + b_hn)), h = n + z·(h - n). gh is w_hh·h0, for a single step."""
    hidden = gates.shape[1] // GATES[cell]
    cells = np.empty((len(gates), hidden), gates.dtype) if cell == "LSTM" else None
    hn = np.empty((len(gates), hidden), gates.dtype) if cell == "GRU" else None
    outputs = np.empty((len(gates), hidden), gates.dtype) if w_hr is not None else None
    for at, n, before, before_at in _order(sizes, reverse):
        rows = slice(at, at + n)
        h = _previous(y, h0, n, before, before_at, y.shape[1])
        rest = gemm(h, w_hh.T) if gh is None else gh
        g = gates[rows]
        if cell == "RNN_TANH":
            y[rows] = np.tanh(g + rest)
        elif cell == "RNN_RELU":
            x = g + rest
            y[rows] = np.where(x <= 0, x.dtype.type(0), x)
        elif cell == "LSTM":
            g += rest
            i, f, u, o = (g[:, k * hidden : (k + 1) * hidden] for k in range(4))
            i[...], f[...], u[...], o[...] = _sigmoid(i), _sigmoid(f), np.tanh(u), _sigmoid(o)
            cells[rows] = f * _previous(cells, c0, n, before, before_at, hidden) + i * u
            out = o * np.tanh(cells[rows])
            if w_hr is not None:
                outputs[rows] = out
                out = gemm(out, w_hr.T)
            y[rows] = out
        else:
            r, z, u = (g[:, k * hidden : (k + 1) * hidden] for k in range(3))
            hn[rows] = rest[:, 2 * hidden :] if b_hn is None else rest[:, 2 * hidden :] + b_hn
            r[...], z[...] = _sigmoid(r + rest[:, :hidden]), _sigmoid(z + rest[:, hidden : 2 * hidden])
            u[...] = np.tanh(u + r * hn[rows])
            y[rows] = u + z * (h - u)
    return cells, hn, outputs


def steps_backward(gemm, cell, gates, w_hh, w_hr, y, cells, hn, h0, c0, dy, dh, dc, sizes, reverse):
    """(dgates, carry, dhs) from what steps_forward left: the gradients of the gates [rows, G·H], for a GRU of
    (w_hn·h, r, z, the input's n) [rows, 4H]; the gradient of c0, for a GRU the part z·dh of that of h0; with a
    projection that of every h."""
    hidden = gates.shape[1] // GATES[cell]
    dgates = np.empty((len(gates), 4 * hidden if cell == "GRU" else gates.shape[1]), gates.dtype)
    carry = np.zeros((sizes[0], hidden), gates.dtype) if cell in ("LSTM", "GRU") else None
    dhs = np.empty((len(gates), y.shape[1]), gates.dtype) if w_hr is not None else None
    one = gates.dtype.type(1)
    from_later = None  # by the h that a step received
    came_from = list(_order(sizes, reverse))
    later_rows = 0
    for at, n, before, before_at in reversed(came_from):
        rows = slice(at, at + n)
        d = np.zeros((n, y.shape[1]), gates.dtype) if dy is None else dy[rows].copy()
        k = min(n, later_rows)  # these sequences go on; the others have their last step here
        if k:
            d[:k] += from_later[:k]
        if dh is not None:
            d[k:] += dh[k:n]
        if cell == "LSTM" and dc is not None:
            carry[k:n] = dc[k:n]
        if w_hr is not None:
            dhs[rows] = d
            d = gemm(d, w_hr)
        g, to = gates[rows], dgates[rows]
        if cell == "RNN_TANH":
            to[...] = d * (one - y[rows] * y[rows])
            from_later = gemm(to, w_hh)
        elif cell == "RNN_RELU":
            to[...] = np.where(y[rows] <= 0, one * 0, d)
            from_later = gemm(to, w_hh)
        elif cell == "LSTM":
            i, f, u, o = (g[:, j * hidden : (j + 1) * hidden] for j in range(4))
            t = np.tanh(cells[rows])
            dc_now = d * o * (one - t * t) + carry[:n]
            c = _previous(cells, c0, n, before, before_at, hidden)
            to[:, :hidden] = dc_now * u * i * (one - i)
            to[:, hidden : 2 * hidden] = dc_now * c * f * (one - f)
            to[:, 2 * hidden : 3 * hidden] = dc_now * i * (one - u * u)
            to[:, 3 * hidden :] = d * t * o * (one - o)
            carry[:n] = dc_now * f
            from_later = gemm(to, w_hh)
        else:
            r, z, u = (g[:, j * hidden : (j + 1) * hidden] for j in range(3))
            h = _previous(y, h0, n, before, before_at, hidden)
            du = d * (one - z) * (one - u * u)
            to[:, :hidden] = du * r
            to[:, hidden : 2 * hidden] = du * hn[rows] * r * (one - r)
            to[:, 2 * hidden : 3 * hidden] = d * (h - u) * z * (one - z)
            to[:, 3 * hidden :] = du
            carry[:n] = d * z
            from_later = carry[:n] + gemm(to[:, hidden : 3 * hidden], w_hh[: 2 * hidden])
            from_later += gemm(to[:, :hidden], w_hh[2 * hidden :])
        later_rows = n
    return dgates, carry, dhs


class Sizes:
    """Which rows belong together: `tail` are the last rows of each sequence, row early[i] is the step before late[i]."""

    __slots__ = ("tail", "early", "late")

    def __init__(self, sizes):
        batch, rows = sizes[0], sum(sizes)
        self.late = slice(batch, rows)
        if sizes[-1] == batch:
            self.tail, self.early = slice(rows - batch, rows), slice(0, rows - batch)
            return
        starts = np.cumsum((0, *sizes[:-1]))
        lengths = np.array([sum(n > b for n in sizes) for b in range(batch)])
        self.tail = starts[lengths - 1] + np.arange(batch)
        self.early = np.concatenate([np.arange(n) + at for at, n in zip(starts[:-1], sizes[1:], strict=True)])


def _wide(*arrays):
    return tuple(None if a is None else a.astype(np.float32) for a in arrays)


class Layer:
    """A recurrent layer made of a product, a sum, fresh memory and the two passes over the steps."""

    halves = False  # whether the passes take 16-bit types

    def __init__(self, gemm, add_up, empty, forward, backward):
        self.gemm, self.sum, self.empty, self.steps, self.steps_backward = gemm, add_up, empty, forward, backward

    def direction(self, cell, x, h0, c0, weights, sizes, places, reverse, keep, y):
        """One direction: h of every row into y [rows, K]. (h, c after the last step, what backward needs)."""
        w_ih, w_hh, b_ih, b_hh, w_hr = weights
        bias, b_hn = b_ih, None
        if b_ih is not None:
            if cell == "GRU":
                split = 2 * len(b_hh) // 3
                bias, b_hn = b_ih.copy(), b_hh[split:]
                bias[:split] += b_hh[:split]
            else:
                bias = b_ih + b_hh
        gates = self.gemm(x, w_ih.T, bias)
        # Packing w_hh pays when several steps read it.
        gh = self.gemm(h0, w_hh.T) if len(sizes) == 1 and h0 is not None else None
        cells, hn, outputs = self.steps(cell, gates, w_hh, w_hr, b_hn, h0, c0, gh, sizes, reverse, keep, y)
        end = slice(0, sizes[0]) if reverse else places.tail
        c = None if cells is None else cells if len(cells) == sizes[0] else cells[end]
        return y[end], c, (gates, cells, hn, outputs) if keep else None

    def direction_backward(self, cell, dy, dh, dc, x, h0, c0, weights, sizes, places, reverse, y, kept, needs):
        """The gradients of (x, h0, c0) and of the weights, None where not needed."""
        w_ih, w_hh, _, _, w_hr = weights
        gates, cells, hn, outputs = kept
        d, carry, dhs = self.steps_backward(cell, gates, w_hh, w_hr, y, cells, hn, h0, c0, dy, dh, dc, sizes, reverse)
        hidden = w_hh.shape[0] // GATES[cell]
        to_input = d[:, hidden:] if cell == "GRU" else d
        # Blocks of the gates' gradients that meet w_hh, with the rows of w_hh that each belongs to.
        blocks = [(d, slice(None))]
        if cell == "GRU":
            blocks = [(d[:, hidden : 3 * hidden], slice(2 * hidden)), (d[:, :hidden], slice(2 * hidden, None))]
        began = places.tail if reverse else slice(0, sizes[0])
        dx = dh0 = dw_ih = dw_hh = db_ih = db_hh = dw_hr = None
        if needs[0]:
            dx = self.gemm(to_input, w_ih)
        if needs[1]:
            dh0 = self.gemm(blocks[0][0][began], w_hh[blocks[0][1]])
            if cell == "GRU":
                self.gemm(d[began, :hidden], w_hh[2 * hidden :], None, "none", dh0, True)
                dh0 += carry
        if needs[3]:
            dw_ih = self.gemm(to_input.T, x)
        if needs[4]:
            now, then = (places.early, places.late) if reverse else (places.late, places.early)
            dw_hh = self.empty(w_hh.shape, w_hh.dtype)
            for block, rows in blocks:
                self.gemm(block[now].T, y[then], None, "none", dw_hh[rows])
                if h0 is not None:
                    self.gemm(block[began].T, h0, None, "none", dw_hh[rows], True)
        if needs[5] or needs[6]:
            db_ih = self.sum(to_input, (0,), False)
            db_hh = db_ih
            if cell == "GRU" and needs[6]:
                db_hh = np.concatenate([db_ih[: 2 * hidden], self.sum(d[:, :hidden], (0,), False)])
        if needs[7]:
            dw_hr = self.gemm(dhs.T, outputs)
        return dx, dh0, carry if cell == "LSTM" and needs[2] else None, (dw_ih, dw_hh, db_ih, db_hh, dw_hr)

    def forward(self, cell, x, h0, c0, weights, sizes, keep):
        if x.dtype.itemsize == 2 and not self.halves:  # computed in float32, rounded once
            y, h, c, kept = self.forward(cell, *_wide(x, h0, c0), [_wide(*w) for w in weights], sizes, keep)
            return *(None if a is None else a.astype(x.dtype) for a in (y, h, c)), (kept, y)
        places, width = Sizes(sizes), weights[0][1].shape[1]
        y = self.empty((len(x), width * len(weights)), x.dtype)
        h, c, kept = [], [], []
        for i, w in enumerate(weights):
            h_last, c_last, left = self.direction(
                cell, x, None if h0 is None else h0[i], None if c0 is None else c0[i], w, sizes, places, i == 1, keep,
                y[:, i * width : (i + 1) * width],
            )  # fmt: skip
            h.append(h_last)
            c.append(c_last)
            kept.append(left)
        return y, np.stack(h), np.stack(c) if cell == "LSTM" else None, kept

    def backward(self, cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, needs):
        if x.dtype.itemsize == 2 and not self.halves:
            kept, y = kept
            wide, weights = _wide(dy, dh, dc, x, h0, c0), [_wide(*w) for w in weights]
            found = self.backward(cell, *wide, weights, sizes, y, kept, needs)
            return tuple(None if a is None else a.astype(x.dtype) for a in found)
        places, width = Sizes(sizes), weights[0][1].shape[1]
        dx, dh0, dc0, flat = None, [], [], []
        for i, w in enumerate(weights):
            columns = slice(i * width, (i + 1) * width)
            share, *began, dw = self.direction_backward(
                cell, None if dy is None else dy[:, columns], None if dh is None else dh[i],
                None if dc is None else dc[i], x, None if h0 is None else h0[i], None if c0 is None else c0[i], w,
                sizes, places, i == 1, y[:, columns], kept[i], (*needs[:3], *needs[3 + 5 * i : 8 + 5 * i]),
            )  # fmt: skip
            dx = share if dx is None else dx + share
            dh0.append(began[0])
            dc0.append(began[1])
            flat += dw
        return dx, np.stack(dh0) if needs[1] else None, np.stack(dc0) if needs[2] else None, *flat


_layer = Layer(gemm, reduce_sum, np.empty, partial(steps_forward, gemm), partial(steps_backward, gemm))


def rnn_layer(cell, x, h0, c0, weights, sizes, keep):
    """One layer, in one direction or, with two sets of weights, in both: x [rows, I], h0 [D, B, K] and c0 [D, B, H] or
    None (zeros), weights D times (w_ih, w_hh, b_ih, b_hh, w_hr), the last three or None.

    (y [rows, D·K], h [D, B, K] and c [D, B, H] after each sequence's last step, and with keep what backward needs)."""
    return _layer.forward(cell, x, h0, c0, weights, sizes, keep)


def rnn_layer_backward(cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, needs):
    """The gradients of x, h0, c0 and of every weight in turn, None where `needs` has False. dy, dh, dc may be None."""
    return _layer.backward(cell, dy, dh, dc, x, h0, c0, weights, sizes, y, kept, needs)
