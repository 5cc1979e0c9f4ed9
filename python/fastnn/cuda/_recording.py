"""What fastnn.cuda.graph keeps of a step while it is being recorded, and between replays: the stream and the memory pool, and
in device memory the numbers that change from replay to replay: learning rates, step counts, places of random streams, and
flags for what was found wrong on the device. One launch at the end of the recording moves counts and places on."""

import threading
import weakref

from fastnn import _tape
from fastnn.backend import cuda_runtime as rt
from fastnn.optim.optimizer import Optimizer, number
from fastnn.tensor import Tensor

_SLOTS = 4096  # numbers of each kind that a graph has room for: 96 KB
_RATES_FIXED = ("params", "lr", "param_names")


def _signed(value: int) -> int:
    """64 bits as int64 has them."""
    return value - (1 << 64) if value >= 1 << 63 else value


class _Numbers:
    """A vector in device memory of which single elements are set, by launches that carry the value along."""

    def __init__(self, dtype: str):
        self.array = rt.arrays.zeros(_SLOTS, dtype)
        self.used = 0
        self.known: dict = {}  # what an element holds, as far as the host knows

    def take(self, n: int, what: str) -> int:
        at, self.used = self.used, self.used + n
        if self.used > _SLOTS:
            raise RuntimeError(f"fastnn.cuda.graph: more than {_SLOTS} {what} in one recording; record it in parts")
        return at

    def address(self, at: int) -> int:
        return self.array.data.ptr + 8 * at

    def set(self, at: int, value) -> None:
        if self.known.get(at) != value:
            self.array[at : at + 1].fill(value)
            self.known[at] = value


class _Rate:
    """A learning rate that kernels read."""

    def __init__(self, optimizer, group, at):
        self.optimizer, self.group, self.at = optimizer, group, at
        self.fixed = {k: v for k, v in group.items() if k in optimizer.defaults and k not in _RATES_FIXED}
        self.params = [(p, p._a) for p in group["params"] if p._grad is not None]
        self.state = optimizer.state

    def check(self) -> None:
        group = self.group
        if self.optimizer.state is not self.state or all(g is not group for g in self.optimizer.param_groups):
            raise RuntimeError(
                f"fastnn.cuda.graph: {type(self.optimizer).__name__} has another state than when the step was recorded "
                "(load_state_dict?): record anew"
            )
        for k, v in self.fixed.items():
            now = group[k]
            if now is not v and (isinstance(now, Tensor) or now != v):
                raise RuntimeError(
                    f"fastnn.cuda.graph: group[{k!r}] of {type(self.optimizer).__name__} was {v} when the step was "
                    f"recorded, and is {now}: of an optimizer's options only 'lr' may change between replays; record anew"
                )
        for p, a in self.params:
            if p._a is not a:
                raise RuntimeError(
                    f"fastnn.cuda.graph: a parameter of shape {list(p._a.shape)} has other memory than when the step was "
                    "recorded (.data or .to()?): change parameters in place (copy_, load_state_dict), or record anew"
                )


class _Stream:
    """The place of a generator: two numbers, seed and next block."""

    def __init__(self, engine, at):
        self.engine, self.at, self.used = engine, at, 0


class _Counter:
    """A step count that kernels read: the count of the first parameter that it serves, and what is added to it."""

    def __init__(self, tensor, at, ahead):
        self.tensor, self.at, self.ahead = tensor, at, ahead


class _Leaf:
    """A tensor to which the step's backward pass leads. A recording that adds to a gradient needs that one at each replay;
    one that found none would write over one."""

    def __init__(self, tensor, before):
        self.tensor, self.before, self.first = tensor, before, tensor._grad  # before: when the recording began
        self.array = None if self.first is None else self.first._a
        self._version = self._count()

    def _count(self):
        return 0 if self.first is None or self.first._ver is None else self.first._ver.n

    def ended(self) -> None:
        self.after = self.tensor._grad
        self.touched = self.after is not self.first or self._count() != self._version

    def check(self) -> None:
        now = self.tensor._grad
        if self.touched and self.first is not None and (now is not self.first or now._a is not self.array):
            raise RuntimeError(
                "fastnn.cuda.graph: the step was recorded adding to a gradient that has been replaced since then: fill "
                "gradients with zeros in place, or call zero_grad() in the step"
            )
        if self.touched and self.first is None and self.before is None and now is not None:
            raise RuntimeError(
                "fastnn.cuda.graph: the step was recorded while gradients were None, and writes over those that are there now "
                "instead of adding to them: call zero_grad() in the step, or each time before it"
            )


