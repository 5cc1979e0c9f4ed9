"""What is asked about devices and switches, compile and jit, nested containers, checkpoints: answers on a CPU."""

import multiprocessing
import sys
import time
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.utils import _pytree, checkpoint


def test_there_is_no_device():
    assert not fastnn.cuda.is_available() and fastnn.cuda.device_count() == 0 and not fastnn.cuda.is_bf16_supported()
    assert not fastnn.accelerator.is_available() and fastnn.accelerator.current_accelerator() is None
    assert fastnn.accelerator.device_count() == 0
    assert not fastnn.backends.mps.is_available() and not fastnn.mps.is_available() and not fastnn.xpu.is_available()
    assert not fastnn.backends.cudnn.is_available() and fastnn.backends.cudnn.version() is None
    assert fastnn.version.cuda is None and str(fastnn.version.__version__).startswith("2.13")
    assert fastnn.cuda.memory_allocated() == 0 and fastnn.cuda.get_arch_list() == []
    assert fastnn.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "DEFAULT")
    for harmless in (
        fastnn.cuda.empty_cache,
        lambda: fastnn.cuda.manual_seed(1),
        lambda: fastnn.cuda.manual_seed_all(1),
    ):
        state = fastnn.get_rng_state().tolist()
        assert harmless() is None and fastnn.get_rng_state().tolist() == state
    with fastnn.cuda.device(0), fastnn.cuda.stream(None):
        assert fastnn.ones(1).device.type == "cpu"


@pytest.mark.parametrize(
    "name", "current_device get_device_name get_device_properties synchronize set_device current_stream init".split()
)
def test_what_needs_a_device_raises(name):
    with pytest.raises(AssertionError, match="not compiled with CUDA"):
        getattr(fastnn.cuda, name)()


def test_other_ways_to_ask_for_a_device_raise():
    for attempt in (fastnn.cuda.Stream, fastnn.cuda.Event, fastnn.accelerator.synchronize, fastnn.mps.empty_cache):
        with pytest.raises(RuntimeError):
            attempt()
    with pytest.raises(RuntimeError):
        fastnn.accelerator.set_device_index(0)
    with pytest.raises(TypeError, match="torch.cuda.FloatTensor not available"):
        fastnn.cuda.FloatTensor([1])
    assert not isinstance(fastnn.ones(1), fastnn.cuda.FloatTensor)
    assert repr(fastnn.cuda.LongTensor) == "<class 'torch.cuda.LongTensor'>"


def test_switches_are_kept():
    import fastnn.backends.cudnn as cudnn

    assert (cudnn.benchmark, cudnn.deterministic, cudnn.enabled) == (False, False, True)
    cudnn.benchmark = True
    with cudnn.flags(enabled=False, deterministic=True):
        assert (cudnn.benchmark, cudnn.deterministic, cudnn.enabled) == (False, True, False)
    assert (cudnn.benchmark, cudnn.deterministic, cudnn.enabled) == (True, False, True)
    cudnn.benchmark = False
    with fastnn.backends.cuda.sdp_kernel(enable_flash=False):
        assert not fastnn.backends.cuda.flash_sdp_enabled() and fastnn.backends.cuda.math_sdp_enabled()
    assert fastnn.backends.cuda.flash_sdp_enabled()
    fastnn.use_deterministic_algorithms(True, warn_only=True)
    assert fastnn.are_deterministic_algorithms_enabled() and fastnn.get_deterministic_debug_mode() == 1
    fastnn.use_deterministic_algorithms(False)
    assert not fastnn.are_deterministic_algorithms_enabled()
    fastnn.set_float32_matmul_precision("high")
    assert fastnn.get_float32_matmul_precision() == "high"
    fastnn.set_float32_matmul_precision("highest")
    with pytest.raises(RuntimeError, match="extreme"):
        fastnn.set_float32_matmul_precision("extreme")


def test_lazy_parts_do_not_load_on_import():
    code = (
        "import sys, fastnn\n"
        "late = [m for m in ('cuda', 'backends', 'amp', 'jit', 'vision', 'testing', 'multiprocessing', 'distributions')"
        " if f'fastnn.{m}' in sys.modules]\n"
        "assert not late, late\n"
        "fastnn.cuda, fastnn.backends.cudnn, fastnn.jit, fastnn.amp, fastnn.autocast\n"
        "try: fastnn.no_such_name\n"
        "except AttributeError as e: print(e)"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "no_such_name" in done.stdout, done.stderr


def test_compile_and_jit_run_what_they_are_given():
    model = nn.Linear(3, 2)
    assert fastnn.compile(model) is model and fastnn.jit.script(model) is model

    @fastnn.compile(mode="reduce-overhead")
    def double(x):
        return 2 * x

    @fastnn.jit.script
    def triple(x):
        return 3 * x

    x = fastnn.ones(4, 3)
    assert double(2) == 4 and triple(2) == 6
    assert fastnn.jit.trace(model, x) is model and fastnn.jit.trace(model, (x,)) is model
    with pytest.raises(RuntimeError):
        fastnn.jit.trace(model, fastnn.ones(4, 5))
    with pytest.raises(RuntimeError):
        fastnn.compile(3)
    assert not fastnn.compiler.is_compiling() and fastnn.compiler.disable(triple) is triple
    with pytest.raises(NotImplementedError, match="state_dict"):
        fastnn.jit.save(model, "x.pt")

    class Scripted(fastnn.jit.ScriptModule):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 2)

        @fastnn.jit.script_method
        def forward(self, x):
            return self.a(x)

    assert Scripted()(fastnn.ones(1, 2)).shape == (1, 2)


