"""Vector mathematics within 4 ulp: float32 bit patterns against float64, all 2^32 of them with FASTNN_ULP_STEP=1."""

import math
import os

import numpy as np
import pytest

STEP = int(os.environ.get("FASTNN_ULP_STEP", "20011"))
CHUNK = 1 << 22  # patterns at a time
EDGES = np.array(
    [0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.1754944e-38, 88.72283, 88.72284, 88.8, -87.4, -103.97,
     -104.1, 0.34657, -0.34658, 9.01, -9.01, 16.6, -17.4, 3.9, 10.3, 128, -150.1, 0.70710677, 1.4142135, 3.4028235e38],
    np.float32,
)  # fmt: skip


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


FUNCTIONS = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "erfc": np.vectorize(math.erfc, otypes=[np.float64]),
}
LIMIT = {
    "exp": 1.05,
    "exp2": 1.1,
    "expm1": 2,
    "log": 1,
    "log1p": 1,
    "log2": 2,
    "log10": 2,
    "sigmoid": 3,
    "tanh": 3,
}


def ulps(got, want):
    """|got - want| in units of float32's last place at want; infinite where inf or NaN differ."""
    with np.errstate(all="ignore"):
        rounded = want.astype(np.float32)
        unit = np.maximum(np.spacing(np.abs(rounded)), np.float32(2.0**-149)).astype(np.float64)
        error = np.where(np.isfinite(rounded), np.abs(got.astype(np.float64) - want) / unit, 0)
    wrong = ~np.isfinite(rounded) & ~((rounded == got) | (np.isnan(rounded) & np.isnan(got)))
    return np.where(wrong | np.isnan(error), np.inf, error)


def _patterns():
    for start in range(0, 1 << 32, CHUNK * STEP):
        stop = min(1 << 32, start + CHUNK * STEP)
        yield np.arange(start, stop, STEP, dtype=np.uint64).astype(np.uint32).view(np.float32)
    yield EDGES
    # Every pattern near 1 and around the ends of each reduced interval.
    yield (np.arange(-3000, 3000) + np.float32(1).view(np.int32)).astype(np.int32).view(np.float32)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32(name, table):
    if table.name == "numpy":
        pytest.skip("NumPy's own functions")
    for x in _patterns():
        with np.errstate(all="ignore"):
            want = FUNCTIONS[name](x.astype(np.float64))
        error = ulps(getattr(table, name)(x), want)
        worst = int(np.argmax(error))
        assert error[worst] <= LIMIT.get(name, 4), f"{name}({x[worst]!r}): {error[worst]} ulp"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64(name, table):
    """Against long double where the machine has more than 53 bits; its functions are libm's. erf and erfc have none:
    they are compared with libm's doubles, which are off by up to 3 ulp themselves."""
    of_libm = {"erf": 1, "erfc": 3}.get(name, 0)
    if table.name == "numpy" or (np.finfo(np.longdouble).nmant <= 52 and not of_libm):
        pytest.skip("no wider reference")
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal(20000) * s for s in (1e-300, 1e-8, 0.1, 1, 5, 100, 800)] + [EDGES])
    with np.errstate(all="ignore"):
        want = FUNCTIONS[name](x if of_libm else x.astype(np.longdouble))
        rounded = want.astype(np.float64)
        unit = np.maximum(np.spacing(np.abs(rounded)), 2.0**-1074)
        got = getattr(table, name)(x)
        error = np.where(np.isfinite(rounded), np.abs(got - want) / unit, 0)
    same = (rounded == got) | (np.isnan(rounded) & np.isnan(got))
    assert (np.isfinite(rounded) | same).all()
    worst = int(np.argmax(error))
    assert error[worst] <= 4 + of_libm, f"{name}({x[worst]!r}): {error[worst]} ulp"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_position_and_length_do_not_change_bits(dtype, table):
    """An element's result is the same in a vector's body, in its tail, and alone."""
    if table.name == "numpy":
        pytest.skip("NumPy's own functions")
    x = np.random.default_rng(0).standard_normal(67).astype(dtype) * 3
    for name in [*FUNCTIONS, "gelu", "silu", "relu"]:
        function = getattr(table, name)
        whole = function(x)
        for start, stop in ((0, 1), (1, 2), (5, 22), (17, 67), (66, 67)):
            np.testing.assert_array_equal(function(x[start:stop]), whole[start:stop], err_msg=name)
        np.testing.assert_array_equal(function(x[::-3]), whole[::-3], err_msg=name)
