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
    "Adadelta": lambda T, p: T.optim.Adadelta(p),
    "Adadelta_all": lambda T, p: T.optim.Adadelta(p, 0.5, 0.8, 1e-3, 0.1, maximize=True),
    "Adamax": lambda T, p: T.optim.Adamax(p),
    "Adamax_all": lambda T, p: T.optim.Adamax(p, 0.1, (0.4, 0.9), 1e-3, 0.1, maximize=True),
    "NAdam": lambda T, p: T.optim.NAdam(p),
    "NAdam_all": lambda T, p: T.optim.NAdam(p, 0.1, (0.4, 0.9), 1e-3, 0.1, 0.1, maximize=True),
    "NAdam_decoupled": lambda T, p: T.optim.NAdam(p, 0.1, weight_decay=0.2, decoupled_weight_decay=True),
    "RAdam": lambda T, p: T.optim.RAdam(p),
    "RAdam_all": lambda T, p: T.optim.RAdam(p, 0.1, (0.4, 0.999), 1e-3, 0.1, maximize=True),
    "RAdam_decoupled": lambda T, p: T.optim.RAdam(p, 0.1, weight_decay=0.2, decoupled_weight_decay=True),
    "Rprop": lambda T, p: T.optim.Rprop(p),
    "Rprop_all": lambda T, p: T.optim.Rprop(p, 0.1, (0.3, 1.7), (0.05, 0.2), maximize=True),
    "ASGD": lambda T, p: T.optim.ASGD(p),
    "ASGD_all": lambda T, p: T.optim.ASGD(p, 0.1, 0.01, 0.5, 3, 0.1, maximize=True),
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
    "MultiplicativeLR": lambda T, o: T.optim.lr_scheduler.MultiplicativeLR(o, lambda k: 0.5 + 0.01 * k),
    "ConstantLR": lambda T, o: T.optim.lr_scheduler.ConstantLR(o, 0.3, 6),
    "LinearLR": lambda T, o: T.optim.lr_scheduler.LinearLR(o, 0.3, 0.8, 7),
    "PolynomialLR": lambda T, o: T.optim.lr_scheduler.PolynomialLR(o, 20, 1.5),
    "Restarts": lambda T, o: T.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 5, eta_min=0.1),
    "Restarts_longer": lambda T, o: T.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2),
    "CyclicLR": lambda T, o: T.optim.lr_scheduler.CyclicLR(o, 0.1, 0.9, 4, 3, cycle_momentum=False),
    "CyclicLR_momentum": lambda T, o: T.optim.lr_scheduler.CyclicLR(o, 0.1, [0.9], 4, mode="triangular2"),
    "CyclicLR_exp": lambda T, o: T.optim.lr_scheduler.CyclicLR(o, 0.1, 0.9, 3, mode="exp_range", gamma=0.9),
    "CyclicLR_own": lambda T, o: T.optim.lr_scheduler.CyclicLR(
        o, 0.1, 0.9, 3, scale_fn=lambda x: 1 / x if x else 1, scale_mode="iterations"
    ),
    "OneCycleLR": lambda T, o: T.optim.lr_scheduler.OneCycleLR(o, 0.9, 30),
    "OneCycleLR_linear": lambda T, o: T.optim.lr_scheduler.OneCycleLR(
        o, 0.9, epochs=5, steps_per_epoch=6, pct_start=0.2, anneal_strategy="linear", three_phase=True
    ),
    "SequentialLR": lambda T, o: T.optim.lr_scheduler.SequentialLR(
        o,
        [
            T.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=5),
            T.optim.lr_scheduler.ExponentialLR(o, 0.9),
            T.optim.lr_scheduler.CosineAnnealingLR(o, 7),
        ],
        [5, 12],
    ),
    "ChainedScheduler": lambda T, o: T.optim.lr_scheduler.ChainedScheduler(
        [T.optim.lr_scheduler.ConstantLR(o, 0.1, 4), T.optim.lr_scheduler.ExponentialLR(o, 0.9)]
    ),
}


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore")
def test_schedules(name, optimizer):
    """Rates, momenta and states step by step, also after the state went through state_dict half way."""
    seen = {}
    for T in (fastnn, torch):
        seen[T] = []
        options = {"momentum": 0.5} if optimizer == "SGD" else {}
        opt = getattr(T.optim, optimizer)([T.ones(1, requires_grad=True)], lr=0.7, **options)
        schedule = SCHEDULES[name](T, opt)
        for k in range(25):
            group = opt.param_groups[0]
            seen[T].append((schedule.get_last_lr(), group["lr"], group.get("momentum", group.get("betas"))))
            opt.step()
            schedule.step()
            if k == 12:
                saved, options = schedule.state_dict(), opt.state_dict()
                opt = getattr(T.optim, optimizer)([T.ones(1, requires_grad=True)], lr=0.7)
                schedule = SCHEDULES[name](T, opt)
                opt.load_state_dict(options)
                schedule.load_state_dict(saved)
    assert seen[fastnn] == seen[torch]


