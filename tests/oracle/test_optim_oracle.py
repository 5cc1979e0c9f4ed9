"""fastnn.optim against torch.optim: parameters after steps, state dicts, representations, schedules."""

import numpy as np
import pytest
import torch

import fastnn

SHAPES = [(40, 33), (33,), (3, 5), (1,), ()]

OPTIMIZERS = {
    "SGD": lambda T, p: T.optim.SGD(p, 0.1),
    "SGD_default": lambda T, p: T.optim.SGD(p),
    "momentum": lambda T, p: T.optim.SGD(p, 0.1, 0.9, 0.1, 0.01),
    "nesterov": lambda T, p: T.optim.SGD(p, 0.1, 0.9, nesterov=True, maximize=True),
    "Adam": lambda T, p: T.optim.Adam(p),
    "Adam_decay": lambda T, p: T.optim.Adam(p, 1e-2, (0.8, 0.95), 1e-6, 0.1, True),
    "AdamW": lambda T, p: T.optim.AdamW(p, 1e-2),
    "AdamW_amsgrad": lambda T, p: T.optim.AdamW(p, 1e-2, (0.3, 0.5), amsgrad=True, maximize=True),
    "Adagrad": lambda T, p: T.optim.Adagrad(p),
    "Adagrad_decay": lambda T, p: T.optim.Adagrad(p, 0.1, 0.01, 0.1, 0.5),
    "RMSprop": lambda T, p: T.optim.RMSprop(p),
    "RMSprop_all": lambda T, p: T.optim.RMSprop(p, 1e-2, 0.9, 1e-6, 0.01, 0.9, True),
}


def arrays(seed, dtype):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(s)).astype(dtype) for s in SHAPES]


def params(T, dtype):
    return [T.from_numpy(a).requires_grad_() for a in arrays(0, dtype)]


def steps(T, ps, opt, dtype, first=1, n=6):
    for i in range(first, first + n):
        for k, (p, g) in enumerate(zip(ps, arrays(i, dtype), strict=True)):
            p.grad = None if k == 1 and i == 2 else T.from_numpy(g)  # one parameter misses one step
        opt.step()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps(name, dtype, table):
    ours, theirs = params(fastnn, dtype), params(torch, dtype)
    a, b = OPTIMIZERS[name](fastnn, ours), OPTIMIZERS[name](torch, theirs)
    assert repr(a) == repr(b)
    steps(fastnn, ours, a, dtype)
    steps(torch, theirs, b, dtype)
    tolerance = 2e-6 if dtype == "float32" else 1e-13
    for p, q in zip(ours, theirs, strict=True):
        q = q.detach().numpy()
        np.testing.assert_allclose(p.detach().numpy(), q, rtol=10 * tolerance, atol=tolerance)

    saved, other = a.state_dict(), b.state_dict()
    assert saved["param_groups"] == other["param_groups"]
    assert saved["state"].keys() == other["state"].keys()
    for k, s in other["state"].items():
        assert saved["state"][k].keys() == s.keys()
        for field, value in s.items():
            mine = saved["state"][k][field]
            if value is None:
                assert mine is None
                continue
            assert str(mine.dtype) == str(value.dtype) and tuple(mine.shape) == tuple(value.shape), field
            np.testing.assert_allclose(mine.numpy(), value.numpy(), rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_torch_state_continues_here(name, table):
    theirs = params(torch, "float32")
    b = OPTIMIZERS[name](torch, theirs)
    steps(torch, theirs, b, "float32", n=3)
    ours = [fastnn.from_numpy(p.detach().numpy().copy()).requires_grad_() for p in theirs]
    a = OPTIMIZERS[name](fastnn, ours)
    state = {
        k: {f: v if v is None else fastnn.from_numpy(np.array(v.numpy())) for f, v in s.items()}
        for k, s in b.state_dict()["state"].items()
    }
    a.load_state_dict({"state": state, "param_groups": b.state_dict()["param_groups"]})
    steps(fastnn, ours, a, "float32", first=4, n=3)
    steps(torch, theirs, b, "float32", first=4, n=3)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["SGD", "momentum", "nesterov"])
def test_sgd_has_torch_bits(name, table):
    """Where the CPU multiplies and adds in one rounding, as torch's kernels do."""
    if table.name == "numpy" or fastnn._cpu.isa() == "baseline":
        pytest.skip("this table rounds products")
    ours, theirs = params(fastnn, "float32"), params(torch, "float32")
    steps(fastnn, ours, OPTIMIZERS[name](fastnn, ours), "float32")
    steps(torch, theirs, OPTIMIZERS[name](torch, theirs), "float32")
    for p, q in zip(ours[:3], theirs[:3], strict=True):
        assert p.detach().numpy().tobytes() == q.detach().numpy().tobytes()


SCHEDULES = {
    "StepLR": lambda T, o: T.optim.lr_scheduler.StepLR(o, 4, 0.5),
    "MultiStepLR": lambda T, o: T.optim.lr_scheduler.MultiStepLR(o, [3, 5, 5], 0.1),
    "ExponentialLR": lambda T, o: T.optim.lr_scheduler.ExponentialLR(o, 0.9),
    "LambdaLR": lambda T, o: T.optim.lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + k)),
    "CosineAnnealingLR": lambda T, o: T.optim.lr_scheduler.CosineAnnealingLR(o, 5, 0.1),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore")
def test_schedules(name):
    rates = {}
    for T in (fastnn, torch):
        opt = T.optim.SGD([T.ones(1, requires_grad=True)], lr=0.7)
        schedule = SCHEDULES[name](T, opt)
        rates[T] = schedule.get_last_lr()
        for _ in range(25):
            opt.step()
            schedule.step()
            rates[T] = rates[T] + schedule.get_last_lr()
    assert rates[fastnn] == rates[torch]


@pytest.mark.parametrize("mode, threshold_mode", [("min", "rel"), ("max", "abs")])
def test_plateau(mode, threshold_mode):
    rates = {}
    metrics = np.random.default_rng(0).random(60).cumsum() * (-1 if mode == "min" else 1)
    metrics[20:] = metrics[20]
    for T in (fastnn, torch):
        opt = T.optim.SGD([T.ones(1, requires_grad=True)], lr=0.7)
        schedule = T.optim.lr_scheduler.ReduceLROnPlateau(
            opt, mode, 0.5, 3, threshold_mode=threshold_mode, cooldown=2, min_lr=0.01
        )
        rates[T] = []
        for m in metrics:
            schedule.step(float(m))
            rates[T].append(opt.param_groups[0]["lr"])
    assert rates[fastnn] == rates[torch]