# -- trees ------------------------------------------------------------------------------------------------------------

Point = namedtuple("Point", "x y")
TREES = [
    3,
    None,
    [],
    {"b": [1, (2, None)], "a": {"c": Point(3, [4])}},
    OrderedDict(z=1, a=(2, 3)),
    Point({"k": 1}, ()),
    [[[[1], 2], 3], 4],
]


@pytest.mark.parametrize("tree", TREES)
def test_trees(tree):
    leaves, spec = _pytree.tree_flatten(tree)
    assert _pytree.tree_unflatten(leaves, spec) == tree and spec.num_leaves == len(leaves)
    again = _pytree.tree_unflatten(list(range(len(leaves))), spec)
    assert _pytree.tree_flatten(again) == (list(range(len(leaves))), spec)
    assert type(again) is (int if spec.is_leaf() else type(tree))
    with pytest.raises(ValueError, match="items"):
        _pytree.tree_unflatten([*leaves, 1], spec)


def test_tree_functions():
    tree = {"a": [1, 2], "b": (3.5, "s")}
    assert _pytree.tree_map(lambda x: x * 2, tree) == {"a": [2, 4], "b": (7.0, "ss")}
    assert _pytree.tree_map(lambda x, y: (x, y), [1, 2], [3, 4]) == [(1, 3), (2, 4)]
    assert _pytree.tree_map_only(int, lambda x: -x, tree) == {"a": [-1, -2], "b": (3.5, "s")}
    assert _pytree.tree_leaves(tree) == [1, 2, 3.5, "s"]
    assert _pytree.tree_leaves(tree, is_leaf=lambda x: isinstance(x, list)) == [[1, 2], 3.5, "s"]


# -- checkpoint -------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    calls = 0

    def __init__(self, dropout=0.5):
        super().__init__()
        self.a, self.b, self.drop = nn.Linear(6, 9), nn.Linear(9, 6), nn.Dropout(dropout)

    def forward(self, x, scale=1.0):
        Block.calls += 1
        return x + self.b(self.drop(fastnn.tanh(self.a(x)))) * scale


def gradients(blocks, x, wrap, how="backward"):
    fastnn.manual_seed(3)
    x = x.detach().requires_grad_()
    y = x
    for block in blocks:
        y = wrap(block, y)
    loss = (y * y).sum()
    params = [p for b in blocks for p in b.parameters()]
    if how == "grad":
        return [loss, *fastnn.autograd.grad(loss, [x, *params])], fastnn.rand(2)
    for p in params:
        p.grad = None
    loss.backward()
    return [loss, x.grad, *(p.grad for p in params)], fastnn.rand(2)


