"""Differentiation: backward and grad over the tape, grad modes, and users' own ops (torch.autograd)."""

from .. import _lazy, _tape, ops
from ..backend import xp
from ..tensor import Tensor, wrap
from .function import Function, FunctionCtx, once_differentiable
from .grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .variable import Variable


def _sequence(x):
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _wrap_with_node(array, node):
    t = wrap(array)
    t._fn = node
    return t


def _initial(outputs, gradients, create_graph, function):
    """The roots' nodes, and the gradient of each: given, or 1 for a single element."""
    roots, starts = [], []
    if len(gradients) != len(outputs):
        raise RuntimeError(f"{function}: got {len(outputs)} tensors and {len(gradients)} gradients")
    for t, g in zip(outputs, gradients, strict=True):
        if not isinstance(t, Tensor):
            raise TypeError(f"{function}: expected Tensors, got {type(t).__name__}")
        if t._fn is None:
            raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
        if g is None:
            if t._a.size != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            g = wrap(xp.on(t._a).full(t._a.shape, 1, t._a.dtype))
        else:
            if not isinstance(g, Tensor):
                raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
            if g._a.shape != t._a.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[0] has a shape of {g.shape} and output[0] has a shape of {t.shape}."
                )
            if g._a.dtype != t._a.dtype:
                g = wrap(g._a.astype(t._a.dtype)) if not create_graph else ops.to(g, t.dtype)
        roots.append(t._fn)
        starts.append(g if create_graph else g._a)
    return roots, starts


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None):
    """Add the derivatives of `tensors`, weighted by `grad_tensors`, to the .grad of the leaves.

    retain_graph keeps what the graph saved (default: create_graph); create_graph makes the gradients differentiable;
    inputs restricts the leaves. Raises RuntimeError for a tensor outside any graph, a graph already freed, or a saved
    tensor that was changed in place."""
    tensors = _sequence(tensors)
    gradients = (None,) * len(tensors) if grad_tensors is None else _sequence(grad_tensors)
    roots, starts = _initial(tensors, gradients, create_graph, "backward")
    if retain_graph is None:
        retain_graph = create_graph
    k = ops if create_graph else tensors[0]._k
    if inputs is None:
        del gradients, tensors
        if create_graph:
            with enable_grad():
                _tape.run(k, roots, starts, retain_graph=retain_graph, create_graph=True, wrap=_wrap_with_node)
        else:
            with no_grad():
                _tape.run(k, roots, starts, retain_graph=retain_graph, wrap=_wrap_with_node)
        return
    inputs = _sequence(inputs)
    if not inputs:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    for t, g in zip(
        inputs, grad(_rewrap(roots, starts, create_graph), inputs, None, retain_graph, create_graph, True), strict=True
    ):
        if g is not None:
            if t._grad is None:
                t._grad = g
            elif create_graph:
                t._grad = t._grad + g
            else:
                t._grad._accumulate(g._a)


class _Root:
    """A node and the gradient it starts from, where grad() continues backward()."""

    def __init__(self, node, start):
        self.node, self.start = node, start


def _rewrap(roots, starts, create_graph):
    return [_Root(n, s) for n, s in zip(roots, starts, strict=True)]


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
    only_inputs=True,
):
    """The derivatives of `outputs`, weighted by `grad_outputs`, with respect to `inputs`: a tuple of Tensors.

    Raises RuntimeError for an input that does not require a gradient, or that no output depends on (allow_unused=True
    gives None for it, materialize_grads=True zeros)."""
    if is_grads_batched:
        raise NotImplementedError("grad: is_grads_batched=True needs vmap, which fastnn does not have")
    if allow_unused is None:
        allow_unused = materialize_grads
    outputs, inputs = _sequence(outputs), _sequence(inputs)
    if outputs and isinstance(outputs[0], _Root):
        roots, starts = [r.node for r in outputs], [r.start for r in outputs]
        k = ops if create_graph else inputs[0]._k
    else:
        given = (None,) * len(outputs) if grad_outputs is None else _sequence(grad_outputs)
        roots, starts = _initial(outputs, given, create_graph, "grad")
        k = ops if create_graph else outputs[0]._k
    if not inputs:
        raise RuntimeError("grad requires non-empty inputs.")
    wanted = []
    for t in inputs:
        if not isinstance(t, Tensor):
            raise TypeError(f"grad: inputs must be Tensors, got {type(t).__name__}")
        if t._fn is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
        wanted.append(t._fn)
    if retain_graph is None:
        retain_graph = create_graph
    with enable_grad() if create_graph else no_grad():
        found = _tape.run(
            k, roots, starts, retain_graph=retain_graph, create_graph=create_graph, wanted=wanted, wrap=_wrap_with_node
        )
    out = []
    for t, g in zip(inputs, found, strict=True):
        if g is None:
            if materialize_grads:
                out.append(ops.zeros_like(t))
                continue
            if not allow_unused:
                raise RuntimeError(
                    "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True "
                    "if this is the desired behavior."
                )
            out.append(None)
        else:
            out.append(g if create_graph else wrap(g if g.base is None or g.flags.owndata else g.copy()))
    return tuple(out)


__all__ = [
    "Function",
    "FunctionCtx",
    "GradcheckError",
    "Variable",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "set_grad_enabled",
]


# Rarely used: not at import.
__getattr__ = _lazy.attributes(
    __name__,
    {"detect_anomaly": "anomaly_mode", "set_detect_anomaly": "anomaly_mode"},
    modules=("functional", "profiler"),
)
