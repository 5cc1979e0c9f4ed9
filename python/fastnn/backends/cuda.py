"""Settings of CUDA's libraries, which are not here: kept, without effect."""

import contextlib

from ._absent import is_available as is_built

__all__ = ["is_built", "matmul", "sdp_kernel"]


class _Matmul:
    """Precision of matrix products on a CUDA device. allow_3xtf32: large float32 products may run on tensor cores as three
    products of TF32 numbers, with float32's accuracy; torch has no such setting."""

    allow_tf32 = False
    allow_3xtf32 = True
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


matmul = _Matmul()
_sdp = {"flash": True, "math": True, "mem_efficient": True, "cudnn": True}


def _switch(name):
    def enabled() -> bool:
        return _sdp[name]

    def enable(enabled: bool) -> None:
        _sdp[name] = bool(enabled)

    enabled.__name__, enable.__name__ = f"{name}_sdp_enabled", f"enable_{name}_sdp"
    enabled.__doc__ = "Whether this way of attention is allowed on a CUDA device."
    enable.__doc__ = "Allow this way of attention on a CUDA device; on the CPU there is one way."
    return enabled, enable


flash_sdp_enabled, enable_flash_sdp = _switch("flash")
math_sdp_enabled, enable_math_sdp = _switch("math")
mem_efficient_sdp_enabled, enable_mem_efficient_sdp = _switch("mem_efficient")
cudnn_sdp_enabled, enable_cudnn_sdp = _switch("cudnn")


@contextlib.contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Which ways of attention a CUDA device may use in the block; the CPU's one way computes the same."""
    before = dict(_sdp)
    _sdp.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield
    finally:
        _sdp.update(before)
