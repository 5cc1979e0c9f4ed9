"""The tape: what an op records, and the backward pass over it.

A tensor that needs a gradient has a node in `_fn`: a `Leaf` for one that the user made, else the `Node` of the op that
made it. A node has one output, whose gradient collects in `node.g`. An op with several outputs has one node for itself
and a `Part` for each output. Rules have the form

    rule(k, dy, saved, needs) -> a gradient, or None, for each input

where `k` is the backend module and everything is an array; or, under create_graph, `k` is fastnn.ops, which has the
same names, and everything is a Tensor. `needs` is the tuple of the inputs' nodes: None where no gradient is wanted.

Nodes are numbered as they are made, and an op's inputs exist before it: so descending numbers are a topological order,
and the pass neither recurses nor counts edges.
"""

import itertools
import os
import sys
import threading
import weakref
from operator import attrgetter

_count = itertools.count()
_by_number = attrgetter("seq")
_refs = sys.getrefcount
_engine = threading.RLock()  # gradients collect in the nodes: one pass at a time (passes may nest)


def _after_fork():
    global _engine
    _engine = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class GradMode(threading.local):
    """Per thread: whether ops are recorded, and whether inference_mode is on."""

    enabled = True
    inference = False


grad_mode = GradMode()
inference_depth = 0  # inference modes entered in any thread: while it is 0, wrap need not look at grad_mode


class Version:
    """Counts in-place changes of one memory; shared by a tensor, its views and what was detached from it."""

    __slots__ = ("n", "views")

    def __init__(self):
        self.n = 0
        self.views = None  # weak references to the views whose history follows the base's


class InferenceVersion(Version):
    """Marks what was made under inference_mode: it may not enter a graph later."""

    __slots__ = ()


class _Const:
    """Stands in `keep`, and for the tensor, of an operand that is a Python number."""

    _fn = _ver = None


CONST = _Const()


class Node:
    """One recorded op. `saved` holds what the rule needs, as arrays; `keep` says, entry by entry, which Tensor a saved
    array is (an input), or which Version guards it (the op's own output), or None (a constant); `vers` are the
    versions at recording, None where all were 0."""

    __slots__ = ("rule", "next", "saved", "keep", "vers", "seq", "g", "hooks", "mark", "meta", "__weakref__")
    leaf = False

    def name(self) -> str:
        return backward_name(self)

    def __repr__(self):
        return f"<{backward_name(self)} object>"

    @property
    def next_functions(self):
        return tuple((n, 0) for n in self.next)


class Leaf(Node):
    """Adds what arrives to the tensor's .grad. Refers to the tensor weakly: no cycle."""

    __slots__ = ("ref",)  # meta: the hooks to call after the gradient was added
    leaf = True

    def __init__(self, tensor):
        self.rule = None
        self.next = ()
        self.saved = self.keep = self.vers = self.g = self.hooks = self.meta = None
        self.mark = 0
        self.seq = next(_count)
        self.ref = weakref.ref(tensor)

    @property
    def variable(self):
        return self.ref()


class Part(Node):
    """One output of an op that has several: hands its gradient to the op's own node."""

    __slots__ = ("index",)


# torch's names of ops whose rules are called otherwise here.
_TORCHS = {
    "avg_pool2d": "AvgPool2DBackward0",
    "batch_norm": "NativeBatchNormBackward0",
    "batch_norm_eval": "NativeBatchNormBackward0",
    "clamp": "ClampBackward1",
    "constant_pad": "ConstantPadNdBackward0",
    "cross_entropy": "NllLossBackward0",
    "dropout": "MulBackward0",
    "group_norm": "NativeGroupNormBackward0",
    "im2col": "Im2ColBackward0",
    "l1_loss": "MeanBackward0",
    "layer_norm": "NativeLayerNormBackward0",
    "linalg_inv": "LinalgInvExBackward0",
    "linalg_solve": "LinalgSolveExBackward0",
    "log1p": "Log1PBackward0",
    "logsigmoid": "LogSigmoidBackward0",
    "max_pool2d": "MaxPool2DWithIndicesBackward0",
    "norm": "LinalgVectorNormBackward0",
    "prelu": "PreluKernelBackward0",
    "rms_norm": "MulBackward0",
    "square": "PowBackward0",
    "view_of_memory": "AsStridedBackward0",
}


def backward_name(node) -> str:
    """The name under which torch prints a grad_fn: MulBackward0."""
    if node.leaf:
        return "AccumulateGrad"
    if isinstance(node, Part):
        node = node.next[0]
    name = node.rule.__name__
    if not name.endswith("_rule"):  # a user's Function
        return name + "Backward"
    name = name.removesuffix("_rule")
    if name in ("sum", "mean") and node.saved.__class__ is tuple and node.saved[1] is not None:
        return f"{name.capitalize()}Backward1"  # over some dimensions
    if name == "linear":
        rows = node.saved.__class__ is not tuple or node.saved[0].ndim == 2
        added = node.next[2] is not None
        return (("Addmm" if added else "Mm") if rows else ("View" if added else "UnsafeView")) + "Backward0"
    return _TORCHS.get(name) or "".join(w[:1].upper() + w[1:] for w in name.split("_")) + "Backward0"


