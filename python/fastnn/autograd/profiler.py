"""The older path of fastnn.profiler."""

from fastnn import profiler as _profiler
from fastnn.profiler import record_function

__all__ = ["profile", "record_function"]


class profile(_profiler.profile):
    """profiler.profile with torch.autograd.profiler's arguments: enabled=False notes nothing."""

    def __init__(self, enabled=True, **options):
        super().__init__()
        self.enabled = enabled

    def start(self):
        if self.enabled:
            super().start()

    def __str__(self):
        return str(self.events())

    def table(self, *args, **kwargs) -> str:
        """events().table()"""
        return self.events().table(*args, **kwargs)
