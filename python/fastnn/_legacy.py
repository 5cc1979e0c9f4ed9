"""The typed constructors of old scripts: FloatTensor(2, 3), LongTensor([1, 2]), isinstance(x, ByteTensor)."""

from . import dtypes as dt
from ._device import check_device
from .tensor import Tensor, legacy_new


class _TensorType(type):
    """A class whose instances are the Tensors of one dtype, and whose call makes one."""

    def __instancecheck__(cls, x):
        return isinstance(x, Tensor) and x.dtype is cls.dtype and not x.is_sparse

    def __subclasscheck__(cls, other):
        return other is cls

    def __call__(cls, *data, device=None):
        """Of sizes: uninitialised; of a sequence or array: its values in cls.dtype. TypeError for a Tensor of another
        dtype."""
        check_device(device, cls.__name__)
        return legacy_new(Tensor, data, cls.dtype, cls.__name__)

    def __repr__(cls):
        return f"<class 'torch.{cls.__name__}'>"


TYPES = {}
for _d in dt.dtype._all.values():
    if _d.category < 3:
        _name = f"{_d.short}Tensor"
        TYPES[_name] = _TensorType(_name, (), {"dtype": _d, "__module__": "torch", "__doc__": f"Tensors of {_d}."})


def set_default_tensor_type(t) -> None:
    """set_default_dtype by a tensor type such as FloatTensor, or its name ('torch.DoubleTensor')."""
    if isinstance(t, str):
        name = t.removeprefix("torch.")
        if name not in TYPES:
            raise TypeError(f"invalid type: '{t}'; one of {', '.join(TYPES)}")
        t = TYPES[name]
    if not isinstance(t, _TensorType) or t.dtype.category != 2:
        raise TypeError(f"only floating-point types are supported as the default type, got {t!r}")
    dt.set_default_dtype(t.dtype)
