"""Stream capture for the stand-in. While a stream captures, every function of arrays and every emulated kernel that goes to
it is noted down; as on hardware nothing has happened when the capture ends: what was written is put back, what was made
is full of poison. A launch of the graph runs the notes again, on the same memory."""

import numpy as np

DISALLOWED = "the current stream is capturing, so {} are disallowed"
# What CuPy does not do without reading from the device, or by Thrust, which waits for the stream.
SYNCHRONOUS = set(
    "argpartition argsort argwhere bincount compress delete flatnonzero histogram histogramdd isin lexsort median "
    "nanmedian nonzero partition percentile quantile sort unique".split()
)


class CUDARuntimeError(RuntimeError):
    pass


def _arrays_in(values, found):
    for v in values.values() if isinstance(values, dict) else values:
        if isinstance(v, np.ndarray):
            found.append(v)
        elif isinstance(v, (tuple, list, dict)):
            _arrays_in(v, found)
    return found


def _results(r, given):
    """The arrays of a result that are new memory."""
    found = _arrays_in((r,), [])
    return [a for a in found if not any(np.may_share_memory(a, b) for b in given)]


class Recording:
    def __init__(self, allocated):
        self.log, self.undo, self.made, self.valid = [], [], [], True
        self.allocated = allocated  # the pool's blocks: memory that the notes name by its address alone

    def run(self, f, args, kwargs):
        """A function without side effects."""
        r = f(*args, **kwargs)
        if isinstance(r, np.generic):
            r = np.asarray(r)
        given = _arrays_in((args, kwargs), [])
        owner = getattr(f, "__self__", None)
        if isinstance(owner, np.ndarray):
            given.append(owner)
        new = _results(r, given)
        if new:
            self.log.append((f, args, kwargs, new))
            self.made += new
        return r

    def write(self, written, f, args, kwargs):
        """A function that writes to `written` and to nothing else."""
        self.save(written)
        self.log.append((f, args, kwargs, None))
        return f(*args, **kwargs)

    def save(self, h):
        self.undo.append((h, h.copy()))

    def end(self):
        for h, before in reversed(self.undo):
            if h.flags.writeable:
                h[...] = before
        for h in self.made:
            if h.flags.writeable and h.flags.forc and h.size and h.dtype.kind != "O":
                h.reshape(-1, order="A").view(np.uint8)[...] = 0xFF
        self.undo = self.made = None


class Graph:
    """cupy.cuda.Graph."""

    def __init__(self, recording):
        self._log, self.launches = recording.log, 0
        self._allocated = recording.allocated

    def launch(self, stream=None):
        self.launches += 1
        for f, args, kwargs, new in self._log:
            r = f(*args, **kwargs)
            if new is not None:
                for old, value in zip(
                    new, _results(np.asarray(r) if isinstance(r, np.generic) else r, ()), strict=False
                ):
                    old[...] = value

    def upload(self, stream=None):
        pass


class Native:
    """The emulated kernels, whose calls are noted down while the current stream captures."""

    def __init__(self, module, recording):
        self._module, self._recording = module, recording

    def __getattr__(self, name):
        f = getattr(self._module, name)
        if not callable(f):
            return f

        def call(*args):
            recording = self._recording()
            if recording is not None:
                owners = []
                _owners_in(args, owners)
                for h in owners:
                    recording.save(h)
                recording.log.append((f, args, {}, None))
            return f(*args)

        setattr(self, name, call)
        return call


def _owners_in(values, found):
    """The memory of the arrays among a kernel's arguments: (address, shape, strides, dtype, array)."""
    for v in values:
        if isinstance(v, (tuple, list)):
            if len(v) == 5 and hasattr(v[4], "_h"):
                found.append(v[4]._h)
            else:
                _owners_in(v, found)
