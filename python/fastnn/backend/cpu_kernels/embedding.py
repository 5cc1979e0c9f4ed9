"""The compiled look-ups, under their twins' names: C functions that pass on to the twin what they do not cover."""

from fastnn._cpu import embedding, embedding_backward, embedding_bag, embedding_bag_backward

__all__ = ["embedding", "embedding_backward", "embedding_bag", "embedding_bag_backward"]
