"""What whole models need beyond torch's layers: GPT and its cache, BERT, ViT, samplers, attention scores, positions.

The modules are imported when first named, and are written in torch's API alone: each file also runs with `torch` in the
place of `fastnn`, which the examples use to compare the two.
"""

from fastnn._lazy import attributes

_WHERE = {
    "GPT": "gpt",
    "GPTConfig": "gpt",
    "KVCache": "gpt",
    "sample": "sampling",
    "filter_logits": "sampling",
    "generate": "sampling",
    "sinusoidal_positions": "positions",
    "rotary": "positions",
    "alibi_bias": "positions",
    "AdditiveScore": "scores",
    "BilinearScore": "scores",
    "attend": "scores",
    "dot_score": "scores",
    "scaled_dot_score": "scores",
    "hard_attend": "scores",
    "Bert": "bert",
    "mask_tokens": "bert",
    "VisionTransformer": "vit",
    "TreeNet": "tree",
}
__all__ = sorted(_WHERE)
__getattr__ = attributes(__name__, _WHERE)
