"""torch.func against torch: functions of functions, one text run on both, results compared."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch.func")

import fastnn  # noqa: E402
from fastnn.utils._pytree import tree_leaves  # noqa: E402

torch.set_num_threads(1)


def data(T, *shape, seed=0):
    return T.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def per_sample(T):
    T.manual_seed(0)
    model = T.nn.Linear(4, 3).double()
    parameters = {k: v.detach() for k, v in model.named_parameters()}

    def loss(p, x, y):
        out = T.func.functional_call(model, p, (x.unsqueeze(0),))
        return T.nn.functional.cross_entropy(out, y.unsqueeze(0))

    x, y = data(T, 5, 4), T.tensor([0, 2, 1, 1, 0])
    slopes = T.func.vmap(T.func.grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    return [slopes["weight"], slopes["bias"], T.func.grad_and_value(loss)(parameters, x[0], y[0])[1]]


def ensemble(T):
    T.manual_seed(0)
    models = [T.nn.Linear(4, 3).double() for _ in range(3)]
    parameters, buffers = T.func.stack_module_state(models)
    call = T.func.vmap(lambda p, b, x: T.func.functional_call(models[0], (p, b), (x,)), in_dims=(0, 0, None))
    y = call(parameters, buffers, data(T, 5, 4))
    y.sin().sum().backward()
    return [y, parameters["weight"].grad, parameters["bias"].grad]


def with_a_graph_outside(T):
    w = T.ones(2, dtype=T.float64, requires_grad=True)
    r = T.func.grad(lambda x: (x * x * w).sum())(data(T, 2))
    assert r.requires_grad
    r.sum().backward()
    return [r, w.grad]


def pulled(T):
    x = data(T, 3)
    value, pull, aux = T.func.vjp(lambda a, b: ({"r": a * b, "s": a.sum()}, b + 1), x, x + 2, has_aux=True)
    return [value["r"], value["s"], aux, *pull({"r": x, "s": T.tensor(2.0, dtype=T.float64)})]


CASES = {
    "grad": lambda T: [T.func.grad(lambda x: (x**3).sum())(data(T, 4)), T.func.grad(T.func.grad(T.sin))(data(T))],
    "argnums": lambda T: T.func.grad(lambda x, y: (x * y * y).sum(), argnums=(0, 1))(data(T, 3), data(T, 3, seed=1)),
    "aux": lambda T: T.func.grad(lambda x: ((x**2).sum(), x + 1), has_aux=True)(data(T, 3)),
    "jacrev": lambda T: T.func.jacrev(lambda x: T.stack([x.sum(), (x**2).sum()]))(data(T, 4)),
    "jacrev of two": lambda T: T.func.jacrev(lambda x, y: (x.outer(y), y.sum()), argnums=(0, 1))(
        data(T, 2), data(T, 3)
    ),  # fmt: skip
    "jacfwd": lambda T: T.func.jacfwd(T.sin)(data(T, 3)),
    "hessian": lambda T: T.func.hessian(lambda x: (x**3).sum() * x[0])(data(T, 3)),
    "jvp": lambda T: T.func.jvp(lambda a, b: a.sin() * b, (data(T, 3), data(T, 3, seed=1)), (data(T, 3), data(T, 3))),
    "vmap": lambda T: [
        T.vmap(T.dot)(data(T, 3, 2), data(T, 3, 2)),
        T.vmap(lambda a: a.sum(), in_dims=1)(data(T, 3, 2)),
        T.vmap(lambda a, b: (a, a * b), in_dims=(0, None), out_dims=(0, 1))(data(T, 2, 3), 2.0),
        T.vmap(lambda d: d["a"] + d["b"])({"a": data(T, 4), "b": data(T, 4)}),
        T.vmap(T.vmap(T.dot))(data(T, 2, 3, 4), data(T, 2, 3, 4)),
        T.vmap(T.func.jacrev(lambda a: a * a))(data(T, 2, 3)),
    ],
    "vjp": pulled,
    "per sample": per_sample,
    "ensemble": ensemble,
    "graph outside": with_a_graph_outside,
}


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    ours, theirs = (tree_leaves(CASES[name](T)) for T in (fastnn, torch))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.requires_grad == b.requires_grad
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.func.grad(T.sin)(T.ones(2)),
        lambda T: T.func.grad(lambda x: 3)(T.ones(2)),
        lambda T: T.func.grad(T.sin, argnums=1)(T.ones(())),
        lambda T: T.vmap(T.sin)(3.0),
        lambda T: T.vmap(T.add)(T.ones(2), T.ones(3)),
        lambda T: T.vmap(T.add, in_dims=(None, None))(T.ones(2), T.ones(2)),
        lambda T: T.vmap(lambda x: 3)(T.ones(2)),
        lambda T: T.vmap(T.sin, in_dims=2)(T.ones(2)),
        lambda T: T.vmap(T.sin, randomness="no")(T.ones(2)),
        lambda T: T.func.stack_module_state([]),
    ],
)
def test_errors(call):
    kinds = []
    for T in (torch, fastnn):
        with pytest.raises((ValueError, RuntimeError)) as error:
            call(T)
        kinds.append(error.type)
    assert kinds[0] is kinds[1]
