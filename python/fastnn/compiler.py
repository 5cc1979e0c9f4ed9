"""torch.compiler's names: nothing is compiled, so nothing is ever being compiled."""

__all__ = ["compile", "cudagraph_mark_step_begin", "disable", "is_compiling", "is_dynamo_compiling", "reset"]


def compile(
    model=None,
    *,
    fullgraph=False,
    dynamic=None,
    backend="inductor",
    mode=None,
    options=None,
    disable=False,
):
    """The model or function itself; as a decorator with options too. fastnn's kernels are compiled already."""
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if model is None:
        return lambda model: model
    if not callable(model):
        raise RuntimeError("torch.compile() takes a callable")
    return model


def disable(fn=None, recursive=True, *, reason=None):
    """fn itself; as a decorator with options too."""
    return (lambda fn: fn) if fn is None else fn


def is_compiling() -> bool:
    """False."""
    return False


is_dynamo_compiling = is_compiling


def reset() -> None:
    """There is nothing to forget."""


def cudagraph_mark_step_begin() -> None:
    """There are no CUDA graphs."""
