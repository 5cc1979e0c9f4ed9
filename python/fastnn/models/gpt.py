"""GPT: a causal Transformer of pre-normalised blocks with tied embeddings, and a cache of its keys and values."""

import math
from dataclasses import dataclass

import fastnn
from fastnn import nn

F = nn.functional


@dataclass
class GPTConfig:
    """Sizes of a GPT. `context` is the longest sequence, `bias` says whether linear layers and norms have one."""

    vocabulary: int
    context: int = 64
    layers: int = 4
    heads: int = 4
    width: int = 128
    dropout: float = 0.0
    bias: bool = False

    def __post_init__(self):
        for name in ("vocabulary", "context", "layers", "heads", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"GPTConfig: {name} must be positive, got {getattr(self, name)}")
        if self.width % self.heads:
            raise ValueError(f"GPTConfig: width {self.width} is not a multiple of heads {self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"GPTConfig: dropout must lie in [0, 1), got {self.dropout}")


class KVCache:
    """Keys and values of what a model has read: each step then computes the new positions alone.

    Room for `length` positions in each of `layers` layers, [batch, heads, length, size] each.
    """

    def __init__(self, layers: int, batch: int, heads: int, length: int, size: int, dtype=None):
        shape = (layers, batch, heads, length, size)
        self.keys = fastnn.zeros(shape, dtype=dtype)
        self.values = fastnn.zeros(shape, dtype=dtype)
        self.used = 0

    def extend(self, layer: int, k, v):
        """Write k, v [batch, heads, n, size] behind what is there; all keys and values so far."""
        stop = self.used + k.shape[2]
        if stop > self.keys.shape[3]:
            raise ValueError(f"KVCache: {stop} positions, but there is room for {self.keys.shape[3]}")
        self.keys[layer, :, :, self.used : stop] = k
        self.values[layer, :, :, self.used : stop] = v
        return self.keys[layer, :, :, :stop], self.values[layer, :, :, :stop]

    def advance(self, n: int):
        """All layers have written n positions."""
        self.used += n


class CausalSelfAttention(nn.Module):
    def __init__(self, config: GPTConfig):
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=config.bias)
        self.out = nn.Linear(config.width, config.width, bias=config.bias)

    def forward(self, x, cache=None, layer=0):
        batch, n, width = x.shape
        q, k, v = (
            part.view(batch, n, self.heads, width // self.heads).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)
        )
        mask, causal = None, n > 1
        if cache is not None:
            before = cache.used
            k, v = cache.extend(layer, k, v)
            if before and n > 1:  # position i of the new ones sees all the old ones and the new ones up to i
                mask, causal = fastnn.ones(n, before + n, dtype=fastnn.bool).tril(before), False
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal)
        return F.dropout(self.out(y.transpose(1, 2).reshape(batch, n, width)), self.dropout, self.training)


class Block(nn.Module):
    def __init__(self, config: GPTConfig):
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, bias=config.bias)
        self.attention = CausalSelfAttention(config)
        self.norm2 = nn.LayerNorm(config.width, bias=config.bias)
        self.up = nn.Linear(config.width, 4 * config.width, bias=config.bias)
        self.down = nn.Linear(4 * config.width, config.width, bias=config.bias)
        self.dropout = config.dropout

    def forward(self, x, cache=None, layer=0):
        x = x + self.attention(self.norm1(x), cache, layer)
        return x + F.dropout(self.down(F.gelu(self.up(self.norm2(x)))), self.dropout, self.training)


class GPT(nn.Module):
    """Tokens [batch, n] (int64) to logits of the next token [batch, n, vocabulary].

    Weights start as GPT-2's: normal of 0.02, those that write into the residual stream of 0.02 / sqrt(2 layers).
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(config.width, bias=config.bias)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, 0.0, 0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for block in self.blocks:
            for layer in (block.attention.out, block.down):
                nn.init.normal_(layer.weight, 0.0, 0.02 / math.sqrt(2 * config.layers))

    def cache(self, batch: int) -> KVCache:
        """An empty cache for `batch` sequences of up to `context` tokens."""
        c = self.config
        dtype = self.tokens.weight.dtype
        return KVCache(c.layers, batch, c.heads, c.context, c.width // c.heads, dtype)

    def forward(self, tokens, cache=None):
        """With a cache, `tokens` follow on what it holds, and are added to it; use it under no_grad."""
        start = cache.used if cache is not None else 0
        n = tokens.shape[1]
        if start + n > self.config.context:
            raise ValueError(f"GPT: {start + n} tokens, but the context is {self.config.context}")
        x = self.tokens(tokens) + self.positions(fastnn.arange(start, start + n))
        x = F.dropout(x, self.config.dropout, self.training)
        for i, block in enumerate(self.blocks):
            x = block(x, cache, i)
        if cache is not None:
            cache.advance(n)
        return self.head(self.norm(x))

    def parameter_groups(self, weight_decay: float) -> list:
        """For an optimizer: matrices with weight decay, vectors (norms, biases) without."""
        every = list(self.parameters())
        return [
            {"params": [p for p in every if p.dim() >= 2], "weight_decay": weight_decay},
            {"params": [p for p in every if p.dim() < 2], "weight_decay": 0.0},
        ]
