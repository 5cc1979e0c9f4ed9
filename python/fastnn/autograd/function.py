"""autograd.Function: ops whose gradient the user writes."""

import functools
import weakref

from .._tape import Part, grad_mode, own_version, record, record_many
from ..ops._common import GRAPH, rebase
from ..tensor import Tensor, wrap
from .grad_mode import no_grad


class FunctionCtx:
    """What forward and backward of a Function share: saved tensors, flags, and any attribute set on it."""

    def __init__(self):
        self._saved = ()
        self._dirty = ()
        self._fixed = ()
        self._materialize = True
        self.needs_input_grad = ()

    def save_for_backward(self, *tensors):
        """Keep inputs or outputs of forward for backward, which finds them in ctx.saved_tensors; changing one in
        place in between raises there. Raises TypeError for anything but a Tensor or None."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                kind = type(t).__name__
                raise TypeError(f"save_for_backward can only save variables, but argument is of type {kind}")
        self._saved = tensors

    def save_for_forward(self, *tensors):
        """For forward-mode differentiation, which fastnn does not have: nothing is kept."""

    def mark_dirty(self, *tensors):
        """Name the inputs that forward changes in place and returns."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors):
        """Name the outputs that get no gradient."""
        self._fixed = tensors

    def set_materialize_grads(self, value):
        """Whether backward gets zeros (the default) or None for outputs that nothing depends on."""
        self._materialize = bool(value)

    @property
    def saved_tensors(self):
        """The saved tensors. Raises RuntimeError where one was changed in place, or the graph was freed."""
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have "
                "already been freed). Specify retain_graph=True if you need to backward through the graph a second "
                "time."
            )
        return self._unpack()

    saved_variables = saved_tensors

    def _unpack(self):
        return tuple(t.tensor() if isinstance(t, _Kept) else t for t in self._saved)


class _Kept:
    """A saved tensor and its version then. Of an output only the array and, weakly, its place in the graph are kept:
    the node leads to the context, and the Tensor to the node, which would make a cycle."""

    __slots__ = ("tensor_", "array", "version", "count", "node", "index")

    def __init__(self, t):
        self.tensor_, self.array, self.version = t, None if t.is_sparse else t._a, own_version(t)
        self.count = self.version.n

    def follow(self, output, main, index):
        """From now on stand for an output of the node `main`, its index-th (None: the only one)."""
        self.tensor_, self.node, self.index = None, weakref.ref(main), index
        self.version = own_version(output)
        self.count = self.version.n

    def tensor(self):
        if self.version.n != self.count:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: the "
                f"tensor of shape {list(self.array.shape)} is at version {self.version.n}; expected version "
                f"{self.count} instead."
            )
        if self.tensor_ is not None:
            return self.tensor_
        t = wrap(self.array)
        t._ver = self.version
        t._fn = self.node()
        if self.index is not None and t._fn is not None:
            t._fn = _part(t._fn, self.index)
        return t


def _part(main, index):
    """A node for one output of `main`, as record_many makes them: the one made then may be gone, its output unused."""
    p = object.__new__(Part)
    p.rule, p.next, p.index = main.rule, (main,), index
    p.saved = p.keep = ()
    p.vers = p.g = p.hooks = p.meta = None
    p.mark, p.seq = 0, main.seq + 0.5  # older than anything made from the output, newer than `main`
    return p


def once_differentiable(fn):
    """Decorates a backward that cannot itself be differentiated: doing so raises."""

    @functools.wraps(fn)
    def wrapper(ctx, *grads):
        with no_grad():
            outputs = fn(ctx, *grads)
        if not grad_mode.enabled or not any(isinstance(g, Tensor) and g._fn is not None for g in grads):
            return outputs
        as_tuple = isinstance(outputs, tuple)
        marked = []
        for o in outputs if as_tuple else (outputs,):
            if isinstance(o, Tensor):
                o = wrap(o._a)
                record(o, once_differentiable_rule, tuple(g._fn for g in grads if isinstance(g, Tensor)), (), ())
            marked.append(o)
        return tuple(marked) if as_tuple else marked[0]

    return wrapper


def once_differentiable_rule(k, dy, saved, needs):
    raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


class Function:
    """Subclass with static methods forward(ctx, *args) and backward(ctx, *grads), or forward(*args),
    setup_context(ctx, inputs, output) and backward; call as MyFunction.apply(*args).

    backward gets one gradient for each output and returns one for each argument of forward, None where there is none.
    Double backward works where backward is made of differentiable ops."""

    def __init__(self, *args, **kwargs):
        raise RuntimeError(
            f"{type(self).__name__} should not be instantiated. Methods on autograd functions are all static, so you "
            "should invoke them on the class itself. Instantiating an autograd function is not allowed."
        )

    @staticmethod
    def forward(*args, **kwargs):
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward

    @classmethod
    def apply(cls, *args):
        """Run forward on args and record backward."""
        ctx = FunctionCtx()
        nodes = tuple(a._fn if isinstance(a, Tensor) and grad_mode.enabled else None for a in args)
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a._fn is not None for a in args)
        recorded = any(n is not None for n in nodes)
        with no_grad():
            if "setup_context" in _names(cls):
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args)
        single = not isinstance(result, (tuple, list))
        outputs = [result] if single else list(result)
        if recorded:
            outputs = _record(cls, ctx, args, nodes, outputs)
        return outputs[0] if single else tuple(outputs)


