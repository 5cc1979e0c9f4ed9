"""torch.distributed, as a build of torch without it has it: not available. One process uses all processors here."""


def is_available() -> bool:
    """False: there are no process groups."""
    return False


def is_initialized() -> bool:
    """False: no process group can be made."""
    return False


def _refuse(function):
    raise RuntimeError(f"distributed.{function}: fastnn has no process groups (distributed.is_available() is False)")


def init_process_group(*args, **kwargs):
    """Raises RuntimeError: there are no process groups."""
    _refuse("init_process_group")


def destroy_process_group(group=None):
    """Raises RuntimeError: there are no process groups."""
    _refuse("destroy_process_group")


def get_rank(group=None) -> int:
    """Raises RuntimeError: there are no process groups."""
    _refuse("get_rank")


def get_world_size(group=None) -> int:
    """Raises RuntimeError: there are no process groups."""
    _refuse("get_world_size")


def barrier(group=None, async_op=False, device_ids=None):
    """Raises RuntimeError: there are no process groups."""
    _refuse("barrier")


__all__ = [
    "barrier",
    "destroy_process_group",
    "get_rank",
    "get_world_size",
    "init_process_group",
    "is_available",
    "is_initialized",
]
