"""tf.nn's activations."""

from fastnn.keras.activations import elu, gelu, leaky_relu, relu, relu6, selu, sigmoid, silu, softmax, softplus, tanh

__all__ = ["elu", "gelu", "leaky_relu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "tanh"]
