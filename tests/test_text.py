"""fastnn.text: numbers of symbols, and a text as batches."""

import pytest

import fastnn
from fastnn import text


def test_words():
    assert text.words("Don't PANIC, it's 42 -- l'été_d'or!") == ["don't", "panic", "it's", "42", "l'été", "d'or"]


def test_vocabulary_orders_by_count_and_knows_the_unknown():
    v = text.Vocabulary("b a a c b a d".split(), special=("<pad>", "<unk>"), unknown="<unk>", least=1, limit=5)
    assert v.symbols == ["<pad>", "<unk>", "a", "b", "c"]
    assert v.encode(["a", "z", "c", "d"]).tolist() == [2, 1, 4, 1]
    assert v.decode(fastnn.tensor([3, 0])) == ["b", "<pad>"]
    assert len(v) == 5 and "a" in v and "z" not in v and v.counts["a"] == 3
    assert text.Vocabulary("hello", ordered=True).symbols == list("ehlo")
    assert text.Vocabulary("aab", least=2).symbols == ["a"]
    with pytest.raises(KeyError, match="'z'"):
        text.Vocabulary("ab").encode("az")
    with pytest.raises(ValueError, match="not among the special"):
        text.Vocabulary("ab", unknown="<unk>")
    with pytest.raises(ValueError, match="twice"):
        text.Vocabulary("ab", special=("x", "x"))
    assert v.encode([]).shape == (0,)


def test_stream_batches_follow_on():
    tokens = fastnn.arange(23)
    batches = list(text.stream_batches(tokens, 2, 4))
    assert [tuple(x.shape) for x, _ in batches] == [(2, 4), (2, 4), (2, 3)]
    assert fastnn.cat([x for x, _ in batches], 1).tolist() == [list(range(11)), list(range(11, 22))]
    assert all((y == x + 1).all() for x, y in batches)
    with pytest.raises(ValueError, match="do not fill"):
        list(text.stream_batches(tokens[:2], 2, 4))
    with pytest.raises(ValueError, match="positive"):
        list(text.stream_batches(tokens, 0, 4))


def test_random_windows_reach_every_place():
    x, y = text.random_windows(fastnn.arange(10), 2000, 4)
    assert x.shape == y.shape == (2000, 4) and bool((y == x + 1).all())
    assert sorted(set(x[:, 0].tolist())) == list(range(6))
    with pytest.raises(ValueError, match="too few"):
        text.random_windows(fastnn.arange(4), 1, 4)


SAMPLE = "low low low lower lowest newer newer wider\n\n  été 中文 don't_x __ 42! 🙂  "


@pytest.mark.parametrize("size", [256, 260, 300])
def test_byte_pairs_give_any_text_back(size):
    pairs = text.BytePairs.train(SAMPLE * 3, size)
    for sample in (SAMPLE, "", "\x00 \t\r\n", "неизвестно", "low"):
        tokens = pairs.encode(sample)
        assert pairs.decode(tokens) == sample
        assert tokens.dtype is fastnn.int64
    assert len(pairs) <= size and len(pairs.encode(SAMPLE)) <= len(SAMPLE.encode())
    again = text.BytePairs(pairs.merges)
    assert again.encode(SAMPLE).tolist() == pairs.encode(SAMPLE).tolist()


def test_byte_pairs_merge_the_commonest_first():
    """Against the definition: count all pairs anew after each merge."""
    sample = "ab abc abcd bcd bcd bcd cd ab"
    words = [list(w.encode()) for w in ["ab", " abc", " abcd", " bcd", " bcd", " bcd", " cd", " ab"]]
    want = []
    for new in range(256, 260):  # after these no pair occurs twice
        counts = {}
        for w in words:
            for p in zip(w, w[1:], strict=False):
                counts[p] = counts.get(p, 0) + 1
        best = max(counts, key=lambda p: (counts[p], -p[0], -p[1]))
        want.append(best)
        for w in words:
            i = 0
            while i + 1 < len(w):
                if (w[i], w[i + 1]) == best:
                    w[i : i + 2] = [new]
                i += 1
    pairs = text.BytePairs.train(sample, 262)
    assert pairs.merges == want
    assert pairs.encode(sample).tolist() == [t for w in words for t in w]


def test_byte_pairs_refuse_nonsense():
    assert len(text.BytePairs.train("ab", 300)) == 256  # nothing occurs twice
    assert text.BytePairs().decode([0xE4, 0xB8]) == "\ufffd"
    with pytest.raises(ValueError, match="at least 256"):
        text.BytePairs.train("ab", 10)
    with pytest.raises(ValueError, match="not there yet"):
        text.BytePairs([(300, 1)])
