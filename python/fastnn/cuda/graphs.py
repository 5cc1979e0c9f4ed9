"""Steps recorded once and replayed in one launch: fastnn.cuda.graph, and torch's names for the same."""

from fastnn.autograd import Function
from fastnn.tensor import Tensor, wrap
from fastnn.utils._pytree import tree_flatten, tree_unflatten

from . import _arrays

__all__ = ["CUDAGraph", "GraphedStep", "graph", "graph_pool_handle", "is_current_stream_capturing",
           "make_graphed_callables"]  # fmt: skip

_MODES = ("global", "thread_local", "relaxed")


def is_current_stream_capturing() -> bool:
    """Whether this thread is recording a step."""
    from . import is_current_stream_capturing as capturing

    return capturing()


def graph(step, pool=None, stream=None, capture_error_mode: str = "global", *, warmup: int = 2, copy: bool = True):
    """`step`, a function, recorded once and replayed in one launch: returns a GraphedStep, to be called as `step` is.

        @fastnn.cuda.graph
        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

    With a CUDAGraph for `step` it is torch's context manager: `with fastnn.cuda.graph(g): ...` records, nothing is computed,
    and g.replay() runs what was recorded, on the same memory.

    pool: memory shared with another recording (graph_pool_handle(), or its pool()). stream: the one to record on, not the
    default one. capture_error_mode is checked only: a recording concerns its own thread. warmup, copy: see GraphedStep.
    """
    if capture_error_mode not in _MODES:
        raise ValueError(f"graph: capture_error_mode must be one of {', '.join(_MODES)}, got {capture_error_mode!r}")
    if isinstance(step, CUDAGraph):
        return _Context(step, pool, stream)
    if not callable(step):
        raise TypeError(f"graph: expected a function or a torch.cuda.CUDAGraph, got {type(step).__name__}")
    return GraphedStep(step, pool, stream, warmup=warmup, copy=copy)


class _Pool:
    """Memory that recordings share."""

    def __init__(self):
        self.pool = _arrays("graph_pool_handle").cuda.MemoryPool()


def graph_pool_handle():
    """Memory for several recordings, which are to be replayed in the order in which they were made: `pool=` of graph()."""
    return _Pool()


def _recording(pool, stream, strict=False):
    arrays = _arrays("graph")
    from fastnn._device import use_cuda

    use_cuda("fastnn.cuda.graph")
    if pool is not None and not isinstance(pool, _Pool):
        raise TypeError(
            f"graph: pool must come from graph_pool_handle() or CUDAGraph.pool(), got {type(pool).__name__}"
        )
    theirs = None if stream is None else stream._stream
    if theirs is not None and theirs.ptr == arrays.cuda.Stream.null.ptr:
        raise RuntimeError(
            "graph: a step cannot be recorded on the default stream; pass torch.cuda.Stream() or nothing"
        )
    from ._recording import Recording

    return Recording((_Pool() if pool is None else pool).pool, theirs, strict)


class CUDAGraph:
    """What `with torch.cuda.graph(g):` records. Unlike torch's, replays read the learning rate from the optimizer's groups and
    advance step counts and random numbers without `capturable` or registration. keep_graph, instantiate(),
    raw_cuda_graph() and debug output are not available."""

    def __init__(self, keep_graph: bool = False):
        if keep_graph:
            raise NotImplementedError("CUDAGraph: keep_graph=True is not available")
        _arrays("CUDAGraph")
        self._recording = self._pool = None

    def capture_begin(self, pool=None, capture_error_mode: str = "global") -> None:
        """Record what this thread does on the current stream, which must not be the default one."""
        from . import current_stream

        self._begin(pool, current_stream())

    def _begin(self, pool, stream) -> None:
        if self._recording is not None:
            raise RuntimeError("CUDAGraph: this graph holds a recording already; call reset() first")
        self._pool = _Pool() if pool is None else pool
        recording = _recording(self._pool, stream)
        recording.begin()
        self._recording = recording

    def capture_end(self) -> None:
        """Stop recording."""
        if self._recording is None:
            raise RuntimeError("CUDAGraph: capture_end() without capture_begin()")
        try:
            self._recording.end()
        except BaseException:
            self._recording = None
            raise

    def _abandon(self) -> None:
        if self._recording is not None:
            self._recording.abandon()
        self._recording = None

    def replay(self) -> None:
        """Run what was recorded, on the current stream: it reads and writes the memory that it was recorded with."""
        if self._recording is None:
            raise RuntimeError("CUDAGraph: replay() before anything was recorded")
        self._recording.prepare()
        self._recording.launch()

    def check(self) -> None:
        """Wait for the replays so far, and raise IndexError where a target or an index of one was out of bounds."""
        if self._recording is not None:
            self._recording.look()

    def reset(self) -> None:
        """Give up the recording and its memory."""
        self._recording = self._pool = None

    def pool(self):
        """The recording's memory, for another one."""
        if self._pool is None:
            raise RuntimeError("CUDAGraph: pool() before anything was recorded")
        return self._pool

    def _absent(name):
        def method(self, *args, **kwargs):
            raise NotImplementedError(f"CUDAGraph.{name} is not available in fastnn")

        method.__name__ = name
        method.__doc__ = "Not available: raises."
        return method

    debug_dump, enable_debug_mode, instantiate, raw_cuda_graph, register_generator_state = map(
        _absent, ("debug_dump", "enable_debug_mode", "instantiate", "raw_cuda_graph", "register_generator_state")
    )
    del _absent