@pytest.mark.parametrize("how", ["backward", "grad"])
@pytest.mark.parametrize("reentrant", [None, False, True])
def test_checkpoint_changes_no_number(reentrant, how):
    fastnn.manual_seed(0)
    blocks, x = [Block() for _ in range(3)], fastnn.randn(4, 6)
    Block.calls = 0
    plain, after = gradients(blocks, x, lambda b, y: b(y), how)
    assert Block.calls == 3
    again, after_too = gradients(
        blocks, x, lambda b, y: checkpoint.checkpoint(b, y, use_reentrant=reentrant), how
    )  # fmt: skip
    assert Block.calls == 9  # each block once more, in backward
    for a, b in zip(plain, again, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    assert after.tolist() == after_too.tolist()


def test_checkpoint_keeps_no_activations():
    saved = []

    class Watch(fastnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            out = x * 2
            import weakref

            saved.append(weakref.ref(out))
            return out

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = fastnn.ones(3, requires_grad=True)
    y = checkpoint.checkpoint(lambda x: (Watch.apply(x) * 3).sum(), x, use_reentrant=False)
    assert saved[0]() is None
    y.backward()
    assert x.grad.tolist() == [6, 6, 6]


def test_checkpoint_takes_and_returns_containers():
    w = fastnn.ones(2, requires_grad=True)

    def f(pair, *, by):
        a, b = pair["a"], pair["b"]
        return {"sum": (a + b) * by, "none": None, "n": 3}, a * w

    a, b, by = (fastnn.tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
    out, product = checkpoint.checkpoint(f, {"a": a, "b": b}, by=by, use_reentrant=False)
    assert out["none"] is None and out["n"] == 3
    (out["sum"].sum() + product.sum()).backward()
    assert a.grad.tolist() == [2, 3] and b.grad.tolist() == [1, 2] and by.grad.tolist() == [2, 4]
    assert w.grad.tolist() == [1, 2]


def test_checkpoint_without_gradients():
    x = fastnn.ones(2)
    y = checkpoint.checkpoint(lambda x: x * 2, x, use_reentrant=False)
    assert not y.requires_grad
    with fastnn.no_grad():
        assert not checkpoint.checkpoint(nn.Linear(2, 2), x).requires_grad
    with pytest.warns(UserWarning, match="None of the inputs"):
        assert not checkpoint.checkpoint(nn.Linear(2, 2), x, use_reentrant=True).requires_grad
    hidden = fastnn.ones(2, requires_grad=True) * 2
    with pytest.raises(NotImplementedError, match="among its arguments"):
        checkpoint.checkpoint(lambda x: x * hidden, x, use_reentrant=False)


def test_checkpoint_sequential():
    fastnn.manual_seed(0)
    model, x = nn.Sequential(*[Block(0.0) for _ in range(5)]), fastnn.randn(4, 6, requires_grad=True)
    model(x).sum().backward()
    expected = [x.grad, *(p.grad for p in model.parameters())]
    x.grad = None
    model.zero_grad()
    Block.calls = 0
    checkpoint.checkpoint_sequential(model, 2, x, use_reentrant=False).sum().backward()
    assert Block.calls == 5 + 2
    for a, b in zip(expected, [x.grad, *(p.grad for p in model.parameters())], strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


# -- testing ----------------------------------------------------------------------------------------------------------


def test_assert_close():
    close = fastnn.testing.assert_close
    t = fastnn.tensor
    close(t([1.0, 2.0]), t([1.0, 2.0 + 1e-6]))
    close({"a": [t(1), 2.0]}, {"a": [t(1), 2.0 + 1e-9]})
    close(t([float("nan")]), t([float("nan")]), equal_nan=True)
    close(t([1.0]), t([1.1]), rtol=0, atol=0.2)
    close(np.ones(3), np.ones(3))
    for a, b in [
        (t([1.0, 2.0]), t([1.0, 2.1])),
        (t([1.0]), t([1.0], dtype=fastnn.float64)),
        (t([1.0]), t([[1.0]])),
        (t([float("nan")]), t([float("nan")])),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        (1.0, 1.001),
        (t([True]), t([False])),
        (t([3]), t([4])),
    ]:
        with pytest.raises(AssertionError):
            close(a, b)
    with pytest.raises(AssertionError, match=r"1 / 2 \(50.0%\)"):
        close(t([1.0, 2.0]), t([1.0, 2.1]))
    with pytest.raises(AssertionError, match="mine"):
        close(1, 2, msg="mine")
    with pytest.raises(ValueError):
        close(1.0, 1.0, rtol=0.1)
    with pytest.raises(TypeError):
        close(t(1.0), 1.0)


# -- processes --------------------------------------------------------------------------------------------------------


def _write(rank, queue, value):
    queue.put((rank, float(value.sum())))


def _fail(rank):
    if rank == 1:
        raise ValueError(f"rank {rank} has had enough")
    time.sleep(600)


def _exit(rank):
    sys.exit(5)


def test_spawn():
    queue = multiprocessing.get_context("spawn").SimpleQueue()
    fastnn.multiprocessing.spawn(_write, (queue, fastnn.ones(3)), nprocs=2)
    assert sorted(queue.get() for _ in range(2)) == [(0, 3.0), (1, 3.0)]
    with pytest.raises(fastnn.multiprocessing.ProcessRaisedException, match="rank 1 has had enough"):
        fastnn.multiprocessing.spawn(_fail, nprocs=2)
    with pytest.raises(fastnn.multiprocessing.ProcessExitedException, match="exit code 5"):
        fastnn.multiprocessing.spawn(_exit)


def test_a_choice_of_attention():
    from fastnn.nn.attention import SDPBackend, sdpa_kernel

    q = fastnn.randn(1, 2, 3, 4)
    expected = nn.functional.scaled_dot_product_attention(q, q, q).tolist()
    for choice in (SDPBackend.MATH, [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]):
        with sdpa_kernel(choice):
            assert nn.functional.scaled_dot_product_attention(q, q, q).tolist() == expected
    with pytest.raises(RuntimeError, match="No available kernel"), sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        pass
    with pytest.raises(AssertionError), sdpa_kernel("math"):
        pass


def test_what_is_not_there_says_so():
    assert not fastnn.distributed.is_available() and not fastnn.distributed.is_initialized()
    with pytest.raises(RuntimeError, match="no process groups"):
        fastnn.distributed.init_process_group(backend="gloo")
    with pytest.raises(NotImplementedError, match="ONNX"):
        fastnn.onnx.export(nn.Linear(2, 2), fastnn.ones(1, 2), "model.onnx")
