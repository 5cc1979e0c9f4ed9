"""fastnn.keras: layers against formulas in float64, training, callbacks, files; the demo of the course notes."""

import math
import os
import re
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import keras
from fastnn import tf as tf_
from fastnn.keras import layers

rng = np.random.default_rng(0)
SHARED = Path(__file__).resolve().parents[2] / "shared"
DATA = Path(os.environ.get("FASTNN_DATA") or SHARED / "data" / "mnist")


def images(n=6, h=9, w=8, c=3):
    return rng.standard_normal((n, h, w, c)).astype(np.float32)


def run(layer, x, training=False):
    return layer(fastnn.from_numpy(x), training=training).detach().numpy()


def near(a, b, tolerance=2e-5):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# -- layers -----------------------------------------------------------------------------------------------------------


def windows(x, kernel, strides, padding, fill):
    """[N, P, Q, r, s, C] of x [N, H, W, C] as TensorFlow cuts it."""
    margins = [(0, 0)]
    for n, k, s in zip(x.shape[1:3], kernel, strides, strict=True):
        total = max((math.ceil(n / s) - 1) * s + k - n, 0) if padding == "same" else 0
        margins.append((total // 2, total - total // 2))
    x = np.pad(x.astype(np.float64), [*margins, (0, 0)], constant_values=fill)
    p, q = ((x.shape[i + 1] - kernel[i]) // strides[i] + 1 for i in (0, 1))
    cut = [
        [
            x[:, i * strides[0] : i * strides[0] + kernel[0], j * strides[1] : j * strides[1] + kernel[1]]
            for j in range(q)
        ]
        for i in range(p)
    ]
    return np.array(cut).transpose(2, 0, 1, 3, 4, 5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel, strides", [((3, 3), (1, 1)), ((2, 5), (2, 3)), ((4, 4), (3, 2))])
def test_conv2d(kernel, strides, padding):
    x = images()
    layer = layers.Conv2D(5, kernel, strides, padding, activation="tanh", bias_initializer="random_normal")
    y = run(layer, x)
    w, b = layer.get_weights()
    assert w.shape == (*kernel, 3, 5) and layer.count_params() == w.size + 5
    near(y, np.tanh(np.einsum("npqrsc,rsck->npqk", windows(x, kernel, strides, padding, 0), w) + b))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("pool, strides", [((2, 2), None), ((3, 3), (1, 1)), ((3, 2), (2, 3))])
def test_pooling(pool, strides, padding):
    x = images()
    cut = windows(x, pool, strides or pool, padding, np.nan)
    near(run(layers.MaxPooling2D(pool, strides, padding), x), np.nanmax(cut, (3, 4)))
    near(run(layers.AveragePooling2D(pool, strides, padding), x), np.nanmean(cut, (3, 4)))


def test_layers_without_windows():
    x = images()
    dense = layers.Dense(4, "relu", bias_initializer="ones")
    y = run(dense, x)
    w, b = dense.get_weights()
    near(y, np.maximum(x.astype(np.float64) @ w + b, 0))
    near(run(layers.Flatten(), x), x.reshape(6, -1))
    near(run(layers.Reshape((8, 27)), x), x.reshape(6, 8, 27))
    near(run(layers.Permute((3, 1, 2)), x), x.transpose(0, 3, 1, 2))
    near(run(layers.Rescaling(2, 1), x), 2 * x + 1)
    near(run(layers.ZeroPadding2D(((1, 2), (3, 0))), x), np.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0))))
    near(run(layers.GlobalAveragePooling2D(), x), x.mean((1, 2)))
    near(run(layers.GlobalMaxPooling2D(keepdims=True), x), x.max((1, 2), keepdims=True))
    near(run(layers.LeakyReLU(0.2), x), np.where(x > 0, x, 0.2 * x))
    near(run(layers.ReLU(max_value=1, negative_slope=0.1), x), np.minimum(np.where(x > 0, x, 0.1 * x), 1))
    ids = rng.integers(0, 7, (4, 5))
    table = layers.Embedding(7, 3)
    near(run(table, ids), table.get_weights()[0][ids])
    dropped = run(layers.Dropout(0.5), np.ones((100, 100), np.float32), training=True)
    assert set(np.unique(dropped)) == {0.0, 2.0} and abs((dropped == 0).mean() - 0.5) < 0.03
    near(run(layers.Dropout(0.5), x), x)
    steps = x.reshape(6, 9, 24)
    conv = layers.Conv1D(4, 3, strides=2)
    y = run(conv, steps)
    w, b = conv.get_weights()
    assert w.shape == (3, 24, 4)
    cut = np.stack([steps[:, i : i + 3] for i in range(0, 7, 2)], 1).astype(np.float64)
    near(y, np.einsum("npsc,sck->npk", cut, w) + b, 1e-4)


def test_batch_normalization():
    x = images(n=20) * 3 + 1
    layer = layers.BatchNormalization(momentum=0.9)
    y = run(layer, x, training=True)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    near(y, (x - mean) / np.sqrt(variance + 1e-3), 1e-4)
    gamma, beta, kept_mean, kept_variance = layer.get_weights()
    near(kept_mean, 0.1 * mean)
    near(kept_variance, 0.9 + 0.1 * variance)
    near(run(layer, x), (x - kept_mean) / np.sqrt(kept_variance + 1e-3), 1e-4)
    layer.trainable = False
    before = layer.get_weights()
    near(run(layer, x, training=True), (x - kept_mean) / np.sqrt(kept_variance + 1e-3), 1e-4)
    assert all((a == b).all() for a, b in zip(before, layer.get_weights(), strict=True))
    near(
        run(layers.LayerNormalization(), x),
        (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3),
        1e-4,
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def recurrent(kind, x, w, u, b, units):
    """All states, by Keras's formulas in float64."""
    x, w, u, b = (v.astype(np.float64) for v in (x, w, u, b))
    h, c, out = np.zeros((len(x), units)), np.zeros((len(x), units)), []
    for t in range(x.shape[1]):
        if kind == "SimpleRNN":
            h = np.tanh(x[:, t] @ w + h @ u + b)
        elif kind == "LSTM":
            i, f, g, o = np.split(x[:, t] @ w + h @ u + b, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (xz, xr, xh), (hz, hr, hh) = np.split(x[:, t] @ w + b[0], 3, 1), np.split(h @ u + b[1], 3, 1)
            z, r = sigmoid(xz + hz), sigmoid(xr + hr)
            h = z * h + (1 - z) * np.tanh(xh + r * hh)
        out.append(h)
    return np.stack(out, 1), c


needs_rnn = pytest.mark.skipif(not hasattr(fastnn.nn, "LSTM"), reason="fastnn.nn has no recurrent layers yet")


@needs_rnn
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_recurrent(kind):
    x = rng.standard_normal((4, 6, 5)).astype(np.float32)
    layer = getattr(layers, kind)(3, return_sequences=True, return_state=True)
    layer(fastnn.from_numpy(x))
    weights = layer.get_weights()
    if kind == "LSTM":
        assert weights[2].tolist() == [0] * 3 + [1] * 3 + [0] * 6
    weights[2] = rng.standard_normal(weights[2].shape).astype(np.float32)
    layer.set_weights(weights)
    for a, b in zip(weights, layer.get_weights(), strict=True):
        near(a, b)
    assert layer.count_params() == sum(w.size for w in weights)
    sequence, *states = (t.detach().numpy() for t in layer(fastnn.from_numpy(x)))
    expected, c = recurrent(kind, x, *weights, 3)
    near(sequence, expected)
    near(states[0], expected[:, -1])
    if kind == "LSTM":
        near(states[1], c)
    last = getattr(layers, kind)(3)
    last(fastnn.from_numpy(x))
    last.set_weights(weights)
    near(run(last, x), expected[:, -1])


@needs_rnn
@pytest.mark.parametrize("merge", ["concat", "sum", "ave", "mul"])
def test_bidirectional(merge):
    x = rng.standard_normal((4, 6, 5)).astype(np.float32)
    layer = layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode=merge)
    y = run(layer, x)
    weights = layer.get_weights()
    assert len(weights) == 6
    a = recurrent("LSTM", x, *weights[:3], 3)[0]
    b = recurrent("LSTM", x[:, ::-1], *weights[3:], 3)[0][:, ::-1]
    near(y, {"concat": np.concatenate([a, b], -1), "sum": a + b, "ave": (a + b) / 2, "mul": a * b}[merge])


def test_initializers():
    fastnn.manual_seed(0)
    for name, variance in [
        ("glorot_uniform", 2 / (300 + 200)), ("he_normal", 2 / 300), ("lecun_normal", 1 / 300), ("random_normal", 0.0025)
    ]:  # fmt: skip
        drawn = keras.initializers.get(name)((300, 200)).numpy()
        assert abs(drawn.var() / variance - 1) < 0.03 and abs(drawn.mean()) < 1e-3
    q = keras.initializers.get("orthogonal")((8, 5)).numpy()
    near(q.T @ q, np.eye(5))
    assert (keras.initializers.RandomNormal(seed=3)((4,)) == keras.initializers.RandomNormal(seed=3)((4,))).all()
    with pytest.raises(ValueError, match="glorot"):
        keras.initializers.get("glorot")


# -- losses, metrics, optimizers --------------------------------------------------------------------------------------


def test_losses():
    logits = rng.standard_normal((5, 4))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    ids, one_hot = np.array([0, 3, 1, 1, 2]), np.eye(4)[[0, 3, 1, 1, 2]]
    expected = -np.log(p[range(5), ids])
    losses = keras.losses
    near(float(losses.SparseCategoricalCrossentropy()(ids, p)), expected.mean(), 1e-6)
    near(float(losses.SparseCategoricalCrossentropy(from_logits=True)(ids, logits)), expected.mean(), 1e-6)
    near(float(losses.CategoricalCrossentropy(reduction="sum")(one_hot, p)), expected.sum(), 1e-6)
    near(float(losses.CategoricalCrossentropy()(one_hot, p, sample_weight=[1, 0, 2, 0, 0])),
         (expected * [1, 0, 2, 0, 0]).mean(), 1e-6)  # fmt: skip
    y, q = rng.integers(0, 2, (5, 4)).astype(float), sigmoid(logits)
    binary = -(y * np.log(q) + (1 - y) * np.log(1 - q)).mean()
    near(float(losses.get("binary_crossentropy")(y, q)), binary, 1e-6)
    near(float(losses.BinaryCrossentropy(from_logits=True)(y, logits)), binary, 1e-6)
    near(float(losses.get("mse")(y, q)), ((y - q) ** 2).mean(), 1e-6)
    near(float(losses.get("mae")(y, q)), abs(y - q).mean(), 1e-6)
    e = abs(y - logits)
    near(float(losses.Huber(0.5)(y, logits)), np.where(e <= 0.5, e**2 / 2, 0.5 * e - 0.125).mean(), 1e-6)
    near(float(losses.get(lambda t, p: (p - t).abs())(y, q)), abs(y - q).mean(), 1e-6)
    assert float(losses.SparseCategoricalCrossentropy()(np.array([1]), np.array([[1.0, 0.0]]))) == pytest.approx(
        16.118, 1e-3
    )
    with pytest.raises(ValueError, match="unknown 'crossentropy'"):
        losses.get("crossentropy")
    with pytest.raises(ValueError, match="target.shape"):
        losses.get("sparse_categorical_crossentropy")(np.array([[1, 0]]), p)


def test_a_softmax_keeps_its_logits():
    model = keras.Sequential([layers.Dense(2, "softmax", input_shape=(1,), kernel_initializer="zeros")])
    model.set_weights([np.zeros((1, 2), np.float32), np.array([200.0, 0.0], np.float32)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.evaluate(np.zeros((1, 1)), np.array([1]), verbose=0) == pytest.approx(200)


def test_metrics():
    m = keras.metrics
    p, ids = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), np.array([1, 1, 1])
    assert m.SparseCategoricalAccuracy()(ids, p) == pytest.approx(2 / 3)
    assert m.CategoricalAccuracy()(np.eye(2)[ids], p) == pytest.approx(2 / 3)
    assert m.BinaryAccuracy(threshold=0.75)(np.array([1, 0, 1]), np.array([[0.8], [0.7], [0.6]])) == pytest.approx(
        2 / 3
    )
    assert m.SparseTopKCategoricalAccuracy(k=2)(ids, p) == 1.0
    assert m.RootMeanSquaredError()(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]])) == pytest.approx(2**0.5)
    mean = m.Mean()
    mean.update_state([1.0, 3.0], [3, 1])
    assert mean.result() == 1.5
    mean.reset_state()
    assert mean.result() == 0.0


