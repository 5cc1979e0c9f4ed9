"""Automatic mixed precision under its older names: see fastnn.amp."""

from fastnn import amp as _amp

custom_fwd, custom_bwd = _amp.custom_fwd, _amp.custom_bwd

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(_amp.autocast):
    """amp.autocast("cuda", ...): without a CUDA device it warns and changes nothing."""

    def __init__(self, enabled=True, dtype=None, cache_enabled=True):
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(_amp.GradScaler):
    """amp.GradScaler("cuda", ...): without a CUDA device it warns and passes everything through."""

    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
