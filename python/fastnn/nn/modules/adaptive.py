"""Adaptive softmax: frequent classes in a shortlist, rare ones in clusters behind one entry each (Grave et al. 2017)."""

from collections import namedtuple

import fastnn
from fastnn.nn import functional as F
from fastnn.nn.modules.container import ModuleList, Sequential
from fastnn.nn.modules.linear import Linear
from fastnn.nn.modules.module import Module

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """log_softmax over many classes, sorted from frequent to rare, and its negative log-likelihood.

    cutoffs: the first class of each cluster; the clusters' dimensions shrink by div_value each.
    Shape: input [N, in_features] or [in_features], target [N] or [] → (output [N] or [], loss []).
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs,
        div_value: float = 4.0,
        head_bias: bool = False,
        device=None,
        dtype=None,
    ):
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(cutoffs)
            or min(cutoffs) <= 0
            or max(cutoffs) > n_classes - 1
            or len(set(cutoffs)) != len(cutoffs)
            or any(int(c) != c for c in cutoffs)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value "
                "is between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **factory)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            size = int(in_features // (div_value ** (i + 1)))
            classes = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, size, bias=False, **factory), Linear(size, classes, bias=False, **factory)
                )
            )

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.head.reset_parameters()
        for down, up in self.tail:
            down.reset_parameters()
            up.reset_parameters()

    def forward(self, input, target):
        if input.dim() not in (1, 2) or target.dim() != input.dim() - 1:
            if target.dim() not in (0, 1):
                raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
            raise RuntimeError(
                f"{target.dim()}D target tensor expects {target.dim() + 1}D input tensors, but found input with size: "
                f"{list(input.shape)}"
            )
        if target.dim() == 1 and input.size(0) != target.size(0):
            raise RuntimeError(
                f"Input and target should have the same size in the batch dimension. Got {input.size(0)} and "
                f"{target.size(0)}"
            )
        single = target.dim() == 0
        if single:
            input, target = input.unsqueeze(0), target.unsqueeze(0)
        if target.numel() and (int(target.min()) < 0 or int(target.max()) >= self.n_classes):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{int(target.min())}, {int(target.max())}] were found. "
            )
        output = input.new_zeros(target.size(0))
        gather = target.clone()  # each target's entry of the head: its own, or its cluster's
        bounds = [0, *self.cutoffs]
        for i in range(1, len(bounds) - 1):
            rows = ((target >= bounds[i]) & (target < bounds[i + 1])).nonzero().squeeze(1)
            if rows.numel() == 0:
                continue
            logs = F.log_softmax(self.tail[i - 1](input.index_select(0, rows)), dim=1)
            own = logs.gather(1, (target[rows] - bounds[i]).unsqueeze(1)).squeeze(1)
            output = output.index_copy(0, rows, own)
            gather[rows] = self.cutoffs[0] + i - 1
        head = F.log_softmax(self.head(input), dim=1)
        output = output + head.gather(1, gather.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _ASMoutput(output.squeeze(0) if single else output, loss)

    def _full_log_prob(self, input, head):
        """The log-probabilities of all classes from the head's output."""
        logs = F.log_softmax(head, dim=1)
        parts = [logs[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            parts.append(F.log_softmax(tail(input), dim=1) + logs[:, self.shortlist_size + i].unsqueeze(1))
        return fastnn.cat(parts, 1)

    def log_prob(self, input):
        """The log-probabilities of all classes: input [N, in_features] → [N, n_classes]."""
        return self._full_log_prob(input, self.head(input))

    def predict(self, input):
        """The likeliest class of each row; the clusters are looked at only where the head points there."""
        head = self.head(input)
        best = fastnn.argmax(head, dim=1)
        far = best >= self.shortlist_size
        if not bool(far.any()):
            return best
        best = best.clone()
        best[far] = fastnn.argmax(self._full_log_prob(input[far], head[far]), dim=1)
        return best
