"""Elementwise ops: values with every special one among them, broadcasting, scalars, empty and 0-d arrays."""

import math

import numpy as np

from . import Case

SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.5,
    3.0,
    -7.0,
    20.5,
    -20.5,
    80.0,
    -80.0,
    1e-3,
    -1e-6,
    np.inf,
    -np.inf,
    np.nan,
]


def _values(n, low=-6.0, high=6.0, special=True):
    """n values in a range, a special one among every three."""

    def make(rng, dtype, shape=(n,)):
        x = rng.uniform(low, high, shape)
        if special and x.size:
            x.reshape(-1)[::3] = rng.choice(SPECIAL, x.reshape(-1)[::3].shape)
        return x.astype(dtype)

    return make


def _each(f):
    """The scalar function f over broadcast arrays, one element after another."""

    def reference(*args):
        out = [f(*(float(v) for v in values)) for values in np.broadcast(*args)]
        return np.array(out).reshape(np.broadcast_shapes(*(np.shape(a) for a in args)))

    return reference


def _quiet(f, domain=ValueError):
    """math's function with IEEE's results where it raises."""

    def g(x):
        try:
            return f(x)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return g


def _log(f):
    return lambda x: -math.inf if x == 0 else _quiet(f)(x)


def _sigmoid(x):
    return 0.5 * (1 + math.tanh(0.5 * x)) if x > -30 else _quiet(math.exp)(x)


def _cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _gelu_tanh(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _round(x):
    return x if math.isinf(x) or math.isnan(x) else float(round(x))


def _whole(f):
    return lambda x: x if math.isinf(x) or math.isnan(x) else float(f(x))


def _divide(a, b):
    if math.isnan(a) or math.isnan(b) or (a == 0 and b == 0):
        return math.nan
    if b == 0:
        return math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def _first_nan(f):
    return lambda a, b: math.nan if math.isnan(a) or math.isnan(b) else f(a, b)


UNARY = {
    "neg": lambda x: -x,
    "abs": abs,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "sqrt": _quiet(math.sqrt),
    "rsqrt": lambda x: _divide(1, _quiet(math.sqrt)(x)),
    "reciprocal": lambda x: _divide(1, x),
    "square": lambda x: x * x,
    "floor": _whole(math.floor),
    "ceil": _whole(math.ceil),
    "round": _round,
    "trunc": _whole(math.trunc),
    "exp": _quiet(math.exp),
    "exp2": _quiet(lambda x: math.pow(2, x)),
    "expm1": _quiet(math.expm1),
    "log": _log(math.log),
    "log1p": lambda x: -math.inf if x == -1 else _quiet(math.log1p)(x),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "sin": _quiet(math.sin),
    "cos": _quiet(math.cos),
    "atan": math.atan,
    "asin": _quiet(math.asin),
    "acos": _quiet(math.acos),
    "sinh": lambda x: math.copysign(_quiet(math.sinh)(abs(x)), x),
    "cosh": lambda x: _quiet(math.cosh)(abs(x)),
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
    "erf": math.erf,
    "erfc": math.erfc,
    "isnan": math.isnan,
    "isinf": math.isinf,
    "isfinite": math.isfinite,
    "relu": lambda x: x if x > 0 or math.isnan(x) else 0.0,
    "silu": lambda x: x * _sigmoid(x),
}
BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _divide,
    "maximum": _first_nan(max),
    "minimum": _first_nan(min),
    "atan2": math.atan2,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
# name -> (arguments after the array, reference, gradient); gelu at -inf is inf * 0, NaN here and in torch.
ACTIVATIONS = {
    "leaky_relu": ((0.01,), lambda x: x if x > 0 else 0.01 * x, lambda x: 0.01 if not x > 0 else 1.0),
    "elu": ((1.5,), lambda x: x if x > 0 else 1.5 * math.expm1(x), lambda x: 1.0 if x > 0 else 1.5 * math.exp(x)),
    "silu": (
        (),
        lambda x: x * _sigmoid(x),
        lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x)),
    ),
    "gelu": (
        ("none",),
        lambda x: x * _cdf(x),
        lambda x: _cdf(x) + x * math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
    ),
    "softplus": (
        (2.0, 20.0),
        lambda x: x if 2 * x > 20 else math.log1p(math.exp(2 * x)) / 2,
        lambda x: 1.0 if 2 * x > 20 else _sigmoid(2 * x),
    ),
    "clamp": ((-1.0, 3.0), lambda x: min(max(x, -1.0), 3.0), lambda x: float(-1 <= x <= 3)),
    "hardtanh": ((-1.0, 1.0), lambda x: min(max(x, -1.0), 1.0), lambda x: float(-1 < x < 1)),
    "hardsigmoid": ((), lambda x: min(max(x + 3, 0), 6) / 6, lambda x: 1 / 6 if -3 < x < 3 else 0.0),
    "hardswish": (
        (),
        lambda x: x * min(max(x + 3, 0), 6) / 6,
        lambda x: 0.0 if x <= -3 else x / 3 + 0.5 if x < 3 else 1.0,
    ),
    "mish": (
        (),
        lambda x: x * math.tanh(math.log1p(math.exp(x))),
        lambda x: _mish_slope(x),
    ),
    "logsigmoid": ((), lambda x: -math.log1p(math.exp(-x)), lambda x: _sigmoid(-x)),
}


