"""Padding, interpolation, shuffles, folding and grid sampling against torch: values, gradients, printing and errors."""

import numpy as np
import pytest

pytest.importorskip("torch")
from oracle.side_by_side import same, same_error  # noqa: E402

LAYERS = [
    ("nn.ConstantPad1d(2, 3.5)", (2, 3, 4)), ("nn.ConstantPad1d((2, 0), -1)", (3, 4)),
    ("nn.ConstantPad2d((1, 2, 3, 0), 0.5)", (2, 3, 4, 5)), ("nn.ConstantPad3d(1, 2.0)", (1, 2, 3, 4, 5)),
    ("nn.ZeroPad1d(2)", (2, 3, 4)), ("nn.ZeroPad2d(1)", (2, 3, 4, 5)), ("nn.ZeroPad2d((1, -1, 0, 2))", (2, 3, 4, 5)),
    ("nn.ZeroPad3d((1, 2, 3, 0, 1, 1))", (2, 3, 4, 5)), ("nn.ReflectionPad1d(2)", (2, 3, 4)),
    ("nn.ReflectionPad1d((3, 1))", (3, 4)), ("nn.ReflectionPad2d((1, 2, 3, 0))", (2, 3, 4, 5)),
    ("nn.ReflectionPad2d(3)", (3, 4, 5)), ("nn.ReflectionPad3d(1)", (1, 2, 3, 4, 5)),
    ("nn.ReplicationPad1d((5, 1))", (2, 3, 4)), ("nn.ReplicationPad2d((1, 2, 3, 0))", (3, 4, 5)),
    ("nn.ReplicationPad2d(7)", (1, 3, 2, 2)), ("nn.ReplicationPad3d((1, 2, 3, 0, 1, 1))", (1, 2, 3, 4, 5)),
    ("nn.CircularPad1d((3, 1))", (2, 3, 4)), ("nn.CircularPad2d((1, 2, 3, 0))", (2, 3, 4, 5)),
    ("nn.CircularPad2d(4)", (1, 3, 4, 4)), ("nn.CircularPad3d(1)", (1, 2, 3, 4, 5)),
    ("nn.ReflectionPad2d((-1, 2, 1, -2))", (2, 3, 4, 5)), ("nn.ReplicationPad1d((-1, 2))", (2, 3, 4)),
    ("nn.Upsample(scale_factor=2)", (2, 3, 4)), ("nn.Upsample(scale_factor=2)", (2, 3, 4, 5)),
    ("nn.Upsample(scale_factor=2)", (1, 2, 2, 3, 2)), ("nn.Upsample(scale_factor=(2, 3))", (2, 3, 4, 5)),
    ("nn.Upsample(scale_factor=1.7)", (2, 3, 4, 5)), ("nn.Upsample(size=(3, 9))", (2, 3, 4, 5)),
    ("nn.Upsample(7)", (2, 3, 4)), ("nn.Upsample(scale_factor=2, mode='linear')", (2, 3, 4)),
    ("nn.Upsample(size=(9, 3), mode='bilinear')", (2, 3, 4, 5)),
    ("nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)", (2, 3, 4, 5)),
    ("nn.Upsample(scale_factor=2.3, mode='bilinear')", (2, 3, 4, 5)),
    ("nn.Upsample(scale_factor=2.3, mode='bilinear', recompute_scale_factor=True)", (2, 3, 4, 5)),
    ("nn.Upsample(scale_factor=2, mode='bicubic')", (2, 3, 4, 5)),
    ("nn.Upsample(size=(3, 8), mode='bicubic', align_corners=True)", (2, 3, 4, 5)),
    ("nn.Upsample(scale_factor=(1.5, 2, 0.7), mode='trilinear')", (1, 2, 4, 3, 5)),
    ("nn.Upsample((3, 5, 4), mode='trilinear', align_corners=True)", (1, 2, 4, 3, 5)),
    ("nn.UpsamplingNearest2d(scale_factor=2)", (2, 3, 4, 5)),
    ("nn.UpsamplingBilinear2d(scale_factor=2)", (2, 3, 4, 5)), ("nn.UpsamplingBilinear2d((3, 7))", (2, 3, 4, 5)),
    ("nn.Upsample(scale_factor=0.5)", (2, 3, 4, 5)), ("nn.PixelShuffle(2)", (2, 8, 3, 4)),
    ("nn.PixelShuffle(3)", (9, 3, 4)), ("nn.PixelUnshuffle(2)", (2, 3, 4, 6)),
    ("nn.PixelUnshuffle(2)", (2, 2, 3, 4, 6)), ("nn.ChannelShuffle(2)", (2, 6, 3, 4)),
    ("nn.ChannelShuffle(3)", (2, 6, 5)), ("nn.Unfold(2)", (2, 3, 4, 5)),
    ("nn.Unfold((2, 3), dilation=2, padding=(1, 2), stride=(2, 1))", (2, 3, 6, 7)),
    ("nn.Unfold(3, padding=1)", (3, 4, 5)), ("nn.Fold((4, 5), 2)", (2, 12, 12)),
    ("nn.Fold((6, 7), (2, 3), dilation=2, padding=(1, 2), stride=(2, 1))", (2, 18, 21)),
    ("nn.Fold(4, 2, stride=2)", (12, 4)), ("nn.Flatten()", (2, 3, 4)), ("nn.Unflatten(1, (2, 3))", (2, 6, 4)),
    ("nn.Identity(5, unused=True)", (2, 3)), ("nn.Bilinear(3, 4, 5)", (2, 3), (2, 4)),
    ("nn.Bilinear(3, 4, 5, bias=False)", (2, 6, 3), (2, 6, 4)),
]  # fmt: skip