class Recording:
    """One capture: begin(), the step, end(); or abandon() where it raised. Afterwards prepare() and launch(), at each
    replay. `strict`: gradients are checked to be there, or not to be, as they were."""

    def __init__(self, pool=None, stream=None, strict=False):
        arrays = rt.arrays
        self.pool = arrays.cuda.MemoryPool() if pool is None else pool
        self.stream = arrays.cuda.Stream(non_blocking=True) if stream is None else stream
        self.side = arrays.cuda.Stream(non_blocking=True)
        self.thread = threading.get_ident()
        self.strict = strict
        self.graph = None
        self.group = None  # of the optimizer that is in its step
        self._kept: dict = {}
        self._rates: list = []
        self._derived: list = []  # (group, (tensor, ahead) of its count or None, first place, type, function)
        self._streams: list = []
        self._counters: list = []
        self._checks: list = []  # (exception class, text) of each flag
        self._optimizers: list = []  # (optimizer, its counts before, names in its states before)
        self._depth = 0
        self._leaves: dict = {}
        self._since_check = 0
        live.add(self)

    # ---- the recording

    def begin(self, leaves=()) -> None:
        """leaves: tensors whose gradients the step is known to make."""
        if rt.capture is not None:
            raise RuntimeError("fastnn.cuda.graph: another step is being recorded; one recording at a time")
        self._before = {id(t): t._grad for t in leaves}
        self.counts, self.rates, self.flags = _Numbers("int64"), _Numbers("float64"), _Numbers("int64")
        self.ahead = rt.arrays.zeros(_SLOTS, "int64")  # what the counts grow by at each replay
        self._allocator = rt.arrays.cuda.using_allocator(self.pool.malloc)
        self._allocator.__enter__()
        self.stream.__enter__()
        try:
            self.stream.begin_capture()
        except BaseException:
            self._leave()
            raise
        rt.capture = self
        self._watch = watch(self._reached)
        self._watch.__enter__()

    def _leave(self) -> None:
        self.stream.__exit__(None, None, None)
        self._allocator.__exit__(None, None, None)

    def _stopped(self) -> None:
        rt.capture = None
        self._watch.__exit__()

    def end(self) -> None:
        """Stop recording; what could not be recorded raises here."""
        self._same_thread()
        failed = True
        try:
            if self.counts.used:
                n = self.counts.used
                counts = self.counts.array[:n]
                rt.arrays.add(counts, self.ahead[:n], out=counts)
            failed = False
        finally:
            self._stopped()
            try:
                graph = self.stream.end_capture()
            except Exception as error:
                raise self.explained(error) from None
            finally:
                self._leave()
                self._roll_back(failed or self.strict)
        self._finish(graph)

    def abandon(self) -> None:
        """After an exception in the step: the capture ends, its memory is given up, what was counted is put back."""
        self._stopped()
        try:
            self.stream.end_capture()
        except Exception:  # noqa: S110  (invalidated: that is why we are here)
            pass
        self._leave()
        self._roll_back(True)
        self._kept = {}
        self.pool = None

    def _same_thread(self) -> None:
        if threading.get_ident() != self.thread:
            raise RuntimeError("fastnn.cuda.graph: a recording ends in the thread that began it")

    def _roll_back(self, gradients: bool) -> None:
        """Nothing of the step has happened on the device: nor has it on the host."""
        self._advanced = []
        for optimizer, counts, names in reversed(self._optimizers):
            for p, s in list(optimizer.state.items()):  # what was made in the step was never filled
                for name in [n for n in s if n not in names.get(p, ())]:
                    del s[name]
            for tensor, before in counts:
                after = tensor._a.item()
                if after != before:
                    self._advanced.append((tensor, int(after - before)))
                    tensor._a[()] = before
        for leaf in self._leaves.values():
            leaf.ended()
            if gradients:
                leaf.tensor._grad = leaf.before

    def _finish(self, graph) -> None:
        self.graph = graph
        grown = dict((id(t), n) for t, n in self._advanced)
        ahead = [0] * self.counts.used
        for counter in self._counters:
            ahead[counter.at] = grown.get(id(counter.tensor), 0)
        for stream in self._streams:
            ahead[stream.at + 1] = stream.used
        for at, n in enumerate(ahead):
            if n:
                self.ahead[at : at + 1].fill(n)
        self._ahead = ahead
        self._kept = list(self._kept.values())

    def keep(self, values) -> None:
        """The graph names the memory of these arrays: they live as long as it does."""
        for v in values:
            if v.__class__ is rt.ndarray:
                self._kept[id(v)] = v
            elif v.__class__ in (list, tuple):
                self.keep(v)

    def constant(self, a):
        """The host array `a` on the device now, by a stream that is not recorded."""
        with self.side:
            there = rt.arrays.asarray(a)
            self.side.synchronize()
        self.keep((there,))
        return there

    # ---- what a replay reads anew

    def place(self, engine):
        """(seed, offset, address) for a draw: both count from the two numbers at the address."""
        stream = self._stream_of(engine)
        return 0, stream.used, self.counts.address(stream.at)

    def moved(self, engine, blocks: int) -> None:
        self._stream_of(engine).used += blocks

    def _stream_of(self, engine) -> _Stream:
        for stream in self._streams:
            if stream.engine is engine:
                return stream
        self._streams.append(_Stream(engine, self.counts.take(2, "counts and places of random streams")))
        return self._streams[-1]

    def optimizer_numbers(self, step) -> dict:
        """The addresses of learning rate and step count for a kernel that updates parameters of the present group."""
        if self.group is None:
            raise RuntimeError("fastnn.cuda.graph: an optimizer's kernel was called outside of Optimizer.step()")
        found = {"lr_at": self.rates.address(self._rate().at)}
        if step is not None:
            tensor, ahead = self._counted(step)
            at = self.counts.take(1, "counts and places of random streams")
            self._counters.append(_Counter(tensor, at, ahead))
            found["step_at"] = self.counts.address(at)
        return found

    def optimizer_rates(self, count: int, dtype, step, rates) -> list:
        """`count` 0-d arrays of the dtype: at each replay the numbers rates(step, learning rate), for the step that comes
        out of the count `step` of now. rates may move state of the optimizer's that lies on the host."""
        rate = self._rate()
        if not count:
            return []
        counted = None if step is None else self._counted(step)
        at = self.rates.take(count, "learning rates and what is made of them")
        self._derived.append((rate.group, counted, at, dtype.type, rates))
        return [self.rates.array[i : i + 1].reshape(()).astype(dtype) for i in range(at, at + count)]

    def _rate(self) -> _Rate:
        """The present group's learning rate; with it the group is checked, and its parameters' changes counted."""
        rate = next((r for r in self._rates if r.group is self.group), None)
        if rate is None:
            rate = _Rate(self._optimizers[-1][0], self.group, self.rates.take(1, "groups of parameters"))
            self._rates.append(rate)
        return rate

    def _counted(self, step):
        """(a tensor that counts the steps of parameters which are at `step`, how far ahead of it the kernel is)."""
        optimizer, counts, _ = self._optimizers[-1]
        tensor = next(
            s["step"]
            for s in (optimizer.state[p] for p in self.group["params"] if p._grad is not None)
            if s["step"]._a.item() == step
        )
        before = next((n for t, n in counts if t is tensor), None)
        if before is None:
            self._made_state(optimizer)
        return tensor, int(step - before)

    def optimizer_begins(self, optimizer) -> None:
        self._depth += 1
        if self._depth > 1:
            return
        name = type(optimizer).__name__
        step, update = (next(c for c in type(optimizer).__mro__ if method in vars(c)) for method in ("step", "_update"))
        if step is not Optimizer or not vars(update).get("_recordable"):
            raise RuntimeError(
                f"fastnn.cuda.graph: {name}.step() computes with numbers of the host (learning rate, step count), which a "
                "replay does not read again. fastnn.optim's can be recorded, but LBFGS and SparseAdam; with others record "
                "forward and backward, and call step() outside"
            )
        known = [id(t) for _, counts, _ in self._optimizers for t, _ in counts]
        states = list(optimizer.state.values())
        counts = [(s["step"], s["step"]._a.item()) for s in states if "step" in s and id(s["step"]) not in known]
        for previous, earlier, _ in self._optimizers:
            if previous is optimizer:
                counts = earlier + counts
        self._optimizers.append((optimizer, counts, {p: tuple(s) for p, s in optimizer.state.items() if s}))

    def optimizer_ends(self, optimizer) -> None:
        self._depth -= 1
        if self._depth:
            return
        self.group = None
        if {p: tuple(s) for p, s in optimizer.state.items() if s} != self._optimizers[-1][2]:
            self._made_state(optimizer)

    def _made_state(self, optimizer) -> None:
        raise RuntimeError(
            f"fastnn.cuda.graph: {type(optimizer).__name__} made its state (momentum, running means) in the step that was "
            "being recorded, and each replay would make it anew: run the step at least once before"
        )

    def check(self, bad, error, text: str) -> None:
        """Where an element of `bad` holds at a replay, a later one raises error(text)."""
        at = self.flags.take(1, "checks")
        flag = self.flags.array[at : at + 1]
        rt.arrays.maximum(flag, bad.any().astype("int64"), out=flag)
        self._checks.append((error, text))

    def _reached(self, t) -> None:
        if id(t) not in self._leaves:
            self._leaves[id(t)] = _Leaf(t, self._before.get(id(t), t._grad))

    def explained(self, error: BaseException) -> BaseException:
        """`error`, or where it is the capturing stream's, one that names what was called and what would do."""
        text = str(error)
        if "capturing" not in text and "StreamCapture" not in text:
            return error
        function, place = _caller(error.__traceback__)
        if "H2D" in text:
            what = "copies from the host to the device"
            do = "make such tensors before, or pass them to the step as arguments"
        else:
            what = "needs values on the host, or waits for the device"
            do = (
                "return the tensor from the step and read it after the call, choose with where() instead of if and masks, or "
                "keep this part out of the step"
            )
        return RuntimeError(
            f"fastnn.cuda.graph: {function}{place} {what}, which a step cannot do while it is being recorded: {do}"
        )

    # ---- replays

    def prepare(self) -> None:
        """Bring the numbers on the device up to date; launches only for what changed on the host."""
        if self.graph is None:
            raise RuntimeError(
                "fastnn.cuda.graph: nothing has been recorded; call replay() after a recording has ended"
            )
        if self.strict:
            for leaf in self._leaves.values():
                leaf.check()
        for rate in self._rates:
            rate.check()
            self.rates.set(rate.at, number(rate.group["lr"]))
        for group, counted, at, cast, rates in self._derived:
            step = None if counted is None else counted[0]._a.item() + counted[1]
            for i, value in enumerate(rates(step, number(group["lr"]))):
                self.rates.set(at + i, float(cast(value)))  # rounded here, so that the device's cast is exact
        for counter in self._counters:
            self.counts.set(counter.at, int(counter.tensor._a.item()) + counter.ahead)
        for stream in self._streams:
            self.counts.set(stream.at, _signed(stream.engine.initial_seed))
            self.counts.set(stream.at + 1, _signed(stream.engine.offset % (1 << 64)))
        if self._checks:
            self._since_check += 1
            if self._since_check > 16:
                self.look()

    def launch(self) -> None:
        """One replay, on the current stream."""
        self.graph.launch()
        for at, n in enumerate(self._ahead):
            if n:
                self.counts.known[at] = _signed((self.counts.known[at] + n) % (1 << 64))
        for tensor, n in self._advanced:
            tensor._a[()] += n
        for stream in self._streams:
            stream.engine.offset += stream.used
        for rate in self._rates:
            for p, _ in rate.params:
                p._bump()
        if self.strict:
            for leaf in self._leaves.values():
                leaf.tensor._grad = leaf.after

    def look(self) -> None:
        """Wait for the replays so far, and raise what their checks have found."""
        self._since_check = 0
        if not self._checks:
            return
        flags = self.flags.array[: len(self._checks)].get().tolist()
        for at, flag in enumerate(flags):
            if flag:
                self.flags.array[: len(self._checks)].fill(0)
                error, text = self._checks[at]
                raise error(f"{text} (seen in one of the last replays of a recorded step)")


