"""The steps of data parallelism one by one. Only parallel_apply does something without GPUs."""


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None) -> list:
    """[module(*input) for each pair]."""
    if len(modules) != len(inputs):
        raise AssertionError(f"The number of modules {len(modules)} is not equal to the number of inputs {len(inputs)}")
    kwargs_tup = kwargs_tup if kwargs_tup is not None else [{}] * len(modules)
    if len(kwargs_tup) != len(modules):
        raise AssertionError(f"There must be as many kwargs ({len(kwargs_tup)}) as modules ({len(modules)})")
    return [
        module(*(args if isinstance(args, (list, tuple)) else (args,)), **kwargs)
        for module, args, kwargs in zip(modules, inputs, kwargs_tup, strict=True)
    ]


def _no_devices(function: str):
    return RuntimeError(f"{function}() moves tensors between CUDA devices, and there are none; use the module itself")


def replicate(network, devices, detach: bool = False):
    """Copies of a module, one a GPU. Raises RuntimeError: there are none."""
    raise _no_devices("replicate")


def scatter(inputs, target_gpus, dim: int = 0):
    """A batch's parts, one a GPU. Raises RuntimeError: there are none."""
    raise _no_devices("scatter")


def gather(outputs, target_device, dim: int = 0):
    """The parts of a batch from the GPUs, joined. Raises RuntimeError: there are none."""
    raise _no_devices("gather")
