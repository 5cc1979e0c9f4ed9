"""Look-up tables."""

import fastnn
from fastnn.nn import functional as F
from fastnn.nn import init
from fastnn.nn.modules.module import Module
from fastnn.nn.parameter import Parameter


class Embedding(Module):
    """Row i of a learned table for each index i.

    Shape: [*] int64 → [*, embedding_dim]; weight [num_embeddings, embedding_dim], drawn from N(0, 1). The row
    padding_idx starts at 0 and gets no gradient.
    """

    __constants__ = ["num_embeddings", "embedding_dim", "padding_idx"]

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx=None, device=None, dtype=None):
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise AssertionError("Padding_idx must be within num_embeddings")
            padding_idx %= num_embeddings
        self.padding_idx = padding_idx
        self.weight = Parameter(fastnn.empty((num_embeddings, embedding_dim), device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with fastnn.no_grad():
                self.weight[self.padding_idx].fill_(0)

    def forward(self, input):
        return F.embedding(input, self.weight, self.padding_idx)

    @classmethod
    def from_pretrained(cls, embeddings, freeze: bool = True, padding_idx=None):
        """An Embedding over an existing [num, dim] tensor; with freeze it is not learned."""
        if embeddings.dim() != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        embedding = cls.__new__(cls)
        Module.__init__(embedding)
        embedding.num_embeddings, embedding.embedding_dim = embeddings.shape
        embedding.padding_idx = padding_idx
        embedding.weight = Parameter(embeddings, requires_grad=not freeze)
        return embedding

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else text + f", padding_idx={self.padding_idx}"
