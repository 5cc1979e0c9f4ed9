"""Modules: registration, walking, hooks, state, printing; layers' shapes and arguments; errors that name the layer."""

import copy
import gc
import pickle
import weakref

import pytest

import fastnn
from fastnn import nn

F = nn.functional


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(4, 8, 3)
        self.head = nn.Sequential(nn.Linear(8 * 5 * 5, 16), nn.ReLU(), nn.Linear(16, 10))
        self.register_buffer("scale", fastnn.ones(1))

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.head(x.flatten(1)) * self.scale


def close(a, b, tolerance=1e-5):
    return bool(((a - b).abs() <= tolerance).all())


# -- registration -----------------------------------------------------------------------------------------------------


def test_parameters_are_registered_in_order_and_once():
    net = Net()
    names = [name for name, _ in net.named_parameters()]
    assert names == [
        "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias",
        "head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias",
    ]  # fmt: skip
    net.shared = net.conv1.weight
    assert len(list(net.parameters())) == 8
    assert len(list(net.named_parameters(remove_duplicate=False))) == 9
    assert [name for name, _ in net.named_buffers()] == ["scale"]
    assert len(list(net.parameters(recurse=False))) == 1


def test_modules_and_children():
    net = Net()
    assert [name for name, _ in net.named_children()] == ["conv1", "pool", "conv2", "head"]
    assert [name for name, _ in net.named_modules()] == [
        "", "conv1", "pool", "conv2", "head", "head.0", "head.1", "head.2"
    ]  # fmt: skip
    net.again = net.conv1
    assert len(list(net.modules())) == 8
    assert net.get_submodule("head.0") is net.head[0]
    assert net.get_parameter("head.0.bias") is net.head[0].bias
    assert net.get_buffer("scale") is net.scale
    with pytest.raises(AttributeError, match="no attribute `nothing`"):
        net.get_submodule("head.nothing")


def test_attributes_and_registries_stay_one():
    layer = nn.Linear(2, 3)
    fresh = nn.Parameter(fastnn.zeros(3, 2))
    layer._parameters["weight"] = fresh
    assert layer.weight is fresh
    del layer._parameters["bias"]
    assert not hasattr(layer, "bias")
    layer.bias = None
    assert "bias" not in layer._parameters
    layer.register_parameter("other", None)
    assert layer.other is None and "other" in layer._parameters
    layer.other = nn.Parameter(fastnn.ones(1))
    assert "other" in dict(layer.named_parameters())
    with pytest.raises(TypeError, match="cannot assign 'Tensor' as parameter 'weight'"):
        layer.weight = fastnn.zeros(3, 2)
    layer.weight = None
    assert layer.weight is None and "weight" in layer._parameters
    del layer.weight
    assert not hasattr(layer, "weight") and "weight" not in layer._parameters


def test_a_name_changes_its_kind():
    module = nn.Module()
    module.x = 3
    module.x = nn.Linear(1, 1)
    assert list(module._modules) == ["x"] and module.x is module._modules["x"]
    module.x = nn.Parameter(fastnn.ones(1))
    assert not module._modules and list(module._parameters) == ["x"]
    del module.x
    module.x = 3
    assert module.x == 3 and not module._parameters


