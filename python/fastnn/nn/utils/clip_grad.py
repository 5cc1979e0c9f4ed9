"""Gradient clipping, by norm and by value."""

import warnings

import fastnn
from fastnn._device import recording
from fastnn.tensor import Tensor, wrap


def _gradients(parameters) -> list:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    parameters = list(parameters)
    for i, p in enumerate(parameters):
        if not isinstance(p, Tensor):
            raise TypeError(f"parameters must be Tensors, but entry {i} is of type {type(p).__name__}: {p!r}")
    return [p.grad for p in parameters if p.grad is not None]


def get_total_norm(tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach=None):
    """The p-norm of all elements of all `tensors`, as a 0-d tensor."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return fastnn.tensor(0.0)
    total = Tensor._k.grad_norm([t._a for t in tensors], float(norm_type))
    if recording() is not None and tensors[0].is_cuda:  # it stays on the device
        if error_if_nonfinite:
            raise RuntimeError(
                "fastnn.cuda.graph: error_if_nonfinite=True looks at the norm, which a step cannot do while it is being "
                "recorded: return the norm from the step and look at it after the call"
            )
        return wrap(total.astype(tensors[0]._a.dtype, copy=False))
    total = fastnn.tensor(float(total), dtype=tensors[0].dtype, device=tensors[0].device)
    if error_if_nonfinite and not bool(fastnn.isfinite(total)):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it cannot "
            "be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


def clip_grad_norm_(parameters, max_norm: float, norm_type: float = 2.0, error_if_nonfinite=False, foreach=None):
    """Scale all gradients by max_norm / (norm + 1e-6) where their joint norm exceeds max_norm; returns the norm."""
    if not isinstance(parameters, Tensor):
        is_generator = hasattr(parameters, "__next__")
        parameters = list(parameters)
        if is_generator and not parameters:
            warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    gradients = _gradients(parameters)
    total = get_total_norm(gradients, norm_type, error_if_nonfinite)
    _scale(gradients, max_norm, total)
    return total


def _scale(gradients, max_norm, total):
    if gradients:
        # One rounding to the gradients' precision at each step, as torch: quotient, then clamp to 1, then product.
        factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
        if recording() is not None and factor.is_cuda:
            for g in gradients:
                g._k.mul(g._a, factor._a.astype(g._a.dtype, copy=False), g._a)
                g._bump()
            return
        factor = float(factor)
        if factor != 1.0:
            Tensor._k.scale_([g._a for g in gradients], factor)


def clip_grads_with_norm_(parameters, max_norm: float, total_norm, foreach=None) -> None:
    """Scale all gradients by max_norm / (total_norm + 1e-6) where total_norm, known already, exceeds max_norm."""
    _scale(_gradients(parameters), float(max_norm), total_norm)


def clip_grad_norm(parameters, max_norm: float, norm_type: float = 2.0, error_if_nonfinite=False, foreach=None):
    """The old name of clip_grad_norm_."""
    warnings.warn(
        "torch.nn.utils.clip_grad_norm is now deprecated in favor of torch.nn.utils.clip_grad_norm_.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters, clip_value: float, foreach=None) -> None:
    """Clamp every gradient element to [−clip_value, clip_value]."""
    clip_value = float(clip_value)
    with fastnn.no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-clip_value, clip_value)
