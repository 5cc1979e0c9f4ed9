"""Attention against torch: every option, results and gradients, dropout's draws, errors; naive against fused."""

import itertools

import numpy as np
import pytest
import torch

import fastnn

BOTH = (torch, fastnn)
SHAPES = [  # query, key, value
    ((2, 3, 7, 8), (2, 3, 7, 8), (2, 3, 7, 8)), ((1, 2, 130, 16), (1, 2, 70, 16), (1, 2, 70, 40)), ((5, 4), (6, 4), (6, 3)),
    ((2, 9, 5), (2, 3, 5), (2, 3, 5)), ((2, 1, 9, 5), (1, 4, 3, 5), (4, 3, 5)), ((1, 1, 1, 64), (1, 1, 700, 64), (1, 1, 700, 64)),
    ((2, 2, 300, 72), (2, 2, 300, 72), (2, 2, 300, 72)),
]  # fmt: skip


def draw(shapes, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def run(T, arrays, swapped=False, seed=None, **options):
    """The result and the three gradients; swapped: heads and rows transposed in memory."""
    leaves = [T.from_numpy(a.copy()).requires_grad_() for a in arrays]
    given = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in leaves] if swapped else leaves
    if seed is not None:
        T.manual_seed(seed)
    mask = options.pop("mask", None)
    if mask is not None:
        options["attn_mask"] = T.from_numpy(mask)
    y = T.nn.functional.scaled_dot_product_attention(*given, **options)
    g = np.random.default_rng(9).standard_normal(tuple(y.shape)).astype(arrays[0].dtype)
    y.backward(T.from_numpy(g))
    return [y.detach().numpy(), *(x.grad.numpy() for x in leaves)]


def same(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(b).max(initial=0))))


@pytest.mark.parametrize("variant", ["auto", "naive"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.7}])
def test_results_and_gradients(shapes, options, dtype, variant):
    arrays = draw(shapes, dtype)
    with fastnn.kernels(attention=variant):
        ours = run(fastnn, arrays, **options)
    same(ours, run(torch, arrays, **options), 2e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("variant", ["auto", "naive"])
@pytest.mark.parametrize(
    "kind, shape", list(itertools.product(["bool", "float"], [(7, 9), (2, 1, 1, 9), (2, 3, 7, 9), (1, 9)]))
)
def test_masks(kind, shape, variant):
    rng = np.random.default_rng(1)
    mask = rng.random(shape) < 0.6 if kind == "bool" else rng.standard_normal(shape).astype(np.float32)
    if kind == "float":
        mask[rng.random(shape) < 0.2] = -np.inf
    arrays = draw([(2, 3, 7, 8), (2, 3, 9, 8), (2, 3, 9, 4)])
    with fastnn.kernels(attention=variant):
        ours = run(fastnn, arrays, mask=mask)
    same(ours, run(torch, arrays, mask=mask), 2e-5)


def test_a_mask_that_needs_a_gradient():
    grads = []
    for T in BOTH:
        q, k, v, m = (T.from_numpy(a).requires_grad_() for a in draw([(1, 2, 4, 3)] * 3 + [(4, 4)]))
        y = T.nn.functional.scaled_dot_product_attention(q, k, v, m)
        (y**2).sum().backward()
        grads.append([x.grad.numpy() for x in (q, k, v, m)])
    same(grads[1], grads[0], 2e-5)


@pytest.mark.parametrize("swapped", [False, True])
def test_grouped_heads_and_layouts(swapped):
    arrays = draw([(2, 6, 33, 16), (2, 2, 40, 16), (2, 2, 40, 24)])
    ours = run(fastnn, arrays, swapped, enable_gqa=True)
    same(ours, run(torch, arrays, swapped, enable_gqa=True), 2e-5)
    q, k, v = (fastnn.from_numpy(a).transpose(1, 2).contiguous().transpose(1, 2) for a in draw([(2, 3, 5, 4)] * 3))
    y = fastnn.nn.functional.scaled_dot_product_attention(q, k, v)
    assert y.stride() == q.stride()  # so that the heads go back without a copy


@pytest.mark.parametrize("variant", ["auto", "naive"])
@pytest.mark.parametrize("shape", [(2, 3, 40, 8), (1, 1, 5, 4), (2, 6, 4)])
def test_dropout_draws_torch_s_mask(shape, variant):
    arrays = draw([shape] * 3)
    with fastnn.kernels(attention=variant):
        ours = run(fastnn, arrays, seed=5, dropout_p=0.3)
    same(ours, run(torch, arrays, seed=5, dropout_p=0.3), 2e-5)


def test_rows_that_see_nothing_are_zero():
    mask = np.zeros((3, 3), bool)
    mask[1, 0] = True
    for result in run(fastnn, draw([(1, 3, 4)] * 3), mask=mask):
        assert np.isfinite(result).all()
    assert not run(fastnn, draw([(1, 3, 4)] * 3), mask=mask)[0][0, [0, 2]].any()


ERRORS = [
    "f(o(3), o(3), o(3))", "f(o(2, 4, 4, 3), o(2, 2, 5, 3), o(2, 2, 5, 7))", "f(o(2, 4, 3), o(2, 5, 4), o(2, 5, 7))",
    "f(o(2, 4, 4, 3), o(2, 3, 5, 3), o(2, 3, 5, 7), enable_gqa=True)", "f(o(2, 4, 3), o(2, 5, 3).double(), o(2, 5, 7))",
    "f(o(2, 4, 3), o(2, 5, 3), o(2, 6, 7))", "f(o(2, 4, 3), o(2, 5, 3), o(2, 5, 7), o(4, 5).long())",
    "f(o(2, 4, 3), o(2, 5, 3), o(2, 5, 7), o(4, 6))", "f(o(2, 4, 3), o(2, 5, 3), o(2, 5, 7), o(4, 5), is_causal=True)",
    "f(o(2, 4, 3), o(2, 5, 3), o(2, 5, 7), dropout_p=1.5)", "f(o(2, 4, 3).long(), o(2, 5, 3).long(), o(2, 5, 7).long())",
    "f(o(2, 4, 3), o(2, 5, 3), o(2, 5, 7), o(3, 2, 4, 5))",
]  # fmt: skip


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text):
    for T in BOTH:
        with pytest.raises(RuntimeError):
            eval(text, {"f": T.nn.functional.scaled_dot_product_attention, "o": T.ones})


@pytest.mark.parametrize(
    "text", ["f(o(2,0,3),o(2,5,3),o(2,5,7))", "f(o(2,4,3),o(2,0,3),o(2,0,7))", "f(o(2,4,0),o(2,5,0),o(2,5,7))"]
)
def test_empty(text):
    theirs, ours = (eval(text, {"f": T.nn.functional.scaled_dot_product_attention, "o": T.ones}) for T in BOTH)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
