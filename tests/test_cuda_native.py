"""The CUDA kernels, run on the CPU by the emulator: tests/cuda/test_*.cu, values under several schedules.

The sanitizers' runs and the planted bugs are tests/cuda/run.py and tests/cuda/planted.py, which CI calls.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("cuda_native_run", Path(__file__).parent / "cuda" / "run.py")
native = importlib.util.module_from_spec(spec)
spec.loader.exec_module(native)

pytestmark = pytest.mark.skipif(
    native.compiler() is None or not sys.platform.startswith("linux"), reason="needs g++ on Linux"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cuda")


@pytest.mark.parametrize("test", native.programs(), ids=lambda f: f.stem[5:])
def test_values_under_several_schedules(test, folder):
    status, output = native.run(native.build(test, "plain", folder), "plain")
    assert status == 0, output
