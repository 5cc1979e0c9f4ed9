"""compile, fit, evaluate and predict."""

import sys
import time

import fastnn
from fastnn.backend import xp
from fastnn.tensor import Tensor

from . import callbacks as _callbacks
from . import losses as _losses
from . import metrics as _metrics
from . import optimizers as _optimizers

__all__ = ["Trainer"]


def _tensor(data, name):
    """Arrays and lists as tensors; numbers that are no float32 or integers of 64 bits are converted."""
    if data is None:
        return None
    if isinstance(data, Tensor):
        return data.detach()
    try:
        array = xp.asarray(data)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"values of type {array.dtype}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected an array or tensor of numbers: {error}") from None
    return fastnn.from_numpy(xp.contiguous(array.astype("float32") if array.dtype.name == "float64" else array))


def _floating(x):
    return x if x.dtype in (fastnn.float32, fastnn.int64, fastnn.int32) else x.to(fastnn.float32)


class _Bar:
    """Keras's line for an epoch, redrawn in place on a terminal."""

    def __init__(self, steps, verbose):
        self.steps, self.verbose, self.start, self.drawn = steps, verbose, time.monotonic(), 0.0
        self.live = verbose == 1 and sys.stdout.isatty()

    def update(self, done, logs, end=False):
        if not self.verbose or (not end and (not self.live or time.monotonic() - self.drawn < 0.1)):
            return
        self.drawn = time.monotonic()
        spent = self.drawn - self.start
        per = spent / max(done, 1)
        each = f"{per:.0f}s" if per >= 1 else f"{per * 1e3:.0f}ms" if per >= 1e-3 else f"{per * 1e6:.0f}us"
        numbers = " - ".join(f"{name}: {_number(value)}" for name, value in logs.items())
        if self.verbose == 2:
            line = f"{done}/{self.steps} - {spent:.0f}s - {each}/step - {numbers}"
        else:
            filled = 20 * done // max(self.steps, 1)
            bar = "━" * filled + "─" * (20 - filled)
            line = f"{done}/{self.steps} {bar} {spent:.0f}s {each}/step - {numbers}"
        head = "\r\x1b[K" if self.live else ""
        sys.stdout.write(head + line + ("\n" if end else ""))
        sys.stdout.flush()


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.4e}"


