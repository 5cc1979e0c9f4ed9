"""Trading time for memory: parts of a model whose activations are computed again in the backward pass."""

import warnings

from fastnn import _tape, random
from fastnn.autograd import Function, enable_grad, grad, is_grad_enabled, once_differentiable
from fastnn.tensor import Tensor

from ._pytree import tree_flatten, tree_unflatten

__all__ = ["checkpoint", "checkpoint_sequential"]


class _Segment:
    """A call, its tensor arguments taken out: run(tensors) makes it again with others in their places."""

    def __init__(self, function, args, kwargs, preserve_rng_state):
        self.function = function
        leaves, self.spec = tree_flatten((args, kwargs))
        self.places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        self.tensors = [leaves[i] for i in self.places]
        self.leaves = [None if isinstance(x, Tensor) else x for x in leaves]
        self.rng = random.all_states() if preserve_rng_state else None

    def run(self, tensors):
        """(the inputs as leaves of a graph of their own, the flat result, its structure)"""
        inputs = [t.detach().requires_grad_(t.requires_grad) for t in tensors]
        values = list(self.leaves)
        for i, t in zip(self.places, inputs, strict=True):
            values[i] = t
        args, kwargs = tree_unflatten(values, self.spec)
        with enable_grad():
            return inputs, *tree_flatten(self.function(*args, **kwargs))

    def run_again(self, tensors):
        if self.rng is None:
            return self.run(tensors)
        with random.fork_rng():
            random.set_all_states(self.rng)
            return self.run(tensors)


def _used_from_outside(outputs, inputs, start) -> list:
    """The leaves (parameters, mostly) that the graph of `outputs` reaches besides `inputs`.

    Raises NotImplementedError for a tensor computed before the call that the function found in a closure: there is no
    way to it from the graph.
    """
    own = {id(t._fn) for t in inputs}
    found, stack, seen = [], [t._fn for t in outputs if t._fn is not None], set()
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen or id(node) in own:
            continue
        seen.add(id(node))
        if node.leaf:
            found.append(node.ref())
        elif node.seq < start:
            raise NotImplementedError(
                "checkpoint: the function uses a tensor that was computed before and is not among its arguments; pass it "
                "as an argument"
            )
        else:
            stack.extend(node.next)
    return [t for t in found if t is not None]


class _Recomputed(Function):
    @staticmethod
    def forward(ctx, segment, results, *tensors):
        ctx.segment = segment
        ctx.save_for_backward(*tensors)
        return tuple(t.detach() for t in results)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        saved = ctx.saved_tensors
        count = len(ctx.segment.places)
        inputs, flat, _ = ctx.segment.run_again(saved[:count])
        sources = inputs + list(saved[count:])
        outputs = [t for t in flat if isinstance(t, Tensor)]
        pairs = [(o, g) for o, g in zip(outputs, gradients, strict=True) if o.requires_grad]
        wanted = [t for t in sources if t.requires_grad]
        found = iter(grad([o for o, _ in pairs], wanted, [g for _, g in pairs], allow_unused=True))
        return (None, None, *(next(found) if t.requires_grad else None for t in sources))


def checkpoint(
    function,
    *args,
    use_reentrant=None,
    context_fn=None,
    determinism_check="default",
    debug=False,
    early_stop=True,
    preserve_rng_state=True,
    **kwargs,
):
    """function(*args, **kwargs), of which only the inputs are kept: backward computes the inside again.

    preserve_rng_state: dropout inside draws the same the second time. With use_reentrant=True and no input that
    requires a gradient the result has none either, as in torch, and a warning says so. Not twice differentiable.
    """
    if context_fn is not None:
        raise NotImplementedError("checkpoint: context_fn is not available")
    if not is_grad_enabled():
        return function(*args, **kwargs)
    segment = _Segment(function, args, kwargs, preserve_rng_state)
    tensors, segment.tensors = segment.tensors, None
    start = next(_tape._count)
    inputs, flat, spec = segment.run(tensors)
    results = [t for t in flat if isinstance(t, Tensor)]
    if use_reentrant and not any(t.requires_grad for t in tensors):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
        return tree_unflatten([t.detach() if isinstance(t, Tensor) else t for t in flat], spec)
    outside = _used_from_outside(results, inputs, start)
    del inputs
    made = iter(_Recomputed.apply(segment, results, *tensors, *outside))
    return tree_unflatten([next(made) if isinstance(t, Tensor) else t for t in flat], spec)


def checkpoint_sequential(functions, segments, input, use_reentrant=None, preserve_rng_state=True, **kwargs):
    """The functions (or a Sequential's layers) one after another, cut into segments: all but the last are
    checkpointed."""
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def run(start, end):
        def forward(x):
            for f in functions[start:end]:
                x = f(x)
            return x

        return forward

    size = len(functions) // segments
    for k in range(segments - 1):
        part = run(k * size, (k + 1) * size)
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state)
    return run(size * (segments - 1), len(functions))(input)
