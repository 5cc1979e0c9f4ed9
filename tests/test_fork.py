"""A forked child can run any op: the thread pool and the allocator survive, and give the parent's bits."""

import os
import select
import signal
import threading
import time

import numpy as np
import pytest
from conftest import tables
from models import build, images, train

import fastnn
from fastnn.nn import functional as F

REPEATS, LIMIT_S = 20, 10

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    # Python 3.12 warns of a fork with threads alive: surviving that is what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def draw(*shape, seed=0):
    return fastnn.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32)).requires_grad_()


def with_gradient(y):
    """The result and its gradient's norm, as bytes."""
    x = draw(*y.shape, seed=5).detach()
    (y * x).sum().backward()
    return y.detach().numpy().tobytes()


def training():
    fastnn.manual_seed(0)
    model = build(fastnn, "lenet")
    x, y = images(fastnn, "lenet", 16)
    losses = train(fastnn, model, fastnn.optim.Adam(model.parameters()), [(x, y)] * 2)
    return np.array(losses).tobytes()


OPS = {
    "matmul": lambda: with_gradient(draw(257, 301) @ draw(301, 199)),
    "bmm": lambda: with_gradient(draw(5, 65, 70) @ draw(5, 70, 66)),
    "linear": lambda: with_gradient(F.linear(draw(64, 784), draw(256, 784), draw(256))),
    "conv2d": lambda: with_gradient(F.conv2d(draw(4, 3, 32, 32), draw(16, 3, 3, 3), padding=1)),
    "max_pool2d": lambda: with_gradient(F.max_pool2d(draw(4, 16, 64, 64), 2)),
    "avg_pool2d": lambda: with_gradient(F.avg_pool2d(draw(4, 16, 64, 64), 2)),
    "exp": lambda: with_gradient(draw(300_007).exp()),
    "add": lambda: with_gradient(draw(517, 1031) + draw(1031)),
    "sum": lambda: with_gradient(draw(517, 1031).sum(0)),
    "softmax": lambda: with_gradient(draw(517, 1031).softmax(1)),
    "cross_entropy": lambda: with_gradient(F.cross_entropy(draw(256, 1000), fastnn.arange(256))),
    "training": training,
}


def in_child(compute, want, limit=LIMIT_S):
    """Forks; the child computes and compares. Returns what went wrong, or ''."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = b"child died"
        try:
            os.close(read)
            text = b"ok" if compute() == want else b"other bits than the parent's"
        except BaseException as error:  # noqa: BLE001 - the child reports all it meets
            text = f"{type(error).__name__}: {error}".encode()
        finally:
            os.write(write, text)
            os._exit(0)
    os.close(write)
    ready = select.select([read], [], [], limit)[0]
    text = os.read(read, 4096).decode() if ready else f"no answer within {limit} s"
    os.close(read)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    return "" if text == "ok" else text or f"ended with status {status}"


@pytest.fixture
def three_threads():
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(3)
    yield
    fastnn.set_num_threads(before)


BACKENDS = list(dict.fromkeys(["numpy", tables()[-1]]))


@pytest.mark.parametrize("table", BACKENDS, indirect=True)
@pytest.mark.parametrize("name", OPS)
def test_child_runs_the_op(name, table, three_threads):
    want = OPS[name]()
    for repeat in range(REPEATS):
        assert not (wrong := in_child(OPS[name], want)), f"fork {repeat}: {wrong}"
        assert OPS[name]() == want, "the parent's own bits changed after a fork"


# Not on NumPy: its BLAS can deadlock in fork() itself while another thread is in a product.
@pytest.mark.parametrize("table", [b for b in BACKENDS if b != "numpy"], indirect=True)
def test_fork_while_another_thread_computes(table, three_threads):
    want, stop = OPS["matmul"](), threading.Event()

    def work():
        while not stop.is_set():
            OPS["conv2d"]()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for repeat in range(REPEATS):
            time.sleep(0.003 * (repeat % 5))
            assert not (wrong := in_child(OPS["matmul"], want)), f"fork {repeat}: {wrong}"
    finally:
        stop.set()
        worker.join()


@pytest.mark.parametrize("table", BACKENDS, indirect=True)
def test_a_child_may_fork_again(table, three_threads):
    want = OPS["matmul"]()
    assert not in_child(lambda: want if not in_child(OPS["matmul"], want, 5) else b"", want)


def test_children_draw_their_own_threads(three_threads):
    def compute():
        fastnn.set_num_threads(2)
        OPS["matmul"]()
        return b"2" if fastnn.get_num_threads() == 2 else b""

    OPS["matmul"]()
    assert not in_child(compute, b"2")
    assert fastnn.get_num_threads() == 3
