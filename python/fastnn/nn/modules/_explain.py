"""What a layer would have wanted: the text of a shape error inside a model. Runs only once something was raised.

`Module.__call__` hands the exception here at every level on its way out. The innermost level finds what does not fit
(`_misfit`), each level outwards knows more of the path and a larger model's input, and rewrites the message:

    net.fc (Linear): expects 1352 input features (8·13·13), got 1800 (8·15·15); the input was 1×32×32, the layer fits
    1×28×28

The shapes on the way are worked out from the layers' arithmetic (`_output_shape`); no user code is run again.
"""

import math
import os
import sys
from typing import NamedTuple

_HERE = os.path.dirname(__file__)  # the frames of calls between a model and its layers


class _Misfit(NamedTuple):
    """One layer's complaint."""

    what: str  # "input features"
    expected: int | str
    got: int | str
    fix: str  # what would take this input, or ""


class _Trace:
    """Travels on the exception."""

    def __init__(self, module, shape, error, misfit):
        self.module, self.shape, self.misfit = module, shape, misfit
        self.message = error.args[0] if error.args and isinstance(error.args[0], str) else ""
        self.note = None


class _Unknown(Exception):
    """No arithmetic is known for this module or shape."""


def annotate(module, args, error) -> None:
    """Add to `error`, raised inside `module` called with `args`, which layer it was and what it expected."""
    trace = getattr(error, "_fastnn_trace", None)
    try:
        if trace is None:
            shape = _first_shape(args)
            trace = _Trace(module, shape, error, _misfit(module, shape))
            error._fastnn_trace = trace
        root = _root_name(module)
        path = root + _path_below(module, trace.module)
        if trace.misfit is not None and isinstance(error, (RuntimeError, ValueError, IndexError)):
            text = _describe(module, path, trace, _first_shape(args))
            error.args = (text + ("\n" + trace.message if trace.message else ""), *error.args[1:])
        elif hasattr(error, "add_note"):  # Python 3.11
            shape = "" if trace.shape is None else f", called with {_times(trace.shape)}"
            notes = getattr(error, "__notes__", [])
            if trace.note in notes:
                notes.remove(trace.note)
            trace.note = f"in {path} ({type(trace.module).__name__}){shape}"
            error.add_note(trace.note)
    except Exception:  # explaining must never hide the error that is being explained
        return


def _describe(root, path, trace, input_shape) -> str:
    misfit = trace.misfit
    expected, got, tail = f"{misfit.expected} {misfit.what}", str(misfit.got), ""
    inner_is_root = root is trace.module
    if not inner_is_root and input_shape is not None and misfit.what == "input features":
        before, fits = _image_story(root, trace, input_shape)
        if before is not None:
            got += f" ({_dots(before)})"
            if fits is not None:
                expected += f" ({_dots(fits[1])})"
                tail = f", the layer fits {_times(fits[0])}"
    if not tail and misfit.fix:
        tail = f"; {misfit.fix}"
    text = f"{path} ({type(trace.module).__name__}): expects {expected}, got {got}"
    shown = trace.shape if inner_is_root else input_shape
    if shown is not None:
        text += f"; the input was {_times(shown[1:] if len(shown) > 1 else shown)}"
    text += tail
    so_far = [] if inner_is_root or input_shape is None else _shapes_so_far(root, trace, input_shape)
    return "\n".join([text, *("  " + line for line in so_far)])


def _times(sizes) -> str:
    return "×".join(map(str, sizes)) if len(sizes) else "a single number"


def _dots(sizes) -> str:
    return "·".join(map(str, sizes))


def _first_shape(args):
    for value in args:
        shape = getattr(value, "shape", None)
        if shape is not None:
            return tuple(shape)
    return None


def _root_name(module) -> str:
    """The variable that the caller of the model has it under ("net"), else the class's name."""
    frame = sys._getframe(1)
    while frame is not None and os.path.dirname(frame.f_code.co_filename) == _HERE:
        frame = frame.f_back
    if frame is not None:
        for names in (frame.f_locals, frame.f_globals):
            for name, value in names.items():
                if value is module and name != "self" and name.isidentifier() and not name.startswith("_"):
                    return name
    return type(module).__name__


def _path_below(root, module) -> str:
    if root is module:
        return ""
    for path, candidate in root.named_modules():
        if candidate is module:
            return "." + path
    return "." + type(module).__name__


# -- the arithmetic of layers -----------------------------------------------------------------------------------------


