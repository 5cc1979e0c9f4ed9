"""Every fact gives the same answer on torch and on fastnn, with every kernel table."""

import functools

import pytest
import torch
from semantics import FACTS, difference, evaluate, same

import fastnn


@functools.cache
def torch_answer(name):
    return evaluate(torch, FACTS[name])


def test_there_are_enough_facts():
    assert len(FACTS) >= 200


@pytest.mark.parametrize("name", FACTS)
def test_torch_itself_can_say(name):
    assert torch_answer(name)[0] != "unexpected", torch_answer(name)


@pytest.mark.parametrize("name", FACTS)
def test_fact(name, table):
    ours = evaluate(fastnn, FACTS[name])
    assert same(torch_answer(name), ours), difference(torch_answer(name), ours)