class Trainer:
    """What a model can do once it is compiled."""

    optimizer = loss = None
    stop_training = False

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **ignored) -> None:
        """optimizer, loss and metrics by name or as objects."""
        unknown = set(ignored) - {"loss_weights", "weighted_metrics", "run_eagerly", "steps_per_execution", "jit_compile",
                                  "auto_scale_loss"}  # fmt: skip
        if unknown or any(ignored.get(k) is not None for k in ("loss_weights", "weighted_metrics")):
            raise NotImplementedError(f"compile: {', '.join(sorted(ignored))} not available")
        object.__setattr__(self, "optimizer", _optimizers.get(optimizer))
        self.__dict__["loss"] = None if loss is None else _losses.get(loss)
        found = [] if metrics is None else metrics if isinstance(metrics, (list, tuple)) else [metrics]
        self.__dict__["_metric_list"] = [_metrics.get(m, self.loss) for m in found]
        self.__dict__["_compiled_with"] = (loss, list(found))

    def _compile_config(self):
        """What compile was told, where it can be written by name."""
        if self.optimizer is None:
            return None
        loss, metrics = self._compiled_with
        if isinstance(loss, _losses.Loss) and type(loss).__name__ in _losses.__all__:
            loss = {"class_name": type(loss).__name__, "config": loss.get_config()}
        metrics = [m.name if isinstance(m, _metrics.Metric) else m for m in metrics]
        optimizer = {"class_name": type(self.optimizer).__name__, "config": self.optimizer.get_config()}
        if not isinstance(loss, (str, dict)) or not all(isinstance(m, str) for m in metrics):
            return None
        return {"optimizer": optimizer, "loss": loss, "metrics": metrics}

    def _compile_from(self, config) -> None:
        def made(module, entry):
            return getattr(module, entry["class_name"])(**entry["config"])

        loss = config["loss"]
        self.compile(
            made(_optimizers, config["optimizer"]),
            made(_losses, loss) if isinstance(loss, dict) else loss,
            config["metrics"],
        )

    @property
    def metrics_names(self) -> list:
        return ["loss", *(m.name for m in self._metric_list)]

    def _need_compiled(self, what):
        if self.optimizer is None:
            raise ValueError(f"You must call `compile()` before calling `{what}()`.")
        if self.loss is None:
            raise ValueError(f"{what}: compile was given no loss")

    # ---- data ----

    def _batches(self, x, y, weight, size, shuffle):
        n = len(x)
        order = fastnn.randperm(n) if shuffle else None
        for start in range(0, n, size):
            if order is None:
                part = slice(start, start + size)
            else:
                part = order[start : start + size]
            yield tuple(None if t is None else t[part] for t in (x, y, weight))

    @staticmethod
    def _checked(x, y, weight, what):
        if len(x) == 0:
            raise ValueError(f"{what}: x holds no samples")
        for name, t in (("y", y), ("sample_weight", weight)):
            if t is not None and len(t) != len(x):
                raise ValueError(f"{what}: Data cardinality is ambiguous. Make sure all arrays contain the same number of "
                                 f"samples: x has {len(x)}, {name} has {len(t)}")  # fmt: skip

    # ---- the loops ----

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Train on arrays x and y; returns the History of the numbers after each epoch.

        validation_split: this share of the samples, the last ones, is held back and evaluated after each epoch;
        validation_data=(x, y) gives others. x may be a DataLoader or another iterable of (x, y) batches.
        """
        self._need_compiled("fit")
        verbose = 1 if verbose == "auto" else int(verbose)
        if not 0 <= validation_split < 1:
            raise ValueError(f"validation_split must lie in [0, 1), got {validation_split}")
        batch_size = 32 if batch_size is None else batch_size
        stream = None
        if y is None and not isinstance(x, (Tensor, xp.ndarray, list, tuple)):
            if validation_split:
                raise ValueError("validation_split is only supported for arrays and tensors")
            stream = x
        else:
            x, y, weight = _tensor(x, "x"), _tensor(y, "y"), _tensor(sample_weight, "sample_weight")
            self._checked(x, y, weight, "fit")
            if validation_split and validation_data is None:
                cut = int(len(x) * (1.0 - validation_split))
                if cut in (0, len(x)):
                    raise ValueError(f"Training data contains {len(x)} samples, which is not sufficient to split it into a "
                                     f"validation and training set as specified by `validation_split={validation_split}`."
                                     )  # fmt: skip
                validation_data = tuple(t[cut:] for t in (x, y, weight) if t is not None)
                x, y, weight = (None if t is None else t[:cut] for t in (x, y, weight))
        if not self.built:
            with fastnn.no_grad():
                first = next(iter(stream))[0] if stream is not None else x[:1]
                self(_floating(_tensor(first, "x")))
        if self.optimizer._inner is None:
            self.optimizer.build(self.trainable_weights)

        history = _callbacks.History()
        watching = [*(callbacks if isinstance(callbacks, (list, tuple)) else [] if callbacks is None else [callbacks])]
        watching.append(history)
        steps = steps_per_epoch or (-(-len(x) // batch_size) if stream is None else _length(stream))
        for c in watching:
            c.set_model(self)
            c.set_params({"epochs": epochs, "steps": steps, "verbose": verbose})
        self.__dict__["stop_training"] = False
        self._tell(watching, "on_train_begin")
        for epoch in range(initial_epoch, epochs):
            self._tell(watching, "on_epoch_begin", epoch, {})
            if verbose:
                print(f"Epoch {epoch + 1}/{epochs}")
            batches = self._batches(x, y, weight, batch_size, shuffle) if stream is None else stream
            bar = _Bar(steps or 0, verbose)
            logs, done = self._train_epoch(batches, class_weight, watching, bar, steps_per_epoch)
            if validation_data is not None and (epoch + 1) % validation_freq == 0:
                held = validation_data if isinstance(validation_data, (tuple, list)) else (validation_data, None)
                found = self.evaluate(*held[:2], validation_batch_size or batch_size, 0,
                                      *([held[2]] if len(held) > 2 else []), return_dict=True)  # fmt: skip
                logs.update({f"val_{name}": value for name, value in found.items()})
            bar.steps = bar.steps or done
            bar.update(done, _ordered(logs), end=True)
            self._tell(watching, "on_epoch_end", epoch, logs)
            if self.stop_training:
                break
        self.eval()
        self._tell(watching, "on_train_end")
        self.__dict__["history"] = history
        return history

    @staticmethod
    def _tell(watching, event, *args):
        for c in watching:
            getattr(c, event)(*args)

    def _train_epoch(self, batches, class_weight, watching, bar, most):
        self.train()
        loss = _metrics.Mean()
        for m in self._metric_list:
            m.reset_state()
        done, logs = 0, {}
        for batch in batches:
            if most is not None and done >= most:
                break
            self._tell(watching, "on_train_batch_begin", done, {})
            bx, by, bw = (*batch, None)[:3] if isinstance(batch, (tuple, list)) else (batch, None, None)
            bx, by = _floating(_tensor(bx, "x")), _tensor(by, "y")
            if class_weight is not None:
                table = fastnn.tensor([float(class_weight.get(i, 1.0)) for i in range(max(class_weight) + 1)])
                chosen = table[by.reshape(len(by)).to(fastnn.int64)]
                bw = chosen if bw is None else bw * chosen
            self.optimizer.zero_grad()
            predicted = self(bx)
            value = self.loss(by, predicted, bw)
            value.backward()
            self.optimizer.step()
            done += 1
            loss.update_state(value.detach().reshape(1), [len(bx)])
            with fastnn.no_grad():
                for m in self._metric_list:
                    m.update_state(by, predicted.detach())
            logs = {"loss": loss.result(), **{m.name: m.result() for m in self._metric_list}}
            self._tell(watching, "on_train_batch_end", done - 1, logs)
            bar.update(done, _ordered(logs))
            if self.stop_training:
                break
        if not done:
            raise ValueError("fit: the data gave no batches")
        return logs, done

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        return_dict=False,
        **ignored,
    ):
        """The loss and the metrics on arrays x and y: a list, or a dictionary; the loss alone where there is nothing
        else."""
        self._need_compiled("evaluate")
        verbose = 1 if verbose == "auto" else int(verbose)
        size = 32 if batch_size is None else batch_size
        if y is None and not isinstance(x, (Tensor, xp.ndarray, list, tuple)):
            batches, count = x, _length(x)
        else:
            x, y, weight = _tensor(x, "x"), _tensor(y, "y"), _tensor(sample_weight, "sample_weight")
            self._checked(x, y, weight, "evaluate")
            batches, count = self._batches(x, y, weight, size, False), -(-len(x) // size)
        loss, bar, done = _metrics.Mean(), _Bar(count or 0, verbose), 0
        for m in self._metric_list:
            m.reset_state()
        training = self.training
        self.eval()
        with fastnn.no_grad():
            for batch in batches:
                if steps is not None and done >= steps:
                    break
                bx, by, bw = (*batch, None)[:3]
                by = _tensor(by, "y")
                predicted = self(_floating(_tensor(bx, "x")))
                loss.update_state(self.loss(by, predicted, bw).reshape(1), [len(by)])
                for m in self._metric_list:
                    m.update_state(by, predicted)
                done += 1
        self.train(training)
        found = {"loss": loss.result(), **{m.name: m.result() for m in self._metric_list}}
        bar.steps = bar.steps or done
        bar.update(done, _ordered(found), end=True)
        if return_dict:
            return found
        values = list(found.values())
        return values if len(values) > 1 else values[0]

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The outputs for x, as one array."""
        verbose = 1 if verbose == "auto" else int(verbose)
        size = 32 if batch_size is None else batch_size
        stream = not isinstance(x, (Tensor, xp.ndarray, list, tuple))
        if not stream:
            x = _tensor(x, "x")
        count = _length(x) if stream else -(-len(x) // size)
        bar, parts, training = _Bar(count or 0, verbose), [], self.training
        self.eval()
        with fastnn.no_grad():
            for batch in x if stream else self._batches(x, None, None, size, False):
                bx = batch[0] if isinstance(batch, (tuple, list)) else batch
                parts.append(self(_floating(_tensor(bx, "x"))).numpy())
                if steps is not None and len(parts) >= steps:
                    break
        self.train(training)
        if not parts:
            raise ValueError("predict: x holds no samples")
        bar.steps = bar.steps or len(parts)
        bar.update(len(parts), {}, end=True)
        return xp.concatenate(parts)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step on one batch; the loss and the metrics."""
        self._need_compiled("train_on_batch")
        if not self.built:
            self(_floating(_tensor(x, "x")))
        if self.optimizer._inner is None:
            self.optimizer.build(self.trainable_weights)
        logs, _ = self._train_epoch([(x, y, sample_weight)], class_weight, [], _Bar(1, 0), None)
        self.eval()
        return logs if return_dict else list(logs.values()) if len(logs) > 1 else logs["loss"]

    def predict_on_batch(self, x):
        """The outputs for one batch."""
        return self.predict(x, batch_size=len(x), verbose=0)


def _length(data):
    return len(data) if hasattr(data, "__len__") else None


def _ordered(logs: dict) -> dict:
    """By name, as Keras prints them: the numbers of training, those of validation."""
    return dict(sorted(logs.items(), key=lambda item: (item[0].startswith("val_"), item[0])))
