"""Attention, with each way to score a query against a key. Queries [..., n, q], keys [..., m, k]: scores [..., n, m]."""

import math

import fastnn
from fastnn import nn

F = nn.functional


def dot_score(queries, keys):
    """q · k"""
    return queries @ keys.transpose(-1, -2)


def scaled_dot_score(queries, keys):
    """q · k / sqrt(width): its variance does not grow with the width."""
    return dot_score(queries, keys) / math.sqrt(keys.shape[-1])


class AdditiveScore(nn.Module):
    """v · tanh(W q + U k) (Bahdanau et al. 2015)."""

    def __init__(self, queries: int, keys: int, hidden: int):
        super().__init__()
        self.query = nn.Linear(queries, hidden, bias=False)
        self.key = nn.Linear(keys, hidden, bias=False)
        self.out = nn.Linear(hidden, 1, bias=False)

    def forward(self, queries, keys):
        return self.out((self.query(queries).unsqueeze(-2) + self.key(keys).unsqueeze(-3)).tanh()).squeeze(-1)


class BilinearScore(nn.Module):
    """q W k (Luong et al. 2015)."""

    def __init__(self, queries: int, keys: int):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(fastnn.empty(queries, keys)))

    def forward(self, queries, keys):
        return dot_score(queries @ self.weight, keys)


def _masked(scores, mask):
    return scores if mask is None else scores.masked_fill(mask.logical_not(), float("-inf"))


def attend(scores, values, mask=None):
    """(softmax(scores) values, the shares): soft attention. Where `mask` is False nothing is looked at."""
    shares = _masked(scores, mask).softmax(-1)
    return shares @ values, shares


def hard_attend(scores, values, mask=None, training: bool = True, temperature: float = 1.0):
    """(the values of one place for each query, which place as 0s and a 1): hard attention.

    In training the place is drawn from softmax(scores), by Gumbel noise, and the gradient is that of the soft choice
    (straight-through, Jang et al. 2017); otherwise it is the likeliest.
    """
    scores = _masked(scores, mask)
    if training:
        choice = F.gumbel_softmax(scores, tau=temperature, hard=True, dim=-1)
    else:
        choice = F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)
    return choice @ values, choice
