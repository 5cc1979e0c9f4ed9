"""Optimizers: steps against float64 loops on every table, and the interface of fastnn.optim."""

import copy
import math
import pickle

import numpy as np
import pytest
from cases.optim import SHAPES

import fastnn
from fastnn import optim
from fastnn.optim import lr_scheduler

# ---- the steps, by one element at a time in Python's floats ----


def descended(p, g, weight_decay, maximize):
    return (-g if maximize else g) + weight_decay * p


def sgd(p, g, s, lr, momentum, dampening, weight_decay, nesterov, maximize, first_step):
    g = descended(p, g, weight_decay, maximize)
    if s:
        s[0] = g if first_step else momentum * s[0] + (1 - dampening) * g
        g = g + momentum * s[0] if nesterov else s[0]
    return p - lr * g


def adam(p, g, s, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize):
    if decoupled:
        p *= 1 - lr * weight_decay
    g = descended(p, g, 0 if decoupled else weight_decay, maximize)
    s[0] = beta1 * s[0] + (1 - beta1) * g
    s[1] = beta2 * s[1] + (1 - beta2) * g * g
    v = s[1]
    if len(s) == 3:
        v = s[2] = max(s[2], v)
    return p - lr / (1 - beta1**step) * s[0] / (math.sqrt(v) / math.sqrt(1 - beta2**step) + eps)


def adagrad(p, g, s, step, lr, lr_decay, weight_decay, eps, maximize):
    g = descended(p, g, weight_decay, maximize)
    s[0] += g * g
    return p - lr / (1 + (step - 1) * lr_decay) * g / (math.sqrt(s[0]) + eps)


def rmsprop(p, g, s, lr, alpha, eps, weight_decay, momentum, maximize, centered=False):
    g = descended(p, g, weight_decay, maximize)
    s[0] = alpha * s[0] + (1 - alpha) * g * g
    v = s[0]
    if centered:
        s[1] = alpha * s[1] + (1 - alpha) * g
        v -= s[1] * s[1]
    g = g / (math.sqrt(max(v, 0.0)) + eps)
    if momentum:
        s[-1] = momentum * s[-1] + g
        g = s[-1]
    return p - lr * g


def adadelta(p, g, s, lr, rho, eps, weight_decay, maximize):
    g = descended(p, g, weight_decay, maximize)
    s[0] = rho * s[0] + (1 - rho) * g * g
    delta = math.sqrt(s[1] + eps) / math.sqrt(s[0] + eps) * g
    s[1] = rho * s[1] + (1 - rho) * delta * delta
    return p - lr * delta


STEPS = {
    "sgd": (sgd, 0, (0.1, 0.0, 0.0, 0.0, False, False, False)),
    "sgd_decay_max": (sgd, 0, (0.1, 0.0, 0.0, 0.03, False, True, False)),
    "sgd_momentum": (sgd, 1, (0.1, 0.9, 0.2, 0.01, False, False, False)),
    "sgd_first": (sgd, 1, (0.1, 0.9, 0.2, 0.01, False, False, True)),
    "sgd_nesterov": (sgd, 1, (0.1, 0.9, 0.0, 0.0, True, False, False)),
    "sgd_nesterov_first": (sgd, 1, (0.1, 0.9, 0.0, 0.01, True, True, True)),
    "adam": (adam, 2, (3.0, 1e-3, 0.9, 0.999, 1e-8, 0.0, False, False)),
    "adam_decay": (adam, 2, (1.0, 1e-3, 0.9, 0.999, 1e-8, 0.1, False, True)),
    "adam_amsgrad": (adam, 3, (7.0, 1e-3, 0.4, 0.5, 1e-6, 0.1, False, False)),
    "adamw": (adam, 2, (2.0, 1e-2, 0.9, 0.999, 1e-8, 0.1, True, False)),
    "adagrad": (adagrad, 1, (3.0, 1e-2, 0.1, 0.01, 1e-10, False)),
    "adadelta": (adadelta, 2, (1.0, 0.9, 1e-6, 0.0, False)),
    "adadelta_decay": (adadelta, 2, (0.3, 0.8, 1e-3, 0.02, True)),
    "rmsprop": (rmsprop, 1, (1e-2, 0.99, 1e-8, 0.01, 0.0, False)),
    "rmsprop_momentum": (rmsprop, (True, False, True), (1e-2, 0.99, 1e-8, 0.0, 0.9, False)),
    "rmsprop_centered": (rmsprop, (True, True, True), (1e-2, 0.4, 1e-3, 0.01, 0.9, True)),
}