def _kind(module) -> str:
    """The name of the layer class of ours that `module` is or derives from."""
    for cls in type(module).__mro__:
        if cls.__name__ in _KNOWN:
            return cls.__name__
    return ""


def _tuple(value, n):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n


def _window(size, kernel, stride, padding, dilation, ceil_mode=False) -> int:
    """Places of a window along one axis."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if room < 0:
        raise _Unknown
    places = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (places - 1) * stride >= size + padding:
        places -= 1  # a last window must begin inside the input or its left padding
    return places


def _conv(module, shape):
    n = len(module.kernel_size)
    if len(shape) not in (n + 1, n + 2) or shape[-n - 1] != module.in_channels:
        raise _Unknown
    if module.padding == "same":
        sizes = shape[-n:]
    else:
        padding = (0,) * n if module.padding == "valid" else module.padding
        sizes = tuple(map(_window, shape[-n:], module.kernel_size, module.stride, padding, module.dilation))
    return (*shape[: -n - 1], module.out_channels, *sizes)


def _pool(module, shape):
    n = int(type(module).__name__[-2])
    if len(shape) not in (n + 1, n + 2):
        raise _Unknown
    kernel, stride, padding = (_tuple(v, n) for v in (module.kernel_size, module.stride, module.padding))
    dilation = _tuple(getattr(module, "dilation", 1), n)
    ceil = (module.ceil_mode,) * n
    return (*shape[:-n], *map(_window, shape[-n:], kernel, stride, padding, dilation, ceil))


def _linear(module, shape):
    if not shape or shape[-1] != module.in_features:
        raise _Unknown
    return (*shape[:-1], module.out_features)


def _flatten(module, shape):
    start = module.start_dim % len(shape)
    end = module.end_dim % len(shape)
    return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def _sequential(module, shape):
    for child in module:
        shape = _output_shape(child, shape)
    return shape


def _same(module, shape):
    return shape


_POOLS = ("MaxPool1d", "MaxPool2d", "AvgPool1d", "AvgPool2d")
_CONVS = ("Conv1d", "Conv2d")
_SAME = (
    "Identity Dropout Dropout1d Dropout2d Sigmoid Tanh ReLU ReLU6 LeakyReLU PReLU ELU SiLU GELU Softplus Softmax "
    "LogSoftmax Hardtanh BatchNorm1d BatchNorm2d LayerNorm"
).split()
_KNOWN = {
    "Linear": _linear,
    "Flatten": _flatten,
    "Sequential": _sequential,
    **dict.fromkeys(_CONVS, _conv),
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(_SAME, _same),
}


def _output_shape(module, shape):
    kind = _kind(module)
    if not kind:
        raise _Unknown
    return _KNOWN[kind](module, shape)


def _misfit(module, shape) -> _Misfit | None:
    """What `module` objects to in an input of `shape`, if it is that."""
    kind = _kind(module)
    if shape is None:
        return None
    if kind == "Linear":
        if not shape or shape[-1] != module.in_features:
            got = shape[-1] if shape else "a single number"
            fix = f"Linear({got}, {module.out_features}) would take it" if shape else ""
            return _Misfit("input features", module.in_features, got, fix)
    elif kind in _CONVS:
        return _conv_misfit(module, shape, kind)
    elif kind in _POOLS:
        n = int(kind[-2])
        if len(shape) not in (n + 1, n + 2):
            return _Misfit("dimensions", f"{n + 1} or {n + 2}", f"{len(shape)} ({_times(shape)})", "")
        try:
            _pool(module, shape)
        except _Unknown:
            kernel = _times(_tuple(module.kernel_size, n))
            return _Misfit("or more positions", kernel, _times(shape[-n:]), "use a smaller kernel_size")
    elif kind in ("BatchNorm1d", "BatchNorm2d"):
        if len(shape) > 1 and shape[1] != module.num_features:
            return _Misfit("channels", module.num_features, shape[1], f"{kind}({shape[1]}) would take it")
    elif kind == "LayerNorm":
        wanted = module.normalized_shape
        if shape[-len(wanted) :] != tuple(wanted):
            return _Misfit("as its last sizes", _times(wanted), _times(shape), "")
    return None


def _conv_misfit(module, shape, kind) -> _Misfit | None:
    n = len(module.kernel_size)
    if len(shape) not in (n + 1, n + 2):
        fix = f"reshape it to {_times(('N', module.in_channels, *'LHW'[-n if n > 1 else 0 :][:n]))}"
        return _Misfit("dimensions", f"{n + 1} or {n + 2}", f"{len(shape)} ({_times(shape)})", fix)
    channels = shape[-n - 1]
    if channels != module.in_channels:
        fix = f"{kind}({channels}, {module.out_channels}, …) would take it"
        if shape[-1] == module.in_channels:
            fix = "the channels come last: permute them to the front"
        return _Misfit("input channels", module.in_channels, f"{channels} ({_times(shape)})", fix)
    try:
        _conv(module, shape)
    except _Unknown:
        sizes = _times(shape[-n:])
        return _Misfit("or more positions", _times(module.kernel_size), sizes, "use a smaller kernel or more padding")
    return None


# -- the way from the model's input to the layer that failed ----------------------------------------------------------


def _steps_to(root, target):
    """(path, layer) of the layers before `target`, in order of registration, containers opened."""
    steps = []
    for path, module in root.named_modules():
        if module is target:
            return steps
        if not module._modules:
            steps.append((path, module))
    raise _Unknown


def _is_chain(module, target) -> bool:
    """Whether Sequentials alone lie between `module` and `target`."""
    return _kind(module) == "Sequential" and all(
        child is target or not any(m is target for m in child.modules()) or _is_chain(child, target) for child in module
    )


def _shapes_so_far(root, trace, shape) -> list[str]:
    """`0 Conv2d: 4×1×32×32 → 4×8×30×30` of each layer that ran, where the model is a chain."""
    if not _is_chain(root, trace.module):
        return []
    lines = []
    try:
        for path, module in _steps_to(root, trace.module):
            after = _output_shape(module, shape)
            lines.append(f"{path} {type(module).__name__}: {_times(shape)} → {_times(after)}")
            shape = after
    except _Unknown:
        pass
    return lines


def _ways(root, trace):
    """Guesses at the layers that ran before the failing one, as functions of a shape; the first that fits counts.

    In a chain it is known. A user's own forward may call one pooling layer several times, or F.max_pool2d, which
    leaves no module; the forms below are the usual ones, and one is believed only if it leads to the shape that came.
    """
    steps = [module for _, module in _steps_to(root, trace.module)]

    def run(shape, modules, halve_after=()):
        for i, module in enumerate(modules):
            shape = _output_shape(module, shape)
            if i in halve_after:
                shape = (*shape[:-2], shape[-2] // 2, shape[-1] // 2)
        return shape

    yield lambda shape: run(shape, steps)
    if _is_chain(root, trace.module):
        return
    convs = [m for m in steps if _kind(m) in _CONVS]
    pools = [m for m in steps if _kind(m) in _POOLS]
    for pool in pools[:1]:
        yield lambda shape, pool=pool: run(shape, [m for conv in convs for m in (conv, pool)])
        yield lambda shape, pool=pool: run(shape, [*convs, pool])
    count = len(convs)
    for halve_after in (tuple(range(count)), (count - 1,), tuple(range(1, count, 2)), (0,)):
        yield lambda shape, after=halve_after: run(shape, convs, after)


def _image_story(root, trace, input_shape):
    """(sizes that were flattened into the failing layer's input, (input that fits, its flattened sizes) or None)."""
    got, expected = trace.misfit.got, trace.misfit.expected
    if len(input_shape) not in (3, 4):
        return None, None
    batched = len(input_shape) == 4
    for way in _ways(root, trace):
        try:
            before = _before_flattening(root, trace, way, input_shape)
        except _Unknown:
            continue
        if before is None or math.prod(before) != got:
            continue
        height, width = input_shape[-2:]
        for size in range(1, 1025):  # the smallest that fits is the one of which no border is lost
            candidate = (*input_shape[:-2], size, max(1, round(size * width / height)))
            try:
                sizes = _before_flattening(root, trace, way, candidate)
            except _Unknown:
                continue
            if math.prod(sizes) == expected:
                return before, (candidate[1:] if batched else candidate, sizes)
        return before, None
    return None, None


def _before_flattening(root, trace, way, shape):
    """Channels, height and width of what is flattened, from an input of `shape`; None where that is not an image."""
    flattens = [m for _, m in _steps_to(root, trace.module) if _kind(m) == "Flatten"]
    shape = _run_until_flat(root, trace, shape) if flattens else way(shape)
    return shape[-3:] if len(shape) >= 3 else None


def _run_until_flat(root, trace, shape):
    for _, module in _steps_to(root, trace.module):
        if _kind(module) == "Flatten":
            return shape
        shape = _output_shape(module, shape)
    return shape
