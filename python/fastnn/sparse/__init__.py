"""Sparse COO matrices (torch.sparse): products with gradients, sums, softmax, and the typed constructors."""

from .. import dtypes as dt
from ..ops.sparse import SparseTensor, addmm, log_softmax, mm, softmax, sparse_coo_tensor, sum


class _SparseType(type):
    """A class whose instances are the sparse tensors of one dtype, and whose call makes one."""

    def __instancecheck__(cls, x):
        return isinstance(x, SparseTensor) and x.dtype is cls.dtype

    def __call__(cls, indices=None, values=None, size=None, *, device=None):
        """FloatTensor(indices, values, size), or FloatTensor(size) without values."""
        if values is None:
            return sparse_coo_tensor(indices if indices is not None else (), dtype=cls.dtype, device=device)
        if values.dtype is not cls.dtype:
            raise TypeError(f"expected values of {cls.dtype}, got {values.dtype}; convert them with .to({cls.dtype})")
        return sparse_coo_tensor(indices, values, size, device=device)


def _typed(d):
    name = f"{d.short}Tensor"
    return name, _SparseType(name, (), {"dtype": d, "__module__": "torch.sparse", "__doc__": f"Sparse tensors of {d}."})


_TYPES = dict(_typed(d) for d in dt.dtype._all.values() if d.category < 3)
globals().update(_TYPES)

__all__ = ["addmm", "log_softmax", "mm", "softmax", "sum", *_TYPES]  # noqa: PLE0604