def present(name):
    """Which state lists the step takes: True given, False None."""
    rule, states, _ = STEPS[name]
    if isinstance(states, tuple):
        return states
    slots = {sgd: 1, adam: 3, adagrad: 1, adadelta: 2, rmsprop: 3}[rule]
    return tuple(i < states for i in range(slots))


def arguments(name, shapes, dtype, seed=0):
    rng = np.random.default_rng(seed)
    params = [np.asarray(rng.standard_normal(s)).astype(dtype) for s in shapes]
    grads = [np.asarray(rng.standard_normal(s)).astype(dtype) for s in shapes]
    states = []
    for there in present(name):
        fresh = [np.asarray(rng.random(s) + 1.5).astype(dtype) for s in shapes]
        states.append(fresh if there else None)
    if STEPS[name][0] is rmsprop and states[1] is not None:
        states[1] = [np.asarray(x - dtype(1.5)) for x in states[1]]  # the mean is below the root of the mean square
    return params, grads, states


def call(table, name, params, grads, states):
    rule, _, scalars = STEPS[name]
    getattr(table, f"{rule.__name__}_step")(params, grads, *states, *scalars)


def expected(name, params, grads, states):
    rule, _, scalars = STEPS[name]
    extra = {"centered": states[1] is not None} if rule is rmsprop else {}
    new = [np.empty(p.shape) for p in params]
    new_states = [None if s is None else [np.empty(x.shape) for x in s] for s in states]
    for i, p in enumerate(params):
        for index in np.ndindex(p.shape):
            s = [float(x[i][index]) for x in states if x is not None]
            new[i][index] = rule(float(p[index]), float(grads[i][index]), s, *scalars, **extra)
            for slot, value in zip([x for x in new_states if x is not None], s, strict=True):
                slot[i][index] = value
    return new, new_states


def assert_close(got, want, dtype):
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


SMALL = [(3, 5), (), (0, 4), (17,), (1,), (40, 33)]


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps(name, dtype, table):
    params, grads, states = arguments(name, SMALL, dtype)
    want, want_states = expected(name, params, grads, states)
    kept = [g.copy() for g in grads]
    call(table, name, params, grads, states)
    assert_close(params, want, dtype)
    for got, expect in zip(states, want_states, strict=True):
        if got is not None:
            assert_close(got, expect, dtype)
    for g, k in zip(grads, kept, strict=True):
        assert np.array_equal(g, k)


@pytest.mark.parametrize("name", STEPS)
def test_layouts_and_mixed_dtypes(name, table):
    """Transposed parameters, strided or unaligned gradients, two dtypes in one list: the values are the same."""
    params, grads, states = arguments(name, [(6, 4), (5,), (3, 3)], np.float32)
    want, want_states = expected(name, params, grads, states)
    params[0] = np.asfortranarray(params[0])
    grads[1] = np.repeat(grads[1], 2)[::2]
    raw = np.empty(37, np.uint8)[1:].view(np.float32).reshape(3, 3)
    raw[...] = grads[2]
    grads[2] = raw
    call(table, name, params, grads, states)
    assert_close(params, want, np.float32)

    params, grads, states = arguments(name, [(6, 4), (5,)], np.float32)
    for arrays in (params, grads, *[s for s in states if s is not None]):
        arrays[1] = arrays[1].astype(np.float64)
    want, want_states = expected(name, params, grads, states)
    call(table, name, params, grads, states)
    assert params[1].dtype == np.float64
    assert_close(params, want, np.float32)


