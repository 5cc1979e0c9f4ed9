"""Comparing tensors in tests."""

from . import ops
from .dtypes import bfloat16, complex64, complex128, float16, float32, float64
from .tensor import Tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# (rtol, atol) by dtype; everything else has to be equal
_TOLERANCES = {
    float16: (1e-3, 1e-5),
    bfloat16: (1.6e-2, 1e-5),
    float32: (1.3e-6, 1e-5),
    float64: (1e-7, 1e-7),
    complex64: (1.3e-6, 1e-5),
    complex128: (1e-7, 1e-7),
}


def _as_tensor(value, like=None):
    if isinstance(value, Tensor):
        return value
    try:
        return ops.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(like)} and {type(value)}."
        ) from None


def assert_close(
    actual,
    expected,
    *,
    allow_subclasses=True,
    rtol=None,
    atol=None,
    equal_nan=False,
    check_device=True,
    check_dtype=True,
    check_layout=True,
    check_stride=False,
    msg=None,
):
    """Raise AssertionError unless |actual - expected| <= atol + rtol·|expected| everywhere, shapes and dtypes alike.

    Tensors, numbers, arrays, and sequences and mappings of them. rtol and atol (both or neither) are by dtype: 1.3e-6
    and 1e-5 for float32, 1e-7 for float64, 0 for integers; for two dtypes the looser pair.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            f"rtol and atol must both be specified or both be unspecified, but got rtol={rtol} and atol={atol}"
        )
    options = (rtol, atol, equal_nan, check_dtype, check_stride, allow_subclasses)
    try:
        _compare(actual, expected, "", *options)
    except AssertionError as error:
        if msg is None:
            raise
        raise AssertionError(msg(str(error)) if callable(msg) else msg) from None


def _compare(actual, expected, where, *options):
    if isinstance(actual, dict) and isinstance(expected, dict):
        if set(actual) != set(expected):
            raise AssertionError(
                f"The keys of the mappings do not match: {sorted(map(str, set(actual) ^ set(expected)))} are in one of "
                f"them alone{where}"
            )
        for key in actual:
            _compare(actual[key], expected[key], f" (item [{key!r}]{where})", *options)
        return
    if isinstance(actual, (list, tuple)) and isinstance(expected, (list, tuple)):
        if len(actual) != len(expected):
            raise AssertionError(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}{where}")
        for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
            _compare(a, b, f" (item [{i}]{where})", *options)
        return
    if actual is None or expected is None:
        if actual is not expected:
            raise AssertionError(f"None mismatch: {actual} is not {expected}{where}")
        return
    _compare_tensors(actual, expected, where, *options)


def _compare_tensors(actual, expected, where, rtol, atol, equal_nan, check_dtype, check_stride, allow_subclasses):
    both_numbers = all(isinstance(x, (int, float, complex)) for x in (actual, expected))
    if not both_numbers and isinstance(actual, Tensor) != isinstance(expected, Tensor):
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.")
    if not allow_subclasses and type(actual) is not type(expected):
        raise AssertionError(f"types differ: {type(actual)} and {type(expected)}{where}")
    if both_numbers:
        check_dtype = False
    a, b = _as_tensor(actual, expected).detach(), _as_tensor(expected, actual).detach()
    if a.shape != b.shape:
        raise AssertionError(f"The values for attribute 'shape' do not match: {a.shape} != {b.shape}.{where}")
    if check_dtype and a.dtype is not b.dtype:
        raise AssertionError(f"The values for attribute 'dtype' do not match: {a.dtype} != {b.dtype}.{where}")
    if check_stride and a.stride() != b.stride():
        raise AssertionError(f"The values for attribute 'stride()' do not match: {a.stride()} != {b.stride()}.{where}")
    if rtol is None:
        pairs = [_TOLERANCES.get(x.dtype, (0.0, 0.0)) for x in (a, b)]
        if both_numbers and {x.dtype.category for x in (a, b)} & {2, 3}:
            pairs = [(1e-7, 1e-7)]
        rtol, atol = (max(pair[i] for pair in pairs) for i in (0, 1))
    if both_numbers:
        a, b = (x.to(complex128 if 3 in (a.dtype.category, b.dtype.category) else float64) for x in (a, b))
    elif a.dtype is not b.dtype:
        common = ops.result_type(a, b)
        a, b = a.to(common), b.to(common)
    fits = ops.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    wrong = fits.numel() - int(fits.sum())
    if not wrong:
        return
    if fits.numel() == 1 and both_numbers:
        raise AssertionError(f"Scalars are not close!{where}\n\nExpected {expected} but got {actual}.\n"
                             f"Allowed: {atol} absolute, {rtol} relative.")  # fmt: skip
    wide = complex128 if a.dtype.category == 3 else float64
    difference = (a.to(wide) - b.to(wide)).abs()
    at = tuple(int(i) for i in (~fits).nonzero()[0])
    raise AssertionError(
        f"Tensor-likes are not close!{where}\n\n"
        f"Mismatched elements: {wrong} / {fits.numel()} ({100 * wrong / fits.numel():.1f}%)\n"
        f"Greatest absolute difference: {float(difference.max())} (up to {atol} allowed)\n"
        f"Greatest relative difference: {float((difference / b.to(wide).abs()).max())} (up to {rtol} allowed)\n"
        f"First at index {at}: {a[at].item()} and {b[at].item()}"
    )


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """assert_close under its old name: dtypes may differ, and NaNs are equal."""
    if not isinstance(actual, Tensor):
        actual = _as_tensor(actual, expected)
    if not isinstance(expected, Tensor):
        expected = ops.as_tensor(expected, dtype=actual.dtype)
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None
    )  # fmt: skip


def make_tensor(*shape, dtype, device="cpu", low=None, high=None, requires_grad=False):
    """Random values in [low, high): by default [-9, 9) for floating point, [-9, 10) for signed integers, [0, 10) else."""
    size = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    if dtype.category == 0:
        return ops.randint(0, 2, size).to(dtype)
    if dtype.category == 1:
        low = (-9 if dtype.is_signed else 0) if low is None else low
        return ops.randint(int(low), int(10 if high is None else high), size, dtype=dtype)
    low, high = -9 if low is None else low, 9 if high is None else high
    made = (ops.rand(size, dtype=float64) * (high - low) + low).to(dtype)
    return made.requires_grad_(requires_grad)
