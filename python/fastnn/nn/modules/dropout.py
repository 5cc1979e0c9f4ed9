"""Dropout: in training each value is zeroed with probability p and the others are scaled by 1/(1-p)."""

from fastnn.nn import functional as F
from fastnn.nn.modules.module import Module


class _Dropout(Module):
    __constants__ = ["p", "inplace"]

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Drops single values. Shape: any → the same. In evaluation mode the input itself."""

    def forward(self, input):
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Drops whole channels. Shape: [N, C, L] or [C, L] → the same."""

    def forward(self, input):
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Drops whole channels. Shape: [N, C, H, W] → the same."""

    def forward(self, input):
        return F.dropout2d(input, self.p, self.training, self.inplace)
