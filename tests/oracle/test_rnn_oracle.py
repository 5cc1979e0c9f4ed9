"""Recurrent layers, cells and packed sequences against torch."""

import numpy as np
import pytest
import torch

import fastnn

BOTH = (torch, fastnn)
rnn_utils = {torch: torch.nn.utils.rnn, fastnn: fastnn.nn.utils.rnn}

LAYERS = [
    ("RNN", (5, 7), {}), ("RNN", (5, 7, 2, "relu"), {"bidirectional": True}), ("RNN", (3, 20), {"bias": False}),
    ("LSTM", (5, 7), {}), ("LSTM", (5, 33, 3), {"bidirectional": True, "dropout": 0.4}),
    ("LSTM", (6, 20, 2), {"proj_size": 9, "bidirectional": True}), ("LSTM", (6, 20), {"bias": False, "proj_size": 3}),
    ("LSTM", (4, 8, 2), {"batch_first": True}), ("GRU", (5, 7), {}),
    ("GRU", (5, 40, 2), {"bidirectional": True, "dropout": 0.2}), ("GRU", (4, 6), {"bias": False, "batch_first": True}),
]  # fmt: skip


def arrays(*shapes):
    rng = np.random.default_rng(sum(map(len, shapes)))
    return [rng.standard_normal(s).astype(np.float32) for s in shapes]


def close(ours, theirs, what=""):
    assert tuple(ours.shape) == tuple(theirs.shape), what
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=2e-5, atol=2e-5, err_msg=str(what))


def states_of(T, kind, arrays, grad=True):
    made = [T.from_numpy(a.copy()).requires_grad_(grad) for a in arrays]
    return tuple(made) if kind == "LSTM" else made[0]


