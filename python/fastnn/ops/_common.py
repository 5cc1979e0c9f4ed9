"""What all ops share: operands brought to one dtype, checks, in-place writing and its place in the graph."""

import sys
import weakref

from .. import dtypes as dt
from .._tape import CONST, InferenceVersion, Node, Version, backward_name, grad_mode, record
from ..backend import xp
from ..tensor import Tensor, check_dim, shared_version, wrap

_ndarray = xp.ndarray
GRAPH = sys.modules[__package__]  # what rules have for `k` under create_graph: then they compute with Tensors
ONE_OF_MANY = "one of many"  # meta of a view made by an op that returns several (split, unbind)


def _classify(v, function, position):
    """(Tensor or None, array or number, dtype, group): group 0 has dimensions, 1 is 0-d, 2 a Python number."""
    if isinstance(v, Tensor):
        return v, v._a, v.dtype, 0 if v._a.ndim else 1
    if isinstance(v, xp.generic):
        v = v.item()
    d = dt.scalar_dtype(v)
    if d is not None:
        return None, v, d, 2
    if isinstance(v, _ndarray):
        return wrap(v), v, dt.from_np(v.dtype), 0 if v.ndim else 1
    raise TypeError(f"{function}(): argument '{position}' must be Tensor or number, not {type(v).__name__}")


def result_dtype(*values, function="result_type") -> dt.dtype:
    """torch.result_type: dimensions first, then 0-d tensors, then numbers."""
    groups = [None, None, None]
    for i, v in enumerate(values):
        _, _, d, g = _classify(v, function, f"tensor{i + 1}")
        groups[g] = d if groups[g] is None else dt.promote_types(groups[g], d)
    return dt.combine(*groups)


def _converted(t, x, d):
    """The operand in dtype d. A number stays one where NumPy takes it at d's width, else becomes a 0-d array."""
    if t is None:
        if d.category == 1 or d.category == 0:
            return CONST, xp.asarray(x).astype(d.np)
        if d.bits == 16:  # ml_dtypes' bfloat16 does not take numbers as weak
            return CONST, xp.asarray(float(x)).astype(d.np)
        return CONST, x if d.category == 3 else float(x)
    if x.dtype == d.np:
        return t, x
    if t._fn is not None and grad_mode.enabled:
        from .cast import to

        t = to(t, d)
        return t, t._a
    x = x.astype(d.np)
    return wrap(x), x


def operands(a, b, function: str, floating=False):
    """Two operands in their common dtype: (a, b, x, y) with CONST for the tensor of a Python number."""
    ta, x, da, ga = _classify(a, function, "input")
    tb, y, db, gb = _classify(b, function, "other")
    if ga == gb:
        d = dt.promote_types(da, db)
    elif ga < gb:
        d = da if da.category >= db.category else dt.combine(da, None, db)
    else:
        d = db if db.category >= da.category else dt.combine(db, None, da)
    if floating and d.category < 2:
        d = dt.get_default_dtype()
    if ta is None and tb is None:
        ta = wrap(xp.asarray(x, d.np))
        x = ta._a
    a, x = _converted(ta, x, d)
    b, y = _converted(tb, y, d)
    return a, b, x, y


def broadcast_error(x, y):
    """torch's message for shapes that do not broadcast."""
    sx, sy = getattr(x, "shape", ()), getattr(y, "shape", ())
    for i in range(-1, -min(len(sx), len(sy)) - 1, -1):
        if sx[i] != sy[i] and 1 not in (sx[i], sy[i]):
            return RuntimeError(
                f"The size of tensor a ({sx[i]}) must match the size of tensor b ({sy[i]}) at non-singleton dimension "
                f"{max(len(sx), len(sy)) + i}"
            )
    return RuntimeError(f"operands of shapes {sx} and {sy} do not broadcast")


def floating(t, function):
    """A Tensor as floating point: integers and bools become the default dtype."""
    a = t._a
    if a.dtype.kind in "iub":
        return wrap(a.astype(dt.get_default_dtype().np))
    return t


def dims_of(dim, ndim: int):
    """The argument `dim` of a reduction as None (all) or a sorted tuple of non-negative ints, without repeats."""
    if dim is None:
        return None
    if dim.__class__ is int:
        d = check_dim(dim, ndim)
        return (d,) if ndim else None
    if isinstance(dim, (tuple, list)):
        dims = tuple(check_dim(d, ndim) for d in dim)
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"dim {max(dims, key=dims.count)} appears multiple times in the list of dims")
        if not dims:
            return None
        return tuple(sorted(dims)) if ndim else None
    d = check_dim(dim, ndim)
    return (d,) if ndim else None


