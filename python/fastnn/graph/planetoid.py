"""Cora, Citeseer, Pubmed with the public split (Yang et al. 2016), from the files ind.NAME.* of github.com/kimiyoung/planetoid.

They are pickles of SciPy's matrices. They are read here without SciPy and without running what a pickle may name: arrays
and matrices become plain holders, anything else is refused.
"""

import os
import pickle
from collections import defaultdict

import fastnn

_CODES = {"f4": "float32", "f8": "float64", "i4": "int32", "i8": "int64"}


class _Dtype:
    def __init__(self, code, *_):
        self.code = code

    def __setstate__(self, state):
        if state[1] == ">":
            raise pickle.UnpicklingError("an array with big-endian numbers")


class _Array:
    def __setstate__(self, state):
        _, self.shape, dtype, fortran, data = state
        if dtype.code not in _CODES or (fortran and len(self.shape) > 1):
            raise pickle.UnpicklingError(f"an array of {dtype.code}, order {'F' if fortran else 'C'}")
        data = data.encode("latin1") if isinstance(data, str) else data
        kind = getattr(fastnn, _CODES[dtype.code])
        self.tensor = (
            fastnn.frombuffer(bytearray(data), dtype=kind).reshape(self.shape) if data else fastnn.zeros(self.shape)
        )


class _Matrix:
    """scipy.sparse.csr_matrix: data, indices and indptr, as it pickles."""

    def dense(self):
        rows, columns = self._shape
        pointer = self.indptr.tensor.to(fastnn.int64)
        row = fastnn.repeat_interleave(fastnn.arange(rows), pointer[1:] - pointer[:-1])
        out = fastnn.zeros(rows * columns)
        at = row * columns + self.indices.tensor.to(fastnn.int64)
        return out.index_add(0, at, self.data.tensor.to(fastnn.float32)).view(rows, columns)


def _reconstruct(*_):
    return _Array()


def _encode(text, coding):
    """How newer pickles write bytes under an old protocol."""
    if coding != "latin1":
        raise pickle.UnpicklingError(f"bytes written as {coding}")
    return text.encode("latin1")


class _Reader(pickle.Unpickler):
    allowed = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("_codecs", "encode"): _encode,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("scipy.sparse.csr", "csr_matrix"): _Matrix,
        ("scipy.sparse._csr", "csr_matrix"): _Matrix,
        ("collections", "defaultdict"): defaultdict,
        ("__builtin__", "list"): list,
        ("builtins", "list"): list,
    }

    def find_class(self, module, name):
        try:
            return self.allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"Planetoid: the file names {module}.{name}: refused") from None


class Planetoid:
    """A citation graph: `x` float32 [N, F], `y` int64 [N], `edges` int64 [2, E] in both directions, and the index tensors
    `train` (20 a class), `validation` (500) and `test` (1,000) of the public split.

    `root` holds ind.NAME.x, .y, .tx, .ty, .allx, .ally, .graph and .test.index. With `normalise` each row of x adds up
    to 1. Raises FileNotFoundError where a file is missing.
    """

    def __init__(self, root, name: str = "cora", normalise: bool = True):
        self.root, self.name = os.path.expanduser(os.fspath(root)), name
        test = [int(line) for line in self._open("test.index").read().split()]
        x, tx = self._load("allx").dense(), self._load("tx").dense()
        labels, test_labels = self._load("ally").tensor, self._load("ty").tensor
        nodes = max(len(x), max(test) + 1)  # Citeseer lacks some test nodes: they stay zeros
        place = fastnn.tensor(test)
        self.x = fastnn.zeros(nodes, x.shape[1])
        self.x[: len(x)] = x
        self.x[place] = tx
        one_hot = fastnn.zeros(nodes, labels.shape[1])
        one_hot[: len(labels)] = labels.to(fastnn.float32)
        one_hot[place] = test_labels.to(fastnn.float32)
        self.y = one_hot.argmax(1)
        if normalise:
            self.x = self.x / self.x.sum(1, keepdim=True).clamp(min=1e-12)
        pairs = set()
        for node, others in self._load("graph").items():
            for other in others:
                if node != other:
                    pairs |= {(node, other), (other, node)}
        if pairs and not 0 <= min(map(min, pairs)) <= max(map(max, pairs)) < nodes:
            raise ValueError(f"Planetoid: {self.root} names nodes beyond its {nodes}")
        self.edges = fastnn.tensor(sorted(pairs)).t().contiguous()
        labelled = len(self._load("y").tensor)
        self.train = fastnn.arange(labelled)
        self.validation = fastnn.arange(labelled, labelled + 500)
        self.test = fastnn.tensor(sorted(test))

    def _open(self, part):
        return open(os.path.join(self.root, f"ind.{self.name}.{part}"), "rb")

    def _load(self, part):
        with self._open(part) as file:
            return _Reader(file, encoding="latin1").load()
