"""BERT and ViT with the weights of `transformers` give its outputs."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from oracle.torchvision_here import torchvision  # noqa: E402

torchvision()  # transformers' vision models import it

import fastnn  # noqa: E402
from fastnn import models  # noqa: E402


def test_bert():
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=20, attn_implementation="eager", initializer_range=0.3,
    )  # fmt: skip
    theirs = transformers.BertForMaskedLM(config).eval()
    ours = models.Bert(50, 16, 3, 2, 32, 20).load_huggingface(theirs.state_dict()).eval()
    tokens, types = torch.randint(0, 50, (4, 9)), torch.randint(0, 2, (4, 9))
    there = torch.arange(9) < torch.tensor([[9], [5], [1], [7]])
    with torch.no_grad():
        want = theirs(tokens, token_type_ids=types, attention_mask=there.long()).logits.numpy()
    with fastnn.no_grad():
        hidden = ours(*(fastnn.from_numpy(t.numpy()) for t in (tokens, types, there)))
        got = ours.words_of(hidden).numpy()
    np.testing.assert_allclose(got[there.numpy()], want[there.numpy()], rtol=1e-4, atol=1e-4)
    with pytest.raises(KeyError, match="no place for"):
        ours.load_huggingface({**theirs.state_dict(), "bert.something.new": torch.zeros(1)})
    with pytest.raises(KeyError, match="has no"):
        ours.load_huggingface({k: v for k, v in theirs.state_dict().items() if "word_embeddings" not in k})


def test_vit():
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, image_size=28, patch_size=7,
        num_channels=1, num_labels=10, initializer_range=0.3,
    )  # fmt: skip
    theirs = transformers.ViTForImageClassification(config).eval()
    ours = models.VisionTransformer(width=16, layers=3, heads=2, inner=32).eval()
    ours.load_huggingface(theirs.state_dict())
    x = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        want = theirs(x).logits.numpy()
    with fastnn.no_grad():
        got = ours(fastnn.from_numpy(x.numpy())).numpy()
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
