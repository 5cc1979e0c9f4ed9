"""nn.utils, lazy layers, parallel and the books of Module against torch: one function run on both, answers compared."""

import copy
import json
import pickle
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastnn  # noqa: E402

FACTS = []


def fact(function):
    FACTS.append(function)
    return function


def plain(value):
    """Tensors as arrays, parameters and containers opened."""
    if hasattr(value, "detach"):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


def same(ours, theirs, path=""):
    if isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, f"{path}: {ours} for {theirs}"
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=path)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), f"{path}: {list(ours)} for {list(theirs)}"
        for k in theirs:
            same(ours[k], theirs[k], f"{path}.{k}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), f"{path}: {ours} for {theirs}"
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{path}[{i}]")
    else:
        assert ours == theirs, f"{path}: {ours!r} for {theirs!r}"


def kind(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as e:  # noqa: BLE001 - every kind is an answer
        return type(e).__name__
    return None


def inputs(T, *shape):
    return T.arange(float(np.prod(shape))).reshape(shape) / 7 - 1


def trained(T, layer, *shape, steps=3):
    """A few steps of gradient descent, so that forward, backward and hooks all run."""
    optimizer = T.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (layer(inputs(T, *shape)) ** 2).sum()
        loss.backward()
        optimizer.step()
    return loss, layer.state_dict()


@fact
def weight_norm(T):
    layer = T.nn.utils.weight_norm(T.nn.Linear(3, 4))
    conv = T.nn.utils.weight_norm(T.nn.Conv1d(2, 3, 2), dim=None)
    answers = [trained(T, layer, 2, 3), trained(T, conv, 1, 2, 5), kind(T.nn.utils.weight_norm, layer)]
    T.nn.utils.remove_weight_norm(layer)
    return (
        *answers,
        layer.state_dict(),
        kind(T.nn.utils.remove_weight_norm, layer),
        repr(layer),
        len(list(layer.parameters())),
    )


@fact
def spectral_norm(T):
    layer = T.nn.utils.spectral_norm(T.nn.Linear(3, 4), n_power_iterations=2)
    conv = T.nn.utils.spectral_norm(T.nn.Conv2d(2, 3, 2))
    answers = [trained(T, layer, 2, 3), trained(T, conv, 1, 2, 5, 5), layer.eval()(inputs(T, 2, 3)), layer.state_dict()]
    T.nn.utils.remove_spectral_norm(layer)
    return answers, layer.state_dict(), kind(T.nn.utils.spectral_norm, T.nn.Linear(2, 2), "weight", 0)


@fact
def parametrized_norms(T):
    P = T.nn.utils.parametrizations
    weight, spectral = P.weight_norm(T.nn.Linear(3, 4)), P.spectral_norm(T.nn.Linear(3, 4))
    answers = [trained(T, weight, 2, 3), trained(T, spectral, 2, 3), repr(weight), repr(spectral)]
    old = T.nn.utils.weight_norm(T.nn.Linear(3, 4))
    weight.load_state_dict(old.state_dict())
    answers += [weight.weight, [n for n, _ in weight.named_parameters()], spectral.eval()(inputs(T, 2, 3))]
    T.nn.utils.parametrize.remove_parametrizations(weight, "weight")
    return answers, weight.state_dict(), type(weight).__name__


class_cache = {}


def symmetric(T):
    if T not in class_cache:

        class Symmetric(T.nn.Module):
            def forward(self, x):
                return x.triu() + x.triu(1).transpose(-1, -2)

            def right_inverse(self, a):
                return a.triu()

        class Scale(T.nn.Module):
            def __init__(self):
                super().__init__()
                self.factor = T.nn.Parameter(T.tensor(2.0))

            def forward(self, x):
                return x * self.factor

        class Wider(T.nn.Module):
            def forward(self, x):
                return T.cat([x, x])

        class_cache[T] = Symmetric, Scale, Wider
    return class_cache[T]


@fact
def parametrize(T):
    P = T.nn.utils.parametrize
    Symmetric, Scale, Wider = symmetric(T)
    layer = T.nn.Linear(3, 3)
    before = layer.weight
    P.register_parametrization(layer, "weight", Symmetric())
    answers = [
        layer.weight,
        layer.parametrizations.weight.original is before,
        repr(layer),
        P.is_parametrized(layer, "bias"),
    ]
    layer.weight = T.arange(9.0).reshape(3, 3)
    answers += [layer.weight, trained(T, layer, 2, 3)]
    P.register_parametrization(layer, "weight", Scale())
    answers += [
        layer.weight,
        list(layer.state_dict()),
        len(layer.parametrizations.weight),
        isinstance(layer, T.nn.Linear),
    ]
    answers += [kind(setattr, layer, "weight", T.ones(3, 3)), kind(P.register_parametrization, layer, "other", Scale())]
    answers += [kind(P.register_parametrization, T.nn.Linear(2, 2), "weight", Wider()), kind(pickle.dumps, layer)]
    again = copy.deepcopy(layer)
    with P.cached():
        answers += [again.weight is again.weight, P.type_before_parametrizations(again) is T.nn.Linear]
    P.remove_parametrizations(layer, "weight", leave_parametrized=False)
    return answers, layer.weight, type(layer) is T.nn.Linear, P.is_parametrized(layer)


@fact
def vectors_and_clipping(T):
    layer = T.nn.Linear(3, 2)
    vector = T.nn.utils.parameters_to_vector(layer.parameters())
    T.nn.utils.vector_to_parameters(T.arange(8.0), layer.parameters())
    (layer(inputs(T, 2, 3)) * 10).sum().backward()
    U = T.nn.utils
    norm = U.get_total_norm([p.grad for p in layer.parameters()], 3.0)
    U.clip_grads_with_norm_(layer.parameters(), 5.0, norm)
    first = [p.grad.clone() for p in layer.parameters()]
    U.clip_grad_norm_(layer.parameters(), 1.0, float("inf"))
    second = [p.grad.clone() for p in layer.parameters()]
    U.clip_grad_value_(layer.parameters(), 0.3)
    layer.bias.grad.fill_(float("nan"))
    error = kind(U.clip_grad_norm_, layer.parameters(), 1.0, error_if_nonfinite=True)
    return vector, layer.state_dict(), norm, first, second, [p.grad for p in layer.parameters()], error


@fact
def fusion(T):
    conv, bn = T.nn.Conv2d(2, 3, 2, bias=False), T.nn.BatchNorm2d(3)
    linear, bn1 = T.nn.Linear(4, 3), T.nn.BatchNorm1d(3)
    bn(conv(inputs(T, 2, 2, 4, 4))), bn1(linear(inputs(T, 5, 4)))
    error = kind(T.nn.utils.fuse_conv_bn_eval, conv, bn)
    fused = T.nn.utils.fuse_conv_bn_eval(conv.eval(), bn.eval())
    fused1 = T.nn.utils.fuse_linear_bn_eval(linear.eval(), bn1.eval())
    return (
        error,
        fused.state_dict(),
        fused1.state_dict(),
        fused(inputs(T, 1, 2, 4, 4)) - bn(conv(inputs(T, 1, 2, 4, 4))),
    )


@fact
def pruning(T):
    import importlib

    P = importlib.import_module(f"{T.__name__}.nn.utils.prune")
    layer = T.nn.Linear(4, 5)
    P.l1_unstructured(layer, "weight", amount=6)
    answers = [layer.state_dict(), layer.weight, P.is_pruned(layer), trained(T, layer, 2, 4)]
    P.random_unstructured(layer, "weight", amount=0.3)
    answers += [layer.weight, layer.weight_mask]
    P.ln_structured(layer, "weight", amount=0.4, n=2, dim=0)
    answers += [layer.weight_mask, [n for n, _ in layer.named_parameters()], [n for n, _ in layer.named_buffers()]]
    P.remove(layer, "weight")
    other = T.nn.Conv2d(2, 4, 2)
    P.random_structured(other, "weight", amount=2, dim=0)
    P.identity(other, "bias")
    P.global_unstructured([(layer, "weight"), (layer, "bias")], pruning_method=P.L1Unstructured, amount=0.9)
    P.custom_from_mask(other, "bias", T.tensor([1, 0, 1, 0]))
    errors = [kind(P.l1_unstructured, layer, "weight", -1), kind(P.l1_unstructured, layer, "weight", 1.5)]
    errors += [kind(P.remove, T.nn.Linear(1, 1), "weight"), kind(P.ln_structured, layer, "bias", 1, 2, 0)]
    return answers, layer.state_dict(), other.state_dict(), other.bias, errors


@fact
def functional_call(T):
    import importlib

    call = importlib.import_module(f"{T.__name__}.nn.utils.stateless").functional_call
    layer = T.nn.Sequential(T.nn.Linear(3, 2), T.nn.ReLU())
    w = T.ones(2, 3, requires_grad=True)
    y = call(layer, {"0.weight": w}, (inputs(T, 2, 3) + 3,))
    y.sum().backward()
    error = kind(call, layer, {"0.weight": w}, (inputs(T, 2, 3),), strict=True)
    return y, w.grad, layer[0].weight.grad is None, error, layer.state_dict()


@fact
def lazy_linear(T):
    net = T.nn.Sequential(T.nn.LazyLinear(5), T.nn.ReLU(), T.nn.LazyLinear(2, bias=False))
    printed, weight = repr(net), net[0].weight
    other = copy.deepcopy(net)
    errors = [kind(lambda: weight.shape), kind(lambda: weight + 1), kind(lambda: len(list(net.parameters())))]
    trained_once = trained(T, net, 2, 3)
    other.load_state_dict(net.state_dict())
    return (
        printed,
        [repr(p) for p in T.nn.LazyLinear(3).parameters()],
        errors,
        trained_once,
        repr(net),
        weight is net[0].weight,
        type(net[0]) is T.nn.Linear,
        other(inputs(T, 2, 3)),
        T.nn.LazyLinear(3).double()(T.ones(2, 2, dtype=T.float64)).dtype == T.float64,
        T.nn.parameter.is_lazy(T.nn.UninitializedParameter()),
        isinstance(T.nn.UninitializedParameter(), T.nn.Parameter),
    )


@fact
def lazy_layers(T):
    nn, answers = T.nn, []
    for layer, shape in (
        (nn.LazyConv1d(4, 2), (1, 3, 5)),
        (nn.LazyConv2d(4, 3, 1, 1, 1, 2, False), (2, 4, 5, 5)),
        (nn.LazyConv2d(6, kernel_size=3, padding=1, groups=2), (4, 5, 5)),
        (nn.LazyBatchNorm1d(), (3, 4)),
        (nn.LazyBatchNorm2d(eps=1e-3, momentum=0.2), (3, 4, 2, 2)),
        (nn.LazyBatchNorm2d(affine=False), (3, 4, 2, 2)),
        (nn.LazyBatchNorm3d(track_running_stats=False), (3, 4, 2, 2, 2)),
        (nn.LazyInstanceNorm2d(affine=True), (3, 4, 2, 2)),
    ):
        before = repr(layer)
        y = layer(inputs(T, *shape))
        answers.append((before, repr(layer), y, layer.state_dict(), type(layer).__name__))
    error = kind(nn.LazyConv2d(3, 3), T.ones(2, 2)), kind(nn.LazyConv2d(3, 3, groups=3), T.ones(1, 2, 4, 4))
    return answers, error, [k for k in nn.LazyBatchNorm1d().state_dict()]


@fact
def adaptive_log_softmax(T):
    layer = T.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], div_value=2.0, head_bias=True)
    x, y = inputs(T, 6, 8), T.tensor([0, 9, 4, 2, 5, 7])
    output, loss = layer(x, y)
    loss.backward()
    errors = [kind(layer, x, y[:2]), kind(layer, x, y + 5), kind(T.nn.AdaptiveLogSoftmaxWithLoss, 8, 10, [6, 3])]
    return (
        [repr(layer), list(layer.state_dict()), output, loss, [p.grad for p in layer.parameters()], errors],
        [layer.log_prob(x), layer.predict(x), layer(x[0], y[0])],
    )


