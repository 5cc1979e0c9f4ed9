"""Adagrad."""

from fastnn.backend import xp
from fastnn.tensor import wrap

from .optimizer import (
    Optimizer,
    advance,
    bumped,
    by_step,
    check_lr,
    check_modes,
    check_option,
    new_step,
    number,
    sparse_rows,
)

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """p -= lr·g/(sqrt(sum of g²) + eps), lr falling as 1/(1 + (step - 1)·lr_decay)."""

    _recordable = True

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
    ):
        check_lr(lr)
        check_option("lr_decay value", lr_decay)
        check_option("weight_decay value", weight_decay)
        check_option("initial_accumulator_value value", initial_accumulator_value)
        check_option("epsilon value", eps)
        check_modes("Adagrad", differentiable, fused, foreach)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                self._init_state(p, self.state[p], group)

    def _init_state(self, p, s, group) -> None:
        s["step"] = new_step()
        s["sum"] = wrap(xp.on(p._a).full(p._a.shape, group["initial_accumulator_value"], p._a.dtype))

    def _sparse_step(self, group, p):
        """The rows that a sparse gradient names, of parameter and sum alone."""
        if number(group["weight_decay"]):
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        s = self.state[p]
        (step,) = advance([s["step"]])
        rows, values = sparse_rows(p)
        t = values.dtype.type
        if group["maximize"]:
            values = -values
        s["sum"]._a[rows] += values * values
        rate = number(group["lr"]) / (1 + (step - 1) * number(group["lr_decay"]))
        p._a[rows] -= t(rate) * values / (s["sum"]._a[rows] ** 0.5 + t(number(group["eps"])))
        bumped([p])

    def _update(self, group):
        params = [p for p in group["params"] if p._grad is not None]
        for p in params:  # a group that was added later has no state yet
            if not self.state[p]:
                self._init_state(p, self.state[p], group)
        for p in [p for p in params if p._grad.is_sparse]:
            self._sparse_step(group, p)
        params = [p for p in params if not p._grad.is_sparse]
        if not params:
            return
        states = [self.state[p] for p in params]
        scalars = (
            number(group["lr"]),
            number(group["lr_decay"]),
            number(group["weight_decay"]),
            number(group["eps"]),
            group["maximize"],
        )
        arrays, grads = [p._a for p in params], [p._grad._a for p in params]
        sums = [s["sum"]._a for s in states]
        for step, lists in by_step(advance([s["step"] for s in states]), arrays, grads, sums):
            params[0]._k.adagrad_step(*lists, step, *scalars)
        bumped(params)
