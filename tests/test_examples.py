"""Every example runs, --quick, and its claims hold: it exits with 0. Nothing is timed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PROGRAMS = sorted(p.name for p in EXAMPLES.glob("[a-z]*.py") if p.name != "keras_demo.py")
NO_DATA = 3  # what an example exits with where its data are not here


def run(*arguments, folder):
    package = str(Path(fastnn.__file__).resolve().parent.parent)  # PYTHONPATH may be relative to another folder
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help(program, tmp_path):
    shown = run(str(EXAMPLES / program), "--help", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "--quick" in shown.stdout and "--seed" in shown.stdout and "Row " in shown.stdout


@pytest.mark.examples
@pytest.mark.parametrize("program", PROGRAMS)
def test_quick(program, tmp_path):
    for module in ("matplotlib", "sklearn", "scipy", "PIL"):
        pytest.importorskip(module, reason="the examples need the extra of that name: pip install '.[examples]'")
    ran = run(str(EXAMPLES / program), "--quick", "--out", str(tmp_path / "out"), folder=tmp_path)
    if ran.returncode == NO_DATA:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert "holds" in ran.stdout
    for picture in (tmp_path / "out").glob("*.png"):
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_claim_that_fails_fails_the_program(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); import _common as c; "
        "r = c.Report(c.parse(c.parser('x'), ['--quick']), 't'); r.claim('a', float(sys.argv[1]), '>=', 0.5); r.end()"
    )
    for reached, status in (("1", 0), ("0.4", 1), ("nan", 1)):
        ran = run("-c", code, reached, folder=tmp_path)
        assert ran.returncode == status, ran.stderr
