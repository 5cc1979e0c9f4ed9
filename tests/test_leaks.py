"""Memory: training does not grow it, long chains neither recurse nor stay, no garbage to collect."""

import gc
import os
import weakref

import pytest
from conftest import tables
from models import build, images, mlp

import fastnn

BACKENDS = list(dict.fromkeys(["numpy", tables()[-1]]))
WARM_UP, STEPS, LIMIT_KB = 1000, 10_000, 1024
CHAIN = 200_000


def rss_kb() -> int:
    gc.collect()
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the resident size from /proc")


def stepper(name):
    """A function that trains one step on a small batch."""
    fastnn.manual_seed(0)
    if name == "mlp":
        model = mlp(fastnn, 20, 16, 10)
        x, y = fastnn.randn(8, 20), fastnn.randint(0, 10, (8,))
    else:
        model = build(fastnn, name)
        x, y = images(fastnn, name, 2)
    optimizer = fastnn.optim.Adam(model.parameters())

    def step():
        optimizer.zero_grad()
        loss = fastnn.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


@needs_proc
@pytest.mark.parametrize("table", BACKENDS, indirect=True)
@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_training_does_not_grow(name, table):
    step = stepper(name)
    for _ in range(WARM_UP):
        step()
    before = rss_kb()
    for _ in range(STEPS):
        step()
    grown = rss_kb() - before
    assert grown < LIMIT_KB, f"{STEPS} steps grew the process by {grown} kB"


def chain(w):
    y = w
    for _ in range(CHAIN // 2):
        y = y * 1.0
        y = y + 0.5
    return y


def test_a_long_chain_runs_backward():
    w = fastnn.ones(1, requires_grad=True)
    y = chain(w)
    y.sum().backward()
    assert w.grad.item() == 1.0
    assert y.item() == 1 + CHAIN // 4


@needs_proc
def test_a_long_chain_is_released_without_backward():
    w = fastnn.ones(1, requires_grad=True)
    chain(w)
    before = rss_kb()
    for _ in range(3):
        y = chain(w)
        del y
    assert rss_kb() - before < 16 * 1024  # a chain holds some 100 MB


def test_a_long_chain_twice_differentiated():
    w = fastnn.ones(1, requires_grad=True)
    y = w
    for _ in range(5000):
        y = y * w * 0.999
    (g,) = fastnn.autograd.grad(y.sum(), w, create_graph=True)
    (h,) = fastnn.autograd.grad(g.sum(), w)
    assert h.item() > 0


def garbage_after(run, repeats=20) -> int:
    """How many objects only the garbage collector could free after `run`."""
    run()
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            run()
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize("table", BACKENDS, indirect=True)
@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_training_leaves_no_cycles(name, table):
    assert garbage_after(stepper(name)) == 0


def forward_only():
    w = fastnn.ones(3, requires_grad=True)
    (w * 2).exp().sum()


def views_and_writes():
    w = fastnn.ones(3, requires_grad=True)
    out = fastnn.zeros(2, 3)
    out[0] = w * 2
    out.t()[1].mul_(2)
    out.sum().backward()


def hooks():
    w = fastnn.ones(3, requires_grad=True)
    y = w * 2
    handle = y.register_hook(lambda g: g * 2)
    y.retain_grad()
    y.sum().backward()
    handle.remove()


def double():
    w = fastnn.ones(3, requires_grad=True)
    (g,) = fastnn.autograd.grad((w**3).sum(), w, create_graph=True)
    g.sum().backward()


def several_outputs():
    w = fastnn.ones(2, 3, requires_grad=True)
    a, b = w.unbind()
    (a * b + w.max(1)[0].sum()).sum().backward()


class Square(fastnn.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x * x
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g


def function():
    w = fastnn.ones(3, requires_grad=True)
    Square.apply(w * 1).sum().backward()
    Square.apply(w * 1)


def failing_backward():
    w = fastnn.ones(3, requires_grad=True)
    a = w * 2
    y = a * a
    a.add_(1)
    with pytest.raises(RuntimeError):
        y.sum().backward()


@pytest.mark.parametrize(
    "run", [forward_only, views_and_writes, double, several_outputs, function, hooks], ids=lambda f: f.__name__
)
def test_graphs_are_freed_by_reference_counts(run):
    assert garbage_after(run) == 0


def test_a_failed_backward_keeps_nothing():
    failing_backward()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        failing_backward()
    gc.collect()
    assert len(gc.get_objects()) - before < 50


def test_a_graph_dies_with_its_result():
    w = fastnn.ones(3, requires_grad=True)
    h = w.exp()
    inner = weakref.ref(h)
    y = (h * 2).sum()
    del h
    y.backward()
    del y
    assert inner() is None


def test_backward_frees_what_it_used():
    w = fastnn.ones(1000, requires_grad=True)
    h = w * 2
    freed = weakref.ref(h)
    y = (h * h).sum()
    del h
    y.backward()
    assert freed() is None, "backward without retain_graph keeps the saved tensors"


def test_a_hook_that_refers_to_its_tensor_is_collected():
    """Such a cycle is the user's; the garbage collector must see through the graph and free it."""

    def run():
        w = fastnn.ones(3, requires_grad=True)
        y = w * 2
        y.register_hook(lambda g: g + y.detach())
        y.sum().backward()
        return weakref.ref(y)

    made = [run() for _ in range(20)]
    gc.collect()
    assert not [ref for ref in made if ref() is not None]
