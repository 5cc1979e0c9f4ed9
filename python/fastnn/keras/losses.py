"""Losses by name or as objects: called with (what is true, what was predicted)."""

import fastnn
from fastnn.nn import functional as F  # noqa: N812

__all__ = ["BinaryCrossentropy", "CategoricalCrossentropy", "Huber", "Loss", "MeanAbsoluteError", "MeanSquaredError",
           "SparseCategoricalCrossentropy", "binary_crossentropy", "categorical_crossentropy", "get", "huber",
           "mean_absolute_error", "mean_squared_error", "sparse_categorical_crossentropy"]  # fmt: skip

_EPSILON = 1e-7  # probabilities are kept this far from 0 and 1


def _like(y_true, y_pred):
    y_true = y_true.to(y_pred.dtype)
    if y_true.dim() == y_pred.dim() - 1 and y_pred.shape[-1] == 1:
        y_true = y_true.unsqueeze(-1)
    return y_true


def mean_squared_error(y_true, y_pred):
    """The mean of (true - predicted)² over the last axis."""
    return (y_pred - _like(y_true, y_pred)).square().mean(-1)


def mean_absolute_error(y_true, y_pred):
    """The mean of |true - predicted| over the last axis."""
    return (y_pred - _like(y_true, y_pred)).abs().mean(-1)


def huber(y_true, y_pred, delta=1.0):
    """Half the square where the error is at most delta, a line beyond."""
    error = (y_pred - _like(y_true, y_pred)).abs()
    return fastnn.where(error <= delta, 0.5 * error.square(), delta * error - 0.5 * delta**2).mean(-1)


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False):
    """-log of the probability of class y_true, an integer each."""
    logits = y_pred if from_logits else getattr(y_pred, "_keras_logits", None)
    ids = y_true.to(fastnn.int64)
    if ids.dim() == y_pred.dim() and ids.shape[-1] == 1:
        ids = ids.squeeze(-1)
    if tuple(ids.shape) != tuple(y_pred.shape[:-1]):
        raise ValueError(
            "Argument `output` must have rank (ndim) `target.ndim - 1`. Received: "
            f"target.shape={tuple(y_true.shape)}, output.shape={tuple(y_pred.shape)}"
        )
    n = y_pred.shape[-1]
    if logits is not None:
        return F.cross_entropy(logits.reshape(-1, n), ids.reshape(-1), reduction="none").reshape(ids.shape)
    share = y_pred / y_pred.sum(-1, keepdim=True)
    return -share.clamp(_EPSILON, 1 - _EPSILON).log().gather(-1, ids.unsqueeze(-1)).squeeze(-1)


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0):
    """-Σ true·log(predicted) over the last axis, true one-hot or probabilities."""
    y_true = y_true.to(y_pred.dtype)
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + label_smoothing / y_true.shape[-1]
    logits = y_pred if from_logits else getattr(y_pred, "_keras_logits", None)
    if logits is not None:
        return -(y_true * F.log_softmax(logits, -1)).sum(-1)
    share = y_pred / y_pred.sum(-1, keepdim=True)
    return -(y_true * share.clamp(_EPSILON, 1 - _EPSILON).log()).sum(-1)


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0):
    """-(true·log(p) + (1 - true)·log(1 - p)), averaged over the last axis."""
    y_true = _like(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + 0.5 * label_smoothing
    logits = y_pred if from_logits else getattr(y_pred, "_keras_logits", None)
    if logits is not None:
        return F.binary_cross_entropy_with_logits(logits, y_true, reduction="none").mean(-1)
    return F.binary_cross_entropy(y_pred.clamp(_EPSILON, 1 - _EPSILON), y_true, reduction="none").mean(-1)


class Loss:
    """A function of (true, predicted) giving a value each, and how they become one: "sum_over_batch_size" (the mean),
    "sum" or None."""

    function = None
    _options: tuple = ()

    def __init__(self, name=None, reduction="sum_over_batch_size", **options):
        if reduction not in ("sum_over_batch_size", "mean", "sum", "none", None):
            raise ValueError(f"reduction: unknown {reduction!r}; one of sum_over_batch_size, mean, sum, none")
        unknown = set(options) - set(self._options)
        if unknown:
            raise TypeError(f"{type(self).__name__}: unknown arguments {', '.join(sorted(unknown))}")
        self.name, self.reduction, self.options = name or type(self).__name__.lower(), reduction, options

    def call(self, y_true, y_pred):
        return type(self).function(y_true, y_pred, **self.options)

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_pred, y_true = fastnn.as_tensor(y_pred), fastnn.as_tensor(y_true)
        values = self.call(y_true, y_pred)
        if sample_weight is not None:
            weight = fastnn.as_tensor(sample_weight).to(values.dtype)
            values = values * weight.reshape(weight.shape + (1,) * (values.dim() - weight.dim()))
        if self.reduction in ("none", None):
            return values
        return values.sum() if self.reduction == "sum" else values.mean()

    def get_config(self) -> dict:
        return {"name": self.name, "reduction": self.reduction, **self.options}


class MeanSquaredError(Loss):
    function = staticmethod(mean_squared_error)


class MeanAbsoluteError(Loss):
    function = staticmethod(mean_absolute_error)


class Huber(Loss):
    function, _options = staticmethod(huber), ("delta",)

    def __init__(self, delta=1.0, **kwargs):
        super().__init__(delta=delta, **kwargs)


class SparseCategoricalCrossentropy(Loss):
    function, _options = staticmethod(sparse_categorical_crossentropy), ("from_logits",)

    def __init__(self, from_logits=False, **kwargs):
        super().__init__(from_logits=from_logits, **kwargs)


class CategoricalCrossentropy(Loss):
    function, _options = staticmethod(categorical_crossentropy), ("from_logits", "label_smoothing")

    def __init__(self, from_logits=False, label_smoothing=0.0, **kwargs):
        super().__init__(from_logits=from_logits, label_smoothing=label_smoothing, **kwargs)


class BinaryCrossentropy(CategoricalCrossentropy):
    function = staticmethod(binary_crossentropy)


_NAMES = {"mse": MeanSquaredError, "mean_squared_error": MeanSquaredError, "mae": MeanAbsoluteError,
          "mean_absolute_error": MeanAbsoluteError, "huber": Huber, "huber_loss": Huber,
          "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
          "categorical_crossentropy": CategoricalCrossentropy, "binary_crossentropy": BinaryCrossentropy}  # fmt: skip


class _Wrapped(Loss):
    """A function of the user's."""

    def __init__(self, function):
        super().__init__(name=getattr(function, "__name__", "loss"))
        self._function = function

    def call(self, y_true, y_pred):
        return self._function(y_true, y_pred)


def get(identifier):
    """The loss of a name; an object as it is; a function wrapped."""
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str):
        found = _NAMES.get(identifier.lower()) or {c.__name__.lower(): c for c in _NAMES.values()}.get(
            identifier.lower()
        )
        if found is None:
            raise ValueError(f"loss: unknown {identifier!r}; one of {', '.join(_NAMES)}")
        return found()
    for name, cls in _NAMES.items():
        if identifier is globals().get(name):
            return cls()
    if callable(identifier):
        return _Wrapped(identifier)
    raise ValueError(f"loss: expected a name, a Loss or a function of (true, predicted), got {identifier!r}")
