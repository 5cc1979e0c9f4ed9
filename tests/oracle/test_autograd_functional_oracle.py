"""torch.autograd.functional: values, forms and refusals against torch's."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastnn  # noqa: E402

FUNCTIONS = {
    "vector": (lambda t, x: (x**3).sin() * x.sum(), [(3,)]),
    "two inputs": (lambda t, x, y: (x.unsqueeze(1) * y).exp(), [(2,), (2, 3)]),
    "two outputs": (lambda t, x, y: (x * y.sum(0), x.sum() * 2.0), [(3,), (2, 3)]),
    "one unused": (lambda t, x, y: x**2, [(2,), (3,)]),
    "number": (lambda t, x: x**2 + x, [()]),
}
SCALARS = {
    "one": (lambda t, x: (x**3).sum() * x[0].sin(), [(3,)]),
    "two": (lambda t, x, y: (x @ y).tanh().sum() + (x**2).sum(), [(2, 3), (3,)]),
    "linear in one": (lambda t, x, y: (x**2).sum() + y.sum(), [(2,), (2,)]),
    "number": (lambda t, x: x**4, [()]),
}


def flat(x):
    if isinstance(x, tuple):
        return [("tuple", len(x))] + [v for part in x for v in flat(part)]
    return [x.detach().numpy()]


def same(ours, theirs):
    ours, theirs = flat(ours), flat(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(a, tuple):
            assert a == b
        else:
            assert a.shape == b.shape and a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def both(name, function, arrays, *rest):
    """The result of each; `rest` are arrays (or tuples of them) to hand over as tensors."""
    out = []
    for t in (fastnn, torch):

        def tensors(x, t=t):
            return tuple(map(tensors, x)) if isinstance(x, tuple) else t.tensor(x)

        inputs = tensors(tuple(arrays)) if len(arrays) > 1 else tensors(arrays[0])
        f = getattr(t.autograd.functional, name)
        out.append(f(lambda *x, t=t: function(t, *x), inputs, *(tensors(r) for r in rest)))
    return out


def arrays_of(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in shapes]


@pytest.mark.parametrize("case", FUNCTIONS)
def test_jacobian_vjp_jvp(case):
    function, shapes = FUNCTIONS[case]
    arrays = arrays_of(shapes)
    same(*both("jacobian", function, arrays))
    direction = arrays_of(shapes, 1)
    same(*both("jvp", function, arrays, tuple(direction) if len(shapes) > 1 else direction[0]))
    outputs = function(torch, *map(torch.tensor, arrays))
    single = not isinstance(outputs, tuple)
    v = arrays_of([o.shape for o in ((outputs,) if single else outputs)], 2)
    same(*both("vjp", function, arrays, v[0] if single else tuple(v)))


@pytest.mark.parametrize("case", SCALARS)
def test_hessian_and_its_products(case):
    function, shapes = SCALARS[case]
    arrays = arrays_of(shapes)
    same(*both("hessian", function, arrays))
    v = arrays_of(shapes, 1)
    for name in ("vhp", "hvp"):
        same(*both(name, function, arrays, tuple(v) if len(shapes) > 1 else v[0]))


def test_create_graph_goes_on():
    for t in (fastnn, torch):
        x = t.tensor([1.0, 2.0], requires_grad=True)
        t.autograd.functional.jacobian(lambda x: x**3, x, create_graph=True).sum().backward()
        assert x.grad.tolist() == [6.0, 12.0]
        y = t.tensor([1.0, 2.0], requires_grad=True)
        t.autograd.functional.hessian(lambda y: (y**3).sum(), y, create_graph=True).sum().backward()
        assert y.grad.tolist() == [6.0, 6.0]
        assert not t.autograd.functional.jacobian(lambda x: x**3, x).requires_grad


def test_refusals():
    for t in (fastnn, torch):
        f = t.autograd.functional
        x = t.ones(2)
        with pytest.raises(RuntimeError, match="single element"):
            f.hessian(lambda x: x, x)
        with pytest.raises(RuntimeError, match="can only be None"):
            f.vjp(lambda x: x, x)
        with pytest.raises(RuntimeError):
            f.vjp(lambda x: x, x, t.ones(3))
        with pytest.raises(RuntimeError):
            f.jacobian(lambda x, t=t: t.ones(2), x, strict=True)
        with pytest.raises(TypeError):
            f.jacobian(lambda x: x, 1.0)
