"""A DataLoader's worker process: takes lists of indices, gives back batches."""

import os
import pickle
import queue
import random
import threading
import traceback

import fastnn
from fastnn.backend import xp
from fastnn.utils.data.fetch import Fetcher

_worker_info = None


class WorkerInfo:
    """What get_worker_info() tells inside a worker."""

    def __init__(self, id, num_workers, seed, dataset):
        self.id, self.num_workers, self.seed, self.dataset = id, num_workers, seed, dataset

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, num_workers={self.num_workers}, seed={self.seed}, dataset={self.dataset!r})"


def get_worker_info() -> WorkerInfo | None:
    """In a DataLoader's worker its id, num_workers, seed and dataset; None in the main process."""
    return _worker_info


class WorkerError:
    """An exception raised in a worker, on its way to the main process."""

    def __init__(self, where: str):
        import sys

        kind, error, _ = sys.exc_info()
        self.kind, self.where = kind, where
        self.text = "".join(traceback.format_exception(error))

    def reraise(self):
        message = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        if self.kind is KeyError:  # its message is printed by repr: keep the line breaks
            raise KeyError(_Text(message))
        try:
            error = self.kind(message)
        except Exception:  # a class with a constructor of its own
            raise RuntimeError(message) from None
        raise error


class _Text(str):
    def __repr__(self) -> str:
        return str(self)


class StreamEnded:
    """This worker's copy of an IterableDataset has no more samples."""


class Restarted:
    """A persistent worker begins a new epoch."""


def run(dataset, auto_collation, collate_fn, drop_last, worker_id, num_workers, base_seed, init_fn, tasks, results):
    """The worker's life: (batch number, indices) from `tasks`, (batch number, batch) to `results`; None ends it.

    `results` is a pipe. A thread writes to it, so that the next batch is made while the last waits to be read.
    """
    global _worker_info
    outbox: queue.SimpleQueue = queue.SimpleQueue()
    writer = threading.Thread(target=_write, args=(outbox, results), daemon=True)
    failure = None
    fetcher = None
    try:
        fastnn.set_num_threads(1)  # the workers share the machine
        seed = base_seed + worker_id
        random.seed(seed)
        fastnn.manual_seed(seed)
        xp.seed_global(base_seed, worker_id)
        _worker_info = WorkerInfo(worker_id, num_workers, seed, dataset)
        if init_fn is not None:
            init_fn(worker_id)
        fetcher = Fetcher(dataset, auto_collation, collate_fn, drop_last)
    except Exception:
        failure = WorkerError(f"in DataLoader worker process {worker_id}")
    writer.start()
    parent = os.getppid()
    try:
        while True:
            while not tasks.poll(5):
                if os.getppid() != parent:  # the main process is gone without a word
                    return
            task = tasks.recv()
            if task is None:
                return
            number, indices = task
            if isinstance(indices, Restarted):
                failure, fetcher = _restart(dataset, auto_collation, collate_fn, drop_last, worker_id)
                continue
            outbox.put(_make_batch(number, indices, fetcher, failure, worker_id))
            failure = None
    except (KeyboardInterrupt, EOFError, OSError):
        pass  # the main process prints and cleans up
    # The writer is a daemon: what it may still hold, nobody waits for.


def _restart(dataset, auto_collation, collate_fn, drop_last, worker_id):
    try:
        return None, Fetcher(dataset, auto_collation, collate_fn, drop_last)
    except Exception:
        return WorkerError(f"in DataLoader worker process {worker_id}"), None


def _make_batch(number, indices, fetcher, failure, worker_id) -> bytes:
    if failure is None:
        try:
            return pickle.dumps((number, fetcher.fetch(indices)), protocol=5)
        except StopIteration:
            failure = StreamEnded()
        except Exception:
            failure = WorkerError(f"in DataLoader worker process {worker_id}")
    try:
        return pickle.dumps((number, failure), protocol=5)
    except Exception:  # an exception class that the main process could not find
        failure.kind = RuntimeError
        return pickle.dumps((number, failure), protocol=5)


def _write(outbox, results):
    while True:
        message = outbox.get()
        try:
            results.send_bytes(message)
        except OSError:  # nobody reads any more
            return
