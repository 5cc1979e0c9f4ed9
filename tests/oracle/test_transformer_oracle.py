"""Multi-head attention and the Transformer layers against torch: weights from a seed, results, gradients, masks."""

import numpy as np
import pytest
import torch

import fastnn

BOTH = (torch, fastnn)


def near(ours, theirs, tolerance=3e-5):
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    assert a.shape == b.shape and a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(b).max(initial=0))))


LAYERS = [
    "MultiheadAttention(6, 3)", "MultiheadAttention(6, 2, kdim=4, vdim=5, add_bias_kv=True)",
    "MultiheadAttention(4, 2, bias=False, add_zero_attn=True)", "TransformerEncoderLayer(6, 2, 8)",
    "TransformerDecoderLayer(6, 2, 8, norm_first=True, bias=False)", "Transformer(6, 2, 2, 2, 8)",
    "TransformerEncoder(TransformerEncoderLayer(6, 2, 8), 2, LayerNorm(6))",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", LAYERS)
def test_weights_names_and_repr(text):
    made = []
    for T in BOTH:
        T.manual_seed(7)
        made += [eval(text, dict(vars(T.nn))), T.rand(3)]
    theirs, their_rest, ours, our_rest = made
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for a, b in zip([*ours.state_dict().values(), our_rest], [*theirs.state_dict().values(), their_rest], strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes()


def attend(T, layer, inputs, options, names, call):
    """The results of one call and the gradients of inputs and parameters."""
    T.manual_seed(3)
    module = eval(layer, dict(vars(T.nn)))
    leaves = [T.from_numpy(a.copy()).requires_grad_() for a in inputs]
    options = {k: T.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    T.manual_seed(4)
    out = module(*[leaves[i] for i in names], **options, **call)
    out = out if isinstance(out, tuple) else (out,)
    loss = sum((y * y).sum() for y in out if y is not None)
    loss.backward()
    return [y for y in out if y is not None], [x.grad for x in leaves], [p.grad for p in module.parameters()]


def compare(layer, inputs, options, names, **call):
    theirs, ours = (attend(T, layer, inputs, options, names, call) for T in BOTH)
    for a, b in zip(ours, theirs, strict=True):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert (x is None) == (y is None)
            if x is not None:
                near(x, y)


def draw(*shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s).astype(np.float32) for s in shapes]


UP = np.triu(np.ones((5, 5), bool), 1)
CAUSAL = np.where(UP, -np.inf, 0).astype(np.float32)
PADDING = np.array([[False] * 5, [False, False, False, True, True], [False] * 4 + [True]])
SELF = [
    {}, {"attn_mask": UP}, {"attn_mask": CAUSAL}, {"key_padding_mask": PADDING}, {"attn_mask": UP, "is_causal": True},
    {"attn_mask": CAUSAL, "key_padding_mask": np.where(PADDING, -np.inf, 0).astype(np.float32)},
    {"attn_mask": np.random.default_rng(1).standard_normal((9, 5, 5)).astype(np.float32)},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("weights", [{"need_weights": False}, {}, {"average_attn_weights": False}])
@pytest.mark.parametrize("options", SELF)
@pytest.mark.parametrize("text", ["MultiheadAttention(6, 3)", "MultiheadAttention(6, 3, 0.2, batch_first=True)"])
def test_self_attention(text, options, weights):
    shape = (3, 5, 6) if "batch_first" in text else (5, 3, 6)
    compare(text, draw(shape), options, (0, 0, 0), **weights)


@pytest.mark.parametrize("weights", [{"need_weights": False}, {}])
def test_other_attention(weights):
    compare("MultiheadAttention(6, 2)", draw((5, 3, 6), (7, 3, 6)), {}, (0, 1, 1), **weights)
    compare("MultiheadAttention(6, 2)", draw((5, 3, 6), (7, 3, 6), (7, 3, 6)), {}, (0, 1, 2), **weights)
    compare("MultiheadAttention(6, 2, kdim=4, vdim=3)", draw((5, 3, 6), (7, 3, 4), (7, 3, 3)), {}, (0, 1, 2), **weights)
    compare("MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True)", draw((5, 3, 6)),
            {"key_padding_mask": PADDING, "attn_mask": UP}, (0, 0, 0), **weights)  # fmt: skip
    compare("MultiheadAttention(6, 2)", draw((5, 6), (7, 6)), {}, (0, 1, 1), **weights)
    compare("MultiheadAttention(6, 2)", draw((5, 6)), {"key_padding_mask": PADDING[1]}, (0, 0, 0), **weights)


ENCODERS = ["TransformerEncoderLayer(6, 2, 8, 0.0)", "TransformerEncoderLayer(6, 2, 8, 0.3, 'gelu', norm_first=True)",
            "TransformerEncoder(TransformerEncoderLayer(6, 2, 8, 0.1, batch_first=True), 2, LayerNorm(6))"]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("text", ENCODERS)
def test_encoders(text, masked):
    shape = (3, 5, 6) if "batch_first" in text else (5, 3, 6)
    mask = "mask" if text.startswith("TransformerEncoder(") else "src_mask"
    compare(text, draw(shape), {mask: CAUSAL, "src_key_padding_mask": PADDING} if masked else {}, (0,))
    compare(text, draw(shape), {mask: CAUSAL}, (0,))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "text", ["TransformerDecoderLayer(6, 2, 8, 0.2)", "TransformerDecoderLayer(6, 2, 8, norm_first=True)"]
)
def test_decoders(text):
    options = {"tgt_mask": CAUSAL, "tgt_is_causal": True, "memory_key_padding_mask": PADDING}
    compare(text, draw((5, 3, 6), (5, 3, 6)), options, (0, 1))


@pytest.mark.filterwarnings("ignore")
def test_transformer():
    options = {"tgt_mask": CAUSAL, "src_key_padding_mask": PADDING, "memory_key_padding_mask": PADDING}
    compare("Transformer(6, 2, 2, 2, 8)", draw((5, 3, 6), (5, 3, 6)), options, (0, 1))
    compare("Transformer(6, 2, 1, 1, 8, 0.0, batch_first=True)", draw((3, 4, 6), (3, 2, 6)), {}, (0, 1))
    theirs, ours = (T.nn.Transformer.generate_square_subsequent_mask(4) for T in BOTH)
    near(ours, theirs)


@pytest.mark.filterwarnings("ignore")
def test_evaluation():
    """torch takes its fast path there."""
    results = []
    for T in BOTH:
        T.manual_seed(0)
        layer = T.nn.TransformerEncoderLayer(6, 2, 8, batch_first=True).eval()
        with T.no_grad():
            results.append(layer(T.from_numpy(draw((3, 5, 6))[0])))
    near(results[1], results[0])


ERRORS = [
    "nn.MultiheadAttention(5, 2)", "nn.MultiheadAttention(0, 2)", "nn.TransformerEncoderLayer(4, 2, activation='tanh')",
    "nn.MultiheadAttention(4, 2)(o(3, 4), o(3, 1, 4), o(3, 4))", "nn.MultiheadAttention(4, 2)(*[o(3, 2, 4)] * 3, is_causal=True)",
    "nn.MultiheadAttention(4, 2)(*[o(3, 2, 4)] * 3, attn_mask=o(2, 3))", "nn.MultiheadAttention(4, 2)(*[o(3, 2, 5)] * 3)",
    "nn.MultiheadAttention(4, 2)(o(3, 2, 4), o(3, 2, 4), o(4, 2, 4))", "nn.Transformer(4, 2, 1, 1, 4)(o(3, 2, 4), o(3, 1, 4))",
    "nn.Transformer(4, 2, 1, 1, 4)(o(3, 2, 4), o(3, 2, 3))",
    "nn.MultiheadAttention(4, 2)(*[o(3, 2, 4)] * 3, key_padding_mask=o(3, 2) > 0)",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", ERRORS)
def test_errors(text):
    kinds = []
    for T in BOTH:
        with pytest.raises(Exception) as caught:
            eval(text, {"nn": T.nn, "o": T.ones})
        kinds.append(caught.type)
    assert kinds[0] is kinds[1], f"torch {kinds[0].__name__}, ours {kinds[1].__name__}"
