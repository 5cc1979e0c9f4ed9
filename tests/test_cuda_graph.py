"""Recorded steps: fastnn.cuda.graph against the same steps uncaptured, bit for bit; without a GPU over the stand-in for CuPy,
which notes launches down and runs them again (tests/emulation/capture.py)."""

import emulation
import numpy as np
import pytest

import fastnn as T
from fastnn import nn
from fastnn.nn import functional as F

STEPS = 7


@pytest.fixture(autouse=True, scope="module")
def device():
    emulation.install()
    from fastnn.backend import cuda_runtime

    if cuda_runtime.native is None:
        pytest.skip("the emulated kernels were not built: cmake -DFASTNN_CUDA=EMU")
    yield
    emulation.uninstall()


def mlp():
    return nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.BatchNorm1d(9), nn.Linear(9, 4))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3)
        self.drop, self.f1, self.f2 = nn.Dropout(0.4), nn.Linear(16, 8), nn.Linear(8, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.avg_pool2d(F.relu(self.c2(x)), 2)
        return self.f2(self.drop(F.relu(self.f1(self.drop(x.flatten(1))))))


MODELS = {"mlp": (mlp, (5, 6)), "lenet": (LeNet, (3, 1, 12, 12))}
OPTIMIZERS = {
    "momentum": lambda p: T.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3, nesterov=True),
    "sgd": lambda p: T.optim.SGD(p, lr=0.05),
    "adam": lambda p: T.optim.Adam(p, lr=3e-3, amsgrad=True),
    "adamw": lambda p: T.optim.AdamW(p, lr=3e-3, weight_decay=0.1),
    "adagrad": lambda p: T.optim.Adagrad(p, lr=0.02, lr_decay=0.1),
    "rmsprop": lambda p: T.optim.RMSprop(p, lr=1e-3, momentum=0.5, centered=True),
    "adadelta": lambda p: T.optim.Adadelta(p, lr=0.3, weight_decay=0.01),
    "adamax": lambda p: T.optim.Adamax(p, lr=0.02, maximize=True),
    "nadam": lambda p: T.optim.NAdam(p, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "radam": lambda p: T.optim.RAdam(p, lr=0.02, betas=(0.9, 0.99), weight_decay=0.1),
    "asgd": lambda p: T.optim.ASGD(p, lr=0.05, t0=3.0, lambd=0.1, weight_decay=0.01),
    "rprop": lambda p: T.optim.Rprop(p, lr=0.01),
}


def setup(model, optimizer):
    make, shape = MODELS[model]
    T.manual_seed(3)
    net = make().cuda()
    opt = OPTIMIZERS[optimizer](net.parameters())
    batches = [(T.randn(shape).cuda(), T.randint(0, 4, shape[:1]).cuda()) for _ in range(STEPS)]

    def step(x, y):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        return loss

    return net, opt, batches, step


def everything(net, opt):
    found = {k: v.cpu().numpy() for k, v in net.state_dict().items()}
    for i, s in opt.state_dict()["state"].items():
        found.update({f"{i}.{k}": v.cpu().numpy() for k, v in s.items()})
    found["rng"] = T.cuda.get_rng_state().numpy()
    found.update({f"grad {i}": p.grad.cpu().numpy() for i, p in enumerate(net.parameters()) if p.grad is not None})
    return found


def trained(model, optimizer, captured, between=None):
    net, opt, batches, step = setup(model, optimizer)
    if captured:
        step = T.cuda.graph(step)
    T.cuda.manual_seed(17)
    losses = []
    for i, batch in enumerate(batches):
        losses.append(step(*batch))
        if between is not None:
            between(i, opt)
    if captured:
        assert step._recording.graph.launches == STEPS - 2
    return [v.item() for v in losses], everything(net, opt)


def assert_same(model, optimizer, between=None):
    want, state = trained(model, optimizer, False, between)
    got, other = trained(model, optimizer, True, between)
    assert got == want and len(set(want)) == STEPS
    assert state.keys() == other.keys()
    for name, a in state.items():
        np.testing.assert_array_equal(other[name], a, err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_mlp_trains_as_uncaptured(optimizer):
    assert_same("mlp", optimizer)


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_lenet_with_dropout_trains_as_uncaptured(optimizer):
    assert_same("lenet", optimizer)


def test_a_learning_rate_that_changes():
    """By hand, and by a scheduler."""

    def by_hand(i, opt):
        opt.param_groups[0]["lr"] = 3e-3 / (i + 1)

    assert_same("mlp", "adam", by_hand)
    assert_same("mlp", "nadam", by_hand)
    schedules = {}

    def by_scheduler(i, opt):
        schedules.setdefault(id(opt), T.optim.lr_scheduler.StepLR(opt, 2, 0.5)).step()

    assert_same("mlp", "momentum", by_scheduler)


def test_random_states_between_replays():
    """manual_seed, set_rng_state and draws outside of the step take effect at the next replay."""
    drop = T.cuda.graph(lambda x: (F.dropout(x, 0.5), T.rand(3, device="cuda") + T.randn(3, device="cuda")))
    x = T.ones(23, device="cuda")
    T.cuda.manual_seed(5)
    a = [[t.tolist() for t in drop(x)] for _ in range(5)]
    assert len({str(v) for v in a}) == 5
    T.cuda.manual_seed(5)
    assert [[t.tolist() for t in drop(x)] for _ in range(5)] == a
    T.cuda.manual_seed(5)
    drop(x)
    state = T.cuda.get_rng_state()
    T.rand(1000, device="cuda")
    assert [t.tolist() for t in drop(x)] != a[1]
    T.cuda.set_rng_state(state)
    assert [[t.tolist() for t in drop(x)] for _ in range(4)] == a[1:]
    g = T.Generator("cuda").manual_seed(2**64 - 3)
    own = T.cuda.graph(lambda x: x + T.rand(4, device="cuda", generator=g))
    b = [own(x[:4]).tolist() for _ in range(4)]
    g.manual_seed(2**64 - 3)
    assert [own(x[:4]).tolist() for _ in range(4)] == b


def test_embeddings_clipping_and_gradients_that_add_up():
    """Sums over a batch cut in two recorded parts, the norm clipped in the step, the update outside."""

    def run(captured):
        T.manual_seed(1)
        net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).cuda()
        opt = T.optim.SGD(net.parameters(), lr=0.3, momentum=0.5)

        def part(x, y):
            loss = F.mse_loss(net(x), y)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(net.parameters(), 0.05)
            return {"loss": loss, "norm": norm}

        part = T.cuda.graph(part) if captured else part
        found = []
        for _ in range(4):
            opt.zero_grad(set_to_none=False)
            for _ in range(2):
                r = part(T.randn(5, 4).cuda(), T.randn(5, 3).cuda())
                found += [r["loss"].item(), r["norm"].item()]
            opt.step()
        return found, [p.tolist() for p in net.parameters()]

    assert run(True) == run(False)


def test_gradients_must_be_as_they_were():
    w = nn.Parameter(T.ones(3, device="cuda"))

    def step(x):
        (w * x).sum().backward()

    x = T.ones(3, device="cuda")
    adds = T.cuda.graph(step)
    for _ in range(4):
        adds(x)
    assert w.grad.tolist() == [4.0] * 3
    w.grad = None
    with pytest.raises(RuntimeError, match="a gradient that has been replaced"):
        adds(x)
    fresh = T.cuda.graph(step)
    for _ in range(4):
        w.grad = None
        fresh(x)
    assert w.grad.tolist() == [1.0] * 3
    with pytest.raises(RuntimeError, match="recorded while gradients were None"):
        fresh(x)


def test_what_changes_between_replays_and_must_not():
    net, opt, batches, step = setup("mlp", "adam")
    step = T.cuda.graph(step)
    for x, y in batches[:4]:
        step(x, y)
    x, y = batches[0]
    for args, text in (
        ((x[:3], y), r"argument 0 was \[5, 6\] torch.float32 on cuda:0 when the step was recorded, and is \[3, 6\]"),
        ((x, y.int()), r"argument 1 was \[5\] torch.int64 on cuda:0 .* is \[5\] torch.int32"),
        ((x.double(), y), "argument 0"), ((x.cpu(), y), "on cpu"), ((x,), "in number or structure"), ((x, 3), "and is 3"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=text):
            step(*args)
    before = step(x, y)
    assert before.is_cuda and not before.requires_grad
    kept = before.item()
    step(x, y)
    assert before.item() == kept  # a copy
    opt.param_groups[0]["betas"] = (0.5, 0.9)
    with pytest.raises(RuntimeError, match=r"group\['betas'\] of Adam was \(0.9, 0.999\) .* only 'lr' may change"):
        step(x, y)
    opt.param_groups[0]["betas"] = (0.9, 0.999)
    step(x, y)
    opt.load_state_dict(opt.state_dict())
    with pytest.raises(RuntimeError, match="load_state_dict"):
        step(x, y)
    step.reset()
    for _ in range(3):
        step(x, y)
    net[0].weight.data = net[0].weight.data.clone()
    with pytest.raises(RuntimeError, match=r"a parameter of shape \[9, 6\] has other memory"):
        step(x, y)
    scaled = T.cuda.graph(lambda x, s: x * s)
    assert [scaled(x, 2.0).sum().item() for _ in range(4)] == [(x * 2).sum().item()] * 4
    with pytest.raises(RuntimeError, match="argument 1 was 2.0 when the step was recorded, and is 3.0"):
        scaled(x, 3.0)
    with pytest.raises(RuntimeError, match="argument 0 requires a gradient"):
        T.cuda.graph(lambda x: x * 2, warmup=0)(x.clone().requires_grad_())
    with pytest.raises(RuntimeError, match="argument 0 is a tensor on cpu"):
        T.cuda.graph(lambda x: x * 2, warmup=0)(x.cpu())


REFUSED = {
    "item": (lambda x, w: x.sum().item(), "Tensor.item at .*test_cuda_graph.py.* needs values on the host"),
    "print": (lambda x, w: print(x), r"Tensor.__repr__|Tensor.__format__|tensor_str"),
    "tolist": (lambda x, w: x.tolist(), "Tensor.tolist"),
    "cpu": (lambda x, w: x.cpu(), "cpu.* needs values on the host"),
    "branch": (lambda x, w: x if x.sum() > 0 else -x, "Tensor.__bool__"),
    "nonzero": (lambda x, w: x.nonzero(), "nonzero"),
    "mask": (lambda x, w: x[x > 0], "getitem at"),
    "unique": (lambda x, w: T.unique(x), "unique"),
    "upload": (lambda x, w: x + T.tensor([1.0, 2.0, 3.0]).cuda(), "copies from the host to the device"),
    "constant": (lambda x, w: x + T.tensor([1.0, 2.0, 3.0], device="cuda"), "pass them to the step as arguments"),
    "synchronize": (lambda x, w: T.cuda.synchronize(), "synchronize at .* waits for the device"),
    "host draw": (lambda x, w: x + T.rand(3).sum().item(), "drawn from the CPU's generator"),
    "seed": (lambda x, w: T.cuda.manual_seed(1), "manual_seed happens on the host"),
    "poisson": (lambda x, w: T.poisson(x.abs()), "poisson at .* needs values on the host"),
    "host result": (lambda x, w: T.zeros(2), "returns a tensor in host memory"),
    "a bug": (lambda x, w: x @ T.ones(7, device="cuda"), "size mismatch|inconsistent|cannot be multiplied"),
    "another optimizer": (lambda x, w: T.optim.LBFGS([w]).step(lambda: w.sum()), "LBFGS.step.. computes with numbers of the host"),
    "no warm-up": (lambda x, w: T.optim.Adam([w]).step(), "Adam made its state .* run the step at least once before"),
    "scheduler": (
        lambda x, w: T.optim.lr_scheduler.StepLR(T.optim.SGD([w]), 1).step(), "StepLR.step.. counts on the host"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_recorded(case, capsys):
    """It raises, names what and what would do, and leaves the device, gradients and counts as they were."""
    from fastnn.backend import cuda_runtime

    function, text = REFUSED[case]
    w = nn.Parameter(T.ones(3, device="cuda"))
    w.grad = T.ones(3, device="cuda")
    opt = T.optim.Adam([w], lr=0.1)
    opt.step()
    T.cuda.manual_seed(4)
    x, state, before = T.randn(3, device="cuda"), T.cuda.get_rng_state(), w.tolist()

    def step(x):
        F.dropout(w * x, 0.5).sum().backward()
        opt.step()
        return function(x, w)

    captured = T.cuda.graph(step, warmup=0)
    for _ in range(2):
        with pytest.raises((RuntimeError, ValueError), match=text):
            captured(x)
        assert cuda_runtime.capture is None and not T.cuda.is_current_stream_capturing()
        assert T.cuda.current_stream() == T.cuda.default_stream()
        assert T.equal(T.cuda.get_rng_state(), state) and w.tolist() == before and w.grad.tolist() == [1.0] * 3
        assert opt.state[w]["step"].item() == 1
    works = T.cuda.graph(lambda x: F.dropout(x, 0.5) * 2, warmup=0)
    assert T.equal(works(x), F.dropout(x, 0.5) * 2) is False  # another draw
    T.cuda.set_rng_state(state)
    a = works(x)
    T.cuda.set_rng_state(state)
    assert T.equal(a, F.dropout(x, 0.5) * 2)


def test_indices_out_of_bounds_raise_later():
    loss = T.cuda.graph(lambda x, y: F.cross_entropy(x, y, reduction="none", ignore_index=-1))
    x, y = T.randn(4, 3, device="cuda"), T.tensor([0, 1, 2, -1], device="cuda")
    want = F.cross_entropy(x, y, reduction="none", ignore_index=-1)
    for _ in range(4):
        assert T.equal(loss(x, y), want)
    loss.check()
    bad = T.tensor([0, 3, 2, -1], device="cuda")
    assert (loss(x, bad) == want).tolist() == [True, False, True, True]
    with pytest.raises(IndexError, match="cross_entropy: a target was out of bounds for 3 classes"):
        loss.check()
    loss.check()
    table = T.randn(5, 2, device="cuda")
    look_up = T.cuda.graph(lambda i: F.embedding(i, table))
    for _ in range(3):
        assert T.equal(look_up(T.tensor([4, 0], device="cuda")), table[[4, 0]])
    look_up(T.tensor([5, 0], device="cuda"))
    with pytest.raises(IndexError, match="embedding: an index was out of range for 5 rows"):
        T.cuda.synchronize()
    with pytest.raises(IndexError):  # without being asked
        for _ in range(40):
            loss(x, bad)


def test_torchs_names():
    """with torch.cuda.graph(g): the body is recorded and not run; replays work on the same memory."""
    net, opt, batches, step = setup("lenet", "adam")
    want = trained("lenet", "adam", False)
    T.cuda.manual_seed(17)
    s = T.cuda.Stream()
    s.wait_stream(T.cuda.current_stream())
    losses = []
    with T.cuda.stream(s):
        losses += [step(*batches[i]).item() for i in range(2)]
    T.cuda.current_stream().wait_stream(s)
    x, y = batches[2][0].clone(), batches[2][1].clone()
    g = T.cuda.CUDAGraph()
    before = everything(net, opt)
    pool = T.cuda.graph_pool_handle()
    with T.cuda.graph(g, pool=pool):
        assert T.cuda.is_current_stream_capturing()
        loss = step(x, y)
    for name, a in everything(net, opt).items():
        if not name.startswith("grad"):
            np.testing.assert_array_equal(a, before[name], err_msg=name)
    for batch in batches[2:]:
        x.copy_(batch[0])
        y.copy_(batch[1])
        g.replay()
        losses.append(loss.item())
    assert losses == want[0] and g.pool() is pool
    for name, a in everything(net, opt).items():
        np.testing.assert_array_equal(a, want[1][name], err_msg=name)
    with pytest.raises(RuntimeError, match="holds a recording already"):
        with T.cuda.graph(g):
            pass
    g.reset()
    with pytest.raises(RuntimeError, match="before anything was recorded"):
        g.replay()
    with pytest.raises(RuntimeError, match="Tensor.item"):
        with T.cuda.graph(g):
            x.sum().item()
    with pytest.raises(RuntimeError, match="another step is being recorded"):
        with T.cuda.graph(g):
            T.cuda.graph(lambda: x * 2, warmup=0)()
    with T.cuda.graph(g, stream=T.cuda.Stream()):
        z = x * 2
    g.replay()
    assert T.equal(z, x * 2)
    with pytest.raises(RuntimeError, match="on the default stream"):
        T.cuda.CUDAGraph().capture_begin()
    with pytest.raises(TypeError, match="a function or a torch.cuda.CUDAGraph, got int"):
        T.cuda.graph(3)
    with pytest.raises(ValueError, match="capture_error_mode"):
        T.cuda.graph(g, capture_error_mode="strict")
    for absent in (g.debug_dump, g.enable_debug_mode, g.instantiate):
        with pytest.raises(NotImplementedError):
            absent()


def test_a_recording_owns_its_memory():
    """The private pool, and what the kernels read, live as long as the graph, and no longer."""
    import gc
    import weakref

    x = T.ones(64, device="cuda")
    w = T.full((64,), 2.0, device="cuda")
    array = weakref.ref(w._a)
    holder = {"w": w}
    step = T.cuda.graph(lambda x: (x * holder["w"]).exp().sum(), warmup=0)
    want = step(x).item()
    pool = step._recording.pool
    assert pool.used_bytes() > 0
    pool = weakref.ref(pool)
    assert any(a is array() for a in step._recording._kept)
    del holder["w"], w
    gc.collect()
    assert array() is not None and step(x).item() == want
    step.reset()
    gc.collect()
    assert array() is None and pool() is None


def test_other_threads_go_on_while_a_step_is_recorded():
    import threading

    found = []

    def step(x):
        thread = threading.Thread(target=lambda: found.append((T.rand(3), T.cuda.is_current_stream_capturing())))
        thread.start()
        thread.join()
        return x + 1

    T.cuda.graph(step, warmup=0)(T.ones(2, device="cuda"))
    assert found[0][0].shape == (3,) and found[0][1] is False


def test_linear_cross_entropy_is_recorded():
    """No values are needed on the host in between."""
    x, y = T.randn(6, 3, device="cuda"), T.tensor([0, 1, 2, 30, 39, 3], device="cuda")

    def losses(captured):
        T.manual_seed(2)
        layer = nn.LinearCrossEntropyLoss(3, 40, bias=True, label_smoothing=0.1).cuda()
        opt = T.optim.SGD(layer.parameters(), lr=0.5)

        def step(x, y):
            opt.zero_grad()
            loss = layer(x, y)
            loss.backward()
            opt.step()
            return loss

        step = T.cuda.graph(step) if captured else step
        return [step(x, y).item() for _ in range(5)]

    assert losses(True) == losses(False)


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN], ids=lambda c: c.__name__)
def test_a_recurrent_net_is_recorded(cell):
    """Of characters, whose embedding's gradient adds rows in the order of the look-ups."""

    def run(captured):
        T.manual_seed(8)
        net, head, table = (
            cell(5, 6, num_layers=2, dropout=0.3).cuda(),
            nn.Linear(6, 5).cuda(),
            nn.Embedding(7, 5).cuda(),
        )
        parameters = [*table.parameters(), *net.parameters(), *head.parameters()]
        opt = T.optim.Adam(parameters, lr=0.01)

        def step(ids, y):
            opt.zero_grad()
            loss = F.cross_entropy(head(net(table(ids))[0]).flatten(0, 1), y.flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 0.1)
            opt.step()
            return loss

        step = T.cuda.graph(step) if captured else step
        T.cuda.manual_seed(2)
        found = [step(T.randint(0, 5, (4, 3)).cuda(), T.randint(0, 5, (4, 3)).cuda()).item() for _ in range(5)]
        return found, [p.tolist() for p in parameters]

    assert run(True) == run(False)


@pytest.mark.parametrize("shared", [False, True], ids=["own memory", "shared memory"])
def test_graphed_callables(shared):
    """Two modules and a function between them, the loss and the update outside."""

    def run(captured):
        T.manual_seed(3)
        first = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.3)).cuda()
        last = nn.Linear(6, 3).cuda()
        scale = lambda x: (x * 2, x.detach().sum())  # noqa: E731
        opt = T.optim.Adam([*first.parameters(), *last.parameters()], lr=0.05)
        if captured:
            x, h = T.zeros(5, 4, device="cuda"), T.zeros(5, 6, device="cuda", requires_grad=True)
            first, scale, last = T.cuda.make_graphed_callables(
                (first, scale, last), ((x,), (h,), (h,)), pool=T.cuda.graph_pool_handle() if shared else None
            )
        T.cuda.manual_seed(9)
        found = []
        for i in range(4):
            opt.zero_grad()
            x = T.linspace(-1, i, 20, device="cuda").reshape(5, 4)
            h, total = scale(first(x))
            loss = F.cross_entropy(last(h), T.tensor([0, 1, 2, 1, 0], device="cuda"))
            loss.backward()
            opt.step()
            found += [loss.item(), total.item()]
            assert not total.requires_grad
        first.eval()
        found.append(first(x[:2]).sum().item())
        return found, [p.tolist() for p in opt.param_groups[0]["params"]]

    assert run(True) == run(False)
    double = T.cuda.make_graphed_callables(lambda x: x * 2, (T.ones(3, device="cuda", requires_grad=True),))
    x = T.arange(3.0, device="cuda", requires_grad=True)
    double(x).sum().backward()
    assert x.grad.tolist() == [2.0] * 3 and double(x.detach()).tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(RuntimeError, match=r"argument 0 of a recorded callable must be \[3\] torch.float32 on cuda:0"):
        double(x[:2])
    with pytest.raises(RuntimeError, match="sample argument 0 must be a tensor on device 'cuda'"):
        T.cuda.make_graphed_callables(lambda x: x, (T.ones(2),))
    with pytest.raises(RuntimeError, match="Tensor.item"):
        T.cuda.make_graphed_callables(lambda x: x * x.sum().item(), (T.ones(2, device="cuda"),))
