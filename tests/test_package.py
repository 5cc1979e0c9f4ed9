"""What an installed fastnn consists of, and how it says what it is."""

import importlib.metadata
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

import fastnn

PACKAGE = pathlib.Path(fastnn.__file__).parent


def run(*args, **env):
    return subprocess.run(
        [sys.executable, *args], env={**os.environ, **env}, capture_output=True, text=True, timeout=120
    )


def test_it_is_typed():
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_cpu.pyi").exists()


def test_only_numpy_is_required():
    try:
        requires = importlib.metadata.requires("fastnn")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed, only on the path")
    required = [r for r in requires if "extra ==" not in r]
    assert [r.split(">")[0].split(";")[0].strip() for r in required] == ["numpy"]
    assert "fastnn" == importlib.metadata.metadata("fastnn")["Name"]


def test_the_pure_python_backend_needs_no_compiled_module():
    """As in a wheel built with FASTNN_CPU=OFF: the extension cannot be found at all."""
    code = (
        "import sys; sys.modules['fastnn._cpu'] = None\n"
        "import fastnn.backend, fastnn._config as c\n"
        "assert fastnn.backend.available() == ['numpy'], fastnn.backend.available()\n"
        "c.set_num_threads(3); assert c.get_num_threads() == 3\n"
        "assert c.memory_stats()['in_use'] == 0; c.empty_cache(); c.show_config()"
    )
    done = run("-c", code, FASTNN_BACKEND="")
    assert done.returncode == 0, done.stderr
    assert "not in this install" in done.stdout


def test_a_wrong_backend_name_raises():
    done = run("-c", "import fastnn.backend", FASTNN_BACKEND="tpu")
    assert done.returncode != 0 and "unknown backend 'tpu'; one of numpy, cpu" in done.stderr


def test_cuda_module_without_a_driver():
    if importlib.util.find_spec("fastnn._cuda") is None:
        pytest.skip("not built")
    from fastnn import _cuda

    try:
        count = _cuda.device_count()
    except RuntimeError as e:
        assert str(e) == "fastnn: no CUDA driver is installed on this machine"
        return
    for i in range(count):
        device = _cuda.device(i)
        assert device["built_for"] <= 10 * device["capability"][0] + device["capability"][1]
    with pytest.raises(IndexError):
        _cuda.device(count)
