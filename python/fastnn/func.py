"""torch.func: functions made of functions. grad and its kin differentiate by the tape; vmap calls its function once a
sample, so that it costs what a loop costs."""

import fastnn
from fastnn import _tape, autograd
from fastnn.autograd.grad_mode import enable_grad
from fastnn.nn.utils.stateless import functional_call
from fastnn.tensor import Tensor
from fastnn.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "stack_module_state",
    "vjp",
    "vmap",
]


def _fresh(t):
    """t to differentiate by: a view of it in the caller's graph, else a leaf."""
    if not isinstance(t, Tensor):
        raise RuntimeError(f"expected tensors to differentiate by, got {type(t).__name__}")
    return t.view_as(t) if t.requires_grad else t.detach().requires_grad_()


def _released(tree, own):
    """The tensors of `tree`, apart from the graph where that leads to nothing but the leaves `own`."""
    nodes = {t._fn for t in own}

    def release(t):
        if not isinstance(t, Tensor) or t._fn is None:
            return t
        found = _tape._reachable([t._fn], next(_tape._marks))
        return t.detach() if all(n in nodes or not n.leaf for n in found) else t

    return tree_map(release, tree)


class _Arguments:
    """Positional arguments of which those at `argnums` are replaced by fresh ones, to differentiate by."""

    def __init__(self, args, argnums, function):
        self.single = isinstance(argnums, int)
        numbers = (argnums,) if self.single else tuple(argnums)
        for n in numbers:
            if not -len(args) <= n < len(args):
                raise RuntimeError(f"{function}: got argnum={n}, but only {len(args)} positional inputs")
        numbers = [n % len(args) for n in numbers]
        leaves, self.spec = tree_flatten([args[n] for n in numbers])
        self.leaves = [_fresh(t) for t in leaves]
        self.own = [t for t, given in zip(self.leaves, leaves, strict=True) if not given.requires_grad]
        self.args = list(args)
        for n, value in zip(numbers, tree_unflatten(self.leaves, self.spec), strict=True):
            self.args[n] = value

    def like(self, values):
        """`values`, one for each leaf, in the form of the arguments."""
        tree = tree_unflatten(values, self.spec)
        return tree[0] if self.single else tuple(tree)


def _gradients(outputs, by, weights=None):
    """Gradients of the outputs by the tensors `by`, themselves differentiable; zeros where nothing depends on one."""
    kept = [i for i, o in enumerate(outputs) if o.requires_grad]
    if not kept:
        return [fastnn.zeros_like(t) for t in by]
    found = autograd.grad(
        [outputs[i] for i in kept],
        by,
        None if weights is None else [weights[i] for i in kept],
        retain_graph=True,
        create_graph=True,
        allow_unused=True,
    )
    return [fastnn.zeros_like(t) if g is None else g for g, t in zip(found, by, strict=True)]


def grad_and_value(func, argnums=0, has_aux=False):
    """A function that gives (gradients, value) of func, whose value (with has_aux the first of two) is a single number;
    gradients by the arguments at argnums, in their form. has_aux: (gradients, (value, aux))."""

    def wrapper(*args, **kwargs):
        with enable_grad():
            a = _Arguments(args, argnums, "grad")
            out = func(*a.args, **kwargs)
            if has_aux and not (isinstance(out, tuple) and len(out) == 2):
                raise RuntimeError("grad_and_value(f)(*args): with has_aux=True f has to return (output, aux)")
            value, aux = out if has_aux else (out, None)
            if not isinstance(value, Tensor):
                raise RuntimeError(
                    f"grad_and_value(f)(*args): expected f(*args) to return a tensor, got {type(value).__name__}"
                )
            if value.dim():
                raise RuntimeError(
                    "grad_and_value(f)(*args): expected f(*args) to return a scalar tensor. Got tensor with "
                    f"{value.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            slopes = a.like(_gradients([value], a.leaves))
        return _released((slopes, (value, aux) if has_aux else value), a.own)

    return wrapper


def grad(func, argnums=0, has_aux=False):
    """A function that gives func's gradients by the arguments at argnums; with has_aux (gradients, aux)."""
    both = grad_and_value(func, argnums, has_aux)

    def wrapper(*args, **kwargs):
        slopes, value = both(*args, **kwargs)
        return (slopes, value[1]) if has_aux else slopes

    return wrapper


def vjp(func, *primals, has_aux=False):
    """(func(*primals), a function of cotangents in the output's form that gives a tuple of v^T J by each primal[, aux])."""
    with enable_grad():
        a = _Arguments(primals, tuple(range(len(primals))), "vjp")
        out = func(*a.args)
        out, aux = out if has_aux else (out, None)
        outputs, spec = tree_flatten(out)

    def pull(cotangents, retain_graph=True, create_graph=None):
        weights = tree_leaves(cotangents)
        if [w.shape for w in weights] != [o.shape for o in outputs]:
            raise RuntimeError(
                f"vjp: cotangents of the output's shapes {[tuple(o.shape) for o in outputs]} are needed, got "
                f"{[tuple(w.shape) for w in weights]}"
            )
        with enable_grad():
            found = a.like(_gradients(outputs, a.leaves, weights))
        return _released(found, a.own)

    value = _released(tree_unflatten(outputs, spec), a.own)
    return (value, pull, _released(aux, a.own)) if has_aux else (value, pull)


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """(func(*primals), J·tangents[, aux]), by two backward passes: u^T J is linear in u."""
    with enable_grad():
        a = _Arguments(tuple(primals), tuple(range(len(primals))), "jvp")
        out = func(*a.args)
        out, aux = out if has_aux else (out, None)
        outputs, spec = tree_flatten(out)
        u = [fastnn.zeros_like(o, requires_grad=True) for o in outputs]
        back = _gradients(outputs, a.leaves, u)
        found = _gradients(back, u, tree_leaves(tuple(tangents)))
    own = [*a.own, *u]
    pair = _released((tree_unflatten(outputs, spec), tree_unflatten(found, spec)), own)
    return (*pair, _released(aux, own)) if has_aux else pair


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """A function that gives d output / d argument, [*output.shape, *argument.shape], in the output's form and in that
    the arguments'. A backward pass for each element of the output; with has_aux (Jacobian, aux)."""

    def wrapper(*args, **kwargs):
        with enable_grad():
            a = _Arguments(args, argnums, "jacrev")
            out = func(*a.args, **kwargs)
            out, aux = out if has_aux else (out, None)
            outputs, spec = tree_flatten(out)
            table = []
            for o in outputs:
                rows = [_gradients([element], a.leaves) for element in o.reshape(-1).unbind()]
                columns = [
                    fastnn.stack([row[i] for row in rows]).reshape(*o.shape, *t.shape)
                    if rows
                    else o.new_zeros((*o.shape, *t.shape))
                    for i, t in enumerate(a.leaves)
                ]
                table.append(a.like(columns))
            found = _released(tree_unflatten(table, spec), a.own)
        return (found, _released(aux, a.own)) if has_aux else found

    return wrapper


def jacfwd(func, argnums=0, has_aux=False, *, chunk_size=None, randomness="error"):
    """As jacrev, and by the same way."""
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func, argnums=0):
    """A function that gives func's second derivatives: jacfwd of jacrev."""
    return jacfwd(jacrev(func, argnums), argnums)


