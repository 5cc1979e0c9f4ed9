"""word2vec (Mikolov et al. 2013): what goes into a batch, how words are drawn as noise, the two models, neighbours."""

import heapq

import fastnn
from fastnn import nn

F = nn.functional


def keep_probability(counts, threshold: float = 1e-3):
    """[V]: how often an occurrence of each word is kept, min(1, sqrt(threshold / frequency))."""
    frequency = counts.to(fastnn.float64) / counts.sum()
    return (threshold / frequency.clamp(min=1e-300)).sqrt().clamp(max=1.0)


def subsample(tokens, keep, generator=None):
    """`tokens` [n] less the occurrences that chance leaves out; keep [V] from keep_probability."""
    return tokens[fastnn.rand(len(tokens), dtype=keep.dtype, generator=generator) < keep[tokens]]


def _reaches(n, window, dynamic, generator):
    if window < 1:
        raise ValueError(f"word2vec: window must be at least 1, got {window}")
    return fastnn.randint(1, window + 1, (n,), generator=generator) if dynamic else fastnn.full((n,), window)


def window_pairs(tokens, window: int = 5, dynamic: bool = True, generator=None):
    """(centres, contexts) int64 [P]: each word with each one at most `window` places from it.

    With `dynamic` each centre draws its own reach from 1..window, so that near words count more.
    """
    n = len(tokens)
    reach = _reaches(n, window, dynamic, generator)
    place = fastnn.arange(n)
    centres, contexts = [], []
    for offset in range(1, min(window, n - 1) + 1):
        near = place[reach >= offset]
        for other in (near - offset, near + offset):
            inside = (other >= 0) & (other < n)
            centres.append(tokens[near[inside]])
            contexts.append(tokens[other[inside]])
    if not centres:
        return tokens[:0], tokens[:0]
    return fastnn.cat(centres), fastnn.cat(contexts)


def context_windows(tokens, window: int = 5, dynamic: bool = True, generator=None):
    """(contexts [n, 2 window], mask of the same shape): the words around each place; where the mask is 0 there is none."""
    n = len(tokens)
    reach = _reaches(n, window, dynamic, generator)
    offsets = fastnn.cat([fastnn.arange(-window, 0), fastnn.arange(1, window + 1)])
    at = fastnn.arange(n).unsqueeze(1) + offsets
    inside = (at >= 0) & (at < n) & (offsets.abs() <= reach.unsqueeze(1))
    return tokens[at.clamp(0, max(n - 1, 0))], inside.to(fastnn.float32)


class NoiseSampler:
    """Words drawn in proportion to counts [V] to the power of 3/4."""

    def __init__(self, counts, power: float = 0.75):
        weights = counts.to(fastnn.float64) ** power
        if not len(counts) or not bool((counts >= 0).all()) or not float(weights.sum()) > 0:
            raise ValueError("NoiseSampler: counts must be a vector of numbers >= 0, at least one of them positive")
        self.upper = weights.cumsum(0) / weights.sum()
        self.last = int((weights > 0).nonzero()[-1])

    def draw(self, shape, generator=None):
        """int64 of that shape."""
        u = fastnn.rand(shape, dtype=fastnn.float64, generator=generator)
        return fastnn.searchsorted(self.upper, u, right=True).clamp(max=self.last)


class Huffman:
    """A binary tree with frequent words near its root: for hierarchical softmax.

    `nodes` int64 [V, D] are the inner nodes (of V - 1) from the root to each word, `turns` float32 [V, D] +1 for left and
    -1 for right at each of them, `mask` float32 [V, D] 0 beyond the word's depth.
    """

    def __init__(self, counts):
        counts = [int(c) for c in counts]
        if len(counts) < 2:
            raise ValueError(f"Huffman: at least two words are needed, got {len(counts)}")
        heap = [(c, i) for i, c in enumerate(counts)]
        heapq.heapify(heap)
        parent, turn, following = {}, {}, len(counts)
        while len(heap) > 1:
            (left_count, left), (right_count, right) = heapq.heappop(heap), heapq.heappop(heap)
            parent[left], parent[right] = following, following
            turn[left], turn[right] = 1.0, -1.0
            heapq.heappush(heap, (left_count + right_count, following))
            following += 1
        paths = []
        for word in range(len(counts)):
            path, at = [], word
            while at in parent:
                path.append((parent[at] - len(counts), turn[at]))
                at = parent[at]
            paths.append(path[::-1])
        depth = max(map(len, paths))
        self.nodes = fastnn.tensor([[n for n, _ in p] + [0] * (depth - len(p)) for p in paths])
        self.turns = fastnn.tensor([[t for _, t in p] + [0.0] * (depth - len(p)) for p in paths])
        self.mask = fastnn.tensor([[1.0] * len(p) + [0.0] * (depth - len(p)) for p in paths])


