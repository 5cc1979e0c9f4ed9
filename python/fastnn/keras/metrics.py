"""Metrics: collected batch by batch, read once an epoch."""

import math

import fastnn

from . import losses

__all__ = ["Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "Mean", "MeanAbsoluteError", "MeanSquaredError", "Metric",
           "RootMeanSquaredError", "SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "get"]  # fmt: skip


class Metric:
    """update_state(true, predicted), result(), reset_state(). Here: the mean of `values(true, predicted)`."""

    default_name = "metric"

    def __init__(self, name=None, dtype=None):
        self.name = name or self.default_name
        self.reset_state()

    def reset_state(self) -> None:
        self._total, self._count = 0.0, 0.0

    reset_states = reset_state

    def values(self, y_true, y_pred):
        raise NotImplementedError(f"{type(self).__name__} has no values()")

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        values = self.values(fastnn.as_tensor(y_true), fastnn.as_tensor(y_pred)).to(fastnn.float64)
        if sample_weight is None:
            self._total += float(values.sum())
            self._count += values.numel()
        else:
            weight = fastnn.as_tensor(sample_weight).to(fastnn.float64)
            weight = weight.reshape(weight.shape + (1,) * (values.dim() - weight.dim())).expand(values.shape)
            self._total += float((values * weight).sum())
            self._count += float(weight.sum())

    def result(self) -> float:
        return self._total / self._count if self._count else 0.0

    def __call__(self, *args, **kwargs) -> float:
        self.update_state(*args, **kwargs)
        return self.result()


class Mean(Metric):
    """The mean of the values it is given."""

    default_name = "mean"

    def update_state(self, values, sample_weight=None):
        super().update_state(values, values, sample_weight)

    def values(self, y_true, y_pred):
        return y_pred


class Accuracy(Metric):
    """The share that is equal."""

    default_name = "accuracy"

    def values(self, y_true, y_pred):
        return y_true == y_pred


class SparseCategoricalAccuracy(Metric):
    """The share whose largest prediction is at the true class."""

    default_name = "sparse_categorical_accuracy"

    def values(self, y_true, y_pred):
        if y_true.dim() == y_pred.dim() and y_true.shape[-1] == 1:
            y_true = y_true.squeeze(-1)
        return y_pred.argmax(-1) == y_true.to(fastnn.int64)


class CategoricalAccuracy(Metric):
    """The same for one-hot classes."""

    default_name = "categorical_accuracy"

    def values(self, y_true, y_pred):
        return y_pred.argmax(-1) == y_true.argmax(-1)


class BinaryAccuracy(Metric):
    """The share on the right side of the threshold."""

    default_name = "binary_accuracy"

    def __init__(self, name=None, dtype=None, threshold=0.5):
        super().__init__(name, dtype)
        self.threshold = threshold

    def values(self, y_true, y_pred):
        y_true = losses._like(y_true, y_pred)
        return ((y_pred > self.threshold).to(y_pred.dtype) == y_true).to(fastnn.float32).mean(-1)


class SparseTopKCategoricalAccuracy(Metric):
    """The share whose true class is among the k largest predictions."""

    default_name = "sparse_top_k_categorical_accuracy"

    def __init__(self, k=5, name=None, dtype=None):
        super().__init__(name, dtype)
        self.k = k

    def values(self, y_true, y_pred):
        ids = y_true.to(fastnn.int64).reshape(-1, 1)
        return (y_pred.topk(self.k, -1).indices == ids).any(-1)


class MeanSquaredError(Metric):
    default_name = "mean_squared_error"

    def values(self, y_true, y_pred):
        return losses.mean_squared_error(y_true, y_pred)


class MeanAbsoluteError(Metric):
    default_name = "mean_absolute_error"

    def values(self, y_true, y_pred):
        return losses.mean_absolute_error(y_true, y_pred)


class RootMeanSquaredError(MeanSquaredError):
    default_name = "root_mean_squared_error"

    def result(self):
        return math.sqrt(super().result())


_NAMES = {"mse": MeanSquaredError, "mean_squared_error": MeanSquaredError, "mae": MeanAbsoluteError,
          "mean_absolute_error": MeanAbsoluteError, "binary_accuracy": BinaryAccuracy,
          "categorical_accuracy": CategoricalAccuracy, "sparse_categorical_accuracy": SparseCategoricalAccuracy,
          "root_mean_squared_error": RootMeanSquaredError}  # fmt: skip


class _Function(Metric):
    def __init__(self, function):
        self._function = function
        super().__init__(getattr(function, "__name__", "metric"))

    def values(self, y_true, y_pred):
        return self._function(y_true, y_pred)


def get(identifier, loss=None):
    """The metric of a name; "accuracy" is the kind that fits the loss."""
    if isinstance(identifier, Metric):
        return identifier
    if identifier in ("accuracy", "acc"):
        kind = {losses.SparseCategoricalCrossentropy: SparseCategoricalAccuracy,
                losses.CategoricalCrossentropy: CategoricalAccuracy,
                losses.BinaryCrossentropy: BinaryAccuracy}.get(type(loss), Accuracy)  # fmt: skip
        return kind(name=identifier)
    if isinstance(identifier, str):
        if identifier not in _NAMES:
            raise ValueError(f"metric: unknown {identifier!r}; one of accuracy, {', '.join(_NAMES)}")
        return _NAMES[identifier](name=identifier)
    if callable(identifier):
        return _Function(identifier)
    raise ValueError(f"metric: expected a name, a Metric or a function of (true, predicted), got {identifier!r}")
