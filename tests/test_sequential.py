"""Sequential computes Linear and Conv2d together with the ReLU after them: nobody may see the difference."""

import pytest

import fastnn
from fastnn import nn


@pytest.fixture
def relu_nets():
    """(name, net, input) of layers that Sequential computes together with the ReLU after them."""
    fastnn.manual_seed(3)
    yield [
        (
            "linear",
            nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 5), nn.ReLU(inplace=True)),
            fastnn.randn(6, 7),
        ),
        ("batches", nn.Sequential(nn.Linear(7, 9, bias=False), nn.ReLU()), fastnn.randn(2, 3, 7)),
        (
            "conv",
            nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.ReLU()),
            fastnn.randn(2, 3, 9, 8),
        ),
        ("one image", nn.Sequential(nn.Conv2d(3, 8, 3, padding="same"), nn.ReLU()), fastnn.randn(3, 9, 8)),
        (
            "reflected",
            nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
            fastnn.randn(2, 3, 6, 6),
        ),
        ("double", nn.Sequential(nn.Linear(7, 9), nn.ReLU()).double(), fastnn.randn(6, 7).double()),
        ("half", nn.Sequential(nn.Linear(7, 9), nn.ReLU()).to(fastnn.float16), fastnn.randn(6, 7).to(fastnn.float16)),
    ]


def _history(fn):
    return [fn.name(), *(_history(f) for f, _ in fn.next_functions if f is not None)]


def test_sequential_with_relu_has_the_bits_and_the_history_of_its_modules(relu_nets):
    for name, net, x in relu_nets:
        x = x.requires_grad_(True)
        together = net(x)
        apart = x
        for module in net:
            apart = module(apart)
        assert together.dtype == apart.dtype and fastnn.equal(together, apart), name
        assert _history(together.grad_fn) == _history(apart.grad_fn), name
        gradients = [
            fastnn.autograd.grad(y.float().square().sum(), [x, *net.parameters()], create_graph=True)
            for y in (together, apart)
        ]
        assert all(fastnn.equal(a, b) for a, b in zip(*gradients, strict=True)), name
        with fastnn.no_grad():
            assert fastnn.equal(net(x), apart) and net(x).grad_fn is None, name


def test_sequential_with_relu_keeps_nan_and_infinity():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    x = fastnn.tensor([[float("nan"), 1.0], [float("inf"), 0.0]])
    with fastnn.no_grad():
        net[0].weight.copy_(fastnn.tensor([[1.0, 1.0], [-1.0, 1.0], [2.0, 1.0]]))
    y = net(x).tolist()
    assert all(v != v for v in y[0]) and y[1] == [float("inf"), 0.0, float("inf")]


def test_sequential_with_relu_calls_what_was_hooked_or_replaced(monkeypatch):
    calls = []
    for make in (lambda: (nn.Linear(4, 4), fastnn.randn(2, 4)), lambda: (nn.Conv2d(1, 2, 2), fastnn.randn(1, 1, 4, 4))):
        layer, x = make()
        net = nn.Sequential(layer, nn.ReLU())
        handle = layer.register_forward_hook(lambda m, i, o: calls.append(o.min().item()))
        net(x)
        handle.remove()
        assert calls.pop() < 0  # the hook saw the layer's own output
        handle = net[1].register_forward_pre_hook(lambda m, i: calls.append(i[0].min().item()))
        net(x)
        handle.remove()
        assert calls.pop() < 0
        handle = nn.modules.module.register_module_forward_hook(lambda m, i, o: calls.append(type(m).__name__))
        net(x)
        handle.remove()
        assert calls == [type(layer).__name__, "ReLU", "Sequential"]
        calls.clear()
        net[1].forward = lambda input: input * 0 - 1
        assert (net(x) == -1).all()
        del net[1].forward
        with monkeypatch.context() as patch:
            patch.setattr(type(layer), "forward", lambda self, input: input * 0 - 2)
            assert (net(x) == 0).all()
        with monkeypatch.context() as patch:
            patch.setattr(nn.functional, "relu", lambda input, inplace=False: input * 0 + 7)
            assert (net(x) == 7).all()
        kind = type("Own", (nn.ReLU,), {"forward": lambda self, input: input * 0 + 3})
        assert (nn.Sequential(layer, kind())(x) == 3).all()


def test_sequential_with_relu_names_the_layer_that_does_not_fit():
    with pytest.raises(RuntimeError, match="Linear"):
        nn.Sequential(nn.Linear(4, 4), nn.ReLU())(fastnn.randn(2, 5))
