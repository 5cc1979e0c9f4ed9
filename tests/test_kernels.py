"""Every case on every table, dtype and layout against its float64 reference."""

import numpy as np
import pytest
from cases import all_cases

CASES = all_cases()


def as_f64(a):
    return a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a


def strided(a):
    """The same values with every second element of a larger buffer in between, and reversed strides."""
    if not isinstance(a, np.ndarray) or a.ndim == 0 or a.dtype.kind != "f":
        return a
    big = np.full([2 * s + 1 for s in a.shape], np.nan, a.dtype)
    view = big[tuple(slice(2 * s - 1 if s else 0, None, -2) for s in a.shape)][tuple(slice(0, s) for s in a.shape)]
    view[...] = a
    return view


def unaligned(a):
    """The same values, one byte off any alignment, read-only."""
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
        return a
    raw = np.empty(a.nbytes + 1, np.uint8)[1:]
    out = np.ndarray(a.shape, a.dtype, raw.data)
    out[...] = a
    out.flags.writeable = False
    return out


LAYOUTS = {"contiguous": lambda a: a, "strided": strided, "unaligned": unaligned}


def check(case, got, args64, dtype):
    want = case.reference(*args64)
    got = got if isinstance(got, tuple) else (got,)
    want = want if isinstance(want, tuple) else (want,)
    bound = case.bound(*args64) if case.bound else None
    bounds = bound if isinstance(bound, tuple) else (bound,) * len(want)
    assert len(got) == len(want)
    for g, w, b in zip(got, want, bounds, strict=True):
        if w is None:
            continue
        assert isinstance(g, np.ndarray), f"{type(g)} is not an array"
        w = np.asarray(w)
        assert g.shape == w.shape, f"shape {g.shape}, expected {w.shape}"
        if g.dtype.kind != "f":
            np.testing.assert_array_equal(g, w)
            continue
        assert g.dtype == dtype
        if b is not None:
            tol = 4 * np.finfo(dtype).eps * np.asarray(b, np.float64) + np.finfo(dtype).tiny
        else:
            rtol, atol = (1.3e-6, 1e-5) if dtype == np.float32 else (1e-12, 1e-12)
            tol = atol + rtol * np.abs(w)
        g = g.astype(np.float64)
        bad = ~((g == w) | (np.isnan(g) & np.isnan(w)) | (np.abs(g - w) <= tol))
        assert not bad.any(), f"{bad.sum()} of {bad.size} values off; worst {np.nanmax(np.abs(g - w)[bad])}"


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_values(case, any_table):
    if any_table.name == "cuda" and case.bench and any_table.emulated:
        pytest.skip("a benchmark's size takes seconds in the emulator")
    function = getattr(any_table, case.op)
    for name in case.dtypes:
        dtype = np.dtype(name)
        args = case.args(np.random.default_rng(0), dtype)
        for layout in LAYOUTS.values():
            given = tuple(layout(a) for a in args)
            kept = [a.copy() if isinstance(a, np.ndarray) else a for a in given]
            check(case, function(*given), tuple(as_f64(a) for a in args), dtype)
            for a, b in zip(given, kept, strict=True):
                if isinstance(a, np.ndarray):
                    np.testing.assert_array_equal(a, b, err_msg="an input was changed")