def test_wrong_registrations():
    module = nn.Module()
    for name, error in [("a.b", KeyError), ("", KeyError), (3, TypeError), ("forward", KeyError)]:
        with pytest.raises(error):
            module.register_parameter(name, nn.Parameter(fastnn.ones(1)))
        with pytest.raises(error):
            module.register_buffer(name, fastnn.ones(1))
        with pytest.raises(error):
            module.add_module(name, nn.ReLU())
    with pytest.raises(TypeError):
        module.register_parameter("p", fastnn.ones(1))
    with pytest.raises(TypeError, match="not a Module subclass"):
        module.add_module("m", 3)

    class Early(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call"):
        Early()
    with pytest.raises(NotImplementedError, match='missing the required "forward"'):
        nn.Module()(1)
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'nothing'"):
        nn.Module().nothing  # noqa: B018


def test_freed_without_the_garbage_collector():
    gc.disable()
    try:
        net = Net()
        net(fastnn.zeros(1, 1, 28, 28))
        ref = weakref.ref(net.conv1.weight)
        del net
        assert ref() is None
    finally:
        gc.enable()


# -- modes, types, application ----------------------------------------------------------------------------------------


def test_train_eval_requires_grad_zero_grad():
    net = Net()
    assert net.eval() is net and not net.head[0].training
    net.train()
    assert net.head[0].training
    with pytest.raises(ValueError, match="boolean"):
        net.train(1)
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.requires_grad_()
    net(fastnn.ones(2, 1, 28, 28)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(float(p.grad.abs().sum()) == 0 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_to_keeps_the_parameter_and_converts_floats_only():
    net = nn.Linear(2, 2)
    net.register_buffer("count", fastnn.tensor(3))
    weight = net.weight
    assert net.double() is net
    assert net.weight is weight and net.weight.dtype is fastnn.float64 and net.count.dtype is fastnn.int64
    net.to(fastnn.float32).to("cpu").to(fastnn.zeros(1)).to("cpu", fastnn.float32)
    assert net.weight.dtype is fastnn.float32
    with pytest.raises(TypeError, match="only accepts floating point dtypes"):
        net.to(fastnn.int64)


def test_apply_visits_children_first():
    seen = []
    net = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Sequential", "Sequential"]


# -- hooks ------------------------------------------------------------------------------------------------------------


def test_forward_hooks():
    layer = nn.Linear(2, 2)
    calls = []
    pre = layer.register_forward_pre_hook(lambda m, args: calls.append("pre"))
    first = layer.register_forward_pre_hook(lambda m, args: calls.append("first"), prepend=True)
    after = layer.register_forward_hook(lambda m, args, out: calls.append("after"))
    layer(fastnn.ones(1, 2))
    assert calls == ["first", "pre", "after"]
    for handle in (pre, first, after):
        handle.remove()
    layer(fastnn.ones(1, 2))
    assert len(calls) == 3
    with layer.register_forward_hook(lambda m, args, out: out * 0):
        assert float(layer(fastnn.ones(1, 2)).abs().sum()) == 0
    layer.register_forward_pre_hook(lambda m, args, kwargs: ((args[0] * 0,), kwargs), with_kwargs=True)
    assert close(layer(fastnn.ones(1, 2))[0], layer.bias)


def test_hook_called_though_forward_raised():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    with pytest.raises(RuntimeError):
        layer(fastnn.ones(1, 3))
    assert seen == [None]


def test_global_hooks():
    from fastnn.nn.modules.module import register_module_forward_hook

    seen = []
    with register_module_forward_hook(lambda m, args, out: seen.append(type(m).__name__)):
        nn.Sequential(nn.ReLU())(fastnn.ones(1))
    assert seen == ["ReLU", "Sequential"]
    nn.ReLU()(fastnn.ones(1))
    assert len(seen) == 2


def test_backward_hooks():
    layer = nn.Linear(3, 2)
    seen = {}
    layer.register_full_backward_hook(lambda m, gi, go: seen.update(gi=gi, go=go))
    x = fastnn.ones(4, 3, requires_grad=True)
    layer(x).sum().backward()
    assert close(seen["go"][0], fastnn.ones(4, 2)) and close(seen["gi"][0], x.grad)
    layer = nn.Linear(3, 2)
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 3,))
    x = fastnn.ones(4, 3, requires_grad=True)
    layer(x).sum().backward()
    assert close(x.grad[0], 6 * layer.weight.detach().sum(0))


def test_backward_hook_where_no_input_needs_a_gradient():
    layer, seen = nn.Linear(3, 2), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(gi))
    layer(fastnn.ones(4, 3)).sum().backward()
    assert seen == [(None,)] and layer.weight.grad is not None


# -- state ------------------------------------------------------------------------------------------------------------


def test_state_dict_round_trip():
    net, other = Net(), Net()
    state = net.state_dict()
    assert list(state)[:2] == ["scale", "conv1.weight"] and not any(t.requires_grad for t in state.values())
    result = other.load_state_dict(state)
    assert str(result) == "<All keys matched successfully>"
    x = fastnn.randn(2, 1, 28, 28)
    assert close(net(x), other(x), 0)
    assert state["conv1.bias"].data_ptr() == net.conv1.bias.data_ptr()
    assert net.state_dict(prefix="m.", keep_vars=True)["m.conv1.bias"] is net.conv1.bias


