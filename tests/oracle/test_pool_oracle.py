"""Pooling in one, two and three dimensions, and dropout, against torch: values, gradients, draws, printing, errors."""

import numpy as np
import pytest

pytest.importorskip("torch")
from oracle.side_by_side import same, same_error  # noqa: E402

ONE, TWO, THREE = ("distinct", (2, 3, 9)), ("distinct", (2, 3, 7, 8)), ("distinct", (2, 2, 5, 6, 7))

LAYERS = [
    ("nn.MaxPool1d(2)", ONE), ("nn.MaxPool1d(3, 2, 1, return_indices=True)", ONE),
    ("nn.MaxPool1d(3, stride=2, dilation=2, ceil_mode=True)", ONE), ("nn.MaxPool1d(2)", ("distinct", (3, 9))),
    ("nn.MaxPool2d(2)", TWO), ("nn.MaxPool2d((3, 2), (2, 1), (1, 0), return_indices=True)", TWO),
    ("nn.MaxPool2d(3, 2, 1, 2, ceil_mode=True)", TWO),
    ("nn.MaxPool2d(2, return_indices=True)", ("distinct", (3, 7, 8))), ("nn.MaxPool3d(2)", THREE),
    ("nn.MaxPool3d((3, 2, 3), (2, 1, 2), (1, 1, 0), return_indices=True)", THREE),
    ("nn.MaxPool3d(2, 2, 1, 2, ceil_mode=True, return_indices=True)", THREE),
    ("nn.MaxPool3d(3, ceil_mode=True)", ("distinct", (2, 5, 6, 7))), ("nn.AvgPool1d(2)", ONE),
    ("nn.AvgPool1d(3, 2, 1, ceil_mode=True, count_include_pad=False)", ONE),
    ("nn.AvgPool1d(3, 1, 1)", ("distinct", (3, 9))), ("nn.AvgPool2d(2)", TWO),
    ("nn.AvgPool2d((3, 2), (2, 1), (1, 0), count_include_pad=False)", TWO),
    ("nn.AvgPool2d(3, 2, 1, ceil_mode=True)", TWO), ("nn.AvgPool2d(3, 2, 1, divisor_override=2)", TWO),
    ("nn.AvgPool2d(2)", ("distinct", (3, 7, 8))), ("nn.AvgPool3d(2)", THREE),
    ("nn.AvgPool3d((3, 2, 3), (2, 1, 2), (1, 1, 0), count_include_pad=False)", THREE),
    ("nn.AvgPool3d(3, 2, 1, ceil_mode=True)", THREE), ("nn.AvgPool3d(3, 2, 1, divisor_override=2)", THREE),
    ("nn.AvgPool3d(2, ceil_mode=True)", ("distinct", (2, 5, 6, 7))),
    ("nn.AvgPool3d(3, 2, 1, ceil_mode=True, count_include_pad=False)", THREE), ("nn.LPPool1d(2, 3)", ONE),
    ("nn.LPPool1d(1.5, 3, 2)", ("positive", (2, 3, 9))), ("nn.LPPool2d(2, 2)", TWO),
    ("nn.LPPool2d(3, (2, 3), stride=(1, 2), ceil_mode=True)", ("positive", (2, 3, 7, 8))),
    ("nn.LPPool2d(float('inf'), 2)", TWO), ("nn.LPPool3d(2, 2)", THREE), ("nn.LPPool3d(2, (1, 2, 2), 2)", THREE),
    ("nn.AdaptiveAvgPool1d(4)", ONE), ("nn.AdaptiveAvgPool1d(1)", ("distinct", (3, 9))),
    ("nn.AdaptiveAvgPool2d(1)", TWO), ("nn.AdaptiveAvgPool2d((3, None))", TWO),
    ("nn.AdaptiveAvgPool2d((5, 3))", ("distinct", (3, 7, 8))), ("nn.AdaptiveAvgPool3d(1)", THREE),
    ("nn.AdaptiveAvgPool3d((2, None, 3))", THREE), ("nn.AdaptiveAvgPool3d((4, 3, 5))", ("distinct", (2, 5, 6, 7))),
    ("nn.AdaptiveAvgPool2d((10, 9))", TWO), ("nn.AdaptiveMaxPool1d(4)", ONE),
    ("nn.AdaptiveMaxPool1d(3, return_indices=True)", ("distinct", (3, 9))), ("nn.AdaptiveMaxPool2d((3, None))", TWO),
    ("nn.AdaptiveMaxPool2d(3, return_indices=True)", ("distinct", (3, 7, 8))),
    ("nn.AdaptiveMaxPool3d(2, return_indices=True)", THREE),
    ("nn.AdaptiveMaxPool3d((None, 4, 3))", ("distinct", (2, 5, 6, 7))), ("nn.FractionalMaxPool2d(2, (3, 4))", TWO),
    ("nn.FractionalMaxPool2d(2, output_ratio=0.6, return_indices=True)", TWO),
    ("nn.FractionalMaxPool2d((2, 3), output_ratio=(0.5, 0.7))", ("distinct", (3, 7, 8))),
    ("nn.FractionalMaxPool3d(2, (3, 4, 2), return_indices=True)", THREE),
    ("nn.FractionalMaxPool3d((1, 2, 3), output_ratio=(0.5, 0.6, 0.5))", ("distinct", (2, 5, 6, 7))),
    ("nn.FractionalMaxPool2d(2, 1)", TWO),
]  # fmt: skip