def _caller(traceback):
    """(the function of fastnn that the user's code called last, and the op that it came to; where)."""
    function, op, place = "the step", "", ""
    inside = True
    while traceback is not None:
        frame = traceback.tb_frame
        module, code = frame.f_globals.get("__name__", ""), frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        if module.partition(".")[0] not in ("fastnn", "cupy", "cupy_backends", "numpy", "emulation"):
            place, inside, op = f" at {code.co_filename}:{traceback.tb_lineno}", False, ""
        elif not inside:
            function, inside = name, True
        elif not op and name[0] != "_" and module.startswith(("fastnn.ops.", "fastnn.optim.", "fastnn.nn.utils")):
            op = f" ({name})"
        traceback = traceback.tb_next
    return function + op, place


live: weakref.WeakSet = weakref.WeakSet()  # the recordings that can be replayed


def look() -> None:
    """Raise what the checks of any recording have found."""
    for recording in list(live):
        if recording.graph is not None:
            recording.look()


class watch:
    """A context in which found(t) is called with each tensor to which a backward pass of this thread leads."""

    def __init__(self, found):
        self._found = found

    def __enter__(self):
        self._thread, self._search = threading.get_ident(), _tape._reachable
        _tape._reachable = self._reachable

    def __exit__(self, *exc):
        _tape._reachable = self._search

    def _reachable(self, roots, mark):
        nodes = self._search(roots, mark)
        if threading.get_ident() == self._thread:
            for node in nodes:
                t = node.ref() if node.leaf else None
                if t is not None:
                    self._found(t)
        return nodes
