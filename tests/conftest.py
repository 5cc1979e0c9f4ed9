"""Fixtures: every kernel table that this machine can run."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))  # tests import `cases`

from fastnn import backend  # noqa: E402


def tables() -> list[str]:
    """'numpy', then each instruction set of the compiled backend that this CPU supports."""
    names = ["numpy"]
    if "cpu" in backend.available():
        from fastnn import _cpu

        names += _cpu.supported_isas()
    return names


def select(table: str):
    """Make `table` the one in use; returns the backend module."""
    if table == "numpy":
        backend.use("numpy")
    else:
        from fastnn import _cpu

        _cpu.set_isa(table)
        backend.use("cpu")
    return backend.active()


@pytest.fixture(params=tables())
def table(request):
    """Runs the test once per table, and puts the default back after it."""
    before = backend.active().name
    isa = None
    if "cpu" in backend.available():
        from fastnn import _cpu

        isa = _cpu.isa()
    yield select(request.param)
    if isa:
        from fastnn import _cpu

        _cpu.set_isa(isa)
    backend.use(before)
