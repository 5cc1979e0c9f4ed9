"""A module called with other tensors in place of its parameters and buffers."""

from contextlib import contextmanager


def _place(module, path: str):
    owner, _, name = path.rpartition(".")
    owner = module.get_submodule(owner)
    for registry in (owner._parameters, owner._buffers):
        if name in registry:
            return registry, name
    raise KeyError(path)


@contextmanager
def _swapped(module, tensors, tie_weights: bool, strict: bool):
    named = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    unknown = [path for path in tensors if path not in named]
    missing = [path for path in named if path not in tensors]
    if tie_weights:  # a tensor that several names share is replaced under all of them
        given = {id(named[path]): value for path, value in tensors.items() if path in named}
        tensors = {**{path: given[id(t)] for path, t in named.items() if id(t) in given}, **tensors}
        missing = [path for path in missing if path not in tensors]
    if strict and (unknown or missing):
        raise RuntimeError(
            f"functional_call: unexpected key(s): {', '.join(unknown) or 'none'}; missing key(s): "
            f"{', '.join(missing) or 'none'}"
        )
    places = [(*_place(module, path), value) for path, value in tensors.items() if path not in unknown]
    before = [(registry, name, registry[name]) for registry, name, _ in places]
    try:
        for registry, name, value in places:
            registry[name] = value
        yield
    finally:
        for registry, name, value in before:
            registry[name] = value


def functional_call(
    module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights: bool = True, strict: bool = False
):
    """module(*args, **kwargs) with the tensors of the dictionary in place of its own; the module is unchanged after.

    tie_weights: a tensor that the module has under several names is replaced under all. strict: every name must occur.
    """
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    if isinstance(parameters_and_buffers, (tuple, list)):
        joined: dict = {}
        for part in parameters_and_buffers:
            twice = joined.keys() & part.keys()
            if twice:
                raise ValueError(f"{sorted(twice)[0]!r} appears in multiple dictionaries; behavior of functional call is "
                                 "ambiguous")  # fmt: skip
            joined.update(part)
        parameters_and_buffers = joined
    with _swapped(module, dict(parameters_and_buffers), tie_weights, strict):
        return module(*args, **(kwargs or {}))
