"""Text: vocabularies and tokenizers, streams of tokens, and the sampling of word2vec. Imported when first named."""

_WHERE = {
    "Vocabulary": "vocabulary",
    "words": "vocabulary",
    "BytePairs": "pairs",
    "stream_batches": "streams",
    "random_windows": "streams",
    "Huffman": "word2vec",
    "NoiseSampler": "word2vec",
    "CBOW": "word2vec",
    "SkipGram": "word2vec",
    "keep_probability": "word2vec",
    "subsample": "word2vec",
    "window_pairs": "word2vec",
    "context_windows": "word2vec",
    "nearest": "word2vec",
    "analogy": "word2vec",
}
__all__ = sorted(_WHERE)


def __getattr__(name):
    import importlib

    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    if name in _WHERE.values():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
