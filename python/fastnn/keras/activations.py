"""Activations by name."""

import fastnn
from fastnn.nn import functional as F  # noqa: N812

__all__ = ["elu", "exponential", "gelu", "get", "leaky_relu", "linear", "relu", "relu6", "selu", "sigmoid", "silu",
           "softmax", "softplus", "softsign", "swish", "tanh"]  # fmt: skip


def linear(x):
    """x"""
    return x


def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """max(x, 0); below `threshold` negative_slope·(x - threshold), at most max_value."""
    if negative_slope or threshold:
        x = fastnn.where(x >= threshold, x, negative_slope * (x - threshold))
    else:
        x = F.relu(x)
    return x if max_value is None else x.clamp(max=max_value)


def softmax(x, axis=-1):
    """exp(x)/Σ exp(x); the loss takes the logits from the result, which is exacter than the logarithm of it."""
    y = F.softmax(x, dim=axis)
    if axis in (-1, x.dim() - 1):
        y._keras_logits = x
    return y


def sigmoid(x):
    """1/(1 + exp(-x))"""
    y = fastnn.sigmoid(x)
    y._keras_logits = x
    return y


def tanh(x):
    return fastnn.tanh(x)


def elu(x, alpha=1.0):
    return F.elu(x, alpha)


def selu(x):
    return F.selu(x)


def gelu(x, approximate=False):
    return F.gelu(x, approximate="tanh" if approximate else "none")


def silu(x):
    return F.silu(x)


def softplus(x):
    return F.softplus(x)


def softsign(x):
    return x / (1 + x.abs())


def exponential(x):
    return fastnn.exp(x)


def leaky_relu(x, negative_slope=0.2):
    return F.leaky_relu(x, negative_slope)


def relu6(x):
    return F.relu6(x)


swish = silu


def get(identifier):
    """The activation of a name; a function as it is; None: linear."""
    if identifier is None:
        return linear
    if callable(identifier):
        return identifier
    if isinstance(identifier, str) and identifier in __all__ and identifier != "get":
        return globals()[identifier]
    raise ValueError(f"activation: unknown {identifier!r}; one of {', '.join(n for n in __all__ if n != 'get')}")
