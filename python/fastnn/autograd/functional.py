"""Jacobians, Hessians and their products with vectors, of functions of tensors (torch.autograd.functional)."""

import fastnn
from fastnn.autograd import grad
from fastnn.autograd.grad_mode import enable_grad
from fastnn.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _tuple(x, what, function):
    """(x as a tuple of tensors, whether it was one)"""
    is_tuple = isinstance(x, tuple)
    x = x if is_tuple else (x,)
    for i, t in enumerate(x):
        if not isinstance(t, Tensor):
            where = f" at index {i}" if is_tuple else ""
            raise TypeError(
                f"The {what} given to {function} must be Tensors, but the value{where} is {type(t).__name__}"
            )
    return x, is_tuple


def _fresh(inputs, create_graph):
    """Inputs to differentiate by: a view of each in the caller's graph where that goes on, else a leaf."""
    if create_graph:
        return tuple(t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in inputs)
    return tuple(t.detach().requires_grad_() for t in inputs)


def _run(func, inputs, what, create_graph):
    inputs, tuple_in = _tuple(inputs, "inputs", what)
    inputs = _fresh(inputs, create_graph)
    outputs, tuple_out = _tuple(func(*inputs), "outputs of the user-provided function", what)
    return inputs, tuple_in, outputs, tuple_out


def _vectors(v, like, is_tuple, what, of):
    """v as a tuple of the shapes of `like`; for a single element it may be left out."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"{what}: the vector v can only be None if {of} is a single Tensor with a single element."
            )
        return (fastnn.ones_like(like[0]),)
    v, _ = _tuple(v, "v", what)
    if len(v) != len(like):
        raise RuntimeError(f"{what}: v has {len(v)} tensors, but {of} has {len(like)}")
    for a, b in zip(v, like, strict=True):
        if a.shape != b.shape:
            raise RuntimeError(f"{what}: v has the shape {tuple(a.shape)} where {of} has {tuple(b.shape)}")
    return v


def _grad(outputs, inputs, v, create_graph, strict, what):
    """Gradients of sum(outputs * v); zeros where an input is not in the graph, or an error with strict."""
    kept = [(o, g) for o, g in zip(outputs, v, strict=True) if o.requires_grad]
    if strict and len(kept) < len(outputs):
        raise RuntimeError(f"{what}: an output of the function is independent of the inputs, which strict=True forbids")
    found = (None,) * len(inputs)
    if kept:
        found = grad(
            [o for o, _ in kept],
            inputs,
            [g for _, g in kept],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
    if strict and any(g is None for g in found):
        raise RuntimeError(f"{what}: the output does not depend on one of the inputs, which strict=True forbids")
    return tuple(fastnn.zeros_like(t) if g is None else g for t, g in zip(inputs, found, strict=True))


def _back(tensors, is_tuple, create_graph):
    tensors = tuple(tensors) if create_graph else tuple(t.detach() for t in tensors)
    return tensors if is_tuple else tensors[0]


def _rows(output, inputs, create_graph, strict, what):
    """Jacobian of one output by each input: [*output.shape, *input.shape]."""
    rows = []
    for i in range(output.numel()):
        unit = fastnn.zeros(output.numel(), dtype=output.dtype)
        unit[i] = 1
        rows.append(_grad((output,), inputs, (unit.view(output.shape),), create_graph, strict, what))
    out = []
    for n, t in enumerate(inputs):
        parts = [r[n] for r in rows]
        shape = (*output.shape, *t.shape)
        out.append(fastnn.stack(parts).view(shape) if parts else fastnn.zeros(shape, dtype=t.dtype))
    return tuple(out)


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """d func(*inputs)[i] / d inputs[j] as tensors [*output.shape, *input.shape]: one for a single output and input, a tuple
    where one of the two is a tuple, a tuple (outputs) of tuples (inputs) where both are.

    A backward pass for each element of the output; `vectorize` is accepted and changes nothing."""
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f'jacobian: expected strategy to be "reverse-mode" or "forward-mode", got "{strategy}"')
    with enable_grad():
        inputs, tuple_in, outputs, tuple_out = _run(func, inputs, "jacobian", create_graph)
        table = [_back(_rows(o, inputs, create_graph, strict, "jacobian"), tuple_in, create_graph) for o in outputs]
    return tuple(table) if tuple_out else table[0]


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """Second derivatives of a function with a single number as its output: [*input.shape, *input.shape], or a tuple of tuples."""
    inputs, tuple_in = _tuple(inputs, "inputs", "hessian")

    def slope(*points):
        points = tuple(p if p.requires_grad else p.detach().requires_grad_() for p in points)
        out = _single(func(*points), "hessian")
        return _grad((out,), points, (fastnn.ones_like(out),), True, strict, "hessian")

    table = jacobian(slope, inputs, create_graph, strict)
    return table if tuple_in else table[0][0]


def _single(out, what):
    if not isinstance(out, Tensor):
        raise RuntimeError(f"The function given to {what} should return a single Tensor")
    if out.numel() != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {what} should contain a single element")
    return out


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), v^T J): v has the form of the output."""
    with enable_grad():
        inputs, tuple_in, outputs, tuple_out = _run(func, inputs, "vjp", create_graph)
        v = _vectors(v, outputs, tuple_out, "vjp", "the output")
        found = _grad(outputs, inputs, v, create_graph, strict, "vjp")
    return _back(outputs, tuple_out, create_graph), _back(found, tuple_in, create_graph)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), J v): v has the form of the inputs. By two backward passes: u^T J is linear in u."""
    with enable_grad():
        inputs, tuple_in, outputs, tuple_out = _run(func, inputs, "jvp", create_graph)
        v = _vectors(v, inputs, tuple_in, "jvp", "the input")
        u = tuple(fastnn.zeros_like(o, requires_grad=True) for o in outputs)
        backwards = _grad(outputs, inputs, u, True, strict, "jvp")
        found = _grad(backwards, u, v, create_graph, False, "jvp")
    return _back(outputs, tuple_out, create_graph), _back(found, tuple_out, create_graph)


def _curved(func, inputs, v, create_graph, strict, what):
    with enable_grad():
        inputs, tuple_in = _tuple(inputs, "inputs", what)
        inputs = _fresh(inputs, create_graph)
        out = _single(func(*inputs), what)
        v = _vectors(v, inputs, tuple_in, what, "the input")
        slope = _grad((out,), inputs, (fastnn.ones_like(out),), True, strict, what)
        found = _grad(slope, inputs, v, create_graph, strict, what)
    return _back((out,), False, create_graph), _back(found, tuple_in, create_graph)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), v^T H) of a function with a single number as its output; v has the form of the inputs."""
    return _curved(func, inputs, v, create_graph, strict, "vhp")


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), H v): the same as vhp, as H is symmetric."""
    return _curved(func, inputs, v, create_graph, strict, "hvp")
