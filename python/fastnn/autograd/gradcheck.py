"""gradcheck and gradgradcheck: the tape's derivatives against central differences, in float64."""

import math
import warnings

from .. import dtypes as dt
from ..backend import xp
from ..tensor import Tensor, wrap


class GradcheckError(RuntimeError):
    """A derivative differs from its numerical estimate, or a check could not be made."""


def _tuple(x):
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _outputs(func, inputs):
    """func's differentiable outputs."""
    return tuple(o for o in _tuple(func(*inputs)) if isinstance(o, Tensor) and o._a.dtype.kind in "fV")


def _numerical(func, inputs, wanted, eps):
    """For each input wanted and each output the matrix [input elements, output elements] of central differences."""
    from .grad_mode import no_grad

    def values():
        with no_grad():
            return [o._a.reshape(-1).astype("float64") for o in _outputs(func, inputs)]

    jacobians = []
    for i in wanted:
        a = inputs[i]._a
        if not a.flags.writeable:
            a = inputs[i]._a = a.copy()
        columns = None
        for n, at in enumerate(xp.ndindex(*a.shape)):
            before = a[at].item()
            a[at] = before + eps
            high = values()
            a[at] = before - eps
            low = values()
            a[at] = before
            if columns is None:
                columns = [xp.zeros((a.size, v.size), "float64") for v in high]
            for column, up, down in zip(columns, high, low, strict=True):
                column[n] = (up - down) / (2 * eps)
        jacobians.append(columns)
    return jacobians


def _analytical(outputs, inputs, wanted, index, scale=1.0):
    """For each input wanted the matrix [input elements, output elements] of outputs[index], row by row of backward."""
    from . import grad

    o = outputs[index]
    matrices = [xp.zeros((inputs[i]._a.size, o._a.size), "float64") for i in wanted]
    for n in range(o._a.size):
        seed = xp.zeros(o._a.size, o._a.dtype)
        seed[n] = scale
        found = grad(
            o, [inputs[i] for i in wanted], wrap(seed.reshape(o._a.shape)), retain_graph=True, allow_unused=True
        )
        for m, g, i in zip(matrices, found, wanted, strict=True):
            if g is not None:
                if g._a.shape != inputs[i]._a.shape:
                    raise GradcheckError(f"gradient {i} has shape {g.shape}, its input {inputs[i].shape}")
                m[:, n] = g._a.reshape(-1)
    return matrices


def _close(a, b, rtol, atol):
    """|a - b| <= atol + rtol·|b|, NaN equal to NaN."""
    same = (a == b) | (xp.isnan(a) & xp.isnan(b))
    return bool((same | (abs(a - b) <= atol + rtol * abs(b))).all())


def _checked_inputs(inputs):
    wanted = []
    for i, t in enumerate(inputs):
        if isinstance(t, Tensor) and t._fn is not None:
            if t.dtype not in (dt.float64, dt.complex128):
                warnings.warn(
                    f"Input #{i} requires gradient and is not a double precision floating point or complex. This "
                    "check will likely fail if all the inputs are not of double precision floating point or complex. ",
                    stacklevel=4,
                )
            if xp.has_internal_overlap(t._a):
                raise RuntimeError(
                    f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                    "non-overlapping"
                )
            if not t._fn.leaf:
                t.retain_grad()
            wanted.append(i)
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    return wanted


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Whether func's gradients equal central differences with step eps, within atol + rtol·|numerical|, for every input
    (float64) that requires one and every output. Raises GradcheckError where they do not, or returns False unless
    raise_exception. fast_mode is accepted, and the full check made."""
    if check_forward_ad or check_batched_grad:
        raise NotImplementedError("gradcheck: forward mode and batched gradients are not supported")
    try:
        inputs = _tuple(inputs)
        wanted = _checked_inputs(inputs)
        outputs = _outputs(func, inputs)
        if not any(o._fn is not None for o in outputs):
            _check_no_dependence(func, inputs, wanted, eps)
            return True
        numerical = _numerical(func, inputs, wanted, eps)
        for j, o in enumerate(outputs):
            if o._fn is None:
                analytical = again = [xp.zeros((inputs[i]._a.size, o._a.size), "float64") for i in wanted]
            else:
                analytical = _analytical(outputs, inputs, wanted, j)
                again = _analytical(outputs, inputs, wanted, j)
            for i, a, b, columns in zip(wanted, analytical, again, numerical, strict=True):
                if columns is None:
                    continue
                if a.size and float(abs(a - b).max()) > nondet_tol:
                    raise GradcheckError(
                        "Backward is not reentrant, i.e., running backward with same input and grad_output multiple "
                        "times gives different values, although analytical gradient matches numerical gradient.The "
                        f"tolerance for nondeterminism was {nondet_tol}."
                    )
                if not _close(a, columns[j], rtol, atol):
                    raise GradcheckError(
                        f"Jacobian mismatch for output {j} with respect to input "
                        f"{i},\nnumerical:{columns[j]}\nanalytical:{a}\n"
                    )
        if check_undefined_grad:
            _check_undefined(func, inputs, wanted)
        return True
    except GradcheckError:
        if raise_exception:
            raise
        return False


def _check_no_dependence(func, inputs, wanted, eps):
    for columns in _numerical(func, inputs, wanted, eps):
        if any((c != 0).any() for c in columns or ()):
            raise GradcheckError("Numerical gradient for function expected to be zero")


def _check_undefined(func, inputs, wanted):
    """A function of several outputs must take the absence of some of their gradients as zeros."""
    from . import grad

    outputs = [o for o in _outputs(func, inputs) if o._fn is not None]
    if len(outputs) < 2:
        return
    for o in outputs:
        zeros = wrap(xp.zeros(o._a.shape, o._a.dtype))
        alone = grad(o, [inputs[i] for i in wanted], zeros, retain_graph=True, allow_unused=True)
        for g in alone:
            if g is not None and (g._a != 0).any():
                raise GradcheckError(
                    "Expected all inputs to have zero gradient where the gradients of the outputs are zero"
                )


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=None,
):
    """gradcheck of func's gradients, as functions of its inputs and of grad_outputs (drawn where not given)."""
    from . import grad

    inputs = _tuple(inputs)
    if grad_outputs is None:
        made = []
        for o in _outputs(func, inputs):
            t = wrap(_spread(o._a.shape, o._a.dtype))
            if o._fn is not None:
                t.requires_grad_(True)
            made.append(t)
        grad_outputs = tuple(made)
    grad_outputs = _tuple(grad_outputs)
    n = len(inputs)

    def gradients(*arguments):
        given, starts = arguments[:n], arguments[n:]
        outputs = _outputs(func, given)
        pairs = [(o, s) for o, s in zip(outputs, starts, strict=True) if o._fn is not None]
        wanted = [t for t in given if isinstance(t, Tensor) and t._fn is not None]
        found = grad([o for o, _ in pairs], wanted, [s for _, s in pairs], create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        _with_grad(gradients),
        inputs + grad_outputs,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
    )


def _with_grad(function):
    """function with recording on, also inside the numerical estimate."""
    from .grad_mode import enable_grad

    def run(*arguments):
        with enable_grad():
            return function(*arguments)

    return run


def _spread(shape, d):
    """Fixed numbers without pattern in [-1, 1]: the check draws nothing from the user's generator."""
    n = math.prod(shape)
    return xp.asarray([math.sin(1.7 + 2.3 * i * (i + 1)) for i in range(n)], d).reshape(shape)
