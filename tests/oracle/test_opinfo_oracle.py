"""torch's own test inputs (op_db's sample and error inputs) through fastnn: values, gradients, dtypes, shapes, errors.

fastnn runs in a worker process where torch cannot be imported (opinfo.py). `opinfo_known.py` names what is left out or
wrong, and why; what is named there but present all the same is compared like the rest.
"""

import collections
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")

from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

from oracle import opinfo_known as known  # noqa: E402
from oracle.opinfo import SHAPE_ONLY, Unsupported, answer, encode, resolve  # noqa: E402

DTYPES = {"float32": torch.float32, "float64": torch.float64}
TOLERANCE = {"float32": 1e-4, "complex64": 1e-4, "float64": 1e-8, "complex128": 1e-8, "float16": 5e-3}


def key_of(op):
    return op.name + ("/" + op.variant_test_name if op.variant_test_name else "")


OPS = {key_of(op): op for op in op_db}
tally = {d: collections.defaultdict(lambda: [0, 0]) for d in (*DTYPES, "errors")}  # key: [right, all]


class Worker:
    """The process that runs fastnn."""

    def __init__(self):
        here = Path(__file__).resolve().parent
        path = [str(here), *(p for p in sys.path if p and "torch" not in p)]
        self.process = subprocess.Popen(
            [sys.executable, str(here / "opinfo.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        )

    def ask(self, key, calls):
        pickle.dump((key, calls), self.process.stdin)
        self.process.stdin.flush()
        return pickle.load(self.process.stdout)


@pytest.fixture(scope="module")
def worker():
    w = Worker()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield w
    torch.set_num_threads(threads)
    w.process.stdin.close()
    w.process.wait(30)


def call_of(sample, gradients):
    arguments = encode([(sample.input, *sample.args), sample.kwargs], torch)[1]
    return {"args": arguments[0], "kwargs": arguments[1], "gradients": gradients}


def difference(want, got, key):
    """What is wrong with `got`, or None."""
    if isinstance(want, np.ndarray):
        if not isinstance(got, np.ndarray):
            return f"torch gives an array, fastnn {got!r}"
        if want.dtype != got.dtype or want.shape != got.shape:
            return f"torch {want.dtype}{list(want.shape)}, fastnn {got.dtype}{list(got.shape)}"
        if key.split("/")[0] in SHAPE_ONLY:
            return None
        tolerance = known.TOLERANCE.get(key, {}).get(want.dtype.name) or TOLERANCE.get(want.dtype.name, 0)
        finite = want[np.isfinite(want)] if want.dtype.kind in "fc" else want
        scale = 1 + (float(np.abs(finite).max()) if finite.size and want.dtype.kind in "fc" else 0)
        close = np.isclose(got, want, rtol=tolerance, atol=tolerance * min(scale, 1e3), equal_nan=True)
        if close.all():
            return None
        i = tuple(int(v[0]) for v in np.nonzero(~np.atleast_1d(close)))
        return f"{(~close).sum()} of {want.size} differ; at {i}: torch {np.atleast_1d(want)[i]}, fastnn {np.atleast_1d(got)[i]}"
    if isinstance(want, float) and isinstance(got, float):
        return None if np.isclose(want, got, rtol=1e-6, equal_nan=True) else f"torch {want!r}, fastnn {got!r}"
    return None if type(want) is type(got) and want == got else f"torch {want!r}, fastnn {got!r}"


def judge(theirs, ours, key):
    """What is wrong with fastnn's answer, or None."""
    if ours[0] == "error":
        return f"{ours[1]}: {ours[2]}"
    for what, a, b in zip(("result", "gradient"), theirs[1:], ours[1:], strict=True):
        if what == "gradient" and not b:
            b = [None] * len(a)
        if len(a) != len(b):
            return f"{len(a)} {what}s in torch, {len(b)} in fastnn"
        for i, (want, got) in enumerate(zip(a, b, strict=True)):
            if what == "gradient" and (want is None) != (got is None):
                want = np.zeros_like(got) if want is None else want  # a gradient of zeros may be left out
                got = np.zeros_like(want) if got is None else got
            wrong = difference(want, got, key)
            if wrong:
                return f"{what} {i}: {wrong}"
    return None


def brief(v):
    """An encoded argument, for a message."""
    kind, value = v[0], v[1]
    if kind == "tensor":
        return f"{value.dtype}{list(value.shape if v[2] is None else v[2][0])}"
    if kind in ("tuple", "list"):
        return "[" + ", ".join(map(brief, value)) + "]"
    if kind == "dict":
        return "{" + ", ".join(f"{k}={brief(x)}" for k, x in value.items()) + "}"
    return repr(value)


def skip_absent(key, worker):
    """Skip where fastnn has no such op, if the list says so."""
    if worker.ask(key, []) is None:
        why = known.LEFT_OUT.get(key, known.LEFT_OUT.get(key.split("/")[0]))
        assert why, f"fastnn has no {key}, and opinfo_known.LEFT_OUT does not say why"
        pytest.skip(why)


def failures(key, op, dtype, worker):
    """The messages of the samples that are wrong, and how many there were."""
    skip_absent(key, worker)
    function = resolve(torch, key)
    gradients = op.supports_autograd and torch.float32 in op.backward_dtypes
    calls, theirs = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        np.random.seed(0)
        for sample in op.sample_inputs("cpu", DTYPES[dtype], requires_grad=gradients):
            try:
                call = call_of(sample, gradients)
            except Unsupported:
                continue
            result = answer(torch, function, op.name, call)
            if result[0] == "error":  # torch itself refuses, or gives no gradient in this form
                continue
            calls.append(call)
            theirs.append(result)
    ours = worker.ask(key, calls)
    assert ours is not None, f"fastnn has no {op.name}"
    wrong = []
    for call, a, b in zip(calls, theirs, ours, strict=True):
        w = judge(a, b, key)
        if w:
            wrong.append(f"{key}({brief(call['args'])}, {brief(call['kwargs'])}): {w}")
    tally[dtype][key] = [len(calls) - len(wrong), len(calls)]
    return wrong, len(calls)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("key", OPS)
def test_samples(key, dtype, worker):
    op = OPS[key]
    if DTYPES[dtype] not in op.dtypes:
        pytest.skip(f"torch's {op.name} does not take {dtype}")
    wrong, count = failures(key, op, dtype, worker)
    allowed, why = known.WRONG.get(key, (0, ""))
    assert len(wrong) <= allowed, f"{len(wrong)} of {count} samples {why}\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("key", [k for k, op in OPS.items() if op.error_inputs_func is not None])
def test_errors(key, worker):
    """Where torch refuses an input, so does fastnn."""
    skip_absent(key, worker)
    op = OPS[key]
    function = resolve(torch, key)
    calls = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for error in op.error_inputs("cpu"):
            try:
                call = call_of(error.sample_input, False)
            except Unsupported:
                continue
            if answer(torch, function, op.name, call)[0] == "error":
                calls.append(call)
    answers = worker.ask(key, calls)
    accepted = [
        f"{brief(c['args'])}, {brief(c['kwargs'])}" for c, a in zip(calls, answers, strict=True) if a[0] == "ok"
    ]
    tally["errors"][key] = [len(calls) - len(accepted), len(calls)]
    assert len(accepted) <= known.ACCEPTED.get(key, (0,))[0], f"{key} accepts\n" + "\n".join(accepted)


def test_the_worker_has_no_torch(worker):
    assert worker.ask("__snippets__", ["__import__('sys').modules['torch'] is None"]) == [("ok", [True], [])]


def test_enough():
    """The issue's numbers, over the tests above."""
    if min(len(tally["float32"]), len(tally["float64"])) < 0.9 * (len(OPS) - len(known.LEFT_OUT)):
        pytest.skip("only some of the tests above ran")
    for dtype in DTYPES:
        right, count = map(sum, zip(*tally[dtype].values(), strict=True))
        names = {k.split("/")[0] for k, (_, n) in tally[dtype].items() if n}
        print(f"{dtype}: {len(names)} ops, {right} of {count} samples right")
        assert len(names) >= 215 and count >= 7500 and right >= 0.97 * count
    right, count = map(sum, zip(*tally["errors"].values(), strict=True))
    print(f"errors: {right} of {count} raised")
    assert count >= 245 and right >= 0.97 * count
