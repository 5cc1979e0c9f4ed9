"""Printing arrays the way torch prints tensors, character for character.

One width serves every element, so that columns line up. Floats take one of three forms, chosen from the finite non-zero
values that will be shown: integers with a trailing point (`2.`), a fixed number of decimals, or scientific notation when
the values span more than three decades, exceed 1e8 or fall below 1e-4. Above `threshold` elements only the first and
last `edgeitems` of each dimension are shown.

This file sees arrays only through their own methods: it imports neither NumPy nor the Tensor class.
"""

import contextlib
import math

_PROFILES = {  # precision, threshold, edgeitems, linewidth
    "default": (4, 1000, 3, 80),
    "short": (2, 1000, 2, 80),
    "full": (4, math.inf, 3, 80),
}


class _Options:
    """The print options in force."""

    __slots__ = ("edgeitems", "linewidth", "precision", "sci_mode", "threshold")

    def __init__(self):
        self.apply_profile("default")
        self.sci_mode = None

    def apply_profile(self, name):
        if name not in _PROFILES:
            raise ValueError(f"set_printoptions(): profile must be one of {', '.join(_PROFILES)}, got {name!r}")
        self.precision, self.threshold, self.edgeitems, self.linewidth = _PROFILES[name]


_options = _Options()


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """Set how tensors print. What is not given keeps its value, except sci_mode, which goes back to automatic (None)."""
    if profile is not None:
        _options.apply_profile(profile)
    if precision is not None:
        _options.precision = precision
    if threshold is not None:
        _options.threshold = threshold
    if edgeitems is not None:
        _options.edgeitems = edgeitems
    if linewidth is not None:
        _options.linewidth = linewidth
    _options.sci_mode = sci_mode


def get_printoptions() -> dict:
    """The print options in force, as keyword arguments for set_printoptions."""
    return {name: getattr(_options, name) for name in ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")}


@contextlib.contextmanager
def printoptions(**kwargs):
    """set_printoptions for the length of a `with` block."""
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


def _is_float(array) -> bool:
    # ml_dtypes' 16- and 8-bit floats have kind 'V' or 'f' depending on its version: their names are what is certain.
    return array.dtype.kind == "f" or "float" in array.dtype.name


def _values(array, floating) -> list:
    """A 0-d or 1-d array's elements as Python numbers."""
    values = array.reshape(-1).tolist()
    return [float(v) for v in values] if floating else values


class _Formatter:
    """Chooses the form for `values`, all the numbers that will be shown, and formats each of them to one width."""

    def __init__(self, values, floating):
        self.floating = floating
        self.sci = False
        self.integral = True
        self.width = 1
        if not floating:
            self.width = max([1, *(len(str(v)) for v in values)])
            return
        shown = [v for v in values if v != 0 and math.isfinite(v)]
        if not shown:
            return
        largest, smallest = max(map(abs, shown)), min(map(abs, shown))
        self.integral = all(v == math.floor(v) for v in shown)
        if _options.sci_mode is None:
            self.sci = largest / smallest > 1000 or largest > 1e8 or smallest < 1e-4
        else:
            self.sci = bool(_options.sci_mode)
        # The trailing point of integral values counts in the width of inf and nan too, which have none.
        self.width = max(len(self._number(v)) for v in shown)

    def _number(self, value) -> str:
        if not self.floating:
            return str(value)
        if self.sci:
            return f"{value:.{_options.precision}e}"
        if self.integral:
            return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"
        return f"{value:.{_options.precision}f}"

    def __call__(self, value) -> str:
        return self._number(value).rjust(self.width)


class _ComplexFormatter:
    """Real and imaginary parts, each in the form that suits all of its kind."""

    floating = False

    def __init__(self, values):
        self.real = _Formatter([v.real for v in values], True)
        self.imag = _Formatter([v.imag for v in values], True)
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value) -> str:
        imag = (self.imag(value.imag) + "j").lstrip()
        return self.real(value.real) + ("" if imag[0] in "+-" else "+") + imag


