"""Device "cuda" from Python: every op of the gradient cases, models, optimizers, errors, copies; without a GPU over the
stand-in for CuPy (tests/emulation) and the emulated kernels where they were built."""

import emulation
import numpy as np
import pytest
from gradcheck_cases import CASES

import fastnn as T
from fastnn import nn
from fastnn.nn import functional as F


@pytest.fixture(autouse=True, scope="module")
def device():
    emulation.install()
    yield
    emulation.uninstall()


def flat(result):
    if isinstance(result, T.Tensor):
        return [result]
    return [t for r in result for t in flat(r)] if isinstance(result, (tuple, list)) else []


def outputs_and_gradients(case, device):
    """The function's results in float64, and the gradients of a fixed weighting of them."""
    inputs = [T.tensor(a, dtype=T.float64, device=device).requires_grad_() for a in case.arrays()]
    T.manual_seed(5)
    with T.device(device):  # cases make index tensors and targets of their own
        found = flat(case.function(T, *inputs))
    total = None
    for t in found:
        assert t.device.type == device, f"a result lies on {t.device}"
        if t.requires_grad:
            weights = T.linspace(0.3, 1.7, t.numel(), dtype=T.float64, device=device).reshape(t.shape)
            share = ((t.real + t.imag if t.is_complex() else t) * weights).sum()
            total = share if total is None else total + share
    gradients = []
    if total is not None:
        total.backward()
        gradients = [x.grad for x in inputs]
        assert all(g is None or g.device.type == device for g in gradients)
    return [None if t is None else t.detach().cpu().numpy() for t in found + gradients]


@pytest.mark.parametrize("case", [c for c in CASES if "sparse" not in c.name], ids=lambda c: c.name)
def test_op_and_gradient(case, monkeypatch):
    """As on the CPU. 1e-9: both are float64, and sums may go in another order. Attention's dropout gets the CPU's mask (its
    own is tests/test_cuda_random.py's), so that the rest can be compared."""
    from fastnn.backend import cuda_runtime
    from fastnn.backend.cuda_kernels import rng

    mask = lambda self, shape, p: cuda_runtime.arrays.asarray(T.random.engine().dropout_mask(shape, p))  # noqa: E731
    monkeypatch.setattr(rng.Generator, "dropout_mask", mask)
    for got, want in zip(outputs_and_gradients(case, "cuda"), outputs_and_gradients(case, "cpu"), strict=True):
        if want is None:
            assert got is None
        elif want.dtype.kind in "fc":
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10)
        else:
            np.testing.assert_array_equal(got, want)