_new = object.__new__


def record(out, rule, inputs, saved, keep):
    """Make `out` the result of an op. inputs: its inputs' nodes (None: no gradient wanted)."""
    node = _new(Node)
    node.rule = rule
    node.next = inputs
    node.saved = saved
    node.keep = keep
    node.seq = next(_count)
    node.g = node.hooks = node.meta = node.vers = None
    node.mark = 0
    for t in keep:
        if t is not None and (t.__class__ is Version or t._ver is not None):
            node.vers = [None if u is None else version_of(u) for u in keep]
            break
    out._fn = node
    return out


def version_of(kept) -> int:
    version = kept if isinstance(kept, Version) else kept._ver
    if version.__class__ is InferenceVersion:
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
            "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it "
            "in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
        )
    return 0 if version is None else version.n


def own_version(out) -> Version:
    """What `keep` holds for the op's own output: its version counter (not the tensor: no cycle)."""
    if out._ver is None:
        out._ver = Version()
    return out._ver


def _part(main, i):
    p = _new(Part)
    p.rule = main.rule
    p.next = (main,)
    p.saved = p.keep = ()
    p.vers = p.g = p.hooks = p.meta = None
    p.mark = 0
    p.seq = next(_count)
    p.index = i
    return p


def record_many(outs, rule, inputs, saved, keep):
    """As record, for several outputs: dy is then a list, None where an output was not used. meta: the
    outputs' shapes, dtypes and versions."""
    first = outs[0]
    record(first, rule, inputs, saved, keep)
    main = first._fn
    main.meta = [(o._a.shape, o._a.dtype, o._ver) for o in outs]
    for i, o in enumerate(outs):
        o._fn = _part(main, i) if o._a.dtype.kind in "fcV" else None
    return outs


class RowGradient:
    """A gradient of which only rows are kept: values[i] belongs to row index[i] of `shape`, rows may occur again. Ops hand
    one to leaves alone, where it becomes a sparse .grad; hooks, autograd.grad and arrays get what dense() makes."""

    __slots__ = ("index", "values", "shape", "k")

    def __init__(self, index, values, shape, k):
        self.index, self.values, self.shape, self.k = index, values, shape, k

    def dense(self):
        return self.k.embedding_backward(self.values, self.index, self.shape, None, False)

    def sparse(self):
        from .ops.sparse import sparse_coo_tensor
        from .tensor import wrap

        return sparse_coo_tensor(wrap(self.index.reshape(1, -1)), wrap(self.values), self.shape, is_coalesced=False)

    @staticmethod
    def meet(a, b):
        """The sum of two gradients of which one at least is a RowGradient."""
        if a.__class__ is b.__class__:
            from .backend.xp import concatenate

            return RowGradient(concatenate((a.index, b.index)), concatenate((a.values, b.values)), a.shape, a.k)
        rows, array = (a, b) if a.__class__ is RowGradient else (b, a)
        return rows.k.add(rows.dense(), array)

    def add_to(self, tensor):
        """tensor.grad += this: sparse where there was none or a sparse one."""
        old = tensor._grad
        if old is None:
            tensor._grad = self.sparse()
        elif old.is_sparse:
            tensor._grad = old.add(self.sparse())
        else:
            old._accumulate(self.dense())


# ---------------------------------------------------------------- the backward pass

_marks = itertools.count(1)
_FREED = object()
on_device = None  # once a device is in use: gradient -> the context in which a rule of create_graph runs
check_gradients = None  # in anomaly mode: called with each node and what its rule returned


def _reachable(roots, mark):
    """All nodes that the roots lead to, newest first."""
    found = []
    stack = []
    for r in roots:
        if r.mark != mark:
            r.mark = mark
            stack.append(r)
    while stack:
        node = stack.pop()
        found.append(node)
        for n in node.next:
            if n is not None and n.mark != mark:
                n.mark = mark
                stack.append(n)
    found.sort(key=_by_number, reverse=True)
    return found


def run(k, roots, grads, *, retain_graph=False, create_graph=False, wanted=None, wrap=None):
    """Push `grads` back from the nodes `roots`. Arrays, or Tensors where create_graph.

    wanted: None adds to the leaves' .grad; else a list of nodes whose gradients are returned (None where none arrives)
    and nothing is added anywhere. wrap(array, node) makes a Tensor (create_graph)."""
    with _engine:
        order = reached = _reachable(roots, next(_marks))
        capture = None
        if wanted is not None:
            capture = {n: None for n in wanted}
            order = _leading_to(order, capture)
        try:
            for node, g in zip(roots, grads, strict=True):
                node.g = g if node.g is None else k.add(node.g, g)
            _push(k, order, retain_graph, create_graph, capture, wrap)
        except BaseException:
            for node in reached:
                node.g = None
            raise
        if capture is not None:  # nodes off the way were fed, but did not run
            for node in reached:
                node.g = None
    if capture is None:
        return None
    return [g.dense() if g.__class__ is RowGradient else g for g in (capture[n] for n in wanted)]


