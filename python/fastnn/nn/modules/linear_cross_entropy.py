"""The loss over a large vocabulary whose logits never lie in memory as a whole."""

import math

from fastnn import dtypes as dt
from fastnn.nn import functional as F
from fastnn.nn.modules.linear import Linear
from fastnn.nn.modules.loss import _WeightedLoss

_POLICIES = ("accurate", "balanced", "compact", "auto")


class LinearCrossEntropyOptions:
    """torch's choices among its ways to cut the work. Here tiles are always used; batch_chunk_size limits their rows, and the
    others are checked and otherwise without effect: sums are of float32 for the 16-bit types, and backward may run again."""

    __slots__ = ("allow_retain_graph", "batch_chunk_size", "chunking_method", "acc_policy", "acc_dtype")

    def __init__(
        self,
        allow_retain_graph: bool = False,
        batch_chunk_size: int | None = None,
        chunking_method: str | None = "auto",
        acc_policy: str = "auto",
        acc_dtype=None,
    ):
        if acc_policy not in _POLICIES:
            raise ValueError(f"invalid acc_policy: {acc_policy!r}; one of {', '.join(_POLICIES)}")
        if chunking_method not in (None, "auto"):
            name, _, factor = chunking_method.partition(":")
            if name != "aspect_ratio" or not (factor or "1").isdigit() or not int(factor or 1):
                raise ValueError(
                    f"invalid chunking_method: {chunking_method!r}; 'auto', 'aspect_ratio', 'aspect_ratio:N' or None"
                )
        if batch_chunk_size is not None and not (isinstance(batch_chunk_size, int) and batch_chunk_size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {batch_chunk_size!r}")
        if acc_dtype not in (None, dt.float16, dt.bfloat16, dt.float32, dt.float64):
            raise ValueError(f"acc_dtype must be None or a floating-point dtype, got {acc_dtype!r}")
        for name, value in zip(
            self.__slots__, (allow_retain_graph, batch_chunk_size, chunking_method, acc_policy, acc_dtype), strict=True
        ):
            object.__setattr__(self, name, value)

    def __setattr__(self, name, value):
        raise AttributeError(f"cannot assign to field {name!r}: make another LinearCrossEntropyOptions")

    def _values(self):
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other):
        return isinstance(other, LinearCrossEntropyOptions) and self._values() == other._values()

    def __hash__(self):
        return hash(self._values())

    def __reduce__(self):
        return LinearCrossEntropyOptions, self._values()

    def __repr__(self):
        fields = ", ".join(f"{n}={v!r}" for n, v in zip(self.__slots__, self._values(), strict=True))
        return f"LinearCrossEntropyOptions({fields})"


class LinearCrossEntropyLoss(_WeightedLoss):
    """CrossEntropyLoss of a Linear layer's outputs, which are made tile by tile. Shape: x [N, in_features] or [in_features],
    target class ids [N, *out_features], or, as large as the outputs, probabilities [N, num_classes, *out_features].

    The layer is `linear`, of num_classes·Π out_features rows. weight [num_classes], reduction, ignore_index (None: -100) and
    label_smoothing as in CrossEntropyLoss; with out_features or probabilities the outputs are made as a whole."""

    __constants__ = ["num_classes", "out_features", "reduction", "ignore_index", "label_smoothing"]

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple = (),
        bias: bool = False,
        device=None,
        dtype=None,
        reduction: str = "mean",
        weight=None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ):
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise RuntimeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        if not 0.0 <= label_smoothing <= 1.0:
            raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")
        super().__init__(weight, None, None, reduction)
        self.num_classes, self.out_features = num_classes, out_features
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        rows = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, rows, bias=bias, device=device, dtype=dtype)
        self.options = options

    def forward(self, input, target):
        shape = (self.num_classes, *self.out_features)
        w, b = self.linear.weight, self.linear.bias
        return F.linear_cross_entropy(
            input,
            w.reshape(*shape, w.shape[1]) if self.out_features else w,
            target,
            linear_bias=b.reshape(shape) if b is not None and self.out_features else b,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
