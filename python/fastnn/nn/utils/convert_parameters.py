"""All parameters as one vector, and back."""

import fastnn
from fastnn.tensor import Tensor


def parameters_to_vector(parameters) -> Tensor:
    """The parameters, flattened and joined."""
    return fastnn.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters) -> None:
    """Let each parameter take its stretch of `vec` as its data."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected fastnn.Tensor, but got: {type(vec).__name__}")
    start = 0
    for p in parameters:
        p.data = vec[start : start + p.numel()].view_as(p).data
        start += p.numel()
