"""Python's multiprocessing under torch's name, with spawn(). Tensors are sent as copies, not as shared memory."""

from multiprocessing import *  # noqa: F403
from multiprocessing import __all__ as _names
from multiprocessing import get_context

__all__ = [*_names, "ProcessContext", "ProcessExitedException", "ProcessRaisedException", "get_all_sharing_strategies",
           "get_sharing_strategy", "set_sharing_strategy", "spawn", "start_processes"]  # fmt: skip


class ProcessException(Exception):
    """A process of spawn() failed."""

    def __init__(self, msg, error_index, pid):
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid


class ProcessRaisedException(ProcessException):
    """It raised: the message is its traceback."""


class ProcessExitedException(ProcessException):
    """It ended by a signal or an exit code."""

    def __init__(self, msg, error_index, error_pid, exit_code, signal_name=None):
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def _call(fn, i, args, errors):
    import sys
    import traceback

    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        errors.put(traceback.format_exc())
        sys.exit(1)


class ProcessContext:
    """The processes that spawn(join=False) started."""

    def __init__(self, processes, errors):
        self.processes, self.errors = processes, errors

    def pids(self) -> list:
        return [p.pid for p in self.processes]

    def join(self, timeout=None, grace_period=None) -> bool:
        """Wait; True once all have ended well. The first failure ends the others and is raised."""
        import time
        from multiprocessing import connection

        until = None if timeout is None else time.monotonic() + timeout
        while True:
            codes = [p.exitcode for p in self.processes]  # once: a process may end between two looks
            failed = next((i for i, code in enumerate(codes) if code not in (None, 0)), None)
            if failed is not None:
                break
            running = [p.sentinel for p, code in zip(self.processes, codes, strict=True) if code is None]
            if not running:
                return True
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return False
            connection.wait(running, timeout=left)
        for p in self.processes:
            if p.is_alive():
                p.terminate()
        for p in self.processes:
            p.join()
        broken = self.processes[failed]
        if self.errors[failed].empty():
            code = broken.exitcode
            if code < 0:
                import signal

                name = signal.Signals(-code).name
                raise ProcessExitedException(
                    f"process {failed} terminated with signal {name}", failed, broken.pid, code, name
                )
            raise ProcessExitedException(f"process {failed} terminated with exit code {code}", failed, broken.pid, code)
        text = f"\n\n-- Process {failed} terminated with the following error:\n{self.errors[failed].get()}"
        raise ProcessRaisedException(text, failed, broken.pid)


def start_processes(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Call fn(i, *args) in nprocs processes, i from 0; wait for them, or (join=False) give a ProcessContext."""
    context = get_context(start_method)
    processes, errors = [], []
    for i in range(nprocs):
        queue = context.SimpleQueue()
        process = context.Process(target=_call, args=(fn, i, args, queue), daemon=daemon)
        process.start()
        processes.append(process)
        errors.append(queue)
    started = ProcessContext(processes, errors)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """start_processes with fresh interpreters."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)


def get_all_sharing_strategies() -> set:
    """{"copy"}."""
    return {"copy"}


def get_sharing_strategy() -> str:
    """ "copy": a tensor that is sent to another process arrives as a copy."""
    return "copy"


def set_sharing_strategy(new_strategy: str) -> None:
    """torch's strategies ("file_descriptor", "file_system") are accepted; tensors are copied whichever is named."""
    if new_strategy not in ("copy", "file_descriptor", "file_system"):
        raise ValueError(f"set_sharing_strategy: unknown strategy {new_strategy!r}")
