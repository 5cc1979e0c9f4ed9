"""torch.jit's names: what is given is run as it is, by Python. Nothing is compiled."""

__all__ = [
    "Final",
    "ScriptModule",
    "export",
    "fork",
    "ignore",
    "is_scripting",
    "is_tracing",
    "load",
    "save",
    "script",
    "script_method",
    "trace",
    "unused",
    "wait",
]

from typing import Final

from fastnn.nn.modules.module import Module as ScriptModule


def script(obj=None, optimize=None, _frames_up=0, _rcb=None, example_inputs=None):
    """obj itself: a function, module or class runs as Python runs it."""
    return script if obj is None else obj


def trace(
    func,
    example_inputs=None,
    optimize=None,
    check_trace=True,
    check_inputs=None,
    check_tolerance=1e-5,
    strict=True,
    example_kwarg_inputs=None,
    **ignored,
):
    """func itself, once it has run on the example inputs, so that what does not fit raises here as it does in torch."""
    from fastnn.autograd import no_grad

    if example_inputs is None and example_kwarg_inputs is None:
        raise RuntimeError("trace: give example_inputs or example_kwarg_inputs")
    if not isinstance(example_inputs, tuple):
        example_inputs = () if example_inputs is None else (example_inputs,)
    with no_grad():
        func(*example_inputs, **(example_kwarg_inputs or {}))
    return func


def trace_module(mod, inputs, *args, **kwargs):
    """mod itself, once the methods named in `inputs` have run on what is given for them."""
    for name, example in inputs.items():
        trace(getattr(mod, name) if name != "forward" else mod, example)
    return mod


def _same(fn):
    """fn itself."""
    return fn


script_method = export = unused = interface = _same


def ignore(drop=False, **kwargs):
    """A decorator that changes nothing."""
    return drop if callable(drop) else _same


def is_scripting() -> bool:
    """False: Python runs the code."""
    return False


is_tracing = is_scripting


def annotate(the_type, the_value):
    """the_value."""
    return the_value


def isinstance(obj, target_type):  # noqa: A001
    """Python's isinstance."""
    import builtins

    return builtins.isinstance(obj, target_type)


def fork(func, *args, **kwargs):
    """func(*args, **kwargs), computed now; wait() hands it out."""
    return _Done(func(*args, **kwargs))


class _Done:
    def __init__(self, value):
        self._value = value

    def wait(self):
        return self._value


def wait(future):
    """The result of fork."""
    return future.wait()


def freeze(mod, preserved_attrs=None, optimize_numerics=True):
    """mod itself."""
    return mod


def optimize_for_inference(mod, other_methods=None):
    """mod itself."""
    return mod


def save(m, f, _extra_files=None):
    """Not available: there is no compiled program to save. Raises NotImplementedError."""
    raise NotImplementedError("jit.save: fastnn does not compile programs; save model.state_dict() with fastnn.save")


def load(f, map_location=None, _extra_files=None):
    """Not available: TorchScript programs cannot be run here. Raises NotImplementedError."""
    raise NotImplementedError("jit.load: fastnn cannot run TorchScript programs; load a state_dict with fastnn.load")