def test_load_state_dict_reports_everything_at_once():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = net.state_dict()
    del state["0.bias"]
    state["2.weight"] = fastnn.zeros(1)
    state["1.weight"] = fastnn.zeros(4, 4)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Sequential:\n\t"
        'Missing key(s) in state_dict: "0.bias". \n\t'
        'Unexpected key(s) in state_dict: "2.weight". \n\t'
        "size mismatch for 1.weight: copying a param with shape torch.Size([4, 4]) from checkpoint, "
        "the shape in current model is torch.Size([1, 3])."
    )
    state["1.weight"] = fastnn.zeros(1, 3)
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["0.bias"] and result.unexpected_keys == ["2.weight"]
    assert float(net[1].weight.abs().sum()) == 0
    with pytest.raises(TypeError, match="dict-like"):
        net.load_state_dict(3)


def test_buffers_that_do_not_persist_and_assign():
    module = nn.Module()
    module.register_buffer("kept", fastnn.ones(2))
    module.register_buffer("left", fastnn.ones(2), persistent=False)
    module.b = nn.Buffer(fastnn.zeros(1), persistent=False)
    assert list(module.state_dict()) == ["kept"] and len(list(module.buffers())) == 3
    value = fastnn.zeros(2)
    module.load_state_dict({"kept": value}, assign=True)
    assert module.kept is value


def test_extra_state_and_state_hooks():
    class Counted(nn.Linear):
        count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    a, b = Counted(1, 1), Counted(1, 1)
    a.count = 7
    a.register_state_dict_post_hook(lambda m, state, prefix, meta: state.update(hooked=fastnn.ones(1)))
    b.register_load_state_dict_pre_hook(lambda m, state, prefix, *rest: state.pop("hooked"))
    b.load_state_dict(a.state_dict())
    assert b.count == 7


def test_pickle_and_deepcopy():
    net = Net()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), copy.copy(net)):
        x = fastnn.randn(1, 1, 28, 28)
        assert close(net(x), twin(x), 0)
        assert twin.conv1.weight is twin.conv1._parameters["weight"]
        twin.conv1.bias = None
        assert "conv1.bias" not in twin.state_dict()
    twin = copy.deepcopy(net)
    with fastnn.no_grad():
        twin.head[0].bias.add_(1)
    assert not close(twin.head[0].bias, net.head[0].bias)
    shared = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    shared[1].weight = shared[0].weight
    twin = copy.deepcopy(shared)
    assert twin[0].weight is twin[1].weight


# -- containers -------------------------------------------------------------------------------------------------------


def test_sequential():
    a, b, c = nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)
    net = nn.Sequential(a, b, c)
    assert len(net) == 3 and net[-1] is c and list(net) == [a, b, c] and isinstance(net[:2], nn.Sequential)
    net.append(nn.Tanh()).extend([nn.Tanh()]).insert(1, nn.Sigmoid())
    assert [type(m).__name__ for m in net] == ["Linear", "Sigmoid", "ReLU", "Linear", "Tanh", "Tanh"]
    del net[1]
    assert list(net._modules) == ["0", "1", "2", "3", "4"]
    assert isinstance(net.pop(-1), nn.Tanh)
    net[1] = nn.ELU()
    assert isinstance(net[1], nn.ELU)
    assert len(net + nn.Sequential(nn.ReLU())) == 5 and len(nn.Sequential(a, b) * 2) == 4
    named = nn.Sequential({"first": a, "second": b})
    assert named.first is a and list(named.state_dict()) == ["first.weight", "first.bias"]
    with pytest.raises(IndexError, match="index 9 is out of range"):
        net[9]
    with pytest.raises(TypeError):
        nn.Sequential(3)


def test_module_list_and_dict():
    layers = nn.ModuleList([nn.Linear(1, 1) for _ in range(3)])
    layers.append(nn.ReLU()).extend([nn.Tanh()])
    layers.insert(0, nn.Sigmoid())
    assert len(layers) == 6 and isinstance(layers[0], nn.Sigmoid) and isinstance(layers[-1], nn.Tanh)
    assert isinstance(layers[1:3], nn.ModuleList) and layers[1] in layers
    del layers[0]
    assert list(layers.state_dict())[0] == "0.weight"
    table = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)})
    table["c"] = nn.Tanh()
    table.update([("d", nn.ReLU())])
    assert list(table) == ["a", "b", "c", "d"] and "a" in table and isinstance(table.pop("a"), nn.ReLU)
    assert list(table.keys()) == ["b", "c", "d"]