@pytest.mark.parametrize("case", LAYERS, ids=lambda c: f"{c[0]} {c[1][1]}")
def test_layer(case, table):
    same(*case)


TIES = np.array([[[1.0, 1, 0, 2, 2, 2, -1, np.nan, 3]]])


@pytest.mark.parametrize("text", ["nn.MaxPool1d(3, 1, return_indices=True)", "nn.MaxPool1d(2, 2, return_indices=True)"])
def test_ties_and_nan(text, table):
    same(text, TIES, gradients=False)
    volume = np.random.default_rng(0).integers(0, 3, (1, 2, 4, 4, 4)).astype(float)
    volume[0, 0, 1, 1, 1] = volume[0, 0, 2, 1, 1] = np.nan
    same(text.replace("1d", "3d"), volume, gradients=False)
    same(text.replace("1d", "2d"), volume[0], gradients=False)


def unpool(n, options):
    return f"(lambda x: nn.MaxUnpool{n}d({options})(*nn.MaxPool{n}d({options}, return_indices=True)(x)))"


FUNCTIONS = [
    (unpool(1, "2"), ONE), (unpool(2, "2, 2"), TWO), (unpool(3, "2"), ("distinct", (1, 2, 4, 4, 6))),
    (unpool(2, "3, 3, 1"), ("distinct", (2, 3, 7, 7))),
    ("(lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=x.shape))", TWO),
    ("(lambda x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2, output_size=(9,)))", ONE),
    ("(lambda x: F.max_pool2d_with_indices(x, 2, stride=1))", TWO),
    ("(lambda x: F.max_pool1d_with_indices(x, 2))", ONE), ("(lambda x: F.max_pool3d_with_indices(x, 2))", THREE),
    ("(lambda x: F.adaptive_max_pool2d_with_indices(x, 2))", TWO),
    ("(lambda x: F.adaptive_max_pool2d(x, (2, 3), return_indices=True))", TWO),
    ("(lambda x: F.adaptive_max_pool1d(x, 3, True))", ONE), ("(lambda x: F.avg_pool2d(x, [2, 2], []))", TWO),
    ("(lambda x: F.max_pool2d(x.transpose(2, 3), 2))", TWO), ("(lambda x: F.max_pool1d(x.transpose(1, 2), 2))", ONE),

    ("(lambda x: F.max_pool2d(x, 2, return_indices=True))", ("ids", (2, 3, 8, 8), 9)),
    ("(lambda x, u: F.fractional_max_pool2d(x, 2, (3, 3), _random_samples=u.detach()))", TWO, ("probability", (2, 3, 2))),
]  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONS, ids=lambda c: f"{c[0]} {c[1][1]}")
def test_function(case, table):
    same(*case)


DROPOUTS = [
    ("nn.Dropout()", (5, 7)), ("nn.Dropout(0.2)", (100, 30)), ("nn.Dropout(1.0)", (3, 4)),
    ("nn.Dropout(0.0)", (3, 4)), ("nn.Dropout(0.3).eval()", (3, 4)), ("nn.Dropout1d()", (4, 5, 6)),
    ("nn.Dropout1d(0.3)", (5, 6)), ("nn.Dropout2d()", (3, 4, 5, 2)), ("nn.Dropout2d(0.3)", (5, 6)),
    ("nn.Dropout2d(0.3)", (6, 5, 2)), ("nn.Dropout3d()", (3, 4, 2, 3, 2)), ("nn.Dropout3d(0.3)", (4, 2, 3, 2)),
    ("nn.AlphaDropout()", (5, 7)), ("nn.AlphaDropout(0.2)", (3, 4, 5)), ("nn.AlphaDropout(1.0)", (3, 4)),
    ("nn.AlphaDropout(0.3).eval()", (3, 4)), ("nn.FeatureAlphaDropout()", (3, 4, 5)),
    ("nn.FeatureAlphaDropout(0.2)", (3, 4, 2, 3)), ("nn.FeatureAlphaDropout(0.2)", (3, 4)),
    ("nn.AlphaDropout(0.0)", (3, 4)), ("nn.Dropout2d(1.0)", (2, 3, 4, 5)), ("nn.Dropout(0.5)", (0, 3)),
    ("nn.Dropout2d(0.0)", (2, 3, 4, 5)), ("nn.FeatureAlphaDropout(1.0)", (2, 3, 4)),
    ("(lambda x: F.dropout(x, 0.4))", (3, 4)), ("(lambda x: F.dropout(x, 0.4, False))", (3, 4)),
    ("(lambda x: F.dropout(x.transpose(0, 1), 0.4))", (3, 4)),
    ("(lambda x: F.dropout(x * 1, 0.4, inplace=True))", (3, 4)),
    ("(lambda x: F.dropout2d(x * 1, 0.4, inplace=True))", (3, 4, 5, 2)),
    ("(lambda x: F.alpha_dropout(x, 0.4, True))", (3, 4)),
    ("(lambda x: F.alpha_dropout(x * 1, 0.4, True, True))", (3, 4)),
    ("(lambda x: F.feature_alpha_dropout(x, 0.4, training=True))", (3, 4, 2)),
    ("(lambda x: F.alpha_dropout(x, 0.4))", (3, 4)),
    ("(lambda x: F.dropout3d(x, 0.4, training=True))", (3, 4, 2, 2, 2)),
    ("(lambda x: F.dropout1d(x, 0.4, training=True))", (3, 4, 2)), ("(lambda x: T.dropout(x, 0.4, True))", (3, 4)),
    ("nn.Dropout(0.5, inplace=False)", (33, 65)),
]  # fmt: skip