class _Word2Vec(nn.Module):
    """Two tables: `vectors` of words as inputs (the ones that are wanted), `outputs` of words or inner nodes."""

    def __init__(self, words: int, size: int, tree: Huffman | None = None):
        super().__init__()
        self.vectors = nn.Embedding(words, size)
        self.outputs = nn.Embedding(words if tree is None else words - 1, size)
        self.tree = tree
        nn.init.uniform_(self.vectors.weight, -0.5 / size, 0.5 / size)
        nn.init.zeros_(self.outputs.weight)

    def _loss(self, hidden, wanted, negatives):
        """Mean nats of wanted [B] (or [B, K] noise against it) given hidden [B, size]."""
        if self.tree is not None:
            scores = fastnn.bmm(self.outputs(self.tree.nodes[wanted]), hidden.unsqueeze(2)).squeeze(2)
            return (F.softplus(-scores * self.tree.turns[wanted]) * self.tree.mask[wanted]).sum() / len(hidden)
        if negatives is None:
            raise ValueError(f"{type(self).__name__}: without a tree, `negatives` [B, K] must be given")
        every = fastnn.cat([wanted.unsqueeze(1), negatives], 1)
        scores = fastnn.bmm(self.outputs(every), hidden.unsqueeze(2)).squeeze(2)
        # Noise that happens to be the wanted word itself would be pushed both ways: it counts for nothing.
        hit = (negatives == wanted.unsqueeze(1)).to(scores.dtype)
        return (F.softplus(-scores[:, 0]).sum() + (F.softplus(scores[:, 1:]) * (1 - hit)).sum()) / len(hidden)

    def log_probability(self, hidden):
        """[B, V] of the tree's leaves; a proper distribution. Slow: for looking at, not for training."""
        if self.tree is None:
            raise ValueError(f"{type(self).__name__}: only the hierarchical softmax has probabilities")
        scores = hidden @ self.outputs.weight.T
        terms = F.logsigmoid(scores[:, self.tree.nodes] * self.tree.turns) * self.tree.mask
        return terms.sum(-1)


class SkipGram(_Word2Vec):
    """Foretells the words around a word: loss of centres [B], contexts [B] and, without a tree, negatives [B, K]."""

    def forward(self, centres, contexts, negatives=None):
        return self._loss(self.vectors(centres), contexts, negatives)


class CBOW(_Word2Vec):
    """Foretells a word from the mean of those around it: contexts [B, C] with mask [B, C], centres [B], negatives [B, K]."""

    def forward(self, contexts, mask, centres, negatives=None):
        hidden = fastnn.bmm(mask.unsqueeze(1), self.vectors(contexts)).squeeze(1)
        return self._loss(hidden / mask.sum(1, keepdim=True).clamp(min=1), centres, negatives)


def nearest(vectors, words, count: int = 10):
    """(cosines, numbers) [W, count]: the nearest rows of `vectors` [V, D] to those of `words` [W], themselves left out."""
    unit = F.normalize(vectors, dim=1)
    cosines = unit[words] @ unit.T
    cosines[fastnn.arange(len(words)), words] = -2.0
    return cosines.topk(count, dim=1)


def analogy(vectors, a: int, b: int, c: int, count: int = 5):
    """The numbers of the words nearest to b - a + c (a is to b as c is to ...), those three left out."""
    unit = F.normalize(vectors, dim=1)
    cosines = unit @ F.normalize(unit[b] - unit[a] + unit[c], dim=0)
    cosines[fastnn.tensor([a, b, c])] = -2.0
    return cosines.topk(count)[1].tolist()