def test_parameter_list_and_dict():
    values = nn.ParameterList([fastnn.ones(2), nn.Parameter(fastnn.zeros(3))])
    values.append(fastnn.ones(1))
    assert len(values) == 3 and all(isinstance(v, nn.Parameter) for v in values) and values[-1].shape == (1,)
    assert list(values.state_dict()) == ["0", "1", "2"]
    table = nn.ParameterDict({"a": fastnn.ones(2)})
    table["b"] = fastnn.zeros(1)
    assert list(table) == ["a", "b"] and len(list(table.parameters())) == 2
    del table["a"]
    assert "a" not in table and table.get("a") is None


# -- layers -----------------------------------------------------------------------------------------------------------

SHAPES = [
    (lambda: nn.Identity(3, a=4), (2, 3), (2, 3)),
    (lambda: nn.Linear(3, 4), (2, 3), (2, 4)),
    (lambda: nn.Linear(3, 4, bias=False), (5, 2, 3), (5, 2, 4)),
    (lambda: nn.Linear(3, 4), (3,), (4,)),
    (lambda: nn.Flatten(), (2, 3, 4), (2, 12)),
    (lambda: nn.Flatten(0, 1), (2, 3, 4), (6, 4)),
    (lambda: nn.Unflatten(1, (2, 3)), (2, 6), (2, 2, 3)),
    (lambda: nn.Conv1d(2, 4, 3), (2, 2, 9), (2, 4, 7)),
    (lambda: nn.Conv1d(2, 4, 3, padding="same", groups=2), (2, 2, 9), (2, 4, 9)),
    (lambda: nn.Conv2d(2, 4, 3), (2, 2, 9, 8), (2, 4, 7, 6)),
    (lambda: nn.Conv2d(2, 4, 3), (2, 9, 8), (4, 7, 6)),
    (lambda: nn.Conv2d(2, 4, (3, 1), stride=2, padding=(1, 0)), (2, 2, 9, 8), (2, 4, 5, 4)),
    (lambda: nn.Conv2d(2, 4, 4, padding="same", dilation=2), (2, 2, 9, 8), (2, 4, 9, 8)),
    (lambda: nn.Conv2d(2, 4, 3, padding="valid"), (2, 2, 9, 8), (2, 4, 7, 6)),
    (lambda: nn.MaxPool1d(2), (2, 3, 9), (2, 3, 4)),
    (lambda: nn.MaxPool2d(2), (2, 3, 9, 8), (2, 3, 4, 4)),
    (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 3, 8, 8), (2, 3, 5, 5)),
    (lambda: nn.AvgPool1d(2), (2, 3, 9), (2, 3, 4)),
    (lambda: nn.AvgPool2d(3, 1, 1), (2, 3, 9, 8), (2, 3, 9, 8)),
    (lambda: nn.Dropout(0.3), (2, 3), (2, 3)),
    (lambda: nn.Dropout1d(0.3), (2, 3, 4), (2, 3, 4)),
    (lambda: nn.Dropout2d(0.3), (2, 3, 4, 4), (2, 3, 4, 4)),
    (lambda: nn.BatchNorm1d(3), (4, 3), (4, 3)),
    (lambda: nn.BatchNorm2d(3), (4, 3, 2, 2), (4, 3, 2, 2)),
    (lambda: nn.LayerNorm(3), (4, 3), (4, 3)),
    *(
        (layer, (2, 3), (2, 3))
        for layer in (
            nn.Sigmoid, nn.Tanh, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Softplus,
            nn.Hardtanh, lambda: nn.Softmax(1), lambda: nn.LogSoftmax(1), lambda: nn.GELU("tanh"),
            lambda: nn.PReLU(3), lambda: nn.ReLU(inplace=True),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(SHAPES)))
def test_output_shape_and_gradient(case):
    make, given, expected = SHAPES[case]
    layer = make()
    x = fastnn.randn(*given, requires_grad=True)
    y = layer(x * 1)
    assert tuple(y.shape) == expected
    (y * y).sum().backward()
    assert x.grad is not None and all(p.grad is not None for p in layer.parameters())
    x = x.detach()
    assert close(copy.deepcopy(layer).eval()(x.clone()), layer.eval()(x.clone()), 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Dropout(1.5),
        lambda: nn.Dropout(-0.1),
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        lambda: nn.Conv2d(4, 3, 3, groups=2),
        lambda: nn.Conv2d(4, 4, 3, groups=0),
        lambda: nn.Conv2d(4, 4, 3, padding="full"),
        lambda: nn.Conv2d(4, 4, 3, stride=2, padding="same"),
        lambda: nn.Conv2d(4, 4, (3, 3, 3)),
        lambda: nn.Conv2d(4, 4, 3, padding_mode="mirror"),
    ],
)
def test_wrong_layer_arguments(make):
    with pytest.raises(ValueError):
        make()
    with pytest.raises(ValueError, match='Only "zeros" padding mode'):
        nn.ConvTranspose2d(1, 1, 3, padding_mode="circular")
    with pytest.raises(TypeError):
        nn.ReLU(True, 3)