CLOSED = ["StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR", "ConstantLR", "LinearLR", "PolynomialLR"]


@pytest.mark.parametrize("name", [*CLOSED, "Restarts", "Restarts_longer"])
@pytest.mark.filterwarnings("ignore")
def test_schedules_at_an_epoch(name):
    seen = {}
    for T in (fastnn, torch):
        opt = T.optim.SGD([T.ones(1, requires_grad=True)], lr=0.7)
        schedule = SCHEDULES[name](T, opt)
        seen[T] = []
        for epoch in (3, 11, 0, 4.5 if "Restarts" in name else 4):
            schedule.step(epoch)
            seen[T].append(opt.param_groups[0]["lr"])
    assert seen[fastnn] == seen[torch]


def test_schedules_refuse_what_torchs_refuse():
    def attempts(T):
        S = T.optim.lr_scheduler
        o, other = (T.optim.SGD([T.ones(1, requires_grad=True)], lr=0.7, momentum=0.1) for _ in range(2))
        plain = T.optim.Adagrad([T.ones(1, requires_grad=True)])
        return [
            lambda: S.ConstantLR(o, 1.5),
            lambda: S.LinearLR(o, 0.0),
            lambda: S.LinearLR(o, 0.5, -0.1),
            lambda: S.CosineAnnealingWarmRestarts(o, 0),
            lambda: S.CosineAnnealingWarmRestarts(o, 3, 0.5),
            lambda: S.CyclicLR(o, 0.1, 0.2, mode="round"),
            lambda: S.CyclicLR(o, 0.1, [0.2, 0.3]),
            lambda: S.CyclicLR(plain, 0.1, 0.2),
            lambda: S.OneCycleLR(o, 0.1),
            lambda: S.OneCycleLR(o, 0.1, 0),
            lambda: S.OneCycleLR(o, 0.1, 10, pct_start=1.5),
            lambda: S.OneCycleLR(o, 0.1, 10, anneal_strategy="log"),
            lambda: S.OneCycleLR(plain, 0.1, 10),
            lambda: S.SequentialLR(o, [], []),
            lambda: S.SequentialLR(o, [S.ExponentialLR(o, 0.9)], [3]),
            lambda: S.SequentialLR(o, [S.ExponentialLR(other, 0.9)], []),
            lambda: S.SequentialLR(o, [S.ReduceLROnPlateau(o)], []),
            lambda: S.ChainedScheduler([]),
            lambda: S.MultiplicativeLR(o, 0.9),
        ]

    kinds = []
    for T in (fastnn, torch):
        kinds.append([])
        for attempt in attempts(T):
            with pytest.raises(Exception) as caught:
                attempt()
            kinds[-1].append(caught.type)
    assert kinds[0] == kinds[1]


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("problem", ["rosenbrock", "regression"])
def test_lbfgs(problem, search, dtype):
    """The way downhill, evaluation by evaluation."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 4)).astype(dtype), rng.standard_normal((30, 2)).astype(dtype)
    losses = {}
    for T in (fastnn, torch):
        if problem == "rosenbrock":
            ps = [T.from_numpy(np.array([-1.2, 1.0], dtype)).requires_grad_()]
        else:
            ps = [T.from_numpy(rng2.astype(dtype)).requires_grad_() for rng2 in (x[:4, :2] * 0.1, y[0] * 0.1)]
        lr = 0.001 if problem == "rosenbrock" and search is None else 1
        opt = T.optim.LBFGS(ps, lr=lr, max_iter=7, history_size=4, line_search_fn=search)
        seen = losses[T] = []

        def closure(T=T, opt=opt, ps=ps, seen=seen):
            opt.zero_grad()
            if problem == "rosenbrock":
                loss = 100 * (ps[0][1] - ps[0][0] ** 2) ** 2 + (1 - ps[0][0]) ** 2
            else:
                out = T.tanh(T.from_numpy(x) @ ps[0] + ps[1])
                loss = ((out - T.from_numpy(y)) ** 2).mean()
            loss.backward()
            seen.append(loss.item())
            return loss

        for _ in range(4):
            seen.append(opt.step(closure).item())
        state = opt.state_dict()["state"][0]
        seen.append((state["func_evals"], state["n_iter"]))
        losses[T, "keys"] = sorted(state)
    assert losses[fastnn, "keys"] == losses[torch, "keys"]
    if dtype == "float64":
        assert losses[fastnn][-1] == losses[torch][-1] and len(losses[fastnn]) == len(losses[torch])
        np.testing.assert_allclose(losses[fastnn][:-1], losses[torch][:-1], rtol=1e-9)
    else:  # roundings grow along the way, until the searches part
        np.testing.assert_allclose(losses[fastnn][:12], losses[torch][:12], rtol=1e-3)


def test_optimizers_refuse_what_torchs_refuse():
    def attempts(T):
        p = [T.ones(2, requires_grad=True)]
        O = T.optim  # noqa: E741, N806
        return [
            lambda: O.Adadelta(p, rho=1.1),
            lambda: O.Adamax(p, betas=(1.0, 0.9)),
            lambda: O.NAdam(p, momentum_decay=-0.1),
            lambda: O.RAdam(p, eps=-1),
            lambda: O.Rprop(p, etas=(1.1, 1.2)),
            lambda: O.ASGD(p, weight_decay=-1),
            lambda: O.LBFGS([{"params": p}, {"params": [T.ones(1, requires_grad=True)]}]),
            lambda: O.LBFGS(p, lr=-1),
            lambda: O.SparseAdam(p, lr=0),
        ]

    for ours, theirs in zip(attempts(fastnn), attempts(torch), strict=True):
        with pytest.raises(Exception) as theirs_raised:
            theirs()
        with pytest.raises(theirs_raised.type):
            ours()
    p = fastnn.ones(2, requires_grad=True)
    p.grad = fastnn.ones(2)
    with pytest.raises(RuntimeError, match="dense gradients"):
        fastnn.optim.SparseAdam([p]).step()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize(
    "name", ["SGD", "Adagrad", "SparseAdam", "Adam", "AdamW", "NAdam", "RMSprop", "ASGD", "Adadelta", "Adamax"]
)
def test_sparse_gradients(name):
    """Rows that a batch did not touch stay as they are, or the optimizer refuses."""
    results = []
    for T in (torch, fastnn):
        T.manual_seed(0)
        layer = T.nn.Embedding(7, 3, sparse=True)
        opt = getattr(T.optim, name)(layer.parameters(), lr=0.1)
        try:
            for ids in ([1, 2, 1], [5, 1, 0]):
                opt.zero_grad()
                layer(T.tensor(ids)).square().sum().backward()
                opt.step()
            results.append(layer.weight.detach().numpy())
        except RuntimeError as error:
            results.append(str(error))
    if isinstance(results[0], str):
        assert results[0] == results[1]
    else:
        np.testing.assert_allclose(*results, rtol=1e-6)


AVERAGES = {
    "mean": lambda S: {},
    "use_buffers": lambda S: {"use_buffers": True},
    "ema": lambda S: {"avg_fn": S.get_ema_avg_fn(0.9)},
    "ema_list": lambda S: {"multi_avg_fn": S.get_ema_multi_avg_fn(0.9), "use_buffers": True},
    "mean_list": lambda S: {"multi_avg_fn": S.get_swa_multi_avg_fn()},
}


@pytest.mark.parametrize("kind", AVERAGES)
def test_averaged_models(kind):
    """Weights, buffers, batch statistics and the annealed rate, step by step."""
    results = []
    for T in (torch, fastnn):
        S = __import__(f"{T.__name__}.optim.swa_utils", fromlist=["x"])
        T.manual_seed(0)
        model = T.nn.Sequential(T.nn.Linear(4, 3), T.nn.BatchNorm1d(3), T.nn.Linear(3, 1))
        opt = T.optim.SGD(model.parameters(), 0.1)
        rate = S.SWALR(opt, 0.02, anneal_epochs=3, anneal_strategy="linear" if kind == "ema" else "cos")
        average = S.AveragedModel(model, **AVERAGES[kind](S))
        batches = [T.randn(6, 4) for _ in range(5)]
        rates = []
        for x in batches:
            opt.zero_grad()
            model(x).square().mean().backward()
            opt.step()
            average.update_parameters(model)
            rate.step()
            rates.append(rate.get_last_lr()[0])
        before = [t.detach().numpy().copy() for t in average.state_dict().values()]
        S.update_bn([(x, 0) for x in batches], average)
        after = [t.detach().numpy() for t in average.state_dict().values()]
        results.append((rates, list(average.state_dict()), before, after))
    theirs, ours = results
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)
    assert ours[1] == theirs[1]
    for a, b in zip(ours[2] + ours[3], theirs[2] + theirs[3], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    for bad in ({"anneal_strategy": "x"}, {"anneal_epochs": -1}):
        for T in (torch, fastnn):
            S = __import__(f"{T.__name__}.optim.swa_utils", fromlist=["x"])
            with pytest.raises(ValueError, match="anneal"):
                S.SWALR(T.optim.SGD(T.nn.Linear(1, 1).parameters()), 0.1, **bad)
