"""torch.profiler: how long the ranges took that record_function marks, and the steps. Single ops are not recorded."""

import enum
import functools
import json
import os
import threading
import time

__all__ = ["ProfilerAction", "ProfilerActivity", "profile", "record_function", "schedule", "supported_activities",
           "tensorboard_trace_handler"]  # fmt: skip


class ProfilerActivity(enum.Enum):
    """What may be profiled; here it is the CPU's time alone."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3


class ProfilerAction(enum.Enum):
    """What a schedule has the profiler do in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set:
    """{CPU}"""
    return {ProfilerActivity.CPU}


def schedule(*, wait, warmup, active, repeat=0, skip_first=0):
    """step -> ProfilerAction: skip_first steps of nothing, then cycles of `wait`, `warmup` and `active` steps, `repeat` of
    them (0: without end)."""
    if active <= 0:
        raise AssertionError("active must be > 0")

    def action(step):
        if step < skip_first:
            return ProfilerAction.NONE
        cycle, at = divmod(step - skip_first, wait + warmup + active)
        if repeat and cycle >= repeat or at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if at == wait + warmup + active - 1 else ProfilerAction.RECORD

    return action


class FunctionEvent:
    """One range: name, start and duration in µs, and what of it lay in no range inside."""

    def __init__(self, name, start, thread):
        self.name = self.key = name
        self.start, self.thread = start, thread
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.count = 1

    @property
    def cpu_time(self) -> float:
        return self.cpu_time_total / self.count

    def __repr__(self):
        return f"<{type(self).__name__} {self.key}: {self.cpu_time_total:.1f}us, {self.count} calls>"


class EventList(list):
    """Events, as table() shows them."""

    def table(self, sort_by=None, row_limit=100, max_src_column_width=75, max_name_column_width=55,
              max_shapes_column_width=80, header=None, top_level_events_only=False, time_unit=None) -> str:  # fmt: skip
        """The first row_limit events, sorted by one of their numbers, largest first."""
        rows = list(self)
        if sort_by is not None:
            rows.sort(
                key=lambda e: getattr(e, sort_by.replace("cuda", "cpu").replace("device", "cpu"), 0), reverse=True
            )
        whole = self.self_cpu_time_total or 1.0
        width = max([len(e.key) for e in rows] + [12])
        names = ("Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls")
        rule = "  ".join(["-" * width] + ["-" * 12] * len(names))
        lines = [rule, "  ".join(["Name".rjust(width)] + [n.rjust(12) for n in names]), rule]
        for e in rows[:row_limit] if row_limit >= 0 else rows:
            own, total = e.self_cpu_time_total, e.cpu_time_total
            parts = (f"{100 * own / whole:.2f}%", _time(own), f"{100 * total / whole:.2f}%", _time(total))
            parts += (_time(e.cpu_time), str(e.count))
            lines.append("  ".join([e.key.rjust(width)] + [p.rjust(12) for p in parts]))
        return "\n".join([*lines, rule, f"Self CPU time total: {_time(self.self_cpu_time_total)}", ""])

    @property
    def self_cpu_time_total(self) -> float:
        return sum(e.self_cpu_time_total for e in self)

    def __str__(self):
        return self.table()


def _time(us):
    return f"{us / 1e6:.3f}s" if us >= 1e6 else f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


_active: list = []  # the profiles that record now
_open = threading.local()


class record_function:
    """`with record_function(name):` a range that the active profiles note; a decorator too."""

    def __init__(self, name, args=None):
        self.name, self.args = name, args

    def __enter__(self):
        stack = _open.__dict__.setdefault("stack", [])
        self._event = FunctionEvent(self.name, time.perf_counter(), threading.get_ident())
        stack.append(self._event)
        return self

    def __exit__(self, *exc):
        event = _open.stack.pop()
        took = 1e6 * (time.perf_counter() - event.start)
        event.cpu_time_total += took
        event.self_cpu_time_total += took
        if _open.stack:
            _open.stack[-1].self_cpu_time_total -= took
        for one in _active:
            one._events.append(event)

    def __call__(self, func):
        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            with record_function(self.name):
                return func(*args, **kwargs)

        return wrapped


class profile:
    """`with profile() as p:` notes the ranges of the block, or of the steps that `schedule` chooses, told by p.step();
    on_trace_ready(p) is called after each such group of steps, or at the end. The other options change nothing."""

    def __init__(self, *, activities=None, schedule=None, on_trace_ready=None, record_shapes=False, profile_memory=False,
                 with_stack=False, with_flops=False, with_modules=False, experimental_config=None, **ignored):  # fmt: skip
        self._schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self._stepped = schedule is not None
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self._events: list = []
        self._step = None
        self._saved = False

    def start(self):
        """As entering the block."""
        self._begin()

    def stop(self):
        """As leaving it."""
        recorded = self._end()
        if self.on_trace_ready is not None and recorded:
            self.on_trace_ready(self)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    def _begin(self):
        action = self._schedule(self.step_num)
        if action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE):
            if self._saved:  # another cycle
                self._events, self._saved = [], False
            _active.append(self)
            if self._stepped:
                self._step = record_function(f"ProfilerStep#{self.step_num}")
                self._step.__enter__()

    def _end(self) -> bool:
        if self not in _active:
            return False
        if self._step is not None:
            self._step.__exit__()
            self._step = None
        _active.remove(self)
        return True

    def step(self):
        """The next step begins."""
        whole = self._schedule(self.step_num) is ProfilerAction.RECORD_AND_SAVE
        self._end()
        self.step_num += 1
        if whole:
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)
            self._saved = True
        self._begin()

    def events(self) -> EventList:
        """Every range noted, in the order in which they ended."""
        return EventList(self._events)

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0, **ignored) -> EventList:
        """One event for each name, with the sums of its ranges."""
        found: dict = {}
        for e in self._events:
            name = "ProfilerStep*" if e.name.startswith("ProfilerStep#") else e.name
            if name not in found:
                found[name] = FunctionEvent(name, e.start, e.thread)
                found[name].count = 0
            one = found[name]
            one.count += 1
            one.cpu_time_total += e.cpu_time_total
            one.self_cpu_time_total += e.self_cpu_time_total
        return EventList(found.values())

    def export_chrome_trace(self, path):
        """The ranges as a file that chrome://tracing shows."""
        events = [{"ph": "X", "name": e.name, "ts": 1e6 * e.start, "dur": e.cpu_time_total, "pid": os.getpid(),
                   "tid": e.thread} for e in self._events]  # fmt: skip
        with open(path, "w") as file:
            json.dump({"traceEvents": events}, file)

    def add_metadata_json(self, key, value):
        """Accepted."""


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False):
    """An on_trace_ready that writes each trace into the folder dir_name."""

    def handler(prof):
        os.makedirs(dir_name, exist_ok=True)
        name = f"{worker_name or os.getpid()}.{time.time_ns()}.pt.trace.json"
        prof.export_chrome_trace(os.path.join(dir_name, name))

    return handler
