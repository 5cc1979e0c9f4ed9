"""DataParallel and data_parallel: without GPUs, the module itself."""

from fastnn.nn.modules.module import Module


class DataParallel(Module):
    """Wraps a module whose batches would be spread over GPUs; without GPUs it calls the module. state_dict's keys begin
    with "module."."""

    def __init__(self, module, device_ids=None, output_device=None, dim: int = 0):
        super().__init__()
        self.module = module
        self.device_ids = []

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim: int = 0, module_kwargs=None):
    """module(*inputs), which a machine with GPUs would spread over them. Raises RuntimeError for device_ids."""
    if device_ids:
        raise RuntimeError(f"data_parallel: device_ids={device_ids}, but there are no CUDA devices; leave it out")
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*inputs, **(module_kwargs or {}))
