"""Random tensors, drawn in the order of memory: torch's CPU numbers (fastnn.random holds the generators)."""

import builtins

from .. import dtypes as dt
from .. import random as generators
from .._tape import grad_mode, record
from ..backend import xp
from ..tensor import Tensor, check_device, wrap
from ._common import check_writable, write_out
from .create import _allocate, _given, _shape


def _fill(a, generator, method, *args):
    """Draw into the array `a`, whatever its layout."""
    engine = generators.engine(generator, a)
    buffer, target = Tensor._k.in_memory_order(a)
    getattr(engine, method)(buffer, *args)
    if target is not None:
        target[...] = buffer
    return a


def _number(value, function, name):
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, builtins.bool) or not isinstance(value, (int, float, xp.generic)):
        raise TypeError(f"{function}(): argument '{name}' must be a number, not {type(value).__name__}")
    return float(value)


def _floating(t, function):
    if t._a.dtype.kind not in "fV":
        raise NotImplementedError(f"\"{function}\" not implemented for '{t.dtype.short}'")


def _filled(self, function, method, *args, generator=None):
    check_writable(self)
    _fill(self._a, generator, method, *args)
    self._bump()
    if self._fn is not None and grad_mode.enabled:
        from ._common import rebase

        r = wrap(self._a)
        record(r, filled_rule, (self._fn,), (), ())
        rebase(self, r._fn)
    return self


def filled_rule(k, dy, saved, needs):
    """What was overwritten by draws gets no gradient."""
    return (k.zeros(dy.shape, dy.dtype),)


def uniform_(self, from_=0.0, to=1.0, *, generator=None, **keywords):
    """self filled from the uniform distribution on [from, to)."""
    low = _number(keywords.pop("from", from_), "uniform_", "from")
    high = _number(to, "uniform_", "to")
    if keywords:
        raise TypeError(f"uniform_() got unexpected keywords {sorted(keywords)}")
    _floating(self, "check_uniform_bounds")
    if not low <= high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}")
    return _filled(self, "uniform_", "uniform_", low, high, generator=generator)


def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """self filled from the normal distribution with `mean` and standard deviation `std` >= 0."""
    mean, std = _number(mean, "normal_", "mean"), _number(std, "normal_", "std")
    _floating(self, "normal_kernel_cpu")
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return _filled(self, "normal_", "normal_", mean, std, not self._a.flags.c_contiguous, generator=generator)


def random_(self, from_=None, to=None, *, generator=None, **keywords):
    """self filled with integers of [from, to); by default of the dtype's whole non-negative range."""
    low = keywords.pop("from", from_)
    if low is None and to is None:
        return _filled(self, "random_", "random_", generator=generator)
    if to is None:
        low, to = 0, low
    low, to = int(low or 0), int(to)
    if low >= to:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={to}")
    if self._a.dtype.kind in "iu":
        limit = dt.iinfo(self.dtype)
        if low < limit.min or to - 1 > limit.max:
            raise RuntimeError(f"from={low} or to={to} is out of bounds for {self.dtype}")
    return _filled(self, "random_", "integers_", low, to, generator=generator)


def bernoulli_(self, p=0.5, *, generator=None):
    """self filled with 1 with probability p (a number, or a tensor of probabilities), else 0."""
    if isinstance(p, Tensor):
        _check_probabilities(p)
        return _filled(
            self,
            "bernoulli_",
            "bernoulli_from_",
            _beside_draws(self._a, p._a),
            generator=generator,
        )
    p = _number(p, "bernoulli_", "p")
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return _filled(self, "bernoulli_", "bernoulli_", p, generator=generator)


def _beside_draws(a, p):
    """p broadcast to a, on a's device and in the order in which a is drawn."""
    p = xp.on(a).broadcast_to(xp.beside(p, a), a.shape)
    if not a.flags.c_contiguous:
        p = p.transpose(sorted(range(a.ndim), key=lambda i: -abs(a.strides[i])))
    return xp.contiguous(p)


def _check_probabilities(p):
    a = p._a
    if a.dtype.kind not in "fV":
        raise RuntimeError(f"expected probabilities tensor to have floating type, got {p.dtype}")
    if a.size and not (a.min() >= 0 and a.max() <= 1):
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false: probabilities must lie in [0, 1]"
        )


def bernoulli(input, p=None, *, generator=None, out=None):
    """1 with the probabilities in input (or p), else 0; in input's dtype."""
    r = wrap(xp.on(input._a).empty(input._a.shape, input._a.dtype))
    if p is not None:
        return bernoulli_(r, p, generator=generator)
    _check_probabilities(input)
    _fill(r._a, generator, "bernoulli_from_", xp.contiguous(input._a))
    if input._fn is not None and grad_mode.enabled:
        record(r, filled_rule, (input._fn,), (), ())
    return r if out is None else write_out(out, r, input)


def _single(name):
    def fill(self, value, *, generator=None):
        value = _number(value, name, "p" if name == "geometric_" else "lambd")
        if not value > 0 or (name == "geometric_" and value >= 1):
            raise RuntimeError(
                f"{name} expects {'p in (0, 1)' if name == 'geometric_' else 'lambda > 0.0'}, but found {value}"
            )
        return _filled(self, name, name, value, generator=generator)

    return fill


_geometric, _exponential = _single("geometric_"), _single("exponential_")


def exponential_(self, lambd=1.0, *, generator=None):
    """self filled from the exponential distribution with rate lambd."""
    _floating(self, "exponential_")
    return _exponential(self, lambd, generator=generator)


def geometric_(self, p, *, generator=None):
    """self filled from the geometric distribution: trials up to the first success."""
    return _geometric(self, p, generator=generator)


