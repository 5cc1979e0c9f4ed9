"""What changes the dtype or the place of all of a Module's tensors: to, float, cuda ..."""

import fastnn
from fastnn.nn.parameter import is_lazy
from fastnn.tensor import Tensor


class ConvertMixin:
    """The part of Module that converts."""

    def _apply(self, fn, recurse: bool = True):
        """Replace every tensor t of parameters, gradients and buffers by fn(t), the parameters keeping identity."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            if is_lazy(parameter):
                parameter._convert(fn)
                continue
            with fastnn.no_grad():
                gradient = parameter.grad
                parameter.data = fn(parameter.data)
                if gradient is not None:
                    moved = fn(gradient)
                    parameter.grad = moved.requires_grad_(gradient.requires_grad)
        for name, buffer in self._buffers.items():
            if is_lazy(buffer):
                buffer._convert(fn)
            elif buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def _to_float_type(self, dtype):
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self):
        """Floating point parameters and buffers to float32; returns self."""
        return self._to_float_type(fastnn.float32)

    def double(self):
        """Floating point parameters and buffers to float64; returns self."""
        return self._to_float_type(fastnn.float64)

    def half(self):
        """Floating point parameters and buffers to float16; returns self."""
        return self._to_float_type(fastnn.float16)

    def bfloat16(self):
        """Floating point parameters and buffers to bfloat16; returns self."""
        return self._to_float_type(fastnn.bfloat16)

    def type(self, dst_type):
        """All parameters and buffers to `dst_type`; returns self."""
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self):
        """Everything to the CPU; returns self."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device=None):
        """Everything to a CUDA device; returns self."""
        return self._apply(lambda t: t.cuda(device))

    def to(self, *args, **kwargs):
        """to(device), to(dtype), to(device, dtype) or to(tensor): move and convert; returns self.

        A dtype, which must be a floating point one, is applied to floating point parameters and buffers only.
        """
        device, dtype, non_blocking = kwargs.pop("device", None), kwargs.pop("dtype", None), False
        kwargs.pop("memory_format", None)
        non_blocking = kwargs.pop("non_blocking", non_blocking)
        other = kwargs.pop("tensor", None)
        if kwargs:
            raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
        for position, argument in enumerate(args):
            if isinstance(argument, Tensor):
                other = argument
            elif isinstance(argument, fastnn.dtype):
                dtype = argument
            elif isinstance(argument, bool) and position > 0:
                non_blocking = argument
            elif argument is not None:
                device = argument
        if other is not None:
            device, dtype = other.device, other.dtype
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")

        def convert(t):
            wanted = {}
            if device is not None:
                wanted["device"] = device
            if dtype is not None and t.is_floating_point():
                wanted["dtype"] = dtype
            return t.to(**wanted, non_blocking=non_blocking) if wanted else t

        return self._apply(convert)

    def to_empty(self, *, device=None, recurse: bool = True):
        """Every parameter and buffer replaced by uninitialised memory on `device`; returns self."""
        return self._apply(lambda t: fastnn.empty_like(t), recurse=recurse)

    def xpu(self, device=None):
        """Everything to an XPU device; raises: there is none."""
        return self.to(f"xpu:{device}" if isinstance(device, int) else device or "xpu")