@fact
def data_parallel(T):
    net = T.nn.DataParallel(T.nn.Linear(3, 2), device_ids=None)
    y = net(inputs(T, 2, 3))
    state = net.state_dict()
    stripped = dict(state)
    T.nn.modules.utils.consume_prefix_in_state_dict_if_present(stripped, "module.")
    error = kind(T.nn.parallel.DistributedDataParallel, T.nn.Linear(1, 1)) is not None
    return repr(net), y, state, stripped, error


@fact
def old_names_of_init(T):
    w = T.empty(4, 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names = ["uniform", "normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "sparse"]
        answers = [getattr(T.nn.init, n)(w, **({"sparsity": 0.3} if n == "sparse" else {})).clone() for n in names]
        answers += [T.nn.init.constant(w, 3.0).clone(), T.nn.init.eye(w).clone(), T.nn.init.orthogonal(w).abs()]
        answers += [T.nn.init.dirac(T.empty(2, 2, 3)), T.nn.init.dirac_(T.empty(4, 2, 3, 3), groups=2)]
    return answers, [type(c.message).__name__ for c in caught]


@fact
def errors_of_init(T):
    init, w = T.nn.init, T.empty(3)
    functions = [init.xavier_uniform_, init.kaiming_normal_, init.orthogonal_, init.eye_, init.dirac_]
    return [
        *(kind(f, w) for f in functions),
        kind(init.sparse_, w, 0.1),
        kind(init.calculate_gain, "other"),
        kind(init.calculate_gain, "leaky_relu", "x"),
        kind(init.kaiming_uniform_, T.empty(2, 2), mode="other"),
        kind(init.dirac_, T.empty(3, 2, 2), 2),
    ]


@fact
def skip_init(T):
    layer = T.nn.utils.skip_init(T.nn.Linear, 3, 2)
    return layer.weight.shape[0], layer.bias.shape[0], T.rand(2), kind(T.nn.utils.skip_init, int)


@fact
def containers(T):
    nn = T.nn
    d = nn.ModuleDict([("a", nn.ReLU())])
    d.update({"b": nn.Tanh()})
    p = nn.ParameterDict({"y": nn.Parameter(T.ones(2)), "x": T.zeros(1)})
    p["z"] = T.ones(1)
    q = nn.ParameterList([nn.Parameter(T.ones(2)), T.zeros(1)])
    q.append(nn.Parameter(T.ones(3)))
    popped = d.pop("a")
    m = nn.ModuleList([nn.Linear(1, 1), nn.ReLU()])
    m.insert(1, nn.Tanh())
    m += [nn.Sigmoid()]
    s = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    s.append(nn.Tanh()).insert(0, nn.Identity())
    s.extend([nn.ReLU6()])
    return (
        [repr(v) for v in (d, p, q, m, s, popped, s[1:3], m[::2])],
        [list(d.keys()), "b" in d, len(p), list(p.keys()), p.get("no"), sorted(dict(p.items())), list(p.state_dict())],
        [len(q), list(q.state_dict()), [type(v).__name__ for v in q], kind(lambda: q[7]), kind(d.update, 3), kind(d.update, [1])],
        [kind(nn.ModuleList, [3]), kind(nn.Sequential, 3), kind(lambda: s["0"]), kind(lambda: m.forward(1))],
        [len(s + s), len(s * 2)],
        [kind(p.pop, "no"), p.popitem()[0], list(p), p.setdefault("n", T.ones(1)).shape[0], list(p.copy())],
        [len(p | nn.ParameterDict({"m": T.ones(1)}))],
        [n for n, _ in nn.ParameterDict.fromkeys(nn.ParameterDict(), ["a", "b"]).items()],
    )  # fmt: skip


@fact
def module_paths(T):
    import importlib

    found = []
    for path, names in {
        "activation": "ReLU Sigmoid Softmax MultiheadAttention", "batchnorm": "BatchNorm2d", "channelshuffle": "ChannelShuffle",
        "container": "Sequential ModuleList", "conv": "Conv2d", "distance": "PairwiseDistance", "dropout": "Dropout _DropoutNd",
        "flatten": "Flatten", "fold": "Fold", "lazy": "LazyModuleMixin", "normalization": "LayerNorm",
        "linear": "Linear Bilinear NonDynamicallyQuantizableLinear", "loss": "_Loss _WeightedLoss CrossEntropyLoss",
        "module": "Module register_module_forward_hook",
        "padding": "ZeroPad2d", "pixelshuffle": "PixelShuffle", "pooling": "MaxPool2d _MaxPoolNd", "sparse": "Embedding",
        "upsampling": "Upsample", "utils": "_pair _single _triple _ntuple _quadruple",
    }.items():  # fmt: skip
        module = importlib.import_module(f"{T.__name__}.nn.modules.{path}")
        for name in names.split():
            found.append((path, name, getattr(T.nn, name, None) in (None, getattr(module, name))))
    pair = importlib.import_module(f"{T.__name__}.nn.modules.utils")
    return found, [pair._pair(3), pair._pair((1, 2)), pair._triple(0), pair._reverse_repeat_tuple((1, 2), 2)]


@fact
def module_conversions(T):
    m = T.nn.Sequential(T.nn.Linear(2, 1), T.nn.BatchNorm1d(1))
    kinds = [str(v.dtype)[6:] for v in m.half().state_dict().values()]
    m.double().requires_grad_(False)
    kinds += [str(v.dtype)[6:] for v in m.state_dict().values()] + [m.float().bfloat16()[0].weight.dtype == T.bfloat16]
    m.float().requires_grad_(True)
    m(T.ones(2, 2)).sum().backward()
    m.zero_grad(set_to_none=False)
    zeros = m[0].weight.grad.clone()
    m.zero_grad()
    shapes = [tuple(v.shape) for v in m.to_empty(device="cpu").state_dict().values()]
    return kinds, zeros, m[0].weight.grad is None, shapes, m.share_memory() is m, m.cpu() is m, m.train(False).training


@fact
def hooks(T):
    seen = []
    m = T.nn.Sequential(T.nn.Linear(2, 2), T.nn.ReLU())
    handles = [
        m.register_forward_pre_hook(lambda mod, args, kwargs: seen.append(("pre", len(args), sorted(kwargs))), with_kwargs=True),
        m[0].register_forward_hook(lambda mod, args, out: out * 2),
        m.register_forward_hook(lambda *a: seen.append("post"), prepend=True),
        m[0].register_full_backward_pre_hook(lambda mod, g: (g[0] * 3,)),
        m.register_full_backward_hook(lambda mod, gi, go: seen.append(len(gi))),
        T.nn.modules.module.register_module_forward_hook(lambda mod, args, out: seen.append(type(mod).__name__)),
    ]  # fmt: skip
    x = inputs(T, 2, 2).requires_grad_()
    m(x).sum().backward()
    for h in handles:
        h.remove()
    m(x)
    everywhere = [
        T.nn.modules.module.register_module_full_backward_hook(lambda mod, gi, go: seen.append(("all", len(go)))),
        T.nn.modules.module.register_module_full_backward_pre_hook(lambda mod, go: seen.append(("before", len(go)))),
    ]
    m(x).sum().backward()
    for h in everywhere:
        h.remove()
    m(x).sum().backward()
    return seen, x.grad, m[0].weight.grad


@pytest.mark.parametrize("function", FACTS, ids=lambda f: f.__name__)
def test_fact(function):
    answers = []
    for T in (torch, fastnn):
        T.manual_seed(5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers.append((plain(function(T)), T.rand(2).tolist()))
    (theirs, draws), (ours, own_draws) = answers
    same(ours, theirs, function.__name__)
    assert own_draws == draws, "the random numbers that were used differ"


def test_anomaly_mode_names_the_op():
    messages = []
    for T in (torch, fastnn):
        x = T.zeros(2, requires_grad=True)
        with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"), T.autograd.detect_anomaly():
            assert T.is_anomaly_enabled()
            with (
                pytest.warns(UserWarning, match="Error detected in SqrtBackward0"),
                pytest.raises(RuntimeError) as error,
            ):
                (x.sqrt() * 0).sum().backward()
            messages.append(str(error.value))
        assert not T.is_anomaly_enabled()
        with T.autograd.set_detect_anomaly(True, check_nan=False):
            (x.sqrt() * 0).sum().backward()  # not looked at
        (x.sqrt() * 0).sum().backward()
    assert messages[0] == messages[1]


def test_state_dict_from_url(tmp_path):
    """A file of a folder, by file: URL: kept under its name, its checksum compared, weights only."""
    torch.save({"w": torch.arange(3.0)}, tmp_path / "net.pth")
    url = (tmp_path / "net.pth").as_uri()
    found = [T.hub.load_state_dict_from_url(url, tmp_path / name, progress=False)["w"] for name, T in
             (("a", torch), ("b", fastnn))]  # fmt: skip
    assert found[0].tolist() == found[1].tolist()
    assert (tmp_path / "b" / "net.pth").read_bytes() == (tmp_path / "net.pth").read_bytes()
    with pytest.raises(RuntimeError, match="invalid hash value"):
        fastnn.hub.download_url_to_file(url, tmp_path / "other", hash_prefix="12345678")
    assert not (tmp_path / "other").exists()
    from fastnn.utils import model_zoo

    assert model_zoo.load_url is fastnn.hub.load_state_dict_from_url


@pytest.mark.parametrize("module", ["_dynamo", "_inductor"])
def test_compiler_settings_are_torchs(module):
    """Every setting that is accepted is one of torch's; the settings change nothing."""
    import importlib

    ours, theirs = (importlib.import_module(f"{root}.{module}.config") for root in ("fastnn", "torch"))
    names = [name for name in vars(ours) if name[0] != "_" and name != "SimpleNamespace"]
    assert names and not [name for name in names if not hasattr(theirs, name)]
    for inner in ("triton", "cpp"):
        for name in vars(getattr(ours, inner, None)) if hasattr(ours, inner) else ():
            assert hasattr(getattr(theirs, inner), name), f"{inner}.{name}"
    assert fastnn._dynamo.disable(len) is len


def test_profiler_notes_the_ranges_that_torchs_does(tmp_path):
    answers = []
    for T in (torch, fastnn):
        P = T.profiler
        plan = P.schedule(wait=1, warmup=1, active=2, repeat=2, skip_first=1)
        groups = []

        def ready(p, groups=groups):
            names = ("ProfilerStep*", "fwd", "bwd")
            groups.append((p.step_num, sorted((e.key, e.count) for e in p.key_averages() if e.key in names)))

        with P.profile(schedule=P.schedule(wait=1, warmup=0, active=2, repeat=2), on_trace_ready=ready) as p:
            for _ in range(7):
                with P.record_function("fwd"):
                    T.ones(2).sum()
                P.record_function("bwd")(lambda: None)()
                p.step()
        with P.profile(activities=[P.ProfilerActivity.CPU]) as p, P.record_function("a"), P.record_function("b"):
            T.ones(2).sum()
        p.export_chrome_trace(str(tmp_path / f"{T.__name__}.json"))
        trace = json.loads((tmp_path / f"{T.__name__}.json").read_text())["traceEvents"]
        found = {e.key: e for e in p.key_averages() if e.key in "ab"}
        assert found["a"].cpu_time_total >= found["b"].cpu_time_total >= found["b"].self_cpu_time_total >= 0
        assert "b" in p.key_averages().table(sort_by="cpu_time_total", row_limit=5)
        answers.append(
            (
                [plan(i).name for i in range(14)],
                groups,
                {k: e.count for k, e in found.items()},
                sorted(e["name"] for e in trace if e.get("name") in ("a", "b") and e.get("ph") == "X"),
            )
        )
    assert answers[0] == answers[1]