def write_out(out, result, *inputs):
    """The keyword `out`: result's values in `out`, resized where its shape differs. Raises where `out` overlaps itself
    or lies in the memory of one of `inputs`."""
    if not isinstance(out, Tensor):
        raise TypeError(f"argument 'out' must be Tensor, not {type(out).__name__}")
    if grad_mode.enabled and (out._fn is not None or result._fn is not None):
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )
    if result._a.dtype != out._a.dtype and not can_cast(result._a.dtype, out._a.dtype):
        raise RuntimeError(f"result type {result.dtype} can't be cast to the desired output type {out.dtype}")
    if xp.has_internal_overlap(out._a):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    if out._a.shape != result._a.shape:
        out._a = xp.on(out._a).empty(result._a.shape, out._a.dtype)
    for t in inputs:
        if xp.may_share_memory(out._a, t._a):
            raise RuntimeError(
                "unsupported operation: the written-to tensor 'out' and an input refer to the same memory. Please clone() "
                "the tensor before performing the operation."
            )
    out._a[...] = result._a
    out._bump()
    return out


_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}


def can_cast(source, target) -> bool:
    """torch's rule for writing: never to a lower category (float into int, int into bool)."""
    return _CATEGORY[source.kind] <= _CATEGORY[target.kind]


# ---------------------------------------------------------------- in place


def check_writable(t, region=None):
    """Raise where torch forbids an in-place change of `t` (of a part of its array, `region`)."""
    a = t._a
    fn = t._fn
    if grad_mode.enabled:
        root = t._view
        if fn is not None:
            if fn.leaf:
                raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
            if fn.meta == ONE_OF_MANY:
                raise RuntimeError(
                    f"Output 0 of {backward_name(fn)} is a view and is being modified inplace. This view is the output of a "
                    f"function that returns multiple views. Such functions do not allow the output views to be modified "
                    f"inplace. You should replace the inplace operation by an out-of-place one."
                )
        if root is not None and root._fn is not None:
            if root._fn.leaf:
                raise RuntimeError(
                    "a view of a leaf Variable that requires grad is being used in an in-place operation."
                )
            if fn is None:
                raise RuntimeError(
                    "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that "
                    "this use case is ambiguous and error-prone, it is forbidden. Create the view with grad mode enabled."
                )
    if t._ver.__class__ is InferenceVersion and not grad_mode.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal "
            "tensor before doing inplace update."
        )
    if region is not None:
        a = region
    if a.ndim and 0 in a.strides and xp.has_internal_overlap(a):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    if a.__class__ is _ndarray and not a.flags.writeable:
        raise RuntimeError("the tensor's memory is read-only (it came from a read-only array); clone() it first")


def check_overlap(t, other):
    """Raise where `other` names some of t's memory, but not all of it alike."""
    a, b = t._a, other._a
    if (
        other is not t
        and xp.may_share_memory(a, b)
        and not (xp.address(a) == xp.address(b) and a.shape == b.shape and a.strides == b.strides)
        and xp.shares_memory(a, b)
    ):
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
            "location. Please clone() the tensor before performing the operation."
        )


def check_result_cast(t, d):
    if t._a.dtype != d and not can_cast(d, t._a.dtype):
        raise RuntimeError(f"result type {dt.from_np(d)} can't be cast to the desired output type {t.dtype}")


def store(t, result):
    """t's memory takes the values of the Tensor `result` (broadcast to it), and t its place in the graph."""
    a, r = t._a, result._a
    check_result_cast(t, r.dtype)
    if r.shape != a.shape:
        raise RuntimeError(f"output with shape {list(a.shape)} doesn't match the broadcast shape {list(r.shape)}")
    a[...] = r
    t._bump()
    if result._fn is not None:
        fn = result._fn
        if r.dtype != a.dtype:
            from .cast import to

            with_dtype = wrap(r)
            with_dtype._fn = fn
            fn = to(with_dtype, t.dtype)._fn
        rebase(t, fn)
    return t


def snapshot(t):
    """A copy of t at its place in the graph: what an in-place op differentiates from."""
    s = wrap(t._a.copy())
    s._fn = t._fn
    return s


def in_place(t, op, *args, needs_copy=True):
    """t <- op(t, *args): computed apart, then stored."""
    check_writable(t)
    for v in args:
        if isinstance(v, Tensor) and v._ver is not None and v._ver is t._ver:
            check_overlap(t, v)
    if grad_mode.enabled and (t._fn is not None or any(isinstance(v, Tensor) and v._fn is not None for v in args)):
        source = snapshot(t) if needs_copy else alias(t)
        args = tuple(source if v is t else v for v in args)
        return store(t, op(source, *args))
    return store(t, op(alias(t) if t._fn is not None else t, *args))


def alias(t):
    """t's array at t's place in the graph, without its version: for ops whose rule does not read it."""
    s = wrap(t._a)
    s._fn = t._fn if grad_mode.enabled else None
    return s


# ---------------------------------------------------------------- views


def view_of(base, a):
    """A Tensor over `a`, a view of base's memory: shares base's version, and follows base's history."""
    t = wrap(a)
    version = shared_version(base)
    t._ver = version
    root = base._view
    t._view = base if root is None else root
    views = version.views
    if views is None:
        version.views = [weakref.ref(t)]
    else:
        if len(views) > 32:
            views = version.views = [r for r in views if r() is not None]
        views.append(weakref.ref(t))
    return t