def stack_module_state(models):
    """(parameters, buffers) of models of one kind: dictionaries of their tensors stacked, for functional_call under vmap."""
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")

    def stacked(kind):
        tables = [dict(getattr(m, kind)()) for m in models]
        return {name: fastnn.stack([t[name] for t in tables]).detach().requires_grad_(tables[0][name].requires_grad)
                for name in tables[0]}  # fmt: skip

    return stacked("named_parameters"), stacked("named_buffers")


def _spread(dims, tree, what):
    """One entry of `dims` for each leaf of `tree`: dims is an int or None for all of it, or has its outer form."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(tree_leaves(tree))
    children = list(tree.values()) if isinstance(tree, dict) else tree
    dims = list(dims.values()) if isinstance(dims, dict) else dims
    if not isinstance(children, (tuple, list)) or len(dims) != len(children):
        raise ValueError(f"vmap: {what} has another structure than what it is for")
    return [d for one, child in zip(dims, children, strict=True) for d in _spread(one, child, what)]


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """A function that calls func for each sample of its arguments, along in_dims (None: the argument is the same for
    all; keyword arguments: dimension 0), and stacks what it returns along out_dims. Random numbers are drawn anew for
    each sample, whatever `randomness`; chunk_size changes nothing."""
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")

    def wrapper(*args, **kwargs):
        leaves, spec = tree_flatten((args, kwargs))
        dims = _spread(in_dims, args, "in_dims") + [0] * len(tree_leaves(kwargs))
        sizes = set()
        for t, d in zip(leaves, dims, strict=True):
            if d is None:
                continue
            if not isinstance(t, Tensor):
                raise ValueError(
                    f"vmap({getattr(func, '__name__', func)}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={d} for an "
                    f"input but the input is of type {type(t).__name__}. We cannot vmap over non-Tensor arguments, please "
                    "use None as the respective in_dim"
                )
            if not -t.dim() <= d < t.dim():
                raise ValueError(f"vmap: in_dim={d} for an input of {t.dim()} dimensions")
            sizes.add(t.size(d))
        if not sizes:
            raise ValueError("vmap: at least one input has to be mapped over: in_dims are all None, or there is none")
        if len(sizes) > 1:
            raise ValueError(f"vmap: Expected all tensors to have the same size in the mapped dimension, got {sizes}")
        (n,) = sizes
        if not n:
            raise RuntimeError("vmap: the mapped dimension is empty, so that func cannot be called")
        columns = [[t] * n if d is None else t.unbind(d) for t, d in zip(leaves, dims, strict=True)]
        results = []
        for row in zip(*columns, strict=True):
            arguments, keywords = tree_unflatten(list(row), spec)
            results.append(tree_flatten(func(*arguments, **keywords)))
        first, form = results[0]
        example = tree_unflatten(first, form)
        for value in first:
            if not isinstance(value, Tensor):
                raise ValueError(
                    f"vmap({getattr(func, '__name__', func)}, ...): must only return Tensors, got type {type(value)}."
                )
        where = _spread(out_dims, example, "out_dims")
        stacked = [first[i] if d is None else fastnn.stack([r[i] for r, _ in results], d) for i, d in enumerate(where)]
        return tree_unflatten(stacked, form)

    return wrapper