FORMULAS = {
    "SGD": (lambda: keras.optimizers.SGD(0.1, 0.9), lambda w, g, s, t: (s.setdefault("m", 0 * w),
            s.update(m=0.9 * s["m"] - 0.1 * g), w + s["m"])[-1]),
    "Adam": (lambda: keras.optimizers.Adam(0.1, epsilon=0.01), lambda w, g, s, t: (
            s.update(m=0.9 * s.get("m", 0) + 0.1 * g, v=0.999 * s.get("v", 0) + 0.001 * g * g),
            w - 0.1 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s["m"] / (np.sqrt(s["v"]) + 0.01))[-1]),
    "RMSprop": (lambda: keras.optimizers.RMSprop(0.1, epsilon=0.01), lambda w, g, s, t: (
            s.update(v=0.9 * s.get("v", 0) + 0.1 * g * g), w - 0.1 * g / np.sqrt(s["v"] + 0.01))[-1]),
    "Adagrad": (lambda: keras.optimizers.Adagrad(0.1), lambda w, g, s, t: (
            s.update(v=s.get("v", 0.1) + g * g), w - 0.1 * g / np.sqrt(s["v"] + 1e-7))[-1]),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_optimizers(name):
    make, formula = FORMULAS[name]
    optimizer, w = make(), rng.standard_normal(5)
    p = fastnn.nn.Parameter(fastnn.from_numpy(w.copy()))
    optimizer.build([p])
    state: dict = {}
    for t in range(1, 6):
        g = rng.standard_normal(5)
        p.grad = fastnn.from_numpy(g)
        optimizer.step()
        w = formula(w, g, state, t)
    near(p.detach().numpy(), w, 1e-9)


def test_optimizer_options():
    optimizers = keras.optimizers
    assert optimizers.get("adam").learning_rate == 0.001 and optimizers.get("SGD").learning_rate == 0.01
    decay = optimizers.SGD(optimizers.schedules.ExponentialDecay(1.0, 2, 0.5, staircase=True))
    p = fastnn.nn.Parameter(fastnn.zeros(1))
    decay.build([p])
    for expected in (-1.0, -2.0, -2.5, -3.0, -3.25):
        p.grad = fastnn.ones(1)
        decay.step()
        assert p.item() == expected
    clipped = optimizers.SGD(1.0, clipnorm=0.5)
    clipped.build([p])
    p.grad = fastnn.full((1,), 10.0)
    clipped.step()
    assert p.item() == pytest.approx(-3.75, abs=1e-5)
    for bad in (lambda: optimizers.get("sdg"), lambda: optimizers.SGD(-1)):
        with pytest.raises(ValueError):
            bad()
    with pytest.raises(TypeError, match="momentun"):
        optimizers.SGD(0.1, momentun=0.9)


# -- models -----------------------------------------------------------------------------------------------------------


def problem(n=256):
    x = rng.standard_normal((n, 8, 8, 1)).astype(np.float32)
    y = (x[:, :4].mean((1, 2, 3)) > x[:, 4:].mean((1, 2, 3))).astype(np.int64)
    return x, y


def convnet(**options):
    fastnn.manual_seed(0)
    model = keras.models.Sequential(
        [
            layers.Conv2D(filters=4, kernel_size=3, activation="relu", input_shape=(8, 8, 1)),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def test_fit_evaluate_predict(capsys):
    x, y = problem()
    model = convnet()
    history = model.fit(x, y, epochs=12, validation_split=0.25, batch_size=16)
    assert sorted(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.epoch == list(range(12)) and history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    out = capsys.readouterr().out
    assert "Epoch 12/12" in out and re.search(
        r"12/12 ━{20} .*s/step - accuracy: 0\.\d{4} - loss: \S+ - val_accuracy:", out
    )
    loss, accuracy = model.evaluate(x, y, verbose=0)
    p = model.predict(x, verbose=0)
    assert p.shape == (256, 2) and isinstance(p, np.ndarray)
    near(p.sum(-1), np.ones(256))
    assert accuracy == pytest.approx((p.argmax(-1) == y).mean()) and accuracy > 0.85
    assert loss == pytest.approx(-np.log(p[range(256), y]).mean(), rel=1e-4)
    near(model.predict(x, batch_size=7, verbose=0), p)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx({"loss": loss, "accuracy": accuracy})
    near(model(x[:3]).detach().numpy(), p[:3])
    assert not capsys.readouterr().out


def test_summary(capsys):
    model = convnet()
    model.summary()
    out = capsys.readouterr().out
    for text in ("conv2d", "(None, 6, 6, 4)", "(None, 36)", "Total params: 730 (2.85 KB)", "Non-trainable params: 32"):
        assert text in out, text
    assert [layer.name for layer in model.layers][2].startswith("flatten") and model.count_params() == 730


def test_shapes_that_come_late():
    model = keras.Sequential()
    model.add(layers.Dense(4))
    model.add(layers.Dense(1))
    with pytest.raises(ValueError, match="shapes"):
        model.summary()
    model.compile("sgd", "mse")
    x = rng.standard_normal((32, 3))
    history = model.fit(x, x.sum(-1), batch_size=4, epochs=30, verbose=0)
    assert history.history["loss"][-1] < 0.1 * history.history["loss"][0]
    assert [w.shape for w in model.get_weights()] == [(3, 4), (4,), (4, 1), (1,)]
    with pytest.raises(ValueError, match="incompatible"):
        model.predict(np.zeros((2, 5)), verbose=0)
    text = keras.Sequential(
        [keras.Input((None,)), layers.Embedding(10, 4), layers.GlobalAveragePooling1D(), layers.Dense(1)]
    )
    assert text.layers[0].output_shape == (None, None, 4) and text.output_shape == (None, 1)


def test_training_leaves_frozen_layers_alone():
    model = convnet()
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(*problem(64), epochs=1, verbose=0)
    after = model.get_weights()
    assert (before[0] == after[0]).all() and (before[2] != after[2]).any()


def test_weights_of_samples_and_classes():
    x, y = np.ones((4, 1), np.float32), np.array([0.0, 0.0, 1.0, 1.0])
    results = []
    for options in ({"sample_weight": np.array([0.0, 0.0, 1.0, 1.0])}, {"class_weight": {0: 0.0, 1: 1.0}}):
        model = keras.Sequential([layers.Dense(1, "sigmoid", input_shape=(1,), kernel_initializer="zeros")])
        model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
        model.fit(x, y, batch_size=4, epochs=3, verbose=0, **options)
        results.append(float(model.predict(x[:1], verbose=0)[0, 0]))
    assert results[0] == pytest.approx(results[1]) and results[0] > 0.6


def test_files(tmp_path):
    x, y = problem(64)
    model = convnet()
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    near(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))
    assert again.optimizer.get_config() == model.optimizer.get_config()
    again.fit(x, y, epochs=1, verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    fresh = convnet()
    fresh.load_weights(tmp_path / "m.weights.h5")
    near(fresh.predict(x, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(ValueError, match="expecting 10 weights"):
        fresh.set_weights(fresh.get_weights()[1:])
    fastnn.save({"a": 1}, tmp_path / "other")
    with pytest.raises(ValueError, match="not a model"):
        keras.models.load_model(tmp_path / "other")


class Script(keras.callbacks.Callback):
    """Validation losses as they are told."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.values[epoch]


def test_callbacks(tmp_path):
    x, y = problem(32)
    values = [3.0, 2.0, 2.5, 1.0, 1.1, 1.2, 1.3, 0.5]
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    seen, rates = [], []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (seen.append(model.get_weights()), rates.append(logs["learning_rate"]))
    )
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.01 if epoch < 2 else rate * 0.5)
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best_{epoch}.keras", save_best_only=True)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    model = convnet()
    history = model.fit(x, y, epochs=8, verbose=0, callbacks=[Script(values), schedule, watch, stop, best, log])
    assert len(history.epoch) == 7 and stop.stopped_epoch == 6 and stop.best == 1.0
    for a, b in zip(model.get_weights(), seen[3], strict=True):
        np.testing.assert_array_equal(a, b)
    assert rates == pytest.approx([0.01, 0.01, 0.005, 0.0025, 0.00125, 0.000625, 0.0003125])
    assert sorted(p.name for p in tmp_path.glob("*.keras")) == ["best_1.keras", "best_2.keras", "best_4.keras"]
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == "epoch,accuracy,learning_rate,loss,val_loss"
    plateau = keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.1)
    convnet_ = convnet()
    convnet_.fit(x, y, epochs=8, verbose=0, callbacks=[Script(values), plateau])
    assert convnet_.optimizer.learning_rate == pytest.approx(0.001)


def test_wrong_arguments():
    model, (x, y) = convnet(), problem(16)
    for attempt, text in [
        (lambda: keras.Sequential([layers.Dense(1)]).fit(x, y), "compile"),
        (lambda: model.fit(x, y[:5], verbose=0), "same number"),
        (lambda: model.fit(x, y, validation_split=1.5), "validation_split"),
        (lambda: model.fit(x[:0], y[:0]), "no samples"),
        (lambda: model.fit(["a"], y), "numbers"),
        (lambda: layers.Dense(0), "units"),
        (lambda: layers.Dense(3, "reluu"), "reluu"),
        (lambda: layers.Conv2D(3, 3, padding="full"), "padding"),
        (lambda: layers.Conv2D(0, 3), "filters"),
        (lambda: model.add(3), "keras.Layer"),
        (lambda: model.compile("adam", "no_loss"), "no_loss"),
        (lambda: model.compile("adam", "mse", ["no_metric"]), "no_metric"),
    ]:
        with pytest.raises(ValueError, match=text):
            attempt()
    with pytest.raises(TypeError, match="colour"):
        layers.Dense(3, colour="red")


def test_a_model_of_ones_own():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(8, "tanh"), layers.Dense(1)

        def call(self, inputs):
            return self.b(self.a(inputs))

    model = Two()
    model.compile("adam", "mse", ["mae"])
    x = rng.standard_normal((64, 3))
    history = model.fit(x, x[:, :1], epochs=60, verbose=0)
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0] and len(model.layers) == 2


# -- tf, data, the demo -----------------------------------------------------------------------------------------------


def test_tf():
    x = np.arange(12).reshape(3, 4)
    assert tf_.reshape(x, [3, 4, 1]).shape == (3, 4, 1) and tf_.reshape(x, [-1]).shape == (12,)
    assert tf_.cast(x, tf_.float32).dtype is fastnn.float32 and tf_.cast(x, "int32").dtype is fastnn.int32
    assert tf_.constant([1, 2]).dtype is fastnn.int32 and tf_.constant([1.0], shape=(2, 2)).tolist() == [[1, 1], [1, 1]]
    assert tf_.one_hot([0, 2], 3).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert tf_.reduce_mean(tf_.constant([[1.0, 3.0]])).item() == 2 and tf_.argmax(x, axis=1).tolist() == [3, 3, 3]
    assert tf_.transpose(tf_.zeros((2, 3, 4))).shape == (4, 3, 2) and tf_.concat([x, x], 1).shape == (3, 8)
    batches = list(
        tf_.data.Dataset.from_tensor_slices((x, [0, 1, 2])).shuffle(3, seed=1).batch(2).prefetch(tf_.data.AUTOTUNE)
    )
    assert [tuple(b[0].shape) for b in batches] == [(2, 4), (1, 4)]
    assert sorted(v for _, ids in batches for v in ids.tolist()) == [0, 1, 2]
    model = keras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    data = tf_.data.Dataset.from_tensor_slices((np.ones((8, 2), np.float32), np.zeros(8, np.float32))).batch(4)
    assert len(model.fit(data, epochs=2, verbose=0).epoch) == 2
    assert keras.utils.to_categorical([1, 0], 3).tolist() == [[0, 1, 0], [1, 0, 0]]


def mnist_is_here():
    return (DATA / "train-images-idx3-ubyte.gz").exists() or (DATA / "train-images-idx3-ubyte").exists()


@pytest.mark.skipif(not mnist_is_here(), reason="MNIST's files are not here: set FASTNN_DATA to their folder")
def test_mnist(monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(DATA))
    (x, y), (tx, ty) = keras.datasets.mnist.load_data()
    assert (x.shape, y.shape, tx.shape, ty.shape) == ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))
    assert x.dtype == y.dtype == np.uint8 and y[:5].tolist() == [5, 0, 4, 1, 9]


def test_missing_data_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="FASTNN_DATA"):
        keras.datasets.mnist.load_data()


DEMO = """
import {module} as tf
(train_images, train_labels), (test_images, test_labels) = tf.keras.datasets.mnist.load_data()
train_images, train_labels = train_images[:3200], train_labels[:3200]
train_images = tf.reshape(train_images, [train_images.shape[0], train_images.shape[1], train_images.shape[2], 1])
test_images = tf.reshape(test_images, [test_images.shape[0], test_images.shape[1], test_images.shape[2], 1])
net = tf.keras.models.Sequential([
    tf.keras.layers.Conv2D(filters=6, kernel_size=5, activation='sigmoid', input_shape=(28, 28, 1)),
    tf.keras.layers.MaxPooling2D(pool_size=(2, 2)),
    tf.keras.layers.Conv2D(filters=16, kernel_size=5, activation='sigmoid'),
    tf.keras.layers.MaxPooling2D(pool_size=(2, 2)),
    tf.keras.layers.Flatten(),
    tf.keras.layers.Dense(120, activation="sigmoid"),
    tf.keras.layers.Dense(84, activation="sigmoid"),
    tf.keras.layers.Dense(10, activation="softmax")
])
net.compile(tf.keras.optimizers.SGD(learning_rate=0.9), loss='sparse_categorical_crossentropy', metrics=['accuracy'])
net.fit(train_images, train_labels, epochs=1, validation_split=0.1)
score = net.evaluate(test_images, test_labels, verbose=1)
print("score:", score[1])
"""


@pytest.mark.skipif(not mnist_is_here(), reason="MNIST's files are not here: set FASTNN_DATA to their folder")
@pytest.mark.parametrize("how", ["one line changed", "unmodified under run"])
def test_lenet_demo(how, tmp_path):
    from test_run import python

    script = tmp_path / "demo.py"
    script.write_text(DEMO.format(module="fastnn.tf" if how == "one line changed" else "tensorflow"))
    command = [script] if how == "one line changed" else ["-m", "fastnn", "run", script]
    done = python(*command, cwd=tmp_path, FASTNN_DATA=str(DATA))
    assert done.returncode == 0, done.stderr
    assert "Epoch 1/1" in done.stdout and "90/90" in done.stdout and "313/313" in done.stdout
    assert re.search(r"score: 0\.\d+\n", done.stdout)
