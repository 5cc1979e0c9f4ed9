"""Convolutions in all dimensions, transposed, padded in every mode, against torch."""

import numpy as np
import pytest
import torch

import fastnn

BOTH = (torch, fastnn)


def compare(make, *shapes):
    """make(T, *tensors) -> (result, tensors whose gradients count); float64."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s) for s in shapes]
    results = []
    for T in BOTH:
        tensors = [T.from_numpy(a.copy()).requires_grad_() for a in arrays]
        y = make(T, *tensors)
        (y * y.cos()).sum().backward()
        results.append([y.detach(), *(t.grad for t in tensors)])
    for a, b in zip(results[1], results[0], strict=True):
        assert tuple(a.shape) == tuple(b.shape)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-9)


FORWARD = [  # dims, groups, options
    (1, 1, {}), (1, 2, {"stride": 2, "padding": 3, "dilation": 2}), (1, 1, {"padding": "same"}),
    (2, 1, {"padding": "same", "dilation": (1, 3)}), (2, 4, {"stride": (2, 1), "padding": (0, 2)}),
    (3, 1, {}), (3, 2, {"stride": (1, 2, 1), "padding": (2, 0, 1), "dilation": (1, 1, 2)}), (3, 1, {"padding": "same"}),
    (3, 4, {"padding": 1}), (3, 1, {"padding": "valid", "stride": 2}),
]  # fmt: skip


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("case", FORWARD, ids=str)
def test_convolution(case, single):
    dims, groups, options = case
    sizes, kernel = (7, 6, 9)[-dims:], (3, 2, 4)[-dims:]
    x = (4, *sizes) if single else (2, 4, *sizes)
    compare(
        lambda T, x, w, b: getattr(T.nn.functional, f"conv{dims}d")(x, w, b, groups=groups, **options),
        x, (8, 4 // groups, *kernel), (8,),
    )  # fmt: skip


TRANSPOSED = [
    (1, 1, {}), (1, 2, {"stride": 3, "padding": 1, "output_padding": 2, "dilation": 2}), (2, 1, {"stride": 2}),
    (2, 2, {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2)}), (2, 1, {"dilation": 2, "output_padding": 1}),
    (3, 1, {"stride": 2, "padding": 1, "output_padding": 1}), (3, 4, {"stride": (1, 2, 3), "dilation": (2, 1, 1)}),
]  # fmt: skip


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("case", TRANSPOSED, ids=str)
def test_transposed(case, single):
    dims, groups, options = case
    sizes, kernel = (3, 4, 5)[-dims:], (3, 2, 3)[-dims:]
    x = (4, *sizes) if single else (2, 4, *sizes)
    compare(
        lambda T, x, w, b: getattr(T.nn.functional, f"conv_transpose{dims}d")(x, w, b, groups=groups, **options),
        x, (4, 6 // (2 if groups == 2 else 1), *kernel), (6 // (2 if groups == 2 else 1) * groups,),
    )  # fmt: skip


LAYERS = [
    "Conv1d(4, 6, 3, padding=2, padding_mode='reflect')", "Conv1d(4, 6, 4, padding='same', padding_mode='circular')",
    "Conv2d(4, 6, 3, padding=(1, 2), padding_mode='replicate', bias=False)",
    "Conv2d(4, 6, (2, 3), padding='same', padding_mode='reflect', dilation=(1, 2))",
    "Conv2d(4, 6, 3, stride=2, padding=1, padding_mode='circular', groups=2)",
    "Conv3d(4, 6, 3)", "Conv3d(4, 6, (1, 2, 3), stride=2, padding=1, dilation=(1, 1, 2), groups=2)",
    "Conv3d(4, 6, 3, padding=1, padding_mode='replicate')", "Conv3d(4, 6, 2, padding='same', padding_mode='circular')",
    "ConvTranspose1d(4, 6, 3, stride=2, output_padding=1)", "ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2)",
    "ConvTranspose2d(4, 6, (3, 2), bias=False, dilation=2)", "ConvTranspose3d(4, 6, 3, 2, 1, output_padding=(1, 0, 1))",
]  # fmt: skip


@pytest.mark.parametrize("text", LAYERS)
def test_layers(text):
    dims = int(text[text.index("d(") - 1])
    x_array = np.random.default_rng(0).standard_normal((2, 4, 5, 6, 7)[: 2 + dims]).astype(np.float32)
    results = []
    for T in BOTH:
        T.manual_seed(3)
        layer = eval(text, dict(vars(T.nn)))
        x = T.from_numpy(x_array.copy()).requires_grad_()
        y = layer(x)
        (y * y).sum().backward()
        results.append(
            (repr(layer), list(layer.state_dict()), [y.detach(), x.grad, *(p.grad for p in layer.parameters())])
        )
    assert results[0][:2] == results[1][:2]
    for a, b in zip(results[1][2], results[0][2], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-4)


def test_output_size():
    for size in ((7, 9), (2, 6, 8, 10)):
        shapes = []
        for T in BOTH:
            layer = T.nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1)
            shapes.append(tuple(layer(T.zeros(2, 4, 4, 5), output_size=size).shape))
        assert shapes[0] == shapes[1]
    for T in BOTH:
        layer = T.nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1)
        for bad in ((9, 9), (6, 8), (7, 9, 1), (1, 2, 6, 7, 9)):
            with pytest.raises(ValueError):
                layer(T.zeros(2, 4, 4, 5), output_size=bad)


@pytest.mark.parametrize("name", ["Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"])
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy(name):
    results = []
    for T in BOTH:
        T.manual_seed(2)
        layer = getattr(T.nn, "Lazy" + name)(6, 3, stride=2, groups=2)
        y = layer(T.ones(2, 4, 5, 6, 7)[(..., *(0,) * (3 - int(name[-2])))])
        assert type(layer) is getattr(T.nn, name)
        results.append((repr(layer), y.detach().numpy()))
    assert results[0][0] == results[1][0]
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-5, atol=1e-5)


BAD = [
    lambda T: T.nn.Conv3d(4, 6, 3, padding_mode="mirror"),
    lambda T: T.nn.ConvTranspose2d(4, 6, 3, padding_mode="reflect"),
    lambda T: T.nn.ConvTranspose2d(4, 6, 3, groups=3),
    lambda T: T.nn.functional.conv3d(T.zeros(2, 4, 5, 5), T.zeros(6, 4, 3, 3)),
    lambda T: T.nn.functional.conv3d(T.zeros(2, 4, 5, 5, 5), T.zeros(6, 3, 3, 3, 3)),
    lambda T: T.nn.functional.conv3d(T.zeros(2, 4, 2, 5, 5), T.zeros(6, 4, 3, 3, 3)),
    lambda T: T.nn.functional.conv3d(T.zeros(2, 4, 5, 5, 5), T.zeros(6, 4, 3, 3, 3), stride=0),
    lambda T: T.nn.functional.conv_transpose3d(T.zeros(2, 4, 5, 5, 5), T.zeros(4, 4, 3, 3, 3), output_padding=1),
    lambda T: T.nn.functional.conv_transpose2d(T.zeros(2, 4, 1, 1), T.zeros(4, 4, 1, 1), padding=1),
    lambda T: T.nn.Conv2d(4, 6, 3, padding=5, padding_mode="reflect")(T.zeros(1, 4, 4, 4)),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(BAD)))
def test_errors(case):
    raised = []
    for T in BOTH:
        with pytest.raises(Exception) as info:
            BAD[case](T)
        raised.append(info.type)
    assert issubclass(raised[1], raised[0]), raised
