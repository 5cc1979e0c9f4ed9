"""autocast: inside, matrix products and convolutions compute in bfloat16, losses in float32."""

import functools
import warnings

from fastnn.dtypes import bfloat16, float16
from fastnn.dtypes import dtype as _dtype
from fastnn.ops import _autocast

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast(device_type) does anything: for "cpu", and for "cuda" where there is a device."""
    return device_type == "cpu" or (device_type == "cuda" and cuda_is_available())


def cuda_is_available() -> bool:
    from fastnn.cuda import is_available

    return is_available()


class autocast:
    """A context manager and decorator for mixed precision: products and convolutions in `dtype`, losses in float32.

    device_type "cpu" computes in bfloat16 (or float16), "cuda" in float16 (or bfloat16); without a CUDA device the latter
    is disabled with a warning, as by torch. bfloat16 arrays need ml_dtypes: entering without it raises ImportError.
    """

    def __init__(self, device_type: str, dtype=None, enabled: bool = True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device_type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        if dtype is not None and not isinstance(dtype, _dtype):
            raise ValueError(f"Expected `dtype` to be a fastnn dtype such as fastnn.bfloat16, got {dtype!r}")
        self.device = device_type
        self.fast_dtype = (bfloat16 if device_type == "cpu" else float16) if dtype is None else dtype
        if enabled and not is_autocast_available(device_type):
            warnings.warn(
                f"User provided device_type of '{device_type}', but {device_type.upper()} is not available. Disabling "
                "autocast.",
                stacklevel=2,
            )
            enabled = False
        if enabled and self.fast_dtype not in (bfloat16, float16):
            warnings.warn(
                f"In CPU autocast, but the target dtype {dtype} is not supported. Disabling autocast. CPU Autocast only "
                "supports dtype of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._before: list = []

    def __enter__(self):
        if self._enabled:
            _ = self.fast_dtype.np  # bfloat16's array dtype may be missing: say so here
        self._before.append((_autocast.mode.dtype, _autocast.mode.cuda))
        if self.device == "cpu":
            _autocast.mode.dtype = self.fast_dtype if self._enabled else None
        elif self.device == "cuda":
            _autocast.mode.cuda = self.fast_dtype if self._enabled else None
        _autocast.depth += 1
        return self

    def __exit__(self, *exc):
        _autocast.mode.dtype, _autocast.mode.cuda = self._before.pop()
        _autocast.depth -= 1
        return False

    def __call__(self, function):
        @functools.wraps(function)
        def inside(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return inside


def custom_fwd(fwd=None, *, device_type: str = "cpu", cast_inputs=None):
    """Decorates forward of an autograd.Function: with cast_inputs, floating point tensors come in that dtype and
    autocast is off inside."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(*args, **kwargs):
        if cast_inputs is None or _autocast.mode.dtype is None:
            return fwd(*args, **kwargs)
        from fastnn.tensor import Tensor

        def cast(x):
            return x.to(cast_inputs) if isinstance(x, Tensor) and x.is_floating_point() and x.itemsize < 8 else x

        with autocast("cpu", enabled=False):
            return fwd(*map(cast, args), **{k: cast(v) for k, v in kwargs.items()})

    return forward


def custom_bwd(bwd=None, *, device_type: str = "cpu"):
    """Decorates backward of an autograd.Function: autocast is off inside, and the gradients have their own dtypes."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)
    return autocast(device_type, enabled=False)(bwd)
