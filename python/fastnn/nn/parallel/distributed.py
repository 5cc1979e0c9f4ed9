"""DistributedDataParallel: needs a process group, which fastnn does not have."""

from fastnn.nn.modules.module import Module


class DistributedDataParallel(Module):
    """Raises RuntimeError when made, as torch's does where no process group was initialised."""

    def __init__(self, module, *args, **kwargs):
        raise RuntimeError(
            "Default process group has not been initialized: fastnn runs in one process, over all its threads; use the "
            "module itself, or nn.DataParallel"
        )
