"""Byte-pair encoding (Sennrich et al. 2016) over bytes: any text has an encoding, frequent strings a short one."""

import re
from collections import Counter, defaultdict

import fastnn

# Words take the blank before them along, so that joining the pieces gives the text back.
_WORDS = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\s\w]+| ?_+|\s+(?!\S)|\s+")


class BytePairs:
    """Tokens 0..255 are the bytes, each further one a merge of two tokens, in the order in which `train` found them."""

    def __init__(self, merges=()):
        self.merges = [tuple(pair) for pair in merges]
        self.rank = {pair: i for i, pair in enumerate(self.merges)}
        self.bytes = [bytes([i]) for i in range(256)]
        for a, b in self.merges:
            if not (0 <= a < len(self.bytes) and 0 <= b < len(self.bytes)):
                raise ValueError(f"BytePairs: the merge {(a, b)} names a token that is not there yet")
            self.bytes.append(self.bytes[a] + self.bytes[b])
        self._words = {}

    @classmethod
    def train(cls, text: str, size: int):
        """The tokens of a vocabulary of `size` >= 256: again and again the commonest pair inside words becomes a token.

        Of equally common pairs the one with the smaller numbers goes first. Stops early where no pair occurs twice.
        """
        if size < 256:
            raise ValueError(f"BytePairs.train: size must be at least 256, one for each byte, got {size}")
        words = [[list(w.encode()), n] for w, n in Counter(_WORDS.findall(text)).items()]
        counts, where = Counter(), defaultdict(set)
        for i, (tokens, n) in enumerate(words):
            for pair in zip(tokens, tokens[1:], strict=False):
                counts[pair] += n
                where[pair].add(i)
        merges = []
        while len(merges) < size - 256 and counts:
            best = max(counts, key=lambda p: (counts[p], -p[0], -p[1]))
            if counts[best] < 2:
                break
            new = 256 + len(merges)
            merges.append(best)
            for i in where.pop(best):
                tokens, n = words[i]
                for pair in zip(tokens, tokens[1:], strict=False):
                    counts[pair] -= n
                tokens = words[i][0] = _merge(tokens, best, new)
                for pair in zip(tokens, tokens[1:], strict=False):
                    counts[pair] += n
                    where[pair].add(i)
            counts = +counts  # what fell to zero is gone
        return cls(merges)

    def __len__(self) -> int:
        return len(self.bytes)

    def _encode_word(self, word):
        tokens = list(word.encode())
        while len(tokens) > 1:
            found = min(zip(tokens, tokens[1:], strict=False), key=lambda p: self.rank.get(p, len(self.merges)))
            if found not in self.rank:
                break
            tokens = _merge(tokens, found, 256 + self.rank[found])
        return tokens

    def encode(self, text: str):
        """int64 [n]"""
        out = []
        for word in _WORDS.findall(text):
            if word not in self._words:
                if len(self._words) > 1 << 16:
                    self._words.clear()
                self._words[word] = self._encode_word(word)
            out += self._words[word]
        return fastnn.tensor(out, dtype=fastnn.int64)

    def decode(self, tokens) -> str:
        """The text of token numbers; bytes that are no UTF-8 (a character cut in half) become U+FFFD."""
        tokens = tokens.tolist() if hasattr(tokens, "tolist") else tokens
        return b"".join(self.bytes[t] for t in tokens).decode(errors="replace")


def _merge(tokens, pair, new):
    out, i = [], 0
    while i < len(tokens):
        if i + 1 < len(tokens) and (tokens[i], tokens[i + 1]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(tokens[i])
            i += 1
    return out