def _leading_to(order, capture):
    """The nodes from which a wanted one can be reached: the rest of the graph need not run."""
    useful = set(capture)
    for node in reversed(order):
        for n in node.next:
            if n is not None and n in useful:
                useful.add(node)
                break
    return [n for n in order if n in useful]


def _push(k, order, retain_graph, create_graph, capture, wrap):
    add = k.add
    on = on_device
    check = check_gradients
    for node in order:
        g = node.g
        if g is None:
            continue
        node.g = None
        if node.hooks is not None:
            if g.__class__ is RowGradient:
                g = g.dense()
            g = _run_hooks(node, g, create_graph, wrap)
        if capture is not None and node in capture:
            capture[node] = g
        if node.rule is None:  # a Leaf
            if capture is None:
                _accumulate(node, g, create_graph)
            continue
        if node.__class__ is Part:
            main = node.next[0]
            if main.g is None:
                main.g = [None] * len(main.meta)
            before = main.g[node.index]  # several Parts may stand for one output (_output_of)
            main.g[node.index] = g if before is None else add(before, g)
            continue
        saved = node.saved
        if saved is _FREED:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have "
                "already been freed). Specify retain_graph=True if you need to backward through the graph a second time."
            )
        if node.vers is None:
            for t in node.keep:
                if t is not None and t._ver is not None and t._ver.n:
                    _modified(node)
        else:
            for t, v in zip(node.keep, node.vers, strict=True):
                if t is not None and version_of(t) != v:
                    _modified(node)
        if create_graph:
            saved = _as_tensors(node, wrap)
        if on is None:
            grads = node.rule(k, g, saved, node.next)
        elif create_graph:
            with on(g):
                grads = node.rule(k, g, saved, node.next)
        else:
            grads = node.rule(k.of(g), g, saved, node.next)
        if check is not None:
            check(node, grads)
        g = None
        if not retain_graph and node.keep:  # what saved no tensor may run again, as in torch
            node.saved = _FREED
            node.keep = ()
            node.vers = None
            saved = None
        i = 0
        for n in node.next:
            if n is not None:
                d = grads[i]
                if d is not None:
                    if n.g is None:
                        n.g = d
                    elif d.__class__ is RowGradient or n.g.__class__ is RowGradient:
                        n.g = RowGradient.meet(n.g, d)
                    else:
                        n.g = add(n.g, d)
            i += 1
        grads = d = None


def _modified(node):
    for t, v in zip(node.keep, node.vers or [0] * len(node.keep), strict=True):
        if t is not None and version_of(t) != v:
            shape = "" if t.__class__ is Version else f" of shape {list(t._a.shape)}"
            raise RuntimeError(
                f"one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"the tensor{shape} saved for {backward_name(node)} is at version {version_of(t)}; "
                f"expected version {v} instead."
            )


def _as_tensors(node, wrap):
    """`saved` with Tensors for arrays: inputs as they were, the output as the result of this node."""
    if not node.keep:  # constants only
        return node.saved
    out = []
    for value, t in zip(node.saved, node.keep, strict=True):
        if t is None or t is CONST:
            out.append(value)
        elif t.__class__ is Version:
            out.append(wrap(value, _output_of(node, t)))
        else:
            out.append(t)
    return tuple(out)


def _output_of(node, version):
    """Where the op's own output with this version counter gets its gradient: the node, or one of its outputs' Parts."""
    if node.meta.__class__ is list:
        for i, (_, _, own) in enumerate(node.meta):
            if own is version:
                return _part(node, i)
    return node


def _run_hooks(node, g, create_graph, wrap):
    as_list = g.__class__ is list
    if as_list:
        return g
    for hook in list(node.hooks.values()):
        t = g if create_graph else wrap(g, None)
        r = hook(t)
        if r is not None:
            if not hasattr(r, "_a"):
                raise TypeError(f"a hook must return a Tensor or None, but got {type(r).__name__}")
            if r._a.shape != t._a.shape:
                raise RuntimeError(
                    f"hook has changed the size of value: {list(r._a.shape)}, expected {list(t._a.shape)}"
                )
            g = r if create_graph else r._a
    return g


def _accumulate(leaf, g, create_graph):
    """torch's rule: take the array over where nobody else holds it, else copy; afterwards add in place."""
    t = leaf.ref()
    if t is None:
        return
    old = t._grad
    if create_graph:
        t._grad = g if old is None else old + g
    elif g.__class__ is RowGradient:
        g.add_to(t)
    elif old is None:
        # References to an array that only the pass holds: the caller's `g`, ours, and getrefcount's argument.
        base = g.base
        mine = _refs(g) <= 3 and (base is None or base.__class__.__name__ in _OWNERS) and g.flags.c_contiguous
        t._grad = t._wrap_grad(g if mine else t._k.copy(g))
    elif old.is_sparse:
        t._grad = t._wrap_grad(old.to_dense()._a + g)
    else:
        old._accumulate(g)
    if leaf.meta is not None:
        for hook in list(leaf.meta.values()):
            hook(t)


_OWNERS = {"PyCapsule", "Block"}  # what owns a block of the caching allocator