class Geometry:
    """Where a view lies in its root: offset, sizes and strides, in elements of a C-contiguous array of root's shape, or
    as flat indices where the root is not contiguous."""

    __slots__ = ("root_shape", "shape", "offset", "strides", "flat")

    def __init__(self, root, view):
        self.root_shape, self.shape = root.shape, view.shape
        self.flat = None
        item = root.itemsize
        if root.flags.c_contiguous:
            self.offset = (xp.address(view) - xp.address(root)) // item if view.size else 0
            self.strides = tuple(s // item for s in view.strides)
            return
        # A numbered array with root's own layout: the same window of it names root's elements.
        low = sum(s * (n - 1) for s, n in zip(root.strides, root.shape, strict=True) if s < 0 and n)
        extent = sum(abs(s) * (n - 1) for s, n in zip(root.strides, root.shape, strict=True) if n)
        at = xp.on(root)
        memory = at.zeros(extent // item + 1, "int64")
        window = xp.as_strided(memory[-low // item :], root.shape, tuple(s // item * 8 for s in root.strides))
        window[...] = at.arange(root.size).reshape(root.shape)
        start = (xp.address(view) - xp.address(root) - low) // item if view.size else 0
        self.flat = xp.as_strided(memory[start:], view.shape, tuple(s // item * 8 for s in view.strides)).copy()

    def window(self, a):
        """The view's part of `a`, a C-contiguous array of root's shape, as a view."""
        item = a.itemsize
        return xp.as_strided(a.reshape(-1)[self.offset :], self.shape, tuple(s * item for s in self.strides))

    def read(self, a):
        if self.flat is not None:
            return a.reshape(-1)[self.flat]
        return self.window(xp.contiguous(a)).copy()

    def write(self, a, values):
        """`a` with `values` in the view's place, as a fresh array."""
        a = xp.contiguous_copy(a)
        if self.flat is not None:
            a.reshape(-1)[self.flat] = values
        elif self.window(a).size:
            self.window(a)[...] = values
        return a


def view_read(x, geometry):
    """The view's values of x, differentiable: what create_graph uses."""
    r = wrap(geometry.read(x._a))
    if x._fn is not None and grad_mode.enabled:
        record(r, as_strided_rule, (x._fn,), (geometry,), (None,))
    return r


def view_write(x, values, geometry):
    """x with `values` in the view's place, differentiable; values may be 0."""
    v = values._a if isinstance(values, Tensor) else values
    r = wrap(geometry.write(x._a, v))
    fv = values._fn if isinstance(values, Tensor) else None
    if (x._fn is not None or fv is not None) and grad_mode.enabled:
        record(r, copy_slices_rule, (x._fn, fv), (geometry,), (None,))
    return r


def as_strided_rule(k, dy, saved, needs):
    """A view of a root: its gradient in its place, zeros elsewhere."""
    (geometry,) = saved
    return (k.view_write(k.zeros(geometry.root_shape, dy.dtype), dy, geometry),)


def copy_slices_rule(k, dy, saved, needs):
    """A root of which a view was overwritten: nothing for what was there, the view's part for what was written."""
    (geometry,) = saved
    return (
        k.view_write(dy, 0, geometry) if needs[0] is not None else None,
        k.view_read(dy, geometry) if needs[1] is not None else None,
    )


def rebase(t, fn):
    """After an in-place change: t's history is `fn`; where t is a view its root gets a node that writes fn's result
    into it, and every other live view is read anew from the root."""
    root = t._view
    version = t._ver
    if root is None:
        t._fn = fn
        root = t
    else:
        record(root, copy_slices_rule, (root._fn, fn), (Geometry(root._a, t._a),), (None,))
    if version is None or version.views is None:
        return
    for ref in version.views:
        v = ref()
        if v is not None and v._view is root:
            record(v, as_strided_rule, (root._fn,), (Geometry(root._a, v._a),), (None,))


__all__ = ["CONST", "Node", "Version"]


def numpy_names(function, given, dim, keepdim, default=None):
    """dim and keepdim, of which some were `given` by NumPy's names: axis, keepdims. TypeError for other names, and where
    a dim besides the default was given too."""
    keepdim = given.pop("keepdims", keepdim)
    return numpy_dim(function, given, dim, default), keepdim


def numpy_dim(function, given, dim, default=None):
    """dim, or axis where that was `given`, as in numpy_names()."""
    if "axis" in given:
        axis = given.pop("axis")
        if dim is not default and dim != default:
            raise TypeError(f"{function}() got both dim={dim} and axis={axis}: give one of them")
        dim = axis
    for name in given:
        raise TypeError(f"{function}() got an unexpected keyword argument '{name}'")
    return dim


def missing_dim(function):
    return TypeError(f'{function}() missing 1 required positional arguments: "dim"')
