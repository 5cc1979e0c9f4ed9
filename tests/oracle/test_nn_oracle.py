"""nn, utils.data and serialization against torch itself."""

import io
import random

import numpy as np
import pytest
import torch
import torch.utils.data as torch_data

import fastnn
import fastnn.utils.data as our_data

BOTH = (torch, fastnn)


def same_bits(ours, theirs):
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    assert a.dtype == b.dtype and a.shape == b.shape
    assert a.tobytes() == b.tobytes()


LAYERS = [
    "Linear(5, 3)", "Linear(5, 3, bias=False)", "Linear(700, 300)", "Conv1d(3, 4, 5)", "Conv2d(3, 6, (3, 2))",
    "Conv2d(4, 8, 3, stride=2, padding=1, dilation=2, groups=2)", "Conv2d(1, 1, 1, bias=False)",
    "Conv2d(4, 8, 3, padding='same')", "PReLU()", "PReLU(4, 0.1)", "Embedding(7, 5)", "Embedding(7, 5, padding_idx=-1)",
    "BatchNorm1d(3)", "BatchNorm2d(3, affine=False)", "LayerNorm((2, 3))", "LayerNorm(4, bias=False)",
    "Sequential(Linear(4, 3), ReLU(), Sequential(Linear(3, 2)))", "MaxPool1d(2)", "MaxPool2d(2)",
    "MaxPool2d((2, 3), stride=1, padding=1)", "AvgPool1d(3)", "AvgPool2d(2)", "AvgPool2d((2, 1), 1)",
    "AdaptiveAvgPool2d(1)", "AdaptiveAvgPool1d(3)", "Dropout(0.1)",
    "Dropout2d()", "ReLU()", "ReLU(inplace=True)", "ReLU6()", "LeakyReLU(0.2)", "ELU(0.5)", "SiLU()", "GELU()",
    "GELU('tanh')", "Softplus()", "Softmax(dim=1)", "LogSoftmax(-1)", "Hardtanh()", "Sigmoid()", "Tanh()",
    "Flatten()", "Unflatten(1, (2, 2))", "Identity()", "MSELoss()", "CrossEntropyLoss()", "BCEWithLogitsLoss()",
    "ModuleList([Linear(2, 2), Linear(2, 2), ReLU()])", "ModuleDict({'a': Linear(1, 2), 'b': ReLU()})",
    "Sequential()", "ModuleList()",
]  # fmt: skip


@pytest.mark.parametrize("text", LAYERS)
def test_weights_names_and_repr(text):
    layers = []
    for T in BOTH:
        T.manual_seed(7)
        layers.append(eval(text, dict(vars(T.nn))))
        layers.append(T.rand(3))
    theirs, after_theirs, ours, after_ours = layers
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        same_bits(a, b)
    same_bits(after_ours, after_theirs)


INITS = [
    ("xavier_uniform_", {}), ("xavier_uniform_", {"gain": 1.7}), ("xavier_normal_", {}), ("kaiming_uniform_", {}),
    ("kaiming_uniform_", {"a": 0.3, "mode": "fan_out"}), ("kaiming_normal_", {"nonlinearity": "relu"}),
    ("normal_", {"mean": 1.0, "std": 0.02}), ("uniform_", {"a": -2.0, "b": 3.0}), ("constant_", {"val": 0.3}),
    ("ones_", {}), ("zeros_", {}), ("trunc_normal_", {"std": 0.02}), ("trunc_normal_", {"a": -0.5, "b": 0.5}),
    ("trunc_normal_", {"mean": 0.1, "std": 0.5, "a": 0.9, "b": 1.2}), ("sparse_", {"sparsity": 0.3}),
]  # fmt: skip


@pytest.mark.parametrize("shape", [(3, 5), (30, 50), (64, 3, 3, 3)])
@pytest.mark.parametrize("case", range(len(INITS)))
def test_init_draws(case, shape):
    name, options = INITS[case]
    if name == "sparse_" and len(shape) > 2:
        pytest.skip("sparse_ is for matrices")
    results = []
    for T in BOTH:
        T.manual_seed(3)
        results.append(getattr(T.nn.init, name)(T.empty(*shape), **options))
        results.append(T.rand(1))
    same_bits(results[2], results[0])
    same_bits(results[3], results[1])


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (8, 2, 3, 3)])
def test_orthogonal(shape):
    results = []
    for T in BOTH:
        T.manual_seed(3)
        results.append(T.nn.init.orthogonal_(T.empty(*shape), gain=1.5).numpy())
    np.testing.assert_allclose(results[1], results[0], atol=2e-6)


def test_gains():
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert fastnn.nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