class _Context:
    """with torch.cuda.graph(g): …"""

    def __init__(self, graph, pool, stream):
        self.cuda_graph, self._pool, self._stream = graph, pool, stream

    def __enter__(self):
        self.cuda_graph._begin(self._pool, self._stream)
        return self

    def __exit__(self, kind, error, traceback):
        if error is None:
            self.cuda_graph.capture_end()
            return False
        recording = self.cuda_graph._recording
        self.cuda_graph._abandon()
        explained = recording.explained(error)
        if explained is not error:
            raise explained from error
        return False


class GraphedStep:
    """A function of tensors on the device whose calls from the third on are one launch each.

    The first `warmup` calls run as usual. The next is recorded, which computes nothing, and from then on each call copies its
    tensors to where the recorded ones lie, launches the recording, and returns copies of the results without gradient
    (copy=False: the tensors that the next call overwrites). So n calls are n steps, with the values that uncaptured ones
    have. Learning rates are read from the optimizers' groups at each call, step counts and random streams go on.

    Python runs once: numbers, branches, prints and hooks are those of the recording. Raises RuntimeError where the step needs
    values on the host (item(), printing, shapes that depend on data) or draws from the CPU's generator, and where a call's
    tensors differ from the recorded ones in number, shape, dtype or device, or other arguments in value; IndexError, some
    calls later or at check(), for a target or an index that was out of bounds (such rows are left out).
    """

    def __init__(self, step, pool=None, stream=None, *, warmup: int = 2, copy: bool = True):
        if not isinstance(warmup, int) or warmup < 0:
            raise ValueError(f"graph: warmup must be a number of calls, 0 or more, got {warmup!r}")
        _arrays("graph")
        self.step, self.warmup, self.copy = step, warmup, copy
        self._how = pool, stream
        self.__doc__ = step.__doc__
        self.reset()

    def reset(self) -> None:
        """Give up the recording: the next calls warm up and record anew."""
        self._recording, self._calls, self._leaves = None, 0, ()

    def check(self) -> None:
        """Wait for the calls so far, and raise IndexError where a target or an index of one was out of bounds."""
        if self._recording is not None:
            self._recording.look()

    def __call__(self, *args, **kwargs):
        if self._recording is None:
            if self._calls < self.warmup:
                return self._warm_up(args, kwargs)
            self._record(args, kwargs)
        self._fill(args, kwargs)
        self._recording.prepare()
        self._recording.launch()
        leaves = [wrap(t._a.copy() if self.copy else t._a) if isinstance(t, Tensor) else t for t in self._results]
        return tree_unflatten(leaves, self._result)

    def _warm_up(self, args, kwargs):
        from ._recording import watch

        self._calls += 1
        if self._calls < self.warmup:
            return self.step(*args, **kwargs)
        leaves = {}
        with watch(lambda t: leaves.setdefault(id(t), t)):  # what gets gradients
            result = self.step(*args, **kwargs)
        self._leaves = tuple(leaves.values())
        return result

    def _record(self, args, kwargs) -> None:
        given, self._structure = tree_flatten((args, kwargs))
        self._inputs = []
        for i, v in enumerate(given):
            if isinstance(v, Tensor):
                if not v.is_cuda or v.is_sparse:
                    raise RuntimeError(
                        f"fastnn.cuda.graph: argument {i} is a tensor on {v.device}: a recorded step takes dense tensors on "
                        "device 'cuda'; move it before the call"
                    )
                if v.requires_grad:
                    raise RuntimeError(
                        f"fastnn.cuda.graph: argument {i} requires a gradient: that of the caller's tensor would not be made. "
                        "Pass it without, or keep it in the step as a parameter"
                    )
                v = wrap(v._a.copy())
            self._inputs.append(v)
        static_args, static_kwargs = tree_unflatten(self._inputs, self._structure)
        recording = _recording(*self._how, strict=True)
        recording.begin(self._leaves)
        try:
            result = self.step(*static_args, **static_kwargs)
            leaves, structure = tree_flatten(result)
            for t in leaves:
                if isinstance(t, Tensor) and not t.is_cuda:
                    raise RuntimeError(
                        "fastnn.cuda.graph: the step returns a tensor in host memory, which replays would not change"
                    )
        except BaseException as error:
            recording.abandon()
            explained = recording.explained(error)
            if explained is not error:
                raise explained from error
            raise
        recording.end()
        self._results = [t.detach() if isinstance(t, Tensor) else t for t in leaves]
        self._result, self._recording = structure, recording

    def _fill(self, args, kwargs) -> None:
        given, structure = tree_flatten((args, kwargs))
        if structure != self._structure:
            raise RuntimeError("fastnn.cuda.graph: the arguments differ from the recorded ones in number or structure")
        for i, (new, old) in enumerate(zip(given, self._inputs, strict=True)):
            if not isinstance(old, Tensor):
                if isinstance(new, Tensor) or (new is not old and new != old):
                    raise RuntimeError(
                        f"fastnn.cuda.graph: argument {i} was {old!r} when the step was recorded, and is {new!r}: only "
                        "tensors may change; reset() records anew"
                    )
                continue
            if not isinstance(new, Tensor) or (new.shape, new.dtype, new.device) != (old.shape, old.dtype, old.device):
                now = f"{list(new.shape)} {new.dtype} on {new.device}" if isinstance(new, Tensor) else repr(new)
                raise RuntimeError(
                    f"fastnn.cuda.graph: argument {i} was {list(old.shape)} {old.dtype} on {old.device} when the step was "
                    f"recorded, and is {now}; reset() records anew"
                )
        for new, old in zip(given, self._inputs, strict=True):
            if isinstance(old, Tensor) and new._a is not old._a:
                old._a[...] = new._a


