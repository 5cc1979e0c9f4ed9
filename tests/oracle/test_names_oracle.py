"""Names that scripts use of torch, one snippet each, in torch and in fastnn (in a process without torch): the same
values, dtypes, shapes, strings and truth values."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from oracle.opinfo import evaluate  # noqa: E402
from oracle.test_opinfo_oracle import judge, worker  # noqa: E402, F401

SNIPPETS = (Path(__file__).parent / "names.txt").read_text().strip().splitlines()


def test_snippets_run_in_torch():
    wrong = [f"{s}\n    {r[1]}: {r[2]}" for s in SNIPPETS if (r := evaluate(torch, s))[0] == "error"]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("code", SNIPPETS)
def test_snippet(code, worker):  # noqa: F811
    wrong = judge(evaluate(torch, code), worker.ask("__snippets__", [code])[0], code)
    assert wrong is None, f"{code}\n{wrong}"