def _mish_slope(x):
    t = math.tanh(math.log1p(math.exp(x)))
    return t + x * _sigmoid(x) * (1 - t * t)


def _gelu_tanh_slope(x, h=1e-5):
    """A sixth-order difference quotient, independent of the formula."""
    f = _gelu_tanh
    return (45 * (f(x + h) - f(x - h)) - 9 * (f(x + 2 * h) - f(x - 2 * h)) + (f(x + 3 * h) - f(x - 3 * h))) / (60 * h)


CASES = []
MILLION = {"bytes": 8.0 * (1 << 20), "bench": True}


def _million(op, *rest, operands=1):
    def args(rng, dtype):
        return (*(rng.standard_normal((512, 2048)).astype(dtype) for _ in range(operands)), *rest)

    return args


for op, f in UNARY.items():
    for n in (0, 1, 7, 16, 33, 1000):
        make = _values(n)
        CASES.append(Case(op, f"n{n}", lambda rng, d, make=make: (make(rng, d),), _each(f)))
    CASES.append(Case(op, "0d", lambda rng, d: (np.array(1.25, d),), _each(f)))
    CASES.append(
        Case(op, "3d_transposed", lambda rng, d: (_values(0)(rng, d, (5, 3, 9)).transpose(2, 0, 1),), _each(f))
    )

SHAPES = {
    "same": ((7, 33), (7, 33)),
    "row": ((6, 50), (50,)),
    "column": ((6, 50), (6, 1)),
    "outer": ((9, 1), (1, 17)),
    "middle": ((3, 1, 5), (3, 4, 1)),
    "0d": ((), ()),
    "0d_right": ((5, 3), ()),
    "empty": ((0, 4), (1, 4)),
    "one": ((1, 1), (1,)),
    "long": ((3, 2051), (3, 2051)),
}
for op, f in BINARY.items():
    for name, (a, b) in SHAPES.items():
        make = _values(0)
        CASES.append(Case(op, name, lambda rng, d, a=a, b=b: (_values(0)(rng, d, a), _values(0)(rng, d, b)), _each(f)))
    CASES.append(Case(op, "number_right", lambda rng, d: (_values(37)(rng, d), 2.5), _each(f)))
    CASES.append(Case(op, "number_left", lambda rng, d: (-3, _values(37)(rng, d)), _each(f)))
    CASES.append(
        Case(op, "transposed", lambda rng, d: (_values(0)(rng, d, (6, 11)).T, _values(0)(rng, d, (11, 6))), _each(f))
    )

for exponent in (2, 3, 0.5, -0.5, -1, 2.5, 0, 1):
    CASES.append(
        Case(
            "pow",
            f"number_{exponent}",
            lambda rng, d, e=exponent: (rng.uniform(0.1, 3, 41).astype(d), e),
            _each(lambda a, b: a**b),
        )
    )
CASES.append(
    Case(
        "pow",
        "arrays",
        lambda rng, d: (rng.uniform(0.1, 3, (4, 1)).astype(d), rng.uniform(-2, 2, (4, 9)).astype(d)),
        _each(lambda a, b: a**b),
    )
)


def _python_remainder(a, b):
    r = math.fmod(a, b)
    return r + b if r and (r < 0) != (b < 0) else r