def make_graphed_callables(
    callables, sample_args, num_warmup_iters: int = 3, allow_unused_input: bool = False, pool=None
):
    """Functions or modules whose forward and backward passes are recorded, each on its own: what is between and around them
    (losses, updates) stays as it is. A module is returned with its forward replaced for the mode that it is in (training or
    not) at the time; other calls than those with tensors of the sample's shapes raise.

    callables: one, or a tuple; sample_args: its tensors on the device in a tuple, with requires_grad as calls will have it,
    or a tuple of such tuples. Each is run num_warmup_iters times first, forward and backward. allow_unused_input: inputs and
    parameters that do not matter get None. Outputs are overwritten by the next call. Raises as fastnn.cuda.graph does."""
    alone = not isinstance(callables, tuple)
    if alone:
        callables, sample_args = (callables,), (sample_args,)
    if len(callables) != len(sample_args):
        raise RuntimeError(
            f"make_graphed_callables: {len(callables)} callables and sample_args for {len(sample_args)}: a tuple for each"
        )
    parts = [_Part(f, args, allow_unused_input, pool) for f, args in zip(callables, sample_args, strict=True)]
    for part in parts:
        for _ in range(num_warmup_iters):
            part.gradients(part.run())
    for part in parts:  # in the order in which replays come, so that they can share memory
        part.record_forward()
    for part in reversed(parts):
        part.record_backward()
    found = tuple(part.installed() for part in parts)
    return found[0] if alone else found