def cauchy_(self, median=0.0, sigma=1.0, *, generator=None):
    """self filled from the Cauchy distribution."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return _filled(self, "cauchy_", "cauchy_", float(median), float(sigma), generator=generator)


def log_normal_(self, mean=1.0, std=2.0, *, generator=None):
    """self filled with exp of normal draws."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    return _filled(self, "log_normal_", "log_normal_", float(mean), float(std), generator=generator)


def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """num_samples indices of each row, drawn in proportion to its weights."""
    x = input._a
    if x.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, got {x.ndim}")
    if x.dtype.kind not in "fV":
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype}")
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples, got {num_samples}")
    if not replacement and num_samples > x.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if not (xp.isfinite(x).all() and (x >= 0).all()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    rows = x.reshape(1, -1) if x.ndim == 1 else x
    if not (rows.sum(1) > 0).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    r = generators.engine(generator, x).multinomial(rows, num_samples, replacement)
    r = wrap(r[0] if x.ndim == 1 else r)
    if out is not None and out._a.dtype != r._a.dtype:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {out.dtype.short}")
    return r if out is None else write_out(out, r)


# ---------------------------------------------------------------- new tensors


def _made(size, function, dtype, device, requires_grad, draw, out=None):
    at = check_device(device, function)
    if dtype is None and isinstance(out, Tensor):
        dtype = out.dtype
    d = dt.get_default_dtype() if dtype is None else dt.as_dtype(dtype, function)
    t = wrap(_allocate(at.empty, _shape(size, function), d, function))
    draw(t)
    if out is not None:
        return write_out(out, t)
    if requires_grad:
        t.requires_grad_(True)
    return t


def rand(
    *sizes, size=None, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Uniform numbers of [0, 1)."""
    size = _given(sizes, size, "rand") or ((),)
    return _made(size, "rand", dtype, device, requires_grad, lambda t: uniform_(t, generator=generator), out)


def randn(
    *sizes, size=None, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Standard normal numbers."""
    size = _given(sizes, size, "randn") or ((),)
    return _made(size, "randn", dtype, device, requires_grad, lambda t: normal_(t, generator=generator), out)


def randint(
    *args,
    low=None,
    high=None,
    size=None,
    generator=None,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
):
    """Integers of [low, high): randint(high, size) or randint(low, high, size); int64 unless dtype says otherwise."""
    args = list(args)
    if args and isinstance(args[-1], (tuple, list)) and size is None:
        size = args.pop()
    if len(args) == 2:
        low, high = args
    elif len(args) == 1 and high is None:
        high = args[0]
    elif len(args) == 1:
        low = args[0]
    if high is None or size is None:
        raise TypeError("randint() expects high and size: randint(high, size) or randint(low, high, size)")
    low, high = int(low or 0), int(high)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if dtype is None and out is None:
        dtype = dt.int64
    return _made(
        (size,), "randint", dtype, device, requires_grad, lambda t: random_(t, low, high, generator=generator), out
    )


def randperm(
    n, *, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """The integers of [0, n) in random order."""
    at = check_device(device, "randperm")
    if isinstance(n, builtins.bool) or not hasattr(n, "__index__"):
        raise TypeError(f"randperm(): argument 'n' must be int, not {type(n).__name__}")
    n = n.__index__()
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    if n >= 1 << 31:
        raise RuntimeError(f"randperm: n={n} is more than 2**31 - 1 elements")
    from .cast import cast

    t = wrap(generators.engine(generator, None if at is xp else at.empty(0, "int64")).randperm(n))
    if dtype is not None:
        t = cast(t, dt.as_dtype(dtype, "randperm"))
    return t if out is None else write_out(out, t)


def _like(draw, name):
    def create(input, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
        from .create import empty_like

        t = empty_like(input, dtype=dtype, device=device)
        draw(t, generator=generator)
        if requires_grad:
            t.requires_grad_(True)
        return t

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"{name.removesuffix('_like')} in input's shape and dtype."
    return create


rand_like, randn_like = _like(uniform_, "rand_like"), _like(normal_, "randn_like")


def randint_like(input, low=0, high=None, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False):
    """Integers of [low, high) in input's shape and dtype."""
    low, high = (0, low) if high is None else (low, high)
    return randint(
        low,
        high,
        tuple(input._a.shape),
        generator=generator,
        dtype=dtype or input.dtype,
        device=input.device if device is None else device,
        requires_grad=requires_grad,
    )


def normal(
    mean=0.0,
    std=1.0,
    size=None,
    *,
    generator=None,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
):
    """Normal numbers: of one mean and std in `size`, or elementwise where either is a tensor."""
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if size is None:
            raise TypeError("normal() expects `size` where mean and std are numbers")
        return _made(
            (size,), "normal", dtype, device, requires_grad, lambda t: normal_(t, mean, std, generator=generator)
        )
    from .elementwise import add, mul

    shape = xp.broadcast_shapes(*(v._a.shape for v in (mean, std) if isinstance(v, Tensor)))
    d = mean.dtype if isinstance(mean, Tensor) else std.dtype
    if isinstance(std, Tensor) and std._a.size and not (std._a >= 0).all():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    z = randn(shape, generator=generator, dtype=d, device=(mean if isinstance(mean, Tensor) else std).device)
    r = wrap(add(mul(z, std), mean)._a)
    nodes = tuple(v._fn if isinstance(v, Tensor) else None for v in (mean, std))
    if nodes != (None, None) and grad_mode.enabled:
        record(r, normal_rule, nodes, tuple(getattr(v, "shape", ()) for v in (mean, std)), ())
    return r if out is None else write_out(out, r)


def normal_rule(k, dy, saved, needs):
    """Draws are constants, torch says: zeros."""
    return tuple(k.zeros(tuple(s), dy.dtype) for s in saved)
