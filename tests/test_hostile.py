"""Every hostile call raises a clear exception quickly and without allocating; none ends the process."""

import functools
import json
import os
import select
import subprocess
import sys
import time

import pytest
from conftest import tables
from hostile import CALLS, KINDS

HANG_S = 30  # no answer from a call for so long is a hang


def run_from(table, skip, answers) -> int:
    """Answers of the calls from number `skip` until the end or a death; returns the number to go on with."""
    here = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, os.path.join(here, "hostile.py"), table, str(skip)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    current, text, last = skip, b"", time.monotonic()
    while time.monotonic() - last < HANG_S:
        if not select.select([process.stdout], [], [], 1)[0]:
            continue
        piece = os.read(process.stdout.fileno(), 65536)
        if not piece:
            break
        text, last = text + piece, time.monotonic()
        *lines, text = text.split(b"\n")
        for line in map(json.loads, lines):
            current = line.get("start", current)
            if "done" in line:
                answers[line["done"]] = line
    hung = process.poll() is None and time.monotonic() - last >= HANG_S
    if hung:
        process.kill()
    errors = process.communicate()[1].decode(errors="replace")[-500:]
    if process.returncode == 0:
        return len(CALLS)
    reason = f"hung for {HANG_S} s" if hung else f"ended the process with {process.returncode}: {errors}"
    answers[current] = {"kind": None, "message": reason, "ms": 0, "kb": 0}
    return current + 1


@functools.cache
def all_answers(table) -> dict:
    answers: dict = {}
    number = 0
    while number < len(CALLS):
        number = run_from(table, number, answers)
    return answers


BACKENDS = [t for t in ("numpy", tables()[-1]) if t in tables()]


@pytest.mark.parametrize("backend", dict.fromkeys(BACKENDS))
@pytest.mark.parametrize("number", range(len(CALLS)), ids=[c[0] for c in CALLS])
def test_hostile_call(number, backend):
    expression, *words = CALLS[number]
    answer = all_answers(backend)[number]
    assert answer["kind"] in KINDS, f"{expression}: {answer['kind']}: {answer['message']}"
    assert answer["message"].strip(), f"{expression}: {answer['kind']} without a message"
    assert not words or any(w in answer["message"] for w in words), f"{expression}: unclear: {answer['message']}"
    assert answer["ms"] < 100, f"{expression} took {answer['ms']:.0f} ms"
    assert answer["kb"] < 1024, f"{expression} took {answer['kb']} kB"
