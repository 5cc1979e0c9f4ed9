"""Storages: the memory behind a tensor, flat. What scripts use of them: data_ptr, sizes, elements."""

from .backend import xp
from .tensor import Tensor, wrap


class UntypedStorage:
    """The memory that a tensor and its views share, in bytes."""

    __slots__ = ("_root",)

    def __init__(self, root):
        self._root = root

    def data_ptr(self) -> int:
        return xp.address(self._root) if self._root.size else 0

    def nbytes(self) -> int:
        return self._root.nbytes

    size = __len__ = nbytes

    def tolist(self):
        return list(self._root.tobytes())

    def __eq__(self, other):
        return type(other) is type(self) and other.data_ptr() == self.data_ptr() and other.nbytes() == self.nbytes()

    def __hash__(self):
        return hash(self.data_ptr())


class TypedStorage(UntypedStorage):
    """The same memory in elements of the tensor's dtype."""

    __slots__ = ()

    @property
    def dtype(self):
        return wrap(self._root).dtype

    def element_size(self) -> int:
        return self._root.itemsize

    def size(self) -> int:
        return self._root.size

    __len__ = size

    def tolist(self):
        return self._root.tolist()

    def __getitem__(self, i):
        return self._root[i].item() if isinstance(i, int) else TypedStorage(self._root[i])

    def __setitem__(self, i, value):
        self._root[i] = value

    def __iter__(self):
        return iter(self._root.tolist())

    def untyped(self):
        return UntypedStorage(self._root)

    def __repr__(self):
        lines = "\n ".join(str(v) for v in self._root.tolist())
        return f" {lines}\n[torch.storage.TypedStorage(dtype={self.dtype}, device=cpu) of size {len(self)}]"


def _flat(t: Tensor):
    """The whole array that owns t's memory, flat where it is contiguous; else t's own elements."""
    root = t._a
    while isinstance(root.base, xp.ndarray) and root.base.dtype == root.dtype:
        root = root.base
    return root.reshape(-1) if root.flags.c_contiguous else xp.contiguous_copy(t._a).reshape(-1)


def storage(self):
    """The tensor's memory, as elements."""
    return TypedStorage(_flat(self))


def untyped_storage(self):
    """The tensor's memory, as bytes."""
    return UntypedStorage(_flat(self))
