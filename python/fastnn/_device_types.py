"""The typed constructors of devices that are not there: torch.cuda.FloatTensor is a name, calling it raises."""

from . import dtypes as dt


class _AbsentType(type):
    def __instancecheck__(cls, x):
        return False

    def __call__(cls, *data, **options):
        raise TypeError(
            f"type {cls.__module__}.{cls.__name__} not available. Torch not compiled with CUDA enabled; "
            f"torch.{cls.__name__} makes one on the CPU"
        )


def make(device: str) -> dict:
    """{"FloatTensor": the type of float32 tensors on `device`, ...}; no tensor is an instance of them."""
    types = {}
    for d in dt.dtype._all.values():
        if d.category < 3:
            name = f"{d.short}Tensor"
            types[name] = _AbsentType(
                name, (), {"dtype": d, "is_cuda": device == "cuda", "is_sparse": False, "__module__": f"torch.{device}"}
            )
    return types