def test_dropout_only_in_training():
    layer, x = nn.Dropout(0.5), fastnn.ones(1000)
    kept = layer(x)
    assert set(kept.tolist()) == {0.0, 2.0}
    assert close(layer.eval()(x), x, 0)


def test_losses():
    x, y = fastnn.tensor([0.5, 2.0]), fastnn.tensor([1.0, 0.0])
    assert float(nn.MSELoss()(x, y)) == pytest.approx((0.25 + 4) / 2)
    assert float(nn.MSELoss(reduction="sum")(x, y)) == pytest.approx(4.25)
    assert nn.MSELoss(reduction="none")(x, y).tolist() == [0.25, 4.0]
    assert float(nn.L1Loss()(x, y)) == pytest.approx(1.25)
    assert float(nn.SmoothL1Loss()(x, y)) == pytest.approx((0.125 + 1.5) / 2)
    p = fastnn.tensor([0.5, 0.25])
    assert float(nn.BCELoss()(p, y)) == pytest.approx((0.6931472 + 0.2876821) / 2, rel=1e-5)
    assert float(nn.BCEWithLogitsLoss()(fastnn.zeros(2), y)) == pytest.approx(0.6931472, rel=1e-5)
    scores, classes = fastnn.zeros(3, 4), fastnn.tensor([0, 1, 3])
    assert float(nn.CrossEntropyLoss()(scores, classes)) == pytest.approx(1.3862944, rel=1e-5)
    assert float(nn.NLLLoss()(scores.log_softmax(1), classes)) == pytest.approx(1.3862944, rel=1e-5)
    weighted = nn.CrossEntropyLoss(weight=fastnn.tensor([1.0, 2.0, 1.0, 1.0]), ignore_index=3, label_smoothing=0.1)
    assert list(weighted.state_dict()) == ["weight"] and float(weighted(scores, classes)) > 0


def test_batch_norm_measures_and_uses():
    layer = nn.BatchNorm1d(2)
    x = fastnn.randn(64, 2) * 3 + 1
    y = layer(x)
    assert close(y.mean(0), fastnn.zeros(2), 1e-5) and close(y.var(0, correction=0), fastnn.ones(2), 1e-3)
    assert int(layer.num_batches_tracked) == 1 and close(layer.running_mean, 0.1 * x.mean(0))
    layer.eval()
    assert close(layer(x), (x - layer.running_mean) / (layer.running_var + 1e-5).sqrt(), 1e-4)
    with pytest.raises(ValueError, match="expected 2D or 3D input"):
        layer(fastnn.ones(2, 2, 2, 2))


def test_embedding():
    layer = nn.Embedding(5, 3, padding_idx=1)
    y = layer(fastnn.tensor([[0, 1], [1, 4]]))
    assert tuple(y.shape) == (2, 2, 3) and float(y[0, 1].abs().sum()) == 0
    y.sum().backward()
    assert layer.weight.grad.sum(1).tolist() == [3.0, 0.0, 0.0, 0.0, 3.0]


# -- initialisation and clipping --------------------------------------------------------------------------------------


def test_init_statistics():
    w = fastnn.empty(200, 300)
    nn.init.xavier_uniform_(w)
    assert float(w.abs().max()) <= (6 / 500) ** 0.5
    nn.init.kaiming_normal_(w, nonlinearity="relu")
    assert float(w.std()) == pytest.approx((2 / 300) ** 0.5, rel=0.02)
    nn.init.trunc_normal_(w, std=1.0, a=-1.0, b=0.5)
    assert -1 <= float(w.min()) and float(w.max()) <= 0.5
    nn.init.trunc_normal_(w, mean=0, std=1.0, a=2.0, b=3.0)
    assert 2 <= float(w.min()) and float(w.max()) <= 3
    nn.init.constant_(w, 3.5)
    assert float(w.min()) == float(w.max()) == 3.5
    nn.init.eye_(w)
    assert float(w.sum()) == 200
    nn.init.orthogonal_(w, gain=2)
    assert close(w @ w.t(), 4 * fastnn.eye(200), 1e-3)
    square = fastnn.empty(4, 2, 3, 3)
    x = fastnn.randn(1, 2, 5, 5)
    assert close(F.conv2d(x, nn.init.dirac_(square), padding=1)[:, :2], x, 1e-6)
    for wrong in (nn.init.xavier_normal_, nn.init.eye_, nn.init.orthogonal_, nn.init.dirac_):
        with pytest.raises(ValueError):
            wrong(fastnn.empty(3))
    with pytest.raises(ValueError, match="Unsupported nonlinearity"):
        nn.init.calculate_gain("nothing")


