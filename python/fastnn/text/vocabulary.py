"""Symbols, characters or words, as numbers."""

import re
from collections import Counter
from collections.abc import Iterable

import fastnn


def words(text: str) -> list[str]:
    """Lower-case words of a text: runs of letters and digits, with an apostrophe inside (don't); the rest is left out."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower())


class Vocabulary:
    """A fixed order of symbols: the special ones first, then by falling count, equal counts in order of first sight.

    `symbols` are what is counted: the characters of a string, or a list of words. Those seen fewer than `least` times and
    those beyond `limit` are left out; they encode as `unknown`, which then must be one of `special`. With
    `ordered=True` the symbols are sorted by themselves instead (the order of character models).
    """

    def __init__(self, symbols: Iterable[str], special=(), unknown=None, least: int = 1, limit=None, ordered=False):
        if unknown is not None and unknown not in special:
            raise ValueError(f"Vocabulary: unknown {unknown!r} is not among the special symbols {list(special)}")
        self.counts = Counter(symbols)
        kept = [(s, n) for s, n in self.counts.items() if n >= least and s not in special]
        kept = sorted(kept) if ordered else sorted(kept, key=lambda item: -item[1])
        self.symbols = [*special, *(s for s, _ in kept)][:limit]
        self.numbers = {s: i for i, s in enumerate(self.symbols)}
        if len(self.numbers) != len(self.symbols):
            raise ValueError(f"Vocabulary: a special symbol stands twice in {list(special)}")
        self.unknown = None if unknown is None else self.numbers[unknown]

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol) -> bool:
        return symbol in self.numbers

    def encode(self, symbols: Iterable[str]):
        """int64 [n]. Raises KeyError at a symbol that is not here, where there is no `unknown`."""
        if self.unknown is None:
            try:
                numbers = [self.numbers[s] for s in symbols]
            except KeyError as error:
                raise KeyError(f"Vocabulary: {error.args[0]!r} is not in it, and there is no unknown symbol") from None
        else:
            numbers = [self.numbers.get(s, self.unknown) for s in symbols]
        return fastnn.tensor(numbers, dtype=fastnn.int64)

    def decode(self, numbers) -> list[str]:
        """The symbols of a one-dimensional tensor or list of numbers."""
        return [self.symbols[int(i)] for i in (numbers.tolist() if hasattr(numbers, "tolist") else numbers)]