LOADERS = [
    {}, {"shuffle": True}, {"shuffle": True, "drop_last": True}, {"num_workers": 2, "shuffle": True},
    {"shuffle": True, "seeded": 4}, {"seeded": 4}, {"replacement": 70}, {"more": 60}, {"weights": True},
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(LOADERS)))
def test_loader_draws(case):
    results = []
    for T, D in ((torch, torch_data), (fastnn, our_data)):
        options = dict(LOADERS[case])
        T.manual_seed(11)
        data = D.TensorDataset(T.arange(46).reshape(23, 2), T.arange(23))
        if "seeded" in options:
            options["generator"] = T.Generator().manual_seed(options.pop("seeded"))
        if "replacement" in options:
            options["sampler"] = D.RandomSampler(data, replacement=True, num_samples=options.pop("replacement"))
        if "more" in options:
            options["sampler"] = D.RandomSampler(data, num_samples=options.pop("more"))
        if "weights" in options:
            options["sampler"] = D.WeightedRandomSampler([0.1 * i for i in range(23)], 40)
            del options["weights"]
        loader = D.DataLoader(data, batch_size=5, **options)
        epochs = [[(x.tolist(), y.tolist()) for x, y in loader] for _ in range(2)]
        results.append((epochs, T.rand(2).tolist(), [len(p) for p in D.random_split(data, [0.4, 0.6])],
                        D.random_split(data, [3, 20])[0].indices))  # fmt: skip
    assert results[0] == results[1]


class Drawn(torch_data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return np.random.randint(1 << 30), random.random()


def test_worker_seeds():
    results = []
    for T, D in ((torch, torch_data), (fastnn, our_data)):
        T.manual_seed(5)
        results.append([[v.tolist() for v in batch] for batch in D.DataLoader(Drawn(), 2, num_workers=2)])
    assert results[0] == results[1]


def test_files_cross():
    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Linear(3, 4))
    ours = fastnn.nn.Sequential(fastnn.nn.Conv2d(1, 2, 3), fastnn.nn.BatchNorm2d(2), fastnn.nn.Linear(3, 4))
    optimizer = torch.optim.Adam(theirs.parameters())
    file = io.BytesIO()
    content = {
        "model": theirs.state_dict(),
        "optimizer": optimizer.state_dict(),
        "view": torch.arange(6).view(2, 3).t(),
        "parameter": theirs[0].weight,
        "dtype": torch.float16,
        "size": torch.Size([1]),
        "half": torch.ones(2).half(),
    }
    torch.save(content, file)
    file.seek(0)
    read = fastnn.load(file)
    ours.load_state_dict(read["model"])
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        same_bits(a, b)
    assert read["view"].tolist() == content["view"].tolist() and read["dtype"] is fastnn.float16
    assert isinstance(read["parameter"], fastnn.nn.Parameter) and read["optimizer"] == content["optimizer"]

    file = io.BytesIO()
    content = {
        "model": ours.state_dict(),
        "list": [1, -(2**70), 2.5, None, True, "ü", b"\xff", (1,), {2}],
        "view": fastnn.arange(6).reshape(2, 3).t(),
        "parameter": ours[0].weight,
        "dtype": fastnn.int8,
    }
    fastnn.save(content, file)
    file.seek(0)
    read = torch.load(file, weights_only=True)
    theirs.load_state_dict(read["model"])
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        same_bits(a, b)
    assert read["view"].tolist() == content["view"].tolist() and read["list"] == content["list"]
    assert isinstance(read["parameter"], torch.nn.Parameter) and read["dtype"] is torch.int8


def test_load_state_dict_error_text():
    texts = []
    for T in BOTH:
        net = T.nn.Sequential(T.nn.Linear(2, 3), T.nn.Linear(3, 1))
        state = net.state_dict()
        del state["0.bias"]
        state["2.weight"] = T.zeros(1)
        state["1.weight"] = T.zeros(4, 4)
        with pytest.raises(RuntimeError) as caught:
            net.load_state_dict(state)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shapes", [[(33333,)], [(1300, 200), (5,), (7, 3), (1000,)], [(0,), (17,)], [()]], ids=str)
def test_total_norm_to_the_last_bit(shapes, dtype, table):
    """torch adds float32 squares up in float32: over long gradients its norm is off by 1e-4, and clipping shows it."""
    rng = np.random.default_rng(0)
    arrays = [np.array(rng.standard_normal(s) ** 3 * 1e-2, dtype) for s in shapes]
    norms = [T.nn.utils.get_total_norm([T.from_numpy(a) for a in arrays]).item() for T in (torch, fastnn)]
    assert norms[0] == norms[1]


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("limit", [0.1, 1e6])
def test_clip_grad_norm(norm, limit):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in ((30, 40), (40,), (1,))]
    results = []
    for T in BOTH:
        parameters = [T.nn.Parameter(T.zeros(*a.shape)) for a in arrays]
        for p, a in zip(parameters, arrays, strict=True):
            p.grad = T.from_numpy(a.copy())
        total = T.nn.utils.clip_grad_norm_(parameters, limit, norm)
        results.append([total.numpy(), *(p.grad.numpy() for p in parameters)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-6)
