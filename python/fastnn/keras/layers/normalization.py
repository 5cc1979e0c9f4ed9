"""Batch and layer normalisation over the last axis."""

import fastnn
from fastnn.nn import functional as F  # noqa: N812

from .base import Layer

__all__ = ["BatchNormalization", "LayerNormalization"]


class BatchNormalization(Layer):
    """gamma·(x - mean)/sqrt(variance + epsilon) + beta, channel by channel: of the batch in training, else of the moving
    averages, which keep the share `momentum` at each step."""

    def __init__(self, axis=-1, momentum=0.99, epsilon=1e-3, center=True, scale=True, **kwargs):
        super().__init__(**kwargs)
        if axis != -1:
            raise NotImplementedError(f"BatchNormalization: axis={axis}; the last one, -1, is available")
        self.momentum, self.epsilon, self.center, self.scale = momentum, epsilon, center, scale
        self._config = {"momentum": momentum, "epsilon": epsilon, "center": center, "scale": scale}

    def build(self, input_shape):
        n = (input_shape[-1],)
        self.gamma = self.add_weight(n, "ones", name="gamma") if self.scale else None
        self.beta = self.add_weight(n, "zeros", name="beta") if self.center else None
        self.moving_mean = self.add_weight(n, "zeros", trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(n, "ones", trainable=False, name="moving_variance")

    def call(self, inputs):
        last = inputs.dim() - 1
        x = inputs.permute(0, last, *range(1, last)) if last > 1 else inputs
        if not (self.training and self.trainable):
            y = F.batch_norm(x, self.moving_mean, self.moving_variance, self.gamma, self.beta, False, 0.0, self.epsilon)
        else:
            y = F.batch_norm(x, None, None, self.gamma, self.beta, True, 0.0, self.epsilon)
            with fastnn.no_grad():  # the biased variance: F.batch_norm itself would keep the unbiased one
                dims = [d for d in range(x.dim()) if d != 1]
                for kept, now in (
                    (self.moving_mean, x.mean(dims)),
                    (self.moving_variance, x.var(dims, unbiased=False)),
                ):
                    kept.mul_(self.momentum).add_(now, alpha=1 - self.momentum)
        return y.permute(0, *range(2, last + 1), 1) if last > 1 else y


class LayerNormalization(Layer):
    """The same for each sample over its last axis."""

    def __init__(self, axis=-1, epsilon=1e-3, center=True, scale=True, **kwargs):
        super().__init__(**kwargs)
        if axis != -1:
            raise NotImplementedError(f"LayerNormalization: axis={axis}; the last one, -1, is available")
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self._config = {"epsilon": epsilon, "center": center, "scale": scale}

    def build(self, input_shape):
        n = (input_shape[-1],)
        self.gamma = self.add_weight(n, "ones", name="gamma") if self.scale else None
        self.beta = self.add_weight(n, "zeros", name="beta") if self.center else None

    def call(self, inputs):
        return F.layer_norm(inputs, inputs.shape[-1:], self.gamma, self.beta, self.epsilon)
