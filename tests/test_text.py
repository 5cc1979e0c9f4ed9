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
