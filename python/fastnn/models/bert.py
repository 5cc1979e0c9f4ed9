"""BERT (Devlin et al. 2019) from nn.TransformerEncoderLayer, and the masking that it is trained by."""

import fastnn
from fastnn import nn

F = nn.functional


class Bert(nn.Module):
    """Tokens int64 [N, n] to hidden states [N, n, width]; `words_of` turns those into logits of the words.

    The layers normalise after each part, with gelu, as published; the word head's matrix is that of the embedding.
    """

    def __init__(
        self, vocabulary, width=128, layers=2, heads=4, inner=None, context=64, types=2, dropout=0.1, eps=1e-12
    ):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.types = nn.Embedding(types, width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            [
                nn.TransformerEncoderLayer(width, heads, inner or 4 * width, dropout, "gelu", eps, batch_first=True)
                for _ in range(layers)
            ]
        )
        self.pooler = nn.Linear(width, width)
        self.transform = nn.Linear(width, width)
        self.transform_norm = nn.LayerNorm(width, eps=eps)
        self.word_bias = nn.Parameter(fastnn.zeros(vocabulary))
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, 0.0, 0.02)

    def forward(self, tokens, types=None, there=None):
        """`there` bool [N, n]: False where a sequence has ended and nothing is to be looked at."""
        n = tokens.shape[1]
        if n > len(self.positions.weight):
            raise ValueError(f"Bert: {n} tokens, but there are {len(self.positions.weight)} positions")
        types = fastnn.zeros_like(tokens) if types is None else types
        x = self.dropout(self.norm(self.words(tokens) + self.positions(fastnn.arange(n)) + self.types(types)))
        blank = None if there is None else there.logical_not()
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=blank)
        return x

    def words_of(self, hidden):
        """Logits [..., vocabulary] of hidden states [..., width]."""
        h = self.transform_norm(F.gelu(self.transform(hidden)))
        return F.linear(h, self.words.weight, self.word_bias)

    def pooled(self, hidden):
        """[N, width]: the first token's state, for whole sequences."""
        return self.pooler(hidden[:, 0]).tanh()

    def load_huggingface(self, state: dict):
        """Weights of transformers' BertModel or BertForMaskedLM, by their names there."""
        from .huggingface import load

        return load(self, state, "bert")


def mask_tokens(tokens, mask: int, vocabulary: int, share: float = 0.15, first: int = 0, generator=None):
    """(tokens as the model sees them, targets): 15 % are to be foretold, -100 marks the others.

    Of those chosen 80 % become `mask`, 10 % a random word of first..vocabulary - 1, 10 % stay. Tokens below `first`
    (special ones) are never chosen.
    """
    if not 0 < share <= 1:
        raise ValueError(f"mask_tokens: share must lie in (0, 1], got {share}")
    chosen = (fastnn.rand(tokens.shape, generator=generator) < share) & (tokens >= first)
    targets = tokens.masked_fill(chosen.logical_not(), -100)
    dice = fastnn.rand(tokens.shape, generator=generator)
    seen = tokens.masked_fill(chosen & (dice < 0.8), mask)
    other = fastnn.randint(first, vocabulary, tokens.shape, generator=generator)
    return fastnn.where(chosen & (dice >= 0.8) & (dice < 0.9), other, seen), targets
