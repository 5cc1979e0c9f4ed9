"""The main process's side of a DataLoader's workers: hands out indices in turn, gives batches back in order."""

import collections
import multiprocessing
import pickle
import sys
import time
import weakref
from multiprocessing.connection import wait

from fastnn.utils.data import worker
from fastnn.utils.data.dataloader import index_batches
from fastnn.utils.data.dataset import IterableDataset
from fastnn.utils.data.sampler import draw_seed


def _context(wanted):
    if wanted is None:
        # fork: workers start in milliseconds and share the dataset's pages. The library's threads survive it.
        wanted = "fork" if sys.platform.startswith("linux") else None
    return multiprocessing.get_context(wanted) if wanted is None or isinstance(wanted, str) else wanted


def _stop(processes, pipes):
    """End the workers: politely, then not."""
    for tasks, _ in pipes:
        try:
            tasks.send(None)
        except OSError:
            pass
    for _, results in pipes:
        results.close()  # a writer that waits for us to read wakes with an error
    deadline = time.monotonic() + 5
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.terminate()
            process.join(1)
    for tasks, _ in pipes:
        tasks.close()


class WorkersIterator:
    """One epoch (with persistent workers: all of them) made by worker processes."""

    def __init__(self, loader):
        self._loader = loader
        self._stream = isinstance(loader.dataset, IterableDataset)
        self._timeout = loader.timeout
        self._indices = index_batches(loader)
        base_seed = draw_seed(loader.generator)
        context = _context(loader.multiprocessing_context)
        self._processes, self._pipes = [], []
        for i in range(loader.num_workers):
            task_reader, task_writer = context.Pipe(duplex=False)
            result_reader, result_writer = context.Pipe(duplex=False)
            arguments = (
                loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last, i, loader.num_workers,
                base_seed, loader.worker_init_fn, task_reader, result_writer,
            )  # fmt: skip
            process = context.Process(target=worker.run, args=arguments, daemon=True)
            process.start()
            task_reader.close()
            result_writer.close()
            self._processes.append(process)
            self._pipes.append((task_writer, result_reader))
        self._finalizer = weakref.finalize(self, _stop, self._processes, self._pipes)
        self._begin()

    def _begin(self):
        self._sent = self._due = 0  # numbers of the next batch to ask for, and to give
        self._arrived: dict = {}  # number → batch, come before its turn
        self._asked: dict = {}  # number → worker
        self._active = collections.deque(range(len(self._processes)))  # whose streams have not ended
        self._ended: set = set()
        for _ in range(self._loader.prefetch_factor * len(self._processes)):
            self._ask()

    def restart(self):
        """A new epoch with the same workers."""
        while self._asked:  # an epoch that was left in the middle: take what is still coming
            self._receive(None)
        for tasks, _ in self._pipes:
            tasks.send((-1, worker.Restarted()))
        self._indices = index_batches(self._loader)
        self._begin()

    def __iter__(self):
        return self

    def __len__(self) -> int:
        return len(self._loader)

    def _ask(self):
        """Give the next indices to the next worker in turn."""
        if not self._active:
            return
        try:
            indices = next(self._indices)
        except StopIteration:
            return
        i = self._active[0]
        self._active.rotate(-1)
        try:
            self._pipes[i][0].send((self._sent, indices))
        except OSError:
            self._check_alive()
            raise
        self._asked[self._sent] = i
        self._sent += 1

    def _receive(self, deadline):
        """Wait for a message of any worker, and file it under its number."""
        # Only workers that owe something: reading is bounded by what was asked for.
        owing = {self._pipes[i][1]: i for i in set(self._asked.values())}
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        sentinels = {self._processes[i].sentinel: i for i in owing.values()}
        ready = wait([*owing, *sentinels], left)
        if not ready:
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
        got = False
        for pipe in ready:
            if pipe in owing:
                try:
                    number, batch = pickle.loads(pipe.recv_bytes())
                except EOFError:
                    continue
                got = True
                i = self._asked.pop(number)
                if isinstance(batch, worker.StreamEnded):
                    if i not in self._ended:
                        self._ended.add(i)
                        self._active.remove(i)
                self._arrived[number] = batch
        if not got:
            self._check_alive()

    def _check_alive(self):
        dead = [p for p in self._processes if not p.is_alive()]
        if not dead:
            for p in self._processes:
                p.join(0.1)  # a pipe closes just before its process ends
            dead = [p for p in self._processes if not p.is_alive()]
        if dead:
            pids = ", ".join(str(p.pid) for p in dead)
            codes = ", ".join(str(p.exitcode) for p in dead)
            self._finalizer()
            raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly (exit code {codes})")

    def __next__(self):
        while True:
            if self._due not in self._arrived and self._due not in self._asked:
                if not self._loader.persistent_workers:
                    self._finalizer()
                raise StopIteration
            deadline = time.monotonic() + self._timeout if self._timeout else None
            while self._due not in self._arrived:
                self._receive(deadline)
            batch = self._arrived.pop(self._due)
            self._due += 1
            self._ask()
            if isinstance(batch, worker.StreamEnded):
                continue
            if isinstance(batch, worker.WorkerError):
                batch.reraise()
            return batch