def test_threads_do_not_change_bits(table):
    """The chunks are cut by shape alone; 'odd' has parameters on both sides of one chunk."""
    before = fastnn.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 5, 8):
            fastnn.set_num_threads(threads)
            digest = []
            for name in STEPS:
                params, grads, states = arguments(name, SHAPES["odd"] + [(300, 200)], np.float32)
                call(table, name, params, grads, states)
                digest += [p.tobytes() for p in params]
            digest += [table.grad_norm(grads, p).tobytes() for p in (1.0, 2.0, math.inf)]
            results.append(digest)
    finally:
        fastnn.set_num_threads(before)
    assert all(r == results[0] for r in results)


def test_grad_norm_and_scale(table):
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        grads = [np.asarray(rng.standard_normal(s)).astype(dtype) for s in SHAPES["odd"]]
        flat = np.concatenate([g.ravel() for g in grads]).astype(np.float64)
        for p in (1.0, 2.0, 3.0, math.inf):
            got = table.grad_norm(grads, p)
            assert isinstance(got, np.ndarray) and got.shape == () and got.dtype == dtype
            np.testing.assert_allclose(got, np.linalg.norm(flat, p), rtol=1e-6 if dtype == np.float32 else 1e-13)
        before = [g.copy() for g in grads]
        table.scale_(grads, 0.3)
        for g, b in zip(grads, before, strict=True):
            assert np.array_equal(g, b * dtype(0.3))
        strided = np.ones((4, 4), dtype)[:, ::2]
        table.scale_([strided, grads[0]], 2.0)
        assert (strided == 2).all()
        np.testing.assert_allclose(table.grad_norm([strided], 2.0), math.sqrt(32), rtol=1e-6)
    assert table.grad_norm([], 2.0) == 0
    big = [np.full(5, 3e30, np.float32)]
    np.testing.assert_allclose(table.grad_norm(big, 2.0), 3e30 * math.sqrt(5), rtol=1e-6)
    for p in (2.0, 1.0, math.inf):
        assert np.isnan(table.grad_norm([np.array([1, np.nan, 2], np.float32), np.ones(3, np.float32)], p))
        assert np.isinf(table.grad_norm([np.array([1, -np.inf, 2], np.float32)], p))


def test_native_arguments_are_checked():
    from fastnn import backend

    if "cpu" not in backend.available():
        pytest.skip("no compiled kernels")
    from fastnn import _cpu

    a, scalars = [np.zeros(3, np.float32)], (0.1, 0.0, 0.0, 0.0, False, False, False)
    with pytest.raises(ValueError, match="sgd_step"):
        _cpu.sgd_step(a, [], None, *scalars)
    with pytest.raises(ValueError, match="elements"):
        _cpu.sgd_step(a, [np.zeros(4, np.float32)], None, *scalars)
    with pytest.raises(TypeError, match="arrays"):
        _cpu.sgd_step(a, ["x"], None, *scalars)
    with pytest.raises(TypeError, match="lists"):
        _cpu.sgd_step(3, a, None, *scalars)
    locked = np.zeros(3, np.float32)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        _cpu.sgd_step([locked], a, None, *scalars)
    assert not _cpu.sgd_step([np.zeros(3, np.int32)], [np.zeros(3, np.int32)], None, *scalars)


# ---- fastnn.optim ----

OPTIMIZERS = {
    "SGD": lambda p, **o: optim.SGD(p, **{"lr": 0.1, "momentum": 0.9, **o}),
    "Adagrad": lambda p, **o: optim.Adagrad(p, **o),
    "RMSprop": lambda p, **o: optim.RMSprop(p, **{"momentum": 0.9, "centered": True, **o}),
    "Adam": lambda p, **o: optim.Adam(p, **o),
    "AdamW": lambda p, **o: optim.AdamW(p, **{"amsgrad": True, **o}),
}


def weights():
    fastnn.manual_seed(0)
    return [fastnn.randn(4, 3, requires_grad=True), fastnn.randn(3, requires_grad=True)]


