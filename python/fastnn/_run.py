"""`python -m fastnn run`: fastnn in torch's place for one process and its children.

Under `run`, `torch` and `torchvision` (and `tensorflow`, `keras` for the Keras part) name fastnn's own modules: a finder
at the head of sys.meta_path gives, for `torch.nn.modules.activation`, the very module object
`fastnn.nn.modules.activation`. Nothing is executed twice, so classes are the same through every path, and the real
packages are never loaded, even where they are installed. A name that fastnn has no module for is an ImportError.
"""

import importlib.machinery
import importlib.util
import os
import sys
import types

ROOTS = {
    "torch": "fastnn",
    "torchvision": "fastnn.vision",
    "tensorflow": "fastnn.tf",
    "keras": "fastnn.keras",
}

# Modules that lie elsewhere here. The longest name that fits decides, and what follows it is kept.
_ALIASES = {
    "tensorflow.keras": "fastnn.keras",
    "torch.cuda.amp.autocast_mode": "fastnn.cuda.amp",
    "torch.cuda.amp.grad_scaler": "fastnn.cuda.amp",
    "torch.cuda.random": "fastnn.cuda",
    "torch.optim.adamw": "fastnn.optim.adam",
    "torch.utils.data._utils": "fastnn.utils.data",
}

# fastnn's own parts, which torch has no counterpart of: not to be found under torch's name.
_OWN = {"_run", "_standin", "_train", "backend", "datasets", "dtypes", "keras", "ops", "tensor", "tf", "vision"}

_STANDIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_standin")


def our_name(name: str) -> str | None:
    """fastnn's name of the module `name` of torch; None where it has none."""
    root, _, rest = name.partition(".")
    if not rest:
        return ROOTS[root]
    if root == "torch" and rest.partition(".")[0] in _OWN:
        return None
    head, tail = name, ""
    while head != root:
        if head in _ALIASES:
            return _ALIASES[head] + tail
        head, _, last = head.rpartition(".")
        tail = f".{last}{tail}"
    return f"{ROOTS[root]}.{rest}"


class _Loader:
    """Hands out a module that exists: neither makes nor executes one."""

    def __init__(self, ours):
        self.ours = ours

    def create_module(self, spec):
        module = importlib.import_module(self.ours)
        self.spec = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = self.spec  # importlib has put the stand-in's there

    def get_code(self, name):  # runpy: python -m torch.something
        return importlib.util.find_spec(self.ours).loader.get_code(self.ours)


class Finder:
    """The entry of sys.meta_path."""

    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in ROOTS:
            return None
        ours = our_name(name)
        found = None
        if ours is not None:
            try:
                found = importlib.util.find_spec(ours)
            except ModuleNotFoundError as error:  # a parent that is not a package, or a missing requirement of one
                if not (error.name and f"{ours}.".startswith(f"{error.name}.")):
                    raise
        if found is None:
            raise ModuleNotFoundError(
                f"No module named {name!r}: fastnn stands in for {root} in this process (python -m fastnn run) and has "
                "no such module",
                name=name,
            )
        package = found.submodule_search_locations is not None
        return importlib.machinery.ModuleSpec(name, _Loader(ours), origin=found.origin, is_package=package)


def install() -> None:
    """Put fastnn in torch's place in this process, and in the children that it starts from here on."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    held = [name for name in ROOTS if name in sys.modules and sys.modules[name].__name__ != ROOTS[name]]
    for name in held:
        if not getattr(sys.modules[name].__spec__, "_initializing", False):  # not the stand-in itself, being imported
            raise RuntimeError(f"fastnn cannot take the place of {name}, which this process has imported already")
    sys.meta_path.insert(0, Finder())

    import fastnn
    from fastnn.torch_version import TORCH

    fastnn.__version__ = TORCH
    for kind in (fastnn.Tensor, fastnn.Size, fastnn.device, fastnn.dtype):
        kind.__module__ = "torch"  # what print(type(x)) shows
    fastnn.Generator.__module__ = "torch._C"
    sys.modules["torch"] = fastnn  # at once: libraries look here to see whether tensors of torch can exist

    # Children find the stand-ins in this folder before any torch: through PYTHONPATH where they are started afresh, and
    # through sys.path, which multiprocessing hands on.
    known = os.environ.get("PYTHONPATH", "")
    if _STANDIN not in known.split(os.pathsep):
        os.environ["PYTHONPATH"] = _STANDIN + (os.pathsep + known if known else "")
    if _STANDIN not in sys.path:
        sys.path.insert(1, _STANDIN)


def replace(name: str) -> None:
    """Called by the stand-in module `name` while it is imported: what the import gives is fastnn's module."""
    sys.modules[name] = importlib.import_module(ROOTS[name])


def _main_module(**attributes) -> dict:
    """A fresh `__main__`; returns its namespace."""
    import builtins

    module = types.ModuleType("__main__")
    module.__dict__.update({"__builtins__": builtins, **attributes})
    sys.modules["__main__"] = module
    return module.__dict__


def _script(path: str):
    """(code, attributes of its module, sys.path[0]) of a script, or of a folder or zip file with a `__main__.py`."""
    import io
    import pkgutil

    if path == "-":
        return compile(sys.stdin.read(), "<stdin>", "exec", dont_inherit=True), {}, ""
    importer = pkgutil.get_importer(path)
    if importer is not None and not os.path.isfile(path) or type(importer).__name__ == "zipimporter":
        spec = importer.find_spec("__main__")
        if spec is None:
            raise SystemExit(f"python -m fastnn run: can't find '__main__' module in {path!r}")
        attributes = {
            "__file__": spec.origin, "__spec__": spec, "__loader__": spec.loader, "__package__": "", "__cached__": None
        }  # fmt: skip
        return spec.loader.get_code("__main__"), attributes, path
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        print(
            f"python -m fastnn run: can't open file {path!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr
        )
        raise SystemExit(2) from None
    loader = importlib.machinery.SourceFileLoader("__main__", path)
    attributes = {"__file__": path, "__loader__": loader, "__cached__": None}
    return compile(source, path, "exec", dont_inherit=True), attributes, os.path.dirname(os.path.abspath(path))


def _package(name: str):
    """(code, attributes) of what `python -m name` executes."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.getcwd()
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
            if spec is None:
                raise ImportError(
                    f"No module named {name}.__main__; {name!r} is a package and cannot be directly executed"
                )
        code = None if spec is None or spec.loader is None else spec.loader.get_code(spec.name)
        if code is None:
            raise ImportError(f"No module named {name}")
    except ImportError as error:
        print(f"{sys.executable}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    attributes = {
        "__file__": spec.origin,
        "__spec__": spec,
        "__loader__": spec.loader,
        "__package__": spec.parent,
        "__cached__": spec.cached,
    }
    return code, attributes


def run(target: str, arguments: list[str], module: bool = False) -> int:
    """Execute a script (or with `module` what python -m executes) as `__main__`; returns the exit status.

    argv, sys.path[0], `__main__` and tracebacks are those of `python target arguments`.
    """
    install()
    if module:
        sys.argv = ["-m", *arguments]
        code, attributes = _package(target)
        sys.argv[0] = attributes["__file__"]
    else:
        sys.argv = [target, *arguments]
        code, attributes, folder = _script(target)
        if not getattr(sys.flags, "safe_path", False):  # python -P: the script's folder is left out
            sys.path[0] = folder
    namespace = _main_module(**attributes)
    try:
        exec(code, namespace)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # shown as Python shows it: from the script's own frame on
        trace = error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0
