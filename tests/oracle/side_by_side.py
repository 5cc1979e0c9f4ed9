"""One expression run with torch and with fastnn on the same inputs: results, gradients, draws and errors compared."""

import warnings

import numpy as np
import torch

import fastnn

torch.set_num_threads(1)


def make(spec, rng, dtype):
    """An input from its description: an array as it is (floats in `dtype`); a shape, for normal numbers; or a name and a
    shape: ("ids", shape, n), ("probability", shape), ("positive", shape), ("sign", shape), ("distinct", shape)."""
    if isinstance(spec, np.ndarray):
        return spec.astype(dtype) if spec.dtype.kind == "f" else spec
    if not spec or not isinstance(spec[0], str):
        return (1.7 * rng.standard_normal(spec)).astype(dtype)
    kind, shape = spec[:2]
    if kind == "ids":
        return rng.integers(0, spec[2], shape)
    if kind == "probability":
        return rng.uniform(0.05, 0.95, shape).astype(dtype)
    if kind == "positive":
        return rng.uniform(0.2, 3.0, shape).astype(dtype)
    if kind == "sign":
        return np.where(rng.random(shape) < 0.5, -1, 1).astype(dtype)
    if kind == "distinct":  # no two equal: maxima without ties
        return rng.permutation(np.linspace(-2, 2, int(np.prod(shape)))).reshape(shape).astype(dtype)
    raise ValueError(kind)


def flat(result):
    if isinstance(result, (tuple, list)):
        return [v for r in result for v in flat(r)]
    return [result]


def run(T, text, arrays, seed=0, gradients=True):
    """{name: array} of results, gradients of inputs and parameters, and the next draw; and the function itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        T.manual_seed(seed)
        function = eval(text, {"T": T, "nn": T.nn, "F": T.nn.functional})  # noqa: S307
        if isinstance(function, T.nn.Module) and arrays and arrays[0].dtype == np.float64:
            function.double()
        inputs = [T.from_numpy(a.copy()) for a in arrays]
        if gradients:
            inputs = [t.requires_grad_() if t.is_floating_point() else t for t in inputs]
        results = flat(function(*inputs))
    found = {f"result {i}": r.detach().numpy() for i, r in enumerate(results)}
    found["draw"] = T.rand(2).numpy()
    rng = np.random.default_rng(seed)
    loss = 0
    for r in results:
        if r.is_floating_point() and r.requires_grad:
            loss = (
                loss + (r * T.from_numpy(rng.standard_normal(tuple(r.shape)).astype(str(r.dtype).split(".")[-1]))).sum()
            )
    if not isinstance(loss, int):
        loss.backward()
        for i, t in enumerate(inputs):
            if t.requires_grad:
                found[f"gradient {i}"] = None if t.grad is None else t.grad.numpy()
        if isinstance(function, T.nn.Module):
            for name, p in function.named_parameters():
                found[f"gradient {name}"] = None if p.grad is None else p.grad.numpy()
    return found, function


def same(text, *specs, seed=0, gradients=True, rtol=2e-5, atol=None):
    """Run with both in float64 and float32 and compare everything; a module's repr and state too."""
    for dtype, scale in ((np.float64, 2e-3), (np.float32, 1.0)):
        rng = np.random.default_rng(len(text) + seed)
        arrays = [make(spec, rng, dtype) for spec in specs]
        (theirs, module), (ours, own) = (run(T, text, arrays, seed, gradients) for T in (torch, fastnn))
        if isinstance(module, torch.nn.Module):
            assert repr(own) == repr(module)
            assert list(own.state_dict()) == list(module.state_dict())
        assert list(ours) == list(theirs), f"{text}: {list(ours)} for torch's {list(theirs)}"
        for name, want in theirs.items():
            got = ours[name]
            if want is None or got is None:
                got = np.zeros_like(want) if got is None and want is not None else got
                want = np.zeros_like(got) if want is None and got is not None else want
                if want is None:
                    continue
            assert got.dtype == want.dtype and got.shape == want.shape, (
                f"{text}, {name}: {got.dtype} {got.shape} for torch's {want.dtype} {want.shape}"
            )
            finite = np.isfinite(want) if want.dtype.kind == "f" else np.ones(want.shape, bool)
            size = float(np.abs(want[finite]).max()) if finite.any() else 1.0
            np.testing.assert_allclose(
                got,
                want,
                rtol=rtol * scale,
                atol=(1e-6 if atol is None else atol) * max(size, 1.0) * scale,
                err_msg=f"{text}, {name}, {dtype.__name__}",
            )


KINDS = (IndexError, KeyError, ValueError, TypeError, AttributeError, AssertionError, RuntimeError)


def error(T, text, arrays=()):
    """The kind of exception that the expression raises; NotImplementedError counts as RuntimeError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function = eval(text, {"T": T, "nn": T.nn, "F": T.nn.functional})  # noqa: S307
            function(*(T.from_numpy(a.copy()) for a in arrays))
    except Exception as e:  # noqa: BLE001 - every kind is an answer
        assert str(e), f"{text}: {type(e).__name__} without a message"
        return next((k for k in KINDS if isinstance(e, k)), type(e)).__name__
    return None


def same_error(text, *specs):
    """Both raise, and the same kind of exception."""
    rng = np.random.default_rng(0)
    arrays = [make(spec, rng, np.float32) for spec in specs]
    theirs, ours = error(torch, text, arrays), error(fastnn, text, arrays)
    assert theirs is not None, f"torch accepts {text}"
    assert ours == theirs, f"{text}: {ours}, torch raises {theirs}"
