"""Names in pickles: torch's paths for fastnn's classes, both ways, and which classes a file may ask for."""

import contextlib
import sys

from . import _run

_FILES = frozenset(
    "activation adaptive batchnorm channelshuffle container conv distance dropout flatten fold instancenorm lazy linear "
    "loss module normalization padding pixelshuffle pooling rnn sparse transformer upsampling utils".split()
)  # of torch.nn.modules

_safe: dict = {}  # (module, qualified name) → class or function, by add_safe_globals


def torch_name(obj) -> tuple[str, str]:
    """(module, name) under which a pickle names a class or function: torch's, for what is fastnn's."""
    module, name = obj.__module__, obj.__qualname__
    parts = module.split(".")
    if parts[0] != "fastnn":
        return module, name
    if parts[1:3] == ["nn", "modules"] and len(parts) == 4:
        return (f"torch.nn.modules.{parts[3]}" if parts[3] in _FILES else "torch.nn"), name
    if parts[1:2] == ["vision"]:
        return ".".join(["torchvision", *parts[2:]]), name
    if parts[1:2] == ["ops"]:
        import fastnn

        inside = getattr(fastnn.nn.functional, name, None) is obj
        return ("torch.nn.functional" if inside else "torch"), name
    return ".".join(["torch", *parts[1:]]), name


def add_safe_globals(safe_globals: list) -> None:
    """Let load make instances of these classes (or of (class, "the.name.in.the.file") pairs)."""
    _safe.update(_named(safe_globals))


def get_safe_globals() -> list:
    """What add_safe_globals was given."""
    return list(dict.fromkeys(_safe.values()))


def clear_safe_globals() -> None:
    """Forget it."""
    _safe.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: list):
    """add_safe_globals for the block."""
    before = dict(_safe)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe.clear()
        _safe.update(before)


def _named(entries) -> dict:
    found = {}
    for entry in entries:
        if isinstance(entry, tuple):
            entry, path = entry
            module, _, name = path.rpartition(".")
            found[module, name] = entry
            continue
        if not hasattr(entry, "__qualname__"):
            raise TypeError(f"add_safe_globals: expected classes, functions or (class, name) pairs, got {entry!r}")
        found[entry.__module__, entry.__qualname__] = entry
        found[torch_name(entry)] = entry
    return found


def _ours(module: str, name: str):
    """fastnn's layer, function of nn.functional, or vision model that the path names, or None."""
    root = module.partition(".")[0]
    if module == "torch._C._nn":  # where torch's compiled functions say they are from
        module = "torch.nn.functional"
    if root in ("torch", "torchvision"):
        module = _run.our_name(module) or ""
    if not (module == "fastnn.nn" or module.startswith(("fastnn.nn.", "fastnn.vision.models"))):
        return None
    import importlib

    import fastnn.nn as nn

    homes = []
    try:
        homes.append(importlib.import_module(module))  # one of fastnn's own files: the name was checked above
    except ModuleNotFoundError:
        pass
    for home in (*homes, nn):
        found = getattr(home, name, None)
        if isinstance(found, type) and issubclass(found, nn.Module) and found.__module__.startswith("fastnn."):
            return found
        if callable(found) and not isinstance(found, type) and found is getattr(nn.functional, name, None):
            return found
    return None


def find(module: str, name: str, weights_only: bool):
    """The class or function that a file may use under this name, or None."""
    if (module, name) in _safe:
        return _safe[module, name]
    if "." not in name:
        found = _ours(module, name)
        if found is not None:
            return found
    if weights_only or module not in sys.modules:
        return None
    found = sys.modules[module]  # the script has imported it: nothing is imported here
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) or type(found).__name__ == "function":
        return found
    return None


def blank(cls):
    """An instance of cls whose constructor has not run. Raises ValueError where there is no such thing."""
    for base in (dict, list, set, tuple, str, int, float, object):
        if issubclass(cls, base):
            try:
                return base.__new__(cls)
            except TypeError as error:
                raise ValueError(f"an instance of {cls.__qualname__}: {error}") from None
    raise ValueError(f"an instance of {cls.__qualname__}")


def set_state(target, state) -> None:
    """Give an instance its state: by its class's own __setstate__ where the class is fastnn's, registered as safe, or a
    script's; else attribute by attribute."""
    cls = type(target)
    root = cls.__module__.partition(".")[0]
    setter = getattr(cls, "__setstate__", None)
    trusted = cls in _safe.values() or (root not in sys.stdlib_module_names or root == "__main__")
    if setter is not None and trusted:
        setter(target, state)
        return
    plain, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    for part in (plain, slots):
        if part is None:
            continue
        if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
            raise ValueError(f"the state of {cls.__qualname__} is a {type(part).__name__}")
        for key, value in part.items():
            if part is plain and hasattr(target, "__dict__"):
                target.__dict__[key] = value
            else:
                object.__setattr__(target, key, value)