# ---------------------------------------------------------------- models


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(20, 33), nn.GELU(), nn.BatchNorm1d(33), nn.Linear(33, 7))

    def forward(self, x):
        return self.layers(x)

    @staticmethod
    def batch():
        return T.randn(12, 20), T.randint(0, 7, (12,))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.f1, self.f2, self.f3 = nn.Linear(400, 60), nn.Linear(60, 42), nn.Linear(42, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.avg_pool2d(F.tanh(self.c2(x)), 2)
        return self.f3(F.relu(self.f2(F.relu(self.f1(x.flatten(1))))))

    @staticmethod
    def batch():
        return T.randn(4, 1, 28, 28), T.randint(0, 10, (4,))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = (p.view(n, t, self.heads, -1).transpose(1, 2) for p in self.qkv(self.n1(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, t, c))
        return x + self.down(F.gelu(self.up(self.n2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Embedding(19, 24), nn.Embedding(11, 24)
        self.blocks = nn.ModuleList(Block(24, 3) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(24), nn.Linear(24, 19, bias=False)

    def forward(self, ids):
        x = self.token(ids) + self.place(T.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).flatten(0, 1)

    @staticmethod
    def batch():
        ids = T.randint(0, 19, (3, 12))
        return ids[:, :-1], ids[:, 1:].flatten()


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(9, 13, num_layers=2, batch_first=True), nn.Linear(13, 5)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])

    @staticmethod
    def batch():
        return T.randn(6, 7, 9), T.randint(0, 5, (6,))


OPTIMIZERS = {
    "SGD": lambda p: T.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3, nesterov=True),
    "Adam": lambda p: T.optim.Adam(p, lr=3e-3),
    "AdamW": lambda p: T.optim.AdamW(p, lr=3e-3, weight_decay=0.1),
}


def losses(model, optimizer, device, steps=6):
    T.manual_seed(11)
    net = model()
    x, y = model.batch()
    net, x, y = net.to(device), x.to(device), y.to(device)
    opt = OPTIMIZERS[optimizer](net.parameters())
    found = []
    for _ in range(steps):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        assert loss.device.type == device
        found.append(loss.item())
    return found, net


@pytest.mark.parametrize("name", ["Adadelta", "Adagrad", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop"])
def test_optimizer_state(name):
    """Parameters and all of the state after three steps, as on the CPU."""

    def after(device):
        w = nn.Parameter(T.linspace(-1, 2, 6, dtype=T.float64).to(device))
        opt = getattr(T.optim, name)([w], lr=0.1)
        for i in range(3):
            w.grad = w.detach() * (i - 1) + 0.5
            opt.step()
        return {"w": w.detach().cpu(), **{k: v.cpu() for k, v in opt.state[w].items()}}

    want, got = after("cpu"), after("cuda")
    for k, v in want.items():
        np.testing.assert_allclose(got[k].numpy(), v.numpy(), rtol=1e-12, atol=1e-15, err_msg=k)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", [MLP, LeNet, GPT, Recurrent], ids=lambda m: m.__name__)
def test_training_as_on_the_cpu(model, optimizer):
    """The first loss differs by rounding alone: sums of at most 400 products in another order, n·eps/2 = 2.4e-5 at the
    very worst and a few eps in practice; each step then carries that on through the gradients, and Adam divides by
    roots of small squares: 1e-4 of relative difference after six steps is ten times what was seen."""
    want, net = losses(model, optimizer, "cpu")
    got, on_device = losses(model, optimizer, "cuda")
    assert want[-1] < want[0]
    np.testing.assert_allclose(got[0], want[0], rtol=5e-6)
    np.testing.assert_allclose(got, want, rtol=1e-4)
    for (name, p), q in zip(net.named_parameters(), on_device.parameters(), strict=True):
        assert q.is_cuda and q.grad.is_cuda
        if optimizer != "SGD":  # a key's bias has no gradient but rounding, of which Adam makes whole steps
            continue
        np.testing.assert_allclose(q.detach().cpu().numpy(), p.detach().numpy(), rtol=1e-3, atol=1e-5, err_msg=name)


# ---------------------------------------------------------------- the tensor


def test_where_a_tensor_lives():
    x = T.ones(2, 3, device="cuda")
    assert x.device == T.device("cuda", 0) and x.is_cuda and not x.is_cpu and x.get_device() == 0
    assert repr(x).endswith("device='cuda:0')")
    host = x.cpu()
    assert host.device == T.device("cpu") and host.get_device() == -1 and host.cpu() is host
    assert x.cuda() is x and x.to("cuda") is x and x.to("cuda:0") is x and host.to(x).is_cuda
    assert x.to("cpu", T.float64).dtype is T.float64
    assert (x + 1).is_cuda and x.sum().is_cuda and x[0].is_cuda and x.t().is_cuda and (x > 0).is_cuda
    for make in (T.zeros, T.empty, T.rand, T.randn):
        assert make(2, 2, device="cuda").is_cuda
    assert T.tensor([1, 2], device="cuda").is_cuda and T.arange(5, device="cuda").tolist() == [0, 1, 2, 3, 4]
    assert T.full((2,), 3.0, device="cuda").is_cuda and T.eye(3, device="cuda").is_cuda
    assert T.linspace(0, 1, 5, device="cuda").is_cuda and T.randperm(5, device="cuda").is_cuda
    assert T.randint(0, 5, (3,), device="cuda").is_cuda and T.as_tensor([1.0], device="cuda").is_cuda
    for like in (T.zeros_like, T.ones_like, T.empty_like, T.rand_like, T.randn_like):
        assert like(x).is_cuda and not like(x, device="cpu").is_cuda
    assert x.new_zeros(2).is_cuda and x.new_tensor([1.0]).is_cuda and T.full_like(x, 2.0).is_cuda
    with T.device("cuda"):
        assert T.zeros(2).is_cuda and not T.zeros(2, device="cpu").is_cuda
    assert not T.zeros(2).is_cuda
    T.set_default_device("cuda")
    try:
        assert T.zeros(2).is_cuda and T.get_default_device() == T.device("cuda:0") and nn.Linear(2, 2).weight.is_cuda
    finally:
        T.set_default_device("cpu")


def test_values_cross_and_gradients_come_back():
    x = T.arange(6.0).reshape(2, 3).requires_grad_()
    (x.cuda().t() * 2).cpu().sum().backward()
    assert x.grad.device.type == "cpu" and x.grad.tolist() == [[2.0] * 3] * 2
    y = T.ones(3, device="cuda", requires_grad=True)
    (y.cpu() * 3).sum().backward()
    assert y.grad.is_cuda and y.grad.tolist() == [3.0] * 3
    z = T.zeros(4, device="cuda")
    z.copy_(T.arange(4.0))
    z[1:3] = T.tensor([7.0, 8.0])
    z[0] = T.tensor(5.0)
    assert z.tolist() == [5.0, 7.0, 8.0, 3.0] and T.zeros(4).copy_(z).tolist() == z.tolist()
    assert z[T.tensor([3, 0])].tolist() == [3.0, 5.0]
    a = T.ones(2, device="cuda", requires_grad=True)
    (g,) = T.autograd.grad((a**3).sum(), a, create_graph=True)
    g.sum().backward()
    assert g.is_cuda and a.grad.tolist() == [6.0, 6.0]


def test_errors():
    d, c = T.ones(2, 2, device="cuda"), T.ones(2, 2)
    for f in (
        lambda: d + c, lambda: c * d, lambda: d @ c, lambda: T.cat([d, c]), lambda: F.linear(d, c), lambda: T.where(d > 0, c, d),
        lambda: F.cross_entropy(d, T.zeros(2, dtype=T.int64)), lambda: nn.Linear(2, 2)(d), lambda: d.add_(c),
    ):  # fmt: skip
        with pytest.raises(
            RuntimeError, match="Expected all tensors to be on the same device, but found at least two dev"
        ):
            f()
    assert (d + T.tensor(2.0)).tolist() == [[3.0, 3.0]] * 2 and (T.tensor(2.0) * d).is_cuda
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()"):
        d.numpy()
    with pytest.raises(TypeError, match="can't convert cuda:0"):
        np.asarray(d)
    with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device"):
        c[T.zeros(1, dtype=T.int64, device="cuda")]
    with pytest.raises(RuntimeError, match="fastnn uses one CUDA device"):
        T.zeros(1, device="cuda:1")
    with pytest.raises(IndexError, match="out of range|out of bounds"):
        F.embedding(T.tensor([5], device="cuda"), d)
    assert d.numpy(force=True).tolist() == [[1.0, 1.0]] * 2


def test_saving(tmp_path):
    import copy
    import pickle

    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).cuda()
    T.save(net.state_dict(), tmp_path / "net.pt")
    for where, device in ((None, "cuda"), ("cpu", "cpu"), (T.device("cuda"), "cuda"), ({"cuda:0": "cpu"}, "cpu")):
        loaded = T.load(tmp_path / "net.pt", map_location=where)
        assert all(t.device.type == device for t in loaded.values()), where
        for name, t in net.state_dict().items():
            assert T.equal(loaded[name].cpu(), t.cpu())
    t = T.arange(3.0, device="cuda")
    assert copy.deepcopy(t).is_cuda and pickle.loads(pickle.dumps(t)).is_cuda
    assert copy.deepcopy(net)[0].weight.is_cuda


def test_the_cuda_module():
    c = T.cuda
    assert c.is_available() and c.device_count() == 1 and c.current_device() == 0 and c.is_initialized()
    assert isinstance(c.get_device_name(), str) and len(c.get_device_capability()) == 2
    c.synchronize()
    assert c.memory_allocated() >= 0 and c.max_memory_allocated() >= c.memory_allocated() and len(c.mem_get_info()) == 2
    c.manual_seed(4)
    a = T.randn(3, device="cuda")
    c.manual_seed(4)
    assert T.equal(a, T.randn(3, device="cuda"))
    s, start, end = c.Stream(), c.Event(enable_timing=True), c.Event(enable_timing=True)
    with c.stream(s):
        assert c.current_stream() == s
        start.record()
        (a * 2).sum()
        end.record()
    assert c.current_stream() == c.default_stream() and s.query()
    end.synchronize()
    assert start.elapsed_time(end) >= 0
    with pytest.raises(ValueError, match="enable_timing"):
        c.Event().elapsed_time(end)
    with pytest.raises(AssertionError, match="one CUDA device"):
        c.set_device(3)
    c.empty_cache()


def test_native_kernels_compute():
    """It is our kernels that run: a LeNet's training step passes through each of these."""
    if emulation.native() is None and T.backend.cuda_runtime.native is None:
        pytest.skip("the emulated kernels were not built: cmake -DFASTNN_CUDA=EMU")
    from fastnn.backend.cuda_kernels._native import launched, native

    launched.clear()
    losses(LeNet, "Adam", "cuda", steps=1)
    losses(MLP, "SGD", "cuda", steps=1)
    losses(GPT, "AdamW", "cuda", steps=1)
    F.softmax(T.randn(3, 5, device="cuda"), 1)
    for kernel in (
        "gemm conv2d_implicit softmax cross_entropy cross_entropy_backward layer_norm layer_norm_backward batch_norm pool2d "
        "embedding segment_sum optim_step"
    ).split():
        assert not hasattr(native, kernel) or launched.get(kernel), kernel
    for op in ("add", "relu", "relu_backward", "tanh", "gelu", "gelu_tanh", "reduce"):
        assert launched.get(op), op


def test_dlpack():
    """A consumer and a producer of device memory: addresses stay, strides too, and what one writes the other sees."""
    x = T.arange(6.0, device="cuda").reshape(2, 3)
    assert x.__dlpack_device__() == (2, 0)

    class Other:  # another library's array
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **keywords):
            return self.array.__dlpack__(**keywords)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    for source in (x, x.t(), x[:, 1:], x.long(), x > 2):
        y = T.from_dlpack(Other(source))
        assert y.is_cuda and y.dtype is source.dtype and y.stride() == source.stride() and T.equal(y, source)
        assert y.data_ptr() == source.data_ptr()
    y = T.from_dlpack(Other(x))
    y += 1
    assert x.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert T.as_tensor(x).is_cuda and T.from_dlpack(x).data_ptr() == x.data_ptr()
    with pytest.raises(BufferError, match="require gradient|detach"):
        (x.requires_grad_() * 2).__dlpack__()


def test_running_extremes_and_logarithms():
    """cummax, cummin and logcumsumexp run on the device, with their gradients."""
    a = np.random.default_rng(0).standard_normal((4, 7))
    for f in (T.cummax, T.cummin, T.logcumsumexp):
        found = []
        for device in ("cpu", "cuda"):
            x = T.tensor(a, device=device).requires_grad_()
            r = f(x, 1)
            parts = (r,) if isinstance(r, T.Tensor) else tuple(r)
            assert all(p.device.type == device for p in parts)
            (parts[0] * T.arange(7.0, device=device)).sum().backward()
            found.append([p.detach().cpu().numpy() for p in (*parts, x.grad)])
        for got, want in zip(*found, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


def test_autocast_and_grad_scaler():
    """float16 has 11 bits: losses agree to some 1e-3; the scaler's steps are those of unscaled gradients."""
    found = []
    for mixed in (False, True):
        T.manual_seed(2)
        net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).cuda()
        x, y = T.randn(10, 8, device="cuda"), T.randint(0, 3, (10,), device="cuda")
        opt = T.optim.SGD(net.parameters(), lr=0.1)
        scaler = T.amp.GradScaler("cuda", enabled=mixed)
        for _ in range(3):
            with T.autocast("cuda", dtype=T.float16, enabled=mixed):
                out = net(x)
                loss = F.cross_entropy(out, y)
            assert out.dtype is (T.float16 if mixed else T.float32) and loss.dtype is T.float32
            opt.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(opt)
            scaler.update()
        found.append(loss.item())
        assert net[0].weight.dtype is T.float32
    assert abs(found[0] - found[1]) < 5e-3 * abs(found[0])


def test_3xtf32():
    """Large float32 products run on tensor cores with float32's accuracy; a setting leaves them to the ordinary units."""
    if T.backend.cuda_runtime.native is None:
        pytest.skip("the variant is a kernel's: the emulated ones are not built")
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal((128, 128)).astype("f4") * 2.0 ** rng.integers(-20, 21, (128, 128)) for _ in range(2))
    a, b = a.astype("f4"), b.astype("f4")
    x, y = T.tensor(a, device="cuda"), T.tensor(b, device="cuda")
    want, size = a.astype("f8") @ b.astype("f8"), np.abs(a).astype("f8") @ np.abs(b).astype("f8")
    with T.kernels(gemm="3xtf32"):
        named = (x @ y).cpu().numpy()
        with pytest.raises(ValueError, match="3xtf32"):
            x.double() @ y.double()
    for found in (named, (x @ y).cpu().numpy()):
        assert np.all(np.abs(found - want) <= 4 * np.sqrt(128) * 2.0**-24 * size)
    switch = T.backends.cuda.matmul
    assert switch.allow_3xtf32
    try:
        switch.allow_3xtf32 = False
        plain = (x @ y).cpu().numpy()
    finally:
        switch.allow_3xtf32 = True
    assert np.all(np.abs(plain - want) <= 4 * np.sqrt(128) * 2.0**-24 * size)
    assert (plain != named).any()


def conv_step(device, memory_format, depthwise=False):
    """A residual block with everything around it: (the output's strides, its values and gradients)."""
    T.manual_seed(3)
    layers = nn.ModuleList([
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.Conv2d(16, 16, 3, padding=1, groups=16 if depthwise else 1), nn.Conv2d(16, 8, 1),
        nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1),
    ]).to(device)  # fmt: skip
    x = T.randn(2, 3, 13, 12).to(device).contiguous(memory_format=memory_format).requires_grad_()
    h = F.max_pool2d(F.relu(layers[1](layers[0](x))), 2)
    h = layers[2](h)
    h = F.gelu(h + layers[3](h))
    y = layers[5](layers[4](h)) * 0.5
    y.square().mean().backward()
    found = [y.detach(), x.grad, *(p.grad for p in layers.parameters())]
    return y.stride(), [t.cpu().numpy() for t in found]


@pytest.mark.parametrize("dtype", [T.float32, T.bfloat16])
def test_attention_of_infinities(dtype):
    """An infinite value makes its column infinite and leaves the others, and the gradient of the values, as they were; an
    infinite gradient is one of its column of the values alone."""
    if dtype is T.bfloat16:
        pytest.importorskip("ml_dtypes")
    rng = np.random.default_rng(4)
    q, k, v, g = (T.tensor(rng.standard_normal((1, 2, 33, 24)), device="cuda").to(dtype) for _ in range(4))
    found = []
    for place in (v, None, g):
        given = [x.clone() for x in (q, k, v, g)]
        if place is not None:
            given[2 if place is v else 3][0, 1, 7, 5] = float("inf")
        value = given[2].requires_grad_()
        out = F.scaled_dot_product_attention(*given[:3])
        out.backward(given[3])
        found.append([x.detach().double().cpu().numpy() for x in (out, value.grad)])
    (infinite, as_before), (plain, gradient), (_, lost) = found
    assert (infinite[0, 1, :, 5] == np.inf).all() and (lost[0, 1, :, 5] == np.inf).all()
    assert np.array_equal(as_before, gradient)
    for got, want in ((infinite, plain), (lost, gradient)):
        got[0, 1, :, 5] = want[0, 1, :, 5]
        assert np.array_equal(got, want)


@pytest.mark.parametrize("depthwise", [False, True])
def test_channels_last(depthwise):
    """Channels that lie last stay so through a network's layers, and change no value."""
    _, want = conv_step("cpu", T.contiguous_format, depthwise)
    planes, first = conv_step("cuda", T.contiguous_format, depthwise)
    strides, last = conv_step("cuda", T.channels_last, depthwise)
    assert planes == (200, 25, 5, 1)
    if T.backend.cuda_runtime.native is not None:
        assert strides == (200, 1, 40, 8)
    for a, b, c in zip(want, first, last, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-6)
        np.testing.assert_allclose(c, a, rtol=2e-4, atol=2e-6)


def test_memory_order():
    """Elementwise results lie in memory as the first operand of their size does, without its gaps."""
    if T.backend.cuda_runtime.native is None:
        pytest.skip("without the kernels the order is CuPy's")
    x = T.randn(2, 6, 5, 4).cuda()
    turned = x.permute(3, 1, 0, 2)
    gaps = x[:, ::2].permute(0, 3, 2, 1)
    for y in (-turned, turned + 1, 1 - turned, turned * x[0, 0, 0, 0], turned > 0, T.where(turned > 0, turned, 0),
              turned.clamp(0, 1), F.gelu(turned), turned.half(), turned * T.randn(4, 6, 2, 5).cuda()):  # fmt: skip
        assert y.stride() == turned.stride()
    assert (gaps * 2).stride() == (60, 1, 4, 20)
    assert (x[:1, :1].permute(0, 3, 2, 1).expand(3, 4, 5, 2) * 2).is_contiguous()
    np.testing.assert_array_equal((gaps * 2).cpu().numpy(), 2 * gaps.cpu().numpy())


def test_convolution_variants():
    """Each rung gives the same, with a sum and relu too; the implicit one says so where it does not take a shape."""
    x, w, b = (T.randn(*s) for s in ((2, 8, 9, 7), (12, 8, 3, 3), (12,)))
    want = F.conv2d(x.double(), w.double(), b.double(), 2, 1).numpy()
    x, w, b = x.cuda(), w.cuda(), b.cuda()
    for variant in ("naive", "im2col", "implicit", "auto"):
        with T.kernels(conv=variant):
            np.testing.assert_allclose(F.conv2d(x, w, b, 2, 1).cpu().numpy(), want, rtol=1e-5, atol=1e-5)
    with T.kernels(conv="implicit"):
        half = F.conv2d(x.half(), w.half(), b.half(), 2, 1).cpu().numpy()
        np.testing.assert_allclose(half, want, rtol=5e-3, atol=2e-2)
        if T.backend.cuda_runtime.native is not None:
            with pytest.raises(RuntimeError, match="implicit"):
                F.conv2d(x.double(), w.double())
    if T.backend.cuda_runtime.native is None:
        return
    from fastnn.backend import cuda_kernels as k

    how = ((2, 2), (1, 1), (1, 1), 1)
    z = T.randn(*want.shape)
    sums = np.maximum(want + z.numpy(), 0)
    for variant, kernel in (("auto", "conv2d_implicit"), ("im2col", "conv2d"), ("naive", "relu")):
        for given in (z.cuda(), z.cuda().contiguous(memory_format=T.channels_last)):
            ran = k._native.launched.get(kernel, 0)
            with T.kernels(conv=variant):
                y = k.conv2d_add_relu(x._a, w._a, b._a, given._a, 1.0, *how)
            np.testing.assert_allclose(T.backend.cuda_runtime.arrays.asnumpy(y), sums, rtol=1e-5, atol=1e-5)
            assert k._native.launched[kernel] == ran + 1
    with pytest.raises(RuntimeError, match="expected z of shape"):
        k.conv2d_add_relu(x._a, w._a, b._a, z.cuda()._a[:1], 1.0, *how)


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_fused_convolutions(where):
    """torch's functions for a convolution with its sum and relu: one kernel on the device, gradients nevertheless."""
    x, w, b, z = (T.randn(*s, dtype=T.float64) for s in ((2, 8, 9, 7), (12, 4, 3, 3), (12,), (2, 12, 5, 4)))
    how = ([2, 2], [1, 1], [1, 1], 2)
    plain = F.conv2d(x, w, b, *how)
    for dtype, tolerance in ((T.float32, 1e-4), (T.float64, 1e-9)):
        given = [t.to(where, dtype) for t in (x, w, b, z)]
        first = T.cudnn_convolution_relu(*given[:3], *how)
        second = T.cudnn_convolution_add_relu(*given[:2], given[3], 0.5, given[2], *how)
        third = T.cudnn_convolution_add_relu(*given[:2], given[3], None, None, *how)
        wanted = (plain, plain + 0.5 * z, F.conv2d(x, w, None, *how) + z)
        for got, want in zip((first, second, third), wanted, strict=True):
            assert got.device.type == where
            np.testing.assert_allclose(got.cpu().numpy(), F.relu(want).numpy(), rtol=tolerance, atol=tolerance)
    given[3].requires_grad_()
    T.cudnn_convolution_add_relu(*given[:2], given[3], 0.5, given[2], *how).sum().backward()
    np.testing.assert_allclose(given[3].grad.cpu().numpy(), 0.5 * (plain + 0.5 * z > 0).numpy())
    with pytest.raises(RuntimeError, match="z of shape"):
        T.cudnn_convolution_add_relu(*given[:2], given[3][:, :2], 1, None, *how)
