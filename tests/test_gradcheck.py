"""First and second derivatives of every differentiable op against finite differences, in float64, on every table."""

import pytest
from gradcheck_cases import CASES

import fastnn


def inputs(case):
    return [fastnn.tensor(a, dtype=fastnn.float64).requires_grad_() for a in case.arrays()]


def test_names_are_unique():
    names = [c.name for c in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_gradient(case, table):
    assert fastnn.autograd.gradcheck(lambda *a: case.function(fastnn, *a), inputs(case))


@pytest.mark.parametrize("case", [c for c in CASES if c.twice], ids=lambda c: c.name)
def test_gradient_of_the_gradient(case, table):
    assert fastnn.autograd.gradgradcheck(lambda *a: case.function(fastnn, *a), inputs(case))
