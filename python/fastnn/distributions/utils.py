"""Parameters of distributions: broadcasting, and probabilities as logits."""

import fastnn
from fastnn.tensor import Tensor

__all__ = ["broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits"]


def broadcast_all(*values):
    """Tensors and numbers as tensors of one shape; numbers take the dtype of the first tensor."""
    for v in values:
        if not isinstance(v, (Tensor, int, float)):
            raise ValueError("Input arguments must all be instances of Number, torch.Tensor or objects implementing "
                             f"__torch_function__; got {type(v).__name__}")  # fmt: skip
    like = next((v for v in values if isinstance(v, Tensor)), None)
    made = {"dtype": fastnn.get_default_dtype()} if like is None else {"dtype": like.dtype, "device": like.device}
    tensors = [v if isinstance(v, Tensor) else fastnn.tensor(v, **made) for v in values]
    return fastnn.broadcast_tensors(*tensors)


def standard_normal(shape, dtype):
    """N(0, 1) in torch's order of draws."""
    return fastnn.empty(shape, dtype=dtype).normal_()


def clamp_probs(probs):
    """Away from 0 and 1 by the smallest step, so that logarithms are finite."""
    eps = fastnn.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def logits_to_probs(logits, is_binary: bool = False):
    """sigmoid for binary logits, else softmax over the last dimension."""
    return fastnn.sigmoid(logits) if is_binary else fastnn.softmax(logits, dim=-1)


def probs_to_logits(probs, is_binary: bool = False):
    """The inverse; probabilities are clamped first."""
    clamped = clamp_probs(probs)
    return fastnn.log(clamped) - fastnn.log1p(-clamped) if is_binary else fastnn.log(clamped)


class lazy_property:
    """A property that is computed once, with gradients, and then is an attribute."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        with fastnn.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value