def _nonzero(rng, d):
    x = np.round(rng.uniform(-9, 9, (5, 8)) * 4) / 4
    y = np.round(rng.uniform(1, 5, (5, 8)) * 4) / 4 * rng.choice([-1, 1], (5, 8))
    return x.astype(d), y.astype(d)


CASES += [
    Case("fmod", "signs", _nonzero, _each(math.fmod)),
    Case("remainder", "signs", _nonzero, _each(_python_remainder)),
    Case("floor_divide", "signs", _nonzero, _each(lambda a, b: float(math.floor(a / b)))),
    Case("erfinv", "inside", lambda rng, d: (rng.uniform(-0.999, 0.999, 200).astype(d),), lambda x: _erfinv(x)),
    Case(
        "where",
        "same",
        lambda rng, d: (rng.random((5, 21)) < 0.5, _values(0)(rng, d, (5, 21)), _values(0)(rng, d, (5, 21))),
        _each(lambda c, a, b: a if c else b),
    ),
    Case(
        "where",
        "broadcast_number",
        lambda rng, d: (rng.random((5, 1)) < 0.5, _values(0)(rng, d, (1, 21)), 0.0),
        _each(lambda c, a, b: a if c else b),
    ),
]


def _erfinv(x):
    """By bisection."""
    out = []
    for v in x.reshape(-1):
        lo, hi = -6.0, 6.0
        for _ in range(80):
            mid = 0.5 * (lo + hi)
            lo, hi = (mid, hi) if math.erf(mid) < v else (lo, mid)
        out.append(0.5 * (lo + hi))
    return np.array(out).reshape(x.shape)


for op, (rest, f, slope) in ACTIVATIONS.items():
    for n in (1, 16, 35, 515):

        def args(rng, d, n=n, rest=rest):
            return (rng.uniform(-8, 8, n).astype(d), *rest)

        def back(rng, d, n=n, rest=rest):
            return (rng.standard_normal(n).astype(d), rng.uniform(-8, 8, n).astype(d), *rest)

        CASES.append(Case(op, f"n{n}", args, lambda x, *_, f=f: _each(f)(x)))
        CASES.append(
            Case(f"{op}_backward", f"n{n}", back, lambda g, x, *_, s=slope: _each(lambda a, b: a * s(b))(g, x))
        )
# Ops with special values among their operands: the rules for NaN and infinities are torch's.
SHRINK = 0.75
for n in (1, 40, 515):
    CASES += [
        Case(op, f"n{n}", lambda rng, d, n=n, rest=rest: (_values(n)(rng, d), *rest), lambda x, *_, f=f: _each(f)(x))
        for op, rest, f in (
            ("softshrink", (SHRINK,), lambda x: x if math.isnan(x) else math.copysign(max(abs(x) - SHRINK, 0), x)),
            ("hardshrink", (SHRINK,), lambda x: 0.0 if abs(x) <= SHRINK else x),
            ("threshold", (0.5, -3.0), lambda x: -3.0 if x <= 0.5 else x),
            ("hardsigmoid", (), lambda x: x if math.isnan(x) else min(max(x + 3, 0), 6) / 6),
        )
    ]
    CASES += [
        Case(
            op,
            f"special_n{n}",
            lambda rng, d, n=n, rest=rest: (rng.standard_normal(n).astype(d), _values(n)(rng, d), *rest),
            lambda g, x, *_, f=f: _each(f)(g, x),
        )
        for op, rest, f in (
            ("shrink_backward", (SHRINK,), lambda g, x: 0.0 if abs(x) <= SHRINK else g),
            ("threshold_backward", (0.5,), lambda g, x: 0.0 if x <= 0.5 else g),
            ("hardsigmoid_backward", (), lambda g, x: g / 6 if abs(x) < 3 else 0.0),
            ("prelu_backward_weight", (), lambda g, x: 0.0 if x > 0 else g * x),
        )
    ]
for name, shapes in {"channels": ((2, 5, 7, 3), (1, 5, 1, 1)), "one": ((3, 67), (1, 1)), "0d": ((), ())}.items():
    CASES += [
        Case(
            op,
            name,
            lambda rng, d, shapes=shapes: (_values(0)(rng, d, shapes[0]), rng.uniform(-1, 1, shapes[1]).astype(d)),
            lambda x, w, f=f: _each(f)(x, w),
        )
        for op, f in (("prelu", lambda x, w: x if x > 0 else x * w),)
    ]