def _names(cls):
    return {n for c in cls.__mro__ if c is not Function for n in c.__dict__}


def _record(cls, ctx, args, nodes, results):
    """The outputs at their place in the graph."""
    outputs, made, positions = [], [], []
    kept = [None if t is None else _Kept(t) for t in ctx._saved]
    for i, o in enumerate(results):
        dirty = any(o is d for d in ctx._dirty)
        if isinstance(o, Tensor):
            if dirty:
                if o._fn is not None and o._fn.leaf:
                    raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
                o._bump()
            fixed = any(o is f for f in ctx._fixed) or o._a.dtype.kind not in "fcV"
            if dirty or o._fn is not None or any(o is a for a in args):
                alias = wrap(o._a)  # an input: what is recorded is a tensor of its own
                alias._ver = own_version(o)
                o = alias
            if not fixed:
                made.append(o)
                positions.append(i)
        outputs.append(o)
    shapes = [(o._a.shape, o._a.dtype) if isinstance(o, Tensor) else None for o in outputs]
    single = len(made) == 1

    def rule(k, dy, saved, needs):
        grads = [None] * len(shapes)
        for i, g in zip(positions, [dy] if single else dy, strict=True):
            grads[i] = g
        ctx._saved = saved[0]
        try:
            return _backward(cls, ctx, k, grads, shapes, needs)
        finally:
            ctx._saved = None

    rule.__name__ = rule.__qualname__ = cls.__name__
    ctx._saved = None
    if not made:
        return outputs
    saved = ((tuple(kept), tuple(a._a.shape if isinstance(a, Tensor) else None for a in args)),)
    guard = (None,) if any(k is not None for k in kept) else ()  # nothing saved: it may run twice
    if single:
        record(made[0], rule, nodes, saved, guard)
        main = made[0]._fn
    else:
        record_many(tuple(made), rule, nodes, saved, guard)
        main = made[0]._fn.next[0]
    for k in kept:
        for j, i in enumerate(positions):
            if k is not None and k.tensor_ is results[i] and not any(k.tensor_ is a for a in args):
                k.follow(outputs[i], main, None if single else j)
    for i, o in enumerate(results):
        if any(o is d for d in ctx._dirty):
            rebase(o, outputs[i]._fn)
            outputs[i] = o
    return outputs


def _backward(cls, ctx, k, grads, shapes, needs):
    ctx._saved, inputs = ctx._saved
    create_graph = k is GRAPH
    if ctx._materialize:
        for i, s in enumerate(shapes):
            if grads[i] is None and s is not None:
                grads[i] = k.zeros(*s)
    if not create_graph:
        grads = [None if g is None else wrap(g) for g in grads]
    backward = cls.backward if cls.backward is not Function.backward else cls.vjp
    found = backward(ctx, *grads)
    found = found if isinstance(found, tuple) else (found,)
    while len(found) > len(needs) and found[-1] is None:
        found = found[:-1]
    name = f"{cls.__name__}Backward"
    if len(found) != len(needs):
        raise RuntimeError(
            f"function {name} returned an incorrect number of gradients (expected {len(needs)}, got {len(found)})"
        )
    out = []
    for i, (g, node, shape) in enumerate(zip(found, needs, inputs, strict=True)):
        if g is not None and shape is None:
            raise RuntimeError(
                f"function {name} returned a gradient different than None at position {i + 1}, but the corresponding "
                "forward input was not a Variable"
            )
        if g is None or node is None:
            out.append(None)
            continue
        if not isinstance(g, Tensor):
            kind = type(g).__name__
            raise TypeError(f"function {name} returned a {kind} at position {i + 1}; expected a Tensor or None")
        if g._a.shape != shape:
            g = _fitted(g, shape, name, i)
        out.append(g if create_graph else g._a)
    return tuple(out)


def _fitted(g, shape, name, i):
    """A gradient of a broadcast shape, summed to the input's; one that may be stretched to it is."""
    from .. import ops

    s = g._a.shape
    lead = len(s) - len(shape)
    if lead >= 0 and all(b in (1, a) for a, b in zip(s[lead:], shape, strict=True)):
        return ops.sum_to(g, shape)
    raise RuntimeError(
        f"Function {name} returned an invalid gradient at index {i} - got {list(s)} but expected shape compatible with "
        f"{list(shape)}"
    )