def flat(result):
    y, state = result
    y = y.data if isinstance(y, tuple) else y
    return [y, *(state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize("given", [False, True], ids=["zeros", "states"])
@pytest.mark.parametrize("form", ["batch", "one", "packed", "unsorted"])
@pytest.mark.parametrize("case", LAYERS, ids=lambda c: f"{c[0]}{c[1]}{c[2]}")
def test_layers(case, form, given):
    kind, args, options = case
    layers = args[2] if len(args) > 2 else 1
    count = layers * (2 if options.get("bidirectional") else 1)
    first = options.get("batch_first")
    batch, steps, features, hidden = 4, 6, args[0], args[1]
    shape = (steps, features) if form == "one" else (batch, steps, features) if first else (steps, batch, features)
    middle = () if form == "one" else (batch,)
    h_shape = (count, *middle, options.get("proj_size") or hidden)
    x_array, h_array, c_array = arrays(shape, h_shape, (count, *middle, hidden))
    results = []
    for T in BOTH:
        T.manual_seed(5)
        layer = getattr(T.nn, kind)(*args, **options)
        x = T.from_numpy(x_array.copy()).requires_grad_()
        data = x
        if form in ("packed", "unsorted"):
            lengths = [6, 4, 4, 1] if form == "packed" else [2, 6, 1, 4]
            data = rnn_utils[T].pack_padded_sequence(
                x, T.tensor(lengths), batch_first=bool(first), enforce_sorted=form == "packed"
            )
        state = states_of(T, kind, [h_array, c_array]) if given else None
        T.manual_seed(6)
        result = layer(data, state)
        outs = flat(result)
        after = T.rand(3)
        total = sum((o * (i + 1) * o.cos()).sum() for i, o in enumerate(outs))
        total.backward()
        leaves = [x, *([] if state is None else state if kind == "LSTM" else [state]), *layer.parameters()]
        extra = []
        if form in ("packed", "unsorted"):
            padded, lengths = rnn_utils[T].pad_packed_sequence(
                result[0], batch_first=True, padding_value=-2.0, total_length=8
            )
            extra = [padded, lengths]
        results.append((list(layer.state_dict()), repr(layer), [*outs, after, *extra], [leaf.grad for leaf in leaves]))
    theirs, ours = results
    assert ours[0] == theirs[0] and ours[1] == theirs[1]
    for i, (a, b) in enumerate(zip(ours[2] + ours[3], theirs[2] + theirs[3], strict=True)):
        if b is None:
            assert a is None
        else:
            close(a, b, i)


@pytest.mark.parametrize("given", [False, True], ids=["zeros", "states"])
@pytest.mark.parametrize("batch", [(), (3,)], ids=["one", "batch"])
@pytest.mark.parametrize(
    "case", [("RNNCell", ()), ("RNNCell", (True, "relu")), ("LSTMCell", ()), ("LSTMCell", (False,)), ("GRUCell", ()),
             ("GRUCell", (False,))], ids=str,
)  # fmt: skip
def test_cells(case, batch, given):
    kind, more = case
    x_array, h_array, c_array = arrays((*batch, 5), (*batch, 18), (*batch, 18))
    results = []
    for T in BOTH:
        T.manual_seed(3)
        cell = getattr(T.nn, kind)(5, 18, *more)
        x = T.from_numpy(x_array.copy()).requires_grad_()
        state = states_of(T, kind[:-4], [h_array, c_array]) if given else None
        outs = cell(x, state)
        outs = cell(x * 0.5, outs)
        outs = outs if isinstance(outs, tuple) else (outs,)
        sum((o * o).sum() for o in outs).backward()
        leaves = [x, *([] if state is None else state if isinstance(state, tuple) else [state]), *cell.parameters()]
        results.append((list(cell.state_dict()), repr(cell), [*outs, *(leaf.grad for leaf in leaves)]))
    theirs, ours = results
    assert ours[:2] == theirs[:2]
    for a, b in zip(ours[2], theirs[2], strict=True):
        close(a, b)


BAD = [
    ("a 1-D input", lambda T: T.nn.GRU(3, 4)(T.zeros(3))),
    ("a 4-D input", lambda T: T.nn.LSTM(3, 4)(T.zeros(1, 1, 1, 3))),
    ("features", lambda T: T.nn.LSTM(3, 4)(T.zeros(5, 2, 4))),
    ("hidden batch", lambda T: T.nn.RNN(3, 4)(T.zeros(5, 2, 3), T.zeros(1, 3, 4))),
    ("hidden layers", lambda T: T.nn.GRU(3, 4, 2)(T.zeros(5, 2, 3), T.zeros(1, 2, 4))),
    ("cell size", lambda T: T.nn.LSTM(3, 4)(T.zeros(5, 2, 3), (T.zeros(1, 2, 4), T.zeros(1, 2, 5)))),
    ("2-D hidden", lambda T: T.nn.GRU(3, 4)(T.zeros(5, 2, 3), T.zeros(2, 4))),
    ("3-D hidden", lambda T: T.nn.GRU(3, 4)(T.zeros(5, 3), T.zeros(1, 2, 4))),
    ("2-D states", lambda T: T.nn.LSTM(3, 4)(T.zeros(5, 2, 3), (T.zeros(2, 4), T.zeros(2, 4)))),
    ("dtype", lambda T: T.nn.LSTM(3, 4)(T.zeros(5, 2, 3, dtype=T.float64))),
    ("no steps", lambda T: T.nn.LSTM(3, 4)(T.zeros(0, 2, 3))),
    ("hidden_size 0", lambda T: T.nn.LSTM(3, 0)),
    ("hidden_size text", lambda T: T.nn.LSTM(3, "4")),
    ("num_layers 0", lambda T: T.nn.LSTM(3, 4, 0)),
    ("dropout 2", lambda T: T.nn.LSTM(3, 4, 2, dropout=2)),
    ("dropout True", lambda T: T.nn.LSTM(3, 4, 2, dropout=True)),
    ("bias 1", lambda T: T.nn.GRU(3, 4, bias=1)),
    ("proj_size of GRU", lambda T: T.nn.GRU(3, 4, proj_size=2)),
    ("proj_size", lambda T: T.nn.LSTM(3, 4, proj_size=4)),
    ("nonlinearity", lambda T: T.nn.RNN(3, 4, nonlinearity="gelu")),
    ("cell 3-D", lambda T: T.nn.GRUCell(3, 4)(T.zeros(1, 1, 3))),
    ("cell hidden 3-D", lambda T: T.nn.LSTMCell(3, 4)(T.zeros(1, 3), (T.zeros(1, 1, 4), T.zeros(1, 4)))),
    ("cell features", lambda T: T.nn.GRUCell(3, 4)(T.zeros(2, 5))),
    ("cell hidden size", lambda T: T.nn.GRUCell(3, 4)(T.zeros(2, 3), T.zeros(2, 5))),
    ("cell batch", lambda T: T.nn.LSTMCell(3, 4)(T.zeros(2, 3), (T.zeros(3, 4), T.zeros(3, 4)))),
    ("lengths", lambda T: rnn_utils[T].pack_padded_sequence(T.zeros(5, 2, 3), T.tensor([5]))),
    ("lengths 0", lambda T: rnn_utils[T].pack_padded_sequence(T.zeros(5, 2, 3), T.tensor([5, 0]))),
    ("order", lambda T: rnn_utils[T].pack_padded_sequence(T.zeros(5, 2, 3), T.tensor([3, 5]))),
    ("total_length", lambda T: rnn_utils[T].pad_packed_sequence(
        rnn_utils[T].pack_sequence([T.zeros(3), T.zeros(2)]), total_length=2)),
    ("no sequences", lambda T: rnn_utils[T].pad_sequence([])),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=[name for name, _ in BAD])
def test_errors(case):
    raised = []
    for T in BOTH:
        with pytest.raises(Exception) as info:
            case[1](T)
        raised.append(info.type)
    assert issubclass(raised[1], raised[0]), raised


def test_dropout_of_one_layer_warns():
    for T in BOTH:
        with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
            T.nn.GRU(3, 4, dropout=0.5)


def test_sequences():
    lengths = [3, 1, 5, 2]
    data = [np.arange(2.0 * n).reshape(n, 2) + 10 * n for n in lengths]
    results = []
    for T in BOTH:
        u = rnn_utils[T]
        rows = [T.tensor(a) for a in data]
        packed = u.pack_sequence(rows, enforce_sorted=False)
        padded, sizes = u.pad_packed_sequence(packed)
        out = [*packed, padded, sizes, u.pad_sequence(rows), u.pad_sequence(rows, True, -1.0, "left"),
               *u.unpack_sequence(packed), *u.unpad_sequence(u.pad_sequence(rows, True), T.tensor(lengths), True),
               u.invert_permutation(T.tensor([2, 0, 1]))]  # fmt: skip
        results.append([o.numpy() for o in out])
        assert packed.double().data.dtype == T.float64 and packed.to(T.float32).data.dtype == T.float32
    for a, b in zip(*results, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_second_derivatives(kind):
    x_array, g_array = arrays((4, 3, 5), (4, 3, 6))
    results = []
    for T in BOTH:
        T.manual_seed(1)
        layer = getattr(T.nn, kind)(5, 6).to(T.float64)
        x = T.from_numpy(x_array.astype(np.float64)).requires_grad_()
        y = (layer(x)[0] * T.from_numpy(g_array.astype(np.float64))).sum()
        (gx,) = T.autograd.grad(y, x, create_graph=True)
        gx.square().sum().backward()
        results.append([gx, x.grad, *(p.grad for p in layer.parameters())])
    for a, b in zip(results[1], results[0], strict=True):
        if b is None:
            assert a is None
        else:
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_training_follows_torch():
    """Loss by loss, a character model of two layers with dropout."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 20, (9, 4))
    losses = []
    for T in BOTH:
        T.manual_seed(0)
        table, layer, head = T.nn.Embedding(20, 8), T.nn.LSTM(8, 16, 2, dropout=0.3), T.nn.Linear(16, 20)
        parameters = [*table.parameters(), *layer.parameters(), *head.parameters()]
        optimizer = T.optim.Adam(parameters, lr=1e-2)
        x, target = T.from_numpy(ids[:-1].copy()), T.from_numpy(ids[1:].copy()).reshape(-1)
        run = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = T.nn.functional.cross_entropy(head(layer(table(x))[0]).reshape(-1, 20), target)
            loss.backward()
            T.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            run.append(loss.item())
        losses.append(run)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