@pytest.mark.parametrize("case", DROPOUTS, ids=lambda c: f"{c[0]} {c[1]}")
def test_dropout(case, table):
    same(*case)


ERRORS = [
    ("nn.MaxPool2d(0)", TWO), ("nn.MaxPool2d(2, 0)", TWO), ("nn.MaxPool2d(2, padding=2)", TWO),
    ("nn.MaxPool2d(9)", TWO), ("nn.MaxPool2d(2)", (3, 4)), ("nn.MaxPool2d((2, 2, 2))", TWO),
    ("nn.MaxPool3d(9)", THREE), ("nn.MaxPool3d(2, padding=2)", THREE), ("nn.MaxPool3d(2)", (3, 4, 5)),
    ("nn.MaxPool3d((2, 2))", THREE), ("nn.MaxPool1d(10)", ONE), ("nn.MaxPool1d(2)", (4,)),
    ("nn.AvgPool2d(2, divisor_override=0)", TWO), ("nn.AvgPool3d(2, divisor_override=0)", THREE),
    ("nn.AvgPool3d(2)", (3, 4, 5)), ("nn.AvgPool1d(2)", (4,)), ("nn.AdaptiveAvgPool2d((2, 2, 2))", TWO),
    ("nn.AdaptiveAvgPool2d(2)", (3, 4)), ("nn.AdaptiveAvgPool2d(-1)", TWO), ("nn.AdaptiveMaxPool3d((2, 2))", THREE),
    ("nn.AdaptiveMaxPool2d(2)", (2, 0, 3, 3)), ("nn.AdaptiveAvgPool3d(2)", (2, 3, 4)), ("nn.FractionalMaxPool2d(2)",),
    ("nn.FractionalMaxPool2d(2, 2, 0.5)",), ("nn.FractionalMaxPool2d(2, output_ratio=1.5)",),
    ("nn.FractionalMaxPool2d(2, 9)", TWO), ("F.max_unpool2d(T.ones(1, 1, 2, 2), T.ones(1, 1, 2, 2), 2)",),
    ("F.max_unpool2d(T.ones(1, 1, 2, 2), T.full((1, 1, 2, 2), 99), 2)",),
    ("F.max_unpool2d(T.ones(1, 1, 2, 2), T.zeros(1, 1, 2, 1).long(), 2)",),
    ("F.max_unpool2d(T.ones(1, 1, 2, 2), T.zeros(1, 1, 2, 2).long(), 2, output_size=(9, 9))",),
    ("F.max_unpool2d(T.ones(1, 1, 2, 2), T.zeros(1, 1, 2, 2).long(), 2, output_size=(4,))",), ("nn.Dropout(1.5)",),
    ("nn.AlphaDropout(-0.1)",), ("F.dropout(T.ones(2), 2.0)",), ("F.alpha_dropout(T.ones(2), -1.0, True)",),
    ("F.feature_alpha_dropout(T.ones(2), 2.0, True)",), ("F.dropout2d(T.ones(2), 0.5)",),
    ("F.dropout1d(T.ones(2), 0.5)",), ("F.dropout3d(T.ones(2, 3), 0.5)",),
    ("F.feature_alpha_dropout(T.ones(2), 0.5, True)",),
]  # fmt: skip


@pytest.mark.parametrize("case", ERRORS, ids=lambda c: f"{c[0]} {c[1:]}"[:100])
def test_errors(case):
    same_error(*case)