def test_clipping():
    p, q = nn.Parameter(fastnn.zeros(2)), nn.Parameter(fastnn.zeros(1))
    p.grad, q.grad = fastnn.tensor([3.0, 0.0]), fastnn.tensor([4.0])
    assert float(nn.utils.clip_grad_norm_([p, q], 1.0)) == pytest.approx(5.0)
    assert p.grad.tolist() == pytest.approx([0.6, 0.0], rel=1e-5)
    assert float(nn.utils.clip_grad_norm_([p, q], 10.0, norm_type=float("inf"))) == pytest.approx(0.8, rel=1e-5)
    nn.utils.clip_grad_value_([p, q], 0.5)
    assert q.grad.tolist() == [0.5]
    q.grad = fastnn.tensor([float("nan")])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_([p, q], 1.0, error_if_nonfinite=True)
    vector = nn.utils.parameters_to_vector([p, q])
    nn.utils.vector_to_parameters(vector + 1, [p, q])
    assert p.tolist() == [1.0, 1.0] and q.tolist() == [1.0]


# -- shape errors -----------------------------------------------------------------------------------------------------


def message(call) -> str:
    with pytest.raises((RuntimeError, ValueError)) as caught:
        call()
    return str(caught.value)


def test_shape_error_in_a_sequential_names_the_layer_and_the_fix():
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1352, 10))
    lines = message(lambda: net(fastnn.zeros(2, 1, 32, 32))).split("\n")
    assert lines[0] == (
        "net.4 (Linear): expects 1352 input features (8·13·13), got 1800 (8·15·15); "
        "the input was 1×32×32, the layer fits 1×28×28"
    )
    assert lines[1] == "  0 Conv2d: 2×1×32×32 → 2×8×30×30" and lines[4] == "  3 Flatten: 2×8×15×15 → 2×1800"
    assert "cannot be multiplied" in lines[-1]


def test_shape_error_in_a_users_forward():
    net = Net()
    text = message(lambda: net(fastnn.zeros(2, 1, 32, 32))).split("\n")[0]
    assert text.startswith("net.head.0 (Linear): expects 200 input features (8·5·5), got 288 (8·6·6)")
    assert text.endswith("the input was 1×32×32, the layer fits 1×26×26")
    text = message(lambda: net(fastnn.zeros(2, 3, 28, 28)))
    assert text.startswith("net.conv1 (Conv2d): expects 1 input channels, got 3 (2×3×28×28)")
    text = message(lambda: net(fastnn.zeros(2, 28, 28, 1)))
    assert "the channels come last" in text


def test_shape_error_of_one_layer_and_of_an_mlp():
    assert "(Linear): expects 3 input features, got 4" in message(lambda: nn.Linear(3, 2)(fastnn.zeros(1, 4)))
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(9, 2))
    text = message(lambda: net(fastnn.zeros(1, 4)))
    assert text.startswith("net.2 (Linear): expects 9 input features, got 8") and "Linear(8, 2) would take it" in text


def test_other_errors_keep_their_text():
    class Refuses(nn.Module):
        def forward(self, x):
            raise ValueError("not today")

    net = nn.Sequential(Refuses())
    with pytest.raises(ValueError) as caught:
        net(fastnn.zeros(1, 2))
    assert str(caught.value) == "not today"
    if hasattr(caught.value, "__notes__"):
        assert caught.value.__notes__ == ["in net.0 (Refuses), called with 1×2"]


def test_repr():
    net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ModuleList([nn.ReLU(), nn.ReLU()]), nn.Sequential())
    assert repr(net) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=False)\n"
        "  (1): ModuleList(\n    (0-1): 2 x ReLU()\n  )\n  (2): Sequential()\n)"
    )
    assert repr(nn.Parameter(fastnn.zeros(1))).startswith("Parameter containing:\ntensor([0.], requires_grad=True)")
    assert "weight" in dir(net[0]) and "0" not in dir(net)
