"""Text: vocabularies and tokenizers, streams of tokens, and the sampling of word2vec. Imported when first named."""

from fastnn._lazy import attributes

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
__getattr__ = attributes(__name__, _WHERE)