class _Part:
    """One callable of make_graphed_callables."""

    def __init__(self, function, args, allow_unused, pool):
        from fastnn.nn import Module

        for i, a in enumerate(args):
            if not isinstance(a, Tensor) or not a.is_cuda:
                raise RuntimeError(
                    f"make_graphed_callables: sample argument {i} must be a tensor on device 'cuda', got {a!r}"
                )
        self.module = function if isinstance(function, Module) else None
        self.function = function.forward if self.module is not None else function
        self.inputs = [wrap(a._a.copy()).requires_grad_(a.requires_grad) for a in args]
        parameters = [] if self.module is None else list(self.module.parameters())
        self.sources = [*self.inputs, *parameters]
        self.wanted = [t for t in self.sources if t.requires_grad]
        self.parameters, self.allow_unused, self.pool = parameters, allow_unused, pool
        self.memory = [p._a for p in parameters]

    def run(self):
        from fastnn.autograd import enable_grad

        with enable_grad():
            return self.function(*self.inputs)

    def gradients(self, result, given=None):
        from fastnn.autograd import grad

        ends = [t for t in tree_flatten(result)[0] if isinstance(t, Tensor) and t.requires_grad]
        if not ends or not self.wanted:
            return [None] * len(self.wanted)
        given = [wrap(t._a.copy()) for t in ends] if given is None else given
        return grad(ends, self.wanted, given, allow_unused=self.allow_unused)

    def _recorded(self, f):
        recording = _recording(self.pool, None)
        recording.begin()
        try:
            result = f()
        except BaseException as error:
            recording.abandon()
            explained = recording.explained(error)
            if explained is not error:
                raise explained from error
            raise
        recording.end()
        return recording, result

    def record_forward(self) -> None:
        self.forward, result = self._recorded(self.run)
        self.outputs, self.structure = tree_flatten(result)
        self.graph = result  # what backward reads

    def record_backward(self) -> None:
        self.weights = [
            wrap(t._a.copy()) for t in self.outputs if isinstance(t, Tensor) and t.requires_grad
        ]  # the gradients that arrive
        self.backward, found = self._recorded(lambda: self.gradients(self.graph, self.weights))
        found = iter(found)
        self.found = [next(found) if t.requires_grad else None for t in self.sources]
        self.needed = [isinstance(t, Tensor) and t.requires_grad for t in self.outputs]
        self.outputs = [t.detach() if isinstance(t, Tensor) else t for t in self.outputs]
        self.graph = None

    def installed(self):
        part = self

        class Graphed(Function):
            @staticmethod
            def forward(ctx, *given):
                for new, old in zip(given, part.inputs, strict=False):
                    if new._a is not old._a:
                        old._a[...] = new._a
                part.forward.prepare()
                part.forward.launch()
                outputs = [wrap(t._a) for t in part.outputs if isinstance(t, Tensor)]
                needed = [yes for t, yes in zip(part.outputs, part.needed, strict=True) if isinstance(t, Tensor)]
                ctx.mark_non_differentiable(*[t for t, yes in zip(outputs, needed, strict=True) if not yes])
                return tuple(outputs)

            @staticmethod
            def backward(ctx, *gradients):
                tensors = [yes for t, yes in zip(part.outputs, part.needed, strict=True) if isinstance(t, Tensor)]
                arrived = [g for g, yes in zip(gradients, tensors, strict=True) if yes]
                for g, to in zip(arrived, part.weights, strict=True):
                    to._a[...] = g._a
                part.backward.prepare()
                part.backward.launch()
                return tuple(None if g is None else wrap(g._a) for g in part.found)

        def call(*args):
            if len(args) != len(part.inputs):
                raise RuntimeError(f"a recorded callable takes {len(part.inputs)} tensors, got {len(args)}")
            for i, (new, old) in enumerate(zip(args, part.inputs, strict=True)):
                if not isinstance(new, Tensor) or (new.shape, new.dtype, new.device) != (
                    old.shape,
                    old.dtype,
                    old.device,
                ):
                    raise RuntimeError(
                        f"argument {i} of a recorded callable must be {list(old.shape)} {old.dtype} on {old.device}, got "
                        + (f"{list(new.shape)} {new.dtype} on {new.device}" if isinstance(new, Tensor) else repr(new))
                    )
            if any(p._a is not a for p, a in zip(part.parameters, part.memory, strict=True)):
                raise RuntimeError(
                    "a parameter of a recorded callable has other memory than when it was recorded (.data or .to()?): change "
                    "parameters in place (copy_, load_state_dict), or record anew"
                )
            tensors = iter(Graphed.apply(*args, *part.parameters))
            leaves = [next(tensors) if isinstance(t, Tensor) else t for t in part.outputs]
            return tree_unflatten(leaves, part.structure)

        if self.module is None:
            return call
        plain, mode = self.function, self.module.training
        self.module.forward = lambda *args: call(*args) if part.module.training == mode else plain(*args)
        return self.module