def train(ps, opt, steps):
    for _ in range(steps):
        opt.zero_grad()
        sum((p * p).sum() for p in ps).backward()
        opt.step()
    return [p.detach().numpy().copy() for p in ps]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_descends_and_resumes(name, table):
    ps = weights()
    before = sum(float((p * p).sum()) for p in ps)
    opt = OPTIMIZERS[name](ps, lr=0.01)
    train(ps, opt, 3)
    assert sum(float((p * p).sum()) for p in ps) < before
    saved, values = copy.deepcopy(opt.state_dict()), [p.detach().clone() for p in ps]
    after = train(ps, opt, 3)

    again = [v.requires_grad_() for v in values]
    other = OPTIMIZERS[name](again, lr=5.0)
    other.load_state_dict(pickle.loads(pickle.dumps(saved)))
    assert other.param_groups[0]["lr"] == 0.01
    for a, b in zip(train(again, other, 3), after, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_parameters_with_gradients_move(name, table):
    a, b = weights()
    versions = a._version, b._version
    opt = OPTIMIZERS[name]([a, b])
    (a * a).sum().backward()
    before = b.detach().numpy().copy()
    opt.step()
    assert np.array_equal(b.detach().numpy(), before)
    assert (a._version, b._version) == (versions[0] + 1, versions[1])
    sum((p * p).sum() for p in (a, b)).backward()  # now their step counts differ
    opt.step()
    assert not np.array_equal(b.detach().numpy(), before)
    if name not in ("SGD",):
        assert float(opt.state[a]["step"]) == 2 and float(opt.state[b]["step"]) == 1


def test_step_is_noticed_by_backward():
    """A parameter changed by step() invalidates graphs that saved it."""
    (a, _), opt = (ps := weights()), optim.SGD(ps, lr=0.1)
    loss = (a * a).sum()
    loss.backward(retain_graph=True)
    opt.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_closure_hooks_and_zero_grad():
    ps = weights()
    opt = optim.SGD(ps, lr=0.1)
    seen = []
    handles = [
        opt.register_step_pre_hook(lambda o, args, kwargs: seen.append("pre")),
        opt.register_step_post_hook(lambda o, args, kwargs: seen.append("post")),
    ]

    def closure():
        opt.zero_grad()
        loss = (ps[0] * ps[0]).sum()
        loss.backward()
        seen.append("closure")
        return loss

    with fastnn.no_grad():
        first = float(opt.step(closure))
    assert float(opt.step(closure)) < first
    assert seen == ["pre", "closure", "post"] * 2
    for h in handles:
        h.remove()
    opt.step(closure)
    assert seen[6:] == ["closure"]
    opt.zero_grad(set_to_none=False)
    assert ps[0].grad is not None and float(ps[0].grad.abs().sum()) == 0
    opt.zero_grad()
    assert ps[0].grad is None
    opt.register_state_dict_post_hook(lambda o, d: {**d, "extra": 1})
    assert opt.state_dict()["extra"] == 1


def test_own_optimizer():
    """A subclass with a step of its own gets the hooks too."""

    class Halve(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

        def step(self, closure=None):
            with fastnn.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.mul_(0.5)

    p = fastnn.ones(3, requires_grad=True)
    opt = Halve([p])
    seen = []
    opt.register_step_post_hook(lambda *a: seen.append(1))
    opt.step()
    assert p.tolist() == [0.5] * 3 and seen == [1]


def test_groups_and_errors():
    a, b = weights()
    opt = optim.SGD([{"params": [a], "lr": 0.5}, {"params": b}], lr=0.1)
    assert [g["lr"] for g in opt.param_groups] == [0.5, 0.1]
    named = optim.Adam([("w", a), ("b", b)])
    assert named.param_groups[0]["param_names"] == ["w", "b"]
    assert named.state_dict()["param_groups"][0]["params"] == [0, 1]
    c = fastnn.ones(2, requires_grad=True)
    opt.add_param_group({"params": [c]})
    assert opt.state_dict()["param_groups"][2]["params"] == [2]
    for bad, error, match in (
        (lambda: optim.SGD(a), TypeError, "iterable"),
        (lambda: optim.SGD([]), ValueError, "empty"),
        (lambda: optim.SGD([3]), TypeError, "Tensors"),
        (lambda: optim.SGD([a * 2]), ValueError, "non-leaf"),
        (lambda: optim.SGD([{"params": {a}}]), TypeError, "ordered"),
        (lambda: optim.SGD([a], lr=-1), ValueError, "learning rate: -1"),
        (lambda: optim.SGD([a], momentum=-1), ValueError, "momentum value: -1"),
        (lambda: optim.SGD([a], nesterov=True), ValueError, "Nesterov"),
        (lambda: optim.Adam([a], betas=(1.0, 0.9)), ValueError, "index 0: 1.0"),
        (lambda: optim.Adam([a], eps=-1), ValueError, "epsilon"),
        (lambda: optim.Adam([a], weight_decay=-1), ValueError, "weight_decay"),
        (lambda: optim.Adagrad([a], lr_decay=-1), ValueError, "lr_decay"),
        (lambda: optim.RMSprop([a], alpha=-1), ValueError, "alpha"),
        (lambda: opt.add_param_group({"params": [a]}), ValueError, "more than one"),
        (lambda: opt.load_state_dict(named.state_dict()), ValueError, "different number"),
        (lambda: optim.Adam([a]).load_state_dict(named.state_dict()), ValueError, "size of optimizer's group"),
        (lambda: optim.Adam([a], differentiable=True), NotImplementedError, "differentiable"),
    ):
        with pytest.raises(error, match=match):
            bad()
    with pytest.warns(UserWarning, match="duplicate"):
        optim.SGD([a, a])


def test_repr_and_tensor_lr():
    (a, _) = weights()
    text = repr(optim.Adam([a]))
    assert text.startswith("Adam (\nParameter Group 0\n    amsgrad: False\n    betas: (0.9, 0.999)\n")
    assert text.endswith("    weight_decay: 0\n)")
    opt = optim.SGD([a], lr=fastnn.tensor(0.5))
    (a * 1.0).sum().backward()
    before = a.detach().clone()
    opt.step()
    assert np.array_equal(a.detach().numpy(), before.numpy() - np.float32(0.5))


def rates(make, steps=12, lr=0.8):
    opt = optim.SGD([fastnn.ones(1, requires_grad=True)], lr=lr)
    schedule = make(opt)
    out = [opt.param_groups[0]["lr"]]
    for _ in range(steps):
        schedule.step()
        out.append(opt.param_groups[0]["lr"])
    assert schedule.get_last_lr() == out[-1:]
    return out


def test_schedules():
    n = range(13)
    for make, want in (
        (lambda o: lr_scheduler.StepLR(o, 4, 0.5), [0.8 * 0.5 ** (k // 4) for k in n]),
        (lambda o: lr_scheduler.MultiStepLR(o, [3, 5, 5], 0.1), [0.8 * 0.1 ** ((k >= 3) + 2 * (k >= 5)) for k in n]),
        (lambda o: lr_scheduler.ExponentialLR(o, 0.9), [0.8 * 0.9**k for k in n]),
        (lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch)), [0.8 / (1 + k) for k in n]),
        (
            lambda o: lr_scheduler.CosineAnnealingLR(o, 5, 0.1),
            [0.1 + 0.7 * (1 + math.cos(math.pi * k / 5)) / 2 for k in n],
        ),
    ):
        np.testing.assert_allclose(rates(make), want, rtol=1e-12)


def test_schedule_state_and_plateau():
    opt = optim.SGD([fastnn.ones(1, requires_grad=True)], lr=1.0)
    a = lr_scheduler.StepLR(opt, 2, 0.1)
    a.step()
    saved = pickle.loads(pickle.dumps(a.state_dict()))
    b = lr_scheduler.StepLR(optim.SGD([fastnn.ones(1, requires_grad=True)], lr=1.0), 2, 0.1)
    b.load_state_dict(saved)
    b.step()
    assert b.get_last_lr() == [0.1]
    with pytest.raises(TypeError, match="not an Optimizer"):
        lr_scheduler.StepLR(3, 2)

    opt = optim.SGD([fastnn.ones(1, requires_grad=True)], lr=1.0)
    plateau = lr_scheduler.ReduceLROnPlateau(opt, patience=1, factor=0.5, cooldown=1)
    out = []
    for metric in (1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5):
        plateau.step(metric)
        out.append(opt.param_groups[0]["lr"])
    assert out == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