TRIPLES = {
    "same": ((7, 33), (7, 33), (7, 33)),
    "broadcast": ((6, 50), (50,), (6, 1)),
    "0d": ((), (), ()),
    "empty": ((0, 3), (0, 3), (1, 3)),
    "long": ((3, 2051), (3, 2051), (3, 2051)),
}
for name, shapes in TRIPLES.items():

    def triple(rng, d, shapes=shapes):
        return tuple(rng.uniform(-2, 2, s).astype(d) for s in shapes)

    CASES += [
        Case(
            "lerp",
            name,
            triple,
            _each(lambda x, y, w: x + w * (y - x)),
            bound=lambda x, y, w: 8 * (abs(x) + abs(w) * (abs(x) + abs(y))),
        ),
        Case(
            "lerp",
            f"{name}_number",
            lambda rng, d, f=triple: (*f(rng, d)[:2], 0.75),
            _each(lambda x, y, w: x + w * (y - x)),
        ),
        Case(
            "addcmul",
            name,
            lambda rng, d, f=triple: (*f(rng, d), 0.5),
            lambda x, y, z, _: _each(lambda a, b, c: a + 0.5 * b * c)(x, y, z),
        ),
        Case(
            "addcdiv",
            name,
            lambda rng, d, f=triple: (*f(rng, d), 1.0),
            lambda x, y, z, _: _each(lambda a, b, c: a + _divide(b, c))(x, y, z),
        ),
        Case(
            "prelu_backward",
            name,
            triple,
            _each(lambda g, x, w: g if x > 0 else g * w),
        ),
    ]
for n in (1, 40):
    CASES += [
        Case(
            "gelu",
            f"tanh_n{n}",
            lambda rng, d, n=n: (rng.uniform(-8, 8, n).astype(d), "tanh"),
            lambda x, *_: _each(_gelu_tanh)(x),
        ),
        Case(
            "gelu_backward",
            f"tanh_n{n}",
            lambda rng, d, n=n: (rng.standard_normal(n).astype(d), rng.uniform(-8, 8, n).astype(d), "tanh"),
            lambda g, x, *_: _each(lambda a, b: a * _gelu_tanh_slope(b))(g, x),
            bound=lambda g, x, *_: 1e5 * np.abs(g) + 1e5,  # the quotient's own error, in float64's eps
            dtypes=("float64",),
        ),
        Case(
            "relu_backward",
            f"n{n}",
            lambda rng, d, n=n: (rng.standard_normal(n).astype(d), _values(n)(rng, d)),
            _each(lambda g, y: 0.0 if y <= 0 else g),
        ),
        Case(
            "tanh_backward",
            f"n{n}",
            lambda rng, d, n=n: (rng.standard_normal(n).astype(d), rng.uniform(-1, 1, n).astype(d)),
            _each(lambda g, y: g * (1 - y * y)),
        ),
        Case(
            "sigmoid_backward",
            f"n{n}",
            lambda rng, d, n=n: (rng.standard_normal(n).astype(d), rng.uniform(0, 1, n).astype(d)),
            _each(lambda g, y: g * (1 - y) * y),
        ),
    ]
CASES += [
    Case(
        "clamp",
        "above_only",
        lambda rng, d: (_values(37)(rng, d), None, 1.5),
        lambda x, *_: _each(lambda v: v if math.isnan(v) else min(v, 1.5))(x),
    ),
    Case(
        "clamp",
        "below_only",
        lambda rng, d: (_values(37)(rng, d), -0.5, None),
        lambda x, *_: _each(lambda v: v if math.isnan(v) else max(v, -0.5))(x),
    ),
    Case(
        "relu",
        "512x2048",
        _million("relu"),
        lambda x: np.where(x > 0, x, 0),
        dtypes=("float32",),
        **MILLION,
    ),
    Case(
        "add",
        "512x2048",
        _million("add", operands=2),
        lambda x, y: x + y,
        dtypes=("float32",),
        bytes=12.0 * (1 << 20),
        bench=True,
    ),
    Case("exp", "512x2048", _million("exp"), np.exp, dtypes=("float32",), **MILLION),
    Case("tanh", "512x2048", _million("tanh"), np.tanh, dtypes=("float32",), **MILLION),
]