def _shown(array, floating) -> list:
    """The numbers that a summary of `array` shows; all of a small dimension."""
    edge = _options.edgeitems
    if array.ndim == 0:
        return _values(array, floating)
    n = array.shape[0]
    if array.ndim == 1:
        if n > 2 * edge > 0:
            return _values(array[:edge], floating) + _values(array[-edge:], floating)
        return _values(array, floating) if edge else []
    if edge == 0:
        return []
    rows = range(n) if n <= 2 * edge else [*range(edge), *range(n - edge, n)]
    return [v for i in rows for v in _shown(array[i], floating)]


def _row(array, indent, summarize, form) -> str:
    """A 1-d array in brackets, broken into lines of at most `linewidth` characters where that is possible."""
    edge, floating = _options.edgeitems, form.floating
    if summarize and edge == 0:
        cells = ["..."]
    elif summarize and array.shape[0] > 2 * edge:
        cells = [form(v) for v in _values(array[:edge], floating)]
        cells += [" ...", *(form(v) for v in _values(array[-edge:], floating))]
    else:
        cells = [form(v) for v in _values(array, floating)]
    per_line = max(1, (_options.linewidth - indent) // (form.width + 2))  # 2: comma and space
    lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(array, indent, summarize, form) -> str:
    if array.ndim == 0:
        return form(_values(array, form.floating)[0])
    if array.ndim == 1:
        return _row(array, indent, summarize, form)
    n, edge = array.shape[0], _options.edgeitems
    if summarize and n > 2 * edge:
        blocks = [_nested(array[i], indent + 1, summarize, form) for i in range(edge)]
        blocks.append("...")
        blocks += [_nested(array[i], indent + 1, summarize, form) for i in range(n - edge, n)]
    else:
        blocks = [_nested(array[i], indent + 1, summarize, form) for i in range(n)]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(blocks) + "]"


def tensor_str(
    array,
    *,
    dtype_name=None,
    default_dtype="float32",
    device=None,
    grad_fn_name=None,
    requires_grad=False,
    prefix="tensor(",
) -> str:
    """`array` as torch prints the tensor over it.

    dtype_name: torch's name without 'torch.', e.g. 'bfloat16'; the array's own by default. It is shown only where the
    text alone would not tell: not for default_dtype, int64 and bool. device: shown if given (the caller leaves it out for
    the CPU). A tensor with a grad_fn shows it, a leaf that needs a gradient shows requires_grad=True.
    """
    name = dtype_name or array.dtype.name
    suffixes = [f"device='{device}'"] if device is not None else []
    if array.size == 0:
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
        if name != default_dtype:
            suffixes.append(f"dtype=torch.{name}")
        text = "[]"
    else:
        if not _options.edgeitems:
            suffixes.append(f"size={tuple(array.shape)}")
        plain_complex = "complex128" if default_dtype == "float64" else "complex64"
        if name not in (default_dtype, plain_complex, "int64", "bool"):
            suffixes.append(f"dtype=torch.{name}")
        summarize = array.size > _options.threshold
        floating = _is_float(array)
        values = _shown(array, floating) if summarize else _values(array, floating)
        form = _ComplexFormatter(values) if array.dtype.kind == "c" else _Formatter(values, floating)
        text = _nested(array, len(prefix), summarize, form)
    if grad_fn_name:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return _join(prefix + text, suffixes, len(prefix))


def _join(text, suffixes, indent) -> str:
    """The suffixes after the text, each on a line of its own where it would pass the line's width."""
    last = len(text) - text.rfind("\n") + 1  # torch's measure: one more than the length of the last line
    for suffix in suffixes:
        if last + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            last = indent + len(suffix)
        else:
            text += ", " + suffix
            last += len(suffix) + 2
    return text + ")"
