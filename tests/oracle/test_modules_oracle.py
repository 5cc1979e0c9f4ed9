"""Every class of torch.nn on torch's own test inputs (module_db's): state, printing, results and gradients."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")

from torch.testing._internal.common_modules import module_db  # noqa: E402

import fastnn  # noqa: E402

ABSENT: set = set()
MODULES = {m.module_cls.__name__: m for m in module_db if m.module_cls.__module__.startswith("torch.nn.modules")}
TOLERANCE = {torch.float32: {"rtol": 2e-4, "atol": 2e-5}, torch.float64: {"rtol": 1e-7, "atol": 1e-8}}


class Unsupported(Exception):
    """An argument that has no counterpart made of plain data."""


def translated(v, seen=None):
    """fastnn's counterpart of an argument; the same one for a tensor that comes again."""
    seen = {} if seen is None else seen
    if isinstance(v, torch.Tensor):
        if id(v) not in seen:
            own = fastnn.from_numpy(np.array(v.detach().numpy(), order="C"))
            is_parameter = isinstance(v, torch.nn.Parameter)
            seen[id(v)] = (
                fastnn.nn.Parameter(own, v.requires_grad) if is_parameter else own.requires_grad_(v.requires_grad)
            )
        return seen[id(v)]
    if isinstance(v, torch.dtype):
        return getattr(fastnn, str(v).removeprefix("torch."))
    if isinstance(v, torch.device):
        return fastnn.device(str(v))
    if isinstance(v, torch.nn.Module) or type(v).__name__ == "PackedSequence":
        raise Unsupported
    if isinstance(v, (list, tuple)):
        return type(v)(translated(x, seen) for x in v)
    if isinstance(v, dict):
        return {k: translated(x, seen) for k, x in v.items()}
    return getattr(fastnn.nn.functional, getattr(v, "__name__", ""), v) if callable(v) else v


def tensors(v, T):
    if isinstance(v, (tuple, list)):
        return [t for x in v for t in tensors(x, T)]
    return [v] if isinstance(v, T.Tensor) else []


def run(T, cls, constructor, call, dtype, training):
    """{what: array or text}, or the exception that the call raised."""
    T.manual_seed(1)
    module = cls(*constructor[0], **constructor[1]).to(dtype).train(training)
    found = {"keys": list(module.state_dict())}
    if "<" not in repr(module):  # a function prints its address
        found["repr"] = repr(module)
    for t in tensors(call[0], T):
        t.grad = None  # samples share tensors
        if t.requires_grad and not t.is_leaf:  # torch's are results of functions here and there
            t.retain_grad()
    T.manual_seed(2)
    try:
        results = tensors(module(*call[0], **call[1]), T)
    except Exception as e:  # noqa: BLE001 - both must raise
        return e
    found.update((f"state {k}", v.detach().numpy().copy()) for k, v in module.state_dict().items())
    found.update((f"result {i}", r.detach().numpy().copy()) for i, r in enumerate(results))
    loss = 0
    for r in results:
        if r.requires_grad:
            weights = np.random.default_rng(0).standard_normal(tuple(r.shape))
            loss = loss + (r * T.from_numpy(np.asarray(weights)).to(r.dtype)).sum()
    if not isinstance(loss, int):
        loss.backward()
        found.update((f"gradient {k}", p.grad) for k, p in module.named_parameters())
        found.update((f"gradient of input {i}", t.grad) for i, t in enumerate(tensors(call[0], T)))
    return {k: v.detach().numpy() if isinstance(v, T.Tensor) else v for k, v in found.items()}


def compare(theirs, ours, dtype, what):
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert isinstance(theirs, Exception) == isinstance(ours, Exception), f"{what}: {ours!r} for torch's {theirs!r}"
        return
    assert list(ours) == list(theirs), f"{what}: {list(ours)} for torch's {list(theirs)}"
    for k, want in theirs.items():
        got = ours[k]
        if isinstance(want, np.ndarray):
            assert isinstance(got, np.ndarray) and got.dtype == want.dtype and got.shape == want.shape, (
                f"{what}, {k}: {got}"
            )
            np.testing.assert_allclose(got, want, err_msg=f"{what}, {k}", **TOLERANCE[dtype])
        else:
            assert (got is None) == (want is None) and (want is None or got == want), f"{what}, {k}: {got} for {want}"


def test_what_is_absent_is_absent():
    assert {name for name in MODULES if not hasattr(fastnn.nn, name)} == ABSENT


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", [name for name in MODULES if name not in ABSENT])
def test_module(name, dtype):
    info, own = MODULES[name], getattr(fastnn, str(dtype).removeprefix("torch."))
    tried = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for training in (True, False):
            torch.manual_seed(0)
            for given in info.module_inputs_func(
                info, device="cpu", dtype=dtype, requires_grad=True, training=training
            ):
                made, called = given.constructor_input, given.forward_input
                if called is None:
                    continue
                try:
                    own_made = translated(made.args), translated(made.kwargs)
                    own_called = translated(called.args), translated(called.kwargs)
                except Unsupported:
                    continue
                what = f"{name}{made.args}{made.kwargs}, training={training}"
                theirs = run(
                    torch, info.module_cls, (made.args, made.kwargs), (called.args, called.kwargs), dtype, training
                )
                compare(theirs, run(fastnn, getattr(fastnn.nn, name), own_made, own_called, own, training), dtype, what)
                tried += 1
    if not tried:
        pytest.skip("all its samples take modules or packed sequences")