@pytest.mark.parametrize("case", LAYERS, ids=lambda c: f"{c[0]} {c[1]}")
def test_layer(case, table):
    same(*case)


FUNCTIONS = [
    ("(lambda x: F.pad(x, (1, 2)))", (2, 3)), ("(lambda x: F.pad(x, (1, 2, 0, 3, 2, 1), value=7))", (2, 3, 4)),
    ("(lambda x: F.pad(x, [0, -1]))", (2, 3)), ("(lambda x: F.pad(x, (0, 0)))", (2, 3)),
    ("(lambda x: F.pad(x, (1, 1), 'constant', True))", ("ids", (2, 3), 5)),
    ("(lambda x: F.pad(x > 2, (1, 1)))", ("ids", (2, 3), 5)),
    ("(lambda x: F.pad(x, (1, 1), value=float('-inf')))", (2, 3)), ("(lambda x: F.pad(x, ()))", (2, 3)),
    ("(lambda x: F.pad(x, (1, 1), 'reflect'))", ("ids", (2, 3), 5)),
    ("(lambda x: F.pad(x, (2, 1), 'circular'))", ("ids", (2, 3), 5)),
    ("(lambda x: F.pad(x.transpose(1, 2), (2, 1), 'replicate'))", (2, 3, 4)),
    ("(lambda x: F.interpolate(x, 5, mode='area'))", (2, 3, 7)),
    ("(lambda x: F.interpolate(x, (5, 3), mode='area'))", (2, 3, 7, 8)),
    ("(lambda x: F.interpolate(x, scale_factor=0.5, mode='area'))", (1, 2, 4, 5, 6)),
    ("(lambda x: F.interpolate(x, (5, 9), mode='nearest-exact'))", (2, 3, 7, 8)),
    ("(lambda x: F.interpolate(x, scale_factor=2, mode='nearest-exact'))", (2, 3, 7)),
    ("(lambda x: F.interpolate(x, scale_factor=1.9))", (2, 3, 7)),
    ("(lambda x: F.interpolate(x, (3, 4), mode='bilinear', antialias=True))", (2, 3, 7, 8)),
    ("(lambda x: F.interpolate(x, (12, 4), mode='bicubic', antialias=True))", (2, 3, 7, 8)),
    ("(lambda x: F.interpolate(x, (3, 4), mode='bicubic', antialias=True, align_corners=True))", (2, 3, 7, 8)),
    ("(lambda x: F.interpolate(x, scale_factor=0.4, mode='bilinear', antialias=True))", (2, 3, 9, 8)),
    ("(lambda x: F.interpolate(x, (7, 8), mode='bilinear'))", (2, 3, 7, 8)),
    ("(lambda x: F.interpolate(x, (1, 1), mode='bilinear', align_corners=True))", (2, 3, 7, 8)),
    ("(lambda x: F.interpolate(x, (20, 30), mode='bilinear'))", (2, 3, 1, 2)),
    ("(lambda x: F.interpolate(x, 40, mode='linear'))", (2, 3, 11)),
    ("(lambda x: F.interpolate(x, (14, 3)))", (2, 3, 7, 3)), ("(lambda x: F.interpolate(x, (13, 17)))", (2, 3, 7, 8)),
    ("(lambda x: F.upsample(x, scale_factor=3))", (2, 3, 4, 4)),
    ("(lambda x: F.upsample_bilinear(x, scale_factor=3))", (2, 3, 4, 4)),
    ("(lambda x: F.upsample_nearest(x, (5, 5)))", (2, 3, 4, 4)),
    ("(lambda x: F.interpolate(x.to(T.uint8), scale_factor=2))", ("ids", (1, 2, 3, 3), 255)),
    ("(lambda x: F.unfold(x, 2, stride=2))", (2, 3, 5, 5)),
    ("(lambda x: F.fold(x, (4, 4), (2, 2), stride=2))", (12, 4)),
    ("(lambda x: F.fold(F.unfold(x, 3), (5, 5), 3))", (2, 3, 5, 5)),
    ("(lambda x: F.affine_grid(x, (2, 3, 4, 5), align_corners=False))", (2, 2, 3)),
    ("(lambda x: F.affine_grid(x, [2, 3, 4, 5], align_corners=True))", (2, 2, 3)),
    ("(lambda x: F.affine_grid(x, T.Size((2, 3, 4, 5, 2))))", (2, 3, 4)),
    ("(lambda x, t: F.grid_sample(x, F.affine_grid(t, (2, 3, 6, 5))))", (2, 3, 4, 5), (2, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONS, ids=lambda c: f"{c[0]} {c[1]}")
def test_function(case, table):
    same(*case)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(mode, padding, align):
    text = f"(lambda x, g: F.grid_sample(x, g, '{mode}', '{padding}', {align}))"
    rng = np.random.default_rng(0)
    wide, inner = 1.6 * rng.standard_normal((2, 5, 6, 2)), rng.uniform(-0.9, 0.9, (2, 5, 6, 2))
    same(text, (2, 3, 4, 5), wide, rtol=2e-4, atol=2e-5)
    same(text, (2, 3, 4, 5), inner, rtol=2e-4, atol=2e-5)
    same(text, (2, 3, 1, 4), inner, rtol=2e-4, atol=2e-5)
    same(text, (2, 9, 4, 5), wide, rtol=2e-4, atol=2e-5)  # many channels: by rows
    for empty in (2, 0, 4, 5), (2, 9, 4, 5), (0, 3, 4, 5), (0, 9, 4, 5):
        grid = np.zeros((empty[0], 2, 0 if empty[0] else 3, 2))
        same(text, empty, grid)
    if mode != "bicubic":
        same(text, (2, 9, 4, 5, 3), 1.4 * rng.standard_normal((2, 3, 4, 2, 3)), rtol=2e-4, atol=2e-5)
        same(text, (2, 3, 4, 5, 3), 1.4 * rng.standard_normal((2, 3, 4, 2, 3)), rtol=2e-4, atol=2e-5)


ERRORS = [
    ("F.pad(T.ones(2, 3), (1,))",), ("F.pad(T.ones(2, 3), (1, 1, 1, 1, 1, 1))",), ("F.pad(T.ones(2, 3), (-2, -2))",),
    ("F.pad(T.ones(2, 3), (3, 1), 'reflect')",), ("F.pad(T.ones(2, 3), (4, 1), 'circular')",),
    ("F.pad(T.ones(2, 3), (1, 1), 'mirror')",), ("F.pad(T.ones(2, 3), (1, 1), 'reflect', value=2)",),
    ("F.pad(T.ones(3), (1, 1), 'reflect')",), ("F.pad(T.ones(2, 3), (1, 1, 1, 1), 'reflect')",),
    ("F.pad(T.ones(2, 3), 1)",), ("F.pad(T.ones(2, 3), (1.5, 1))",), ("nn.ReflectionPad2d(4)", (1, 2, 4, 4)),
    ("nn.CircularPad2d(1)", (2, 2)), ("nn.ReplicationPad1d(1)", (2, 3, 4, 5)), ("nn.ReflectionPad1d(1)", (2, 0)),
    ("nn.ConstantPad1d(1)",), ("F.interpolate(T.ones(2, 3, 4))",), ("F.interpolate(T.ones(2, 3, 4), 2, 2)",),
    ("F.interpolate(T.ones(2, 3, 4), 2, mode='bilinear')",), ("F.interpolate(T.ones(2, 3, 4, 4), 2, mode='linear')",),
    ("F.interpolate(T.ones(2, 3), 2)",), ("F.interpolate(T.ones(2, 3, 4), 2, mode='nearest', align_corners=True)",),
    ("F.interpolate(T.ones(2, 3, 4, 4), (2, 2, 2))",), ("F.interpolate(T.ones(2, 3, 4, 4), scale_factor=(2,))",),
    ("F.interpolate(T.ones(2, 3, 4, 4), (2.5, 2))",),
    ("F.interpolate(T.ones(2, 3, 4, 4), 2, recompute_scale_factor=True)",), ("F.interpolate(T.ones(2, 3, 4, 4), 0)",),
    ("F.interpolate(T.ones(2, 3, 4, 4), 2, mode='cubic')",),
    ("F.interpolate(T.ones(2, 3, 4), 2, mode='linear', antialias=True)",), ("F.interpolate(T.ones(2, 3, 0, 4), 2)",),
    ("F.interpolate(T.ones(1, 1, 2, 2, dtype=T.int64), 4)",), ("nn.Upsample()", (2, 3, 4)),
    ("F.pixel_shuffle(T.ones(3, 3, 3), 2)",), ("F.pixel_shuffle(T.ones(3, 3), 2)",),
    ("F.pixel_shuffle(T.ones(4, 3, 3), 0)",), ("F.pixel_unshuffle(T.ones(1, 3, 4), 2)",),
    ("F.channel_shuffle(T.ones(1, 3, 4), 2)",), ("F.channel_shuffle(T.ones(1, 4, 4), 0)",),
    ("F.unfold(T.ones(2, 3), 2)",), ("F.unfold(T.ones(1, 1, 3, 3), 4)",),
    ("F.unfold(T.ones(1, 1, 3, 3), 2, stride=0)",), ("F.unfold(T.ones(1, 1, 3, 3), 0)",),
    ("F.unfold(T.ones(1, 1, 3, 3), 2, padding=-1)",), ("F.fold(T.ones(1, 5, 4), (3, 3), 2)",),
    ("F.fold(T.ones(1, 4, 5), (3, 3), 2)",), ("F.fold(T.ones(4), (3, 3), 2)",),
    ("F.grid_sample(T.ones(1, 1, 2, 2), T.ones(1, 2, 2, 2), mode='cubic')",),
    ("F.grid_sample(T.ones(1, 1, 2, 2), T.ones(1, 2, 2, 2), padding_mode='reflect')",),
    ("F.grid_sample(T.ones(1, 1, 2, 2), T.ones(2, 2, 2, 2))",),
    ("F.grid_sample(T.ones(1, 1, 2, 2), T.ones(1, 2, 2, 3))",), ("F.grid_sample(T.ones(1, 1, 2), T.ones(1, 2, 2))",),
    ("F.grid_sample(T.ones(1, 1, 2, 2), T.ones(1, 2, 2, 2).double())",),
    ("F.grid_sample(T.ones(1, 1, 0, 2), T.ones(1, 2, 2, 2))",),
    ("F.grid_sample(T.ones(1, 1, 2, 2, 2), T.ones(1, 2, 2, 2, 3), 'bicubic')",),
    ("F.affine_grid(T.ones(1, 2, 3), (1, 1, 2))",), ("F.affine_grid(T.ones(1, 3, 3), (1, 1, 2, 2))",),
    ("F.affine_grid(T.ones(1, 2, 3), (1, 1, 0, 2))",), ("F.affine_grid(T.ones(1, 2, 3).long(), (1, 1, 2, 2))",),
    ("nn.Bilinear(0, 2, 3)",), ("nn.Bilinear(3, 2, 3)", (2, 3), (3, 2)), ("nn.Bilinear(3, 2, 3)", (2, 4), (2, 2)),
    ("nn.Unflatten(1.5, (2, 2))",), ("nn.Unflatten(1, (2, 2.5))",),
]  # fmt: skip


@pytest.mark.parametrize("case", ERRORS, ids=lambda c: f"{c[0]} {c[1:]}"[:100])
def test_errors(case):
    same_error(*case)
