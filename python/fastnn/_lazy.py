"""Names of a package that are imported when they are first asked for."""

import importlib


def attributes(package: str, where: dict, modules=()):
    """The package's __getattr__: `where` gives each name's module, and the modules, and `modules`, are names too."""

    def __getattr__(name):
        if name in where:
            return getattr(importlib.import_module(f"{package}.{where[name]}"), name)
        if name in modules or name in where.values():
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
