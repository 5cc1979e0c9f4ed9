"""Fixtures: every kernel table that this machine can run. Tests that ask torch need torch."""

import importlib.util
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))  # tests import `cases`

from fastnn import backend  # noqa: E402

collect_ignore = []
if importlib.util.find_spec("torch") is None:
    if os.environ.get("FASTNN_REQUIRE_TORCH") == "1":
        raise pytest.UsageError("FASTNN_REQUIRE_TORCH=1, but torch is not installed: pip install torch==2.13.0")
    collect_ignore = ["oracle", "test_semantics.py"]


def pytest_report_header():
    if collect_ignore:
        return f"torch is not installed: {', '.join(collect_ignore)} left out"
    return None


def tables() -> list[str]:
    """'numpy', then each instruction set of the compiled backend that this CPU supports."""
    names = ["numpy"]
    if "cpu" in backend.available():
        from fastnn import _cpu

        names += _cpu.supported_isas()
    return names


def select(table: str):
    """Make `table` the one in use; returns the backend module."""
    if table == "cuda":
        import emulation

        return emulation.kernels_of_host_arrays()
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
    yield from _selected(request.param)


@pytest.fixture(params=[*tables(), "cuda"])
def any_table(request):
    """As table, and once for device "cuda", which without a GPU is emulated (tests/emulation)."""
    yield from _selected(request.param)


def _selected(name):
    before = backend.active().name
    isa = None
    if "cpu" in backend.available():
        from fastnn import _cpu

        isa = _cpu.isa()
    yield select(name)
    if isa:
        from fastnn import _cpu

        _cpu.set_isa(isa)
    backend.use(before)
    if name == "cuda":
        import emulation

        emulation.uninstall()
