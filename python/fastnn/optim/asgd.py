"""Averaged stochastic gradient descent."""

from .optimizer import (
    Optimizer,
    bumped,
    by_step,
    check_lr,
    check_modes,
    check_option,
    new_step,
    number,
    scalar,
)
from .optimizer import zeros_like as _zeros_like

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """SGD with a falling rate lr/(1 + lambd·lr·step)^alpha; state "ax" is the average of the points from step t0 on."""

    _recordable = True

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd=1e-4,
        alpha=0.75,
        t0=1e6,
        weight_decay=0,
        foreach=None,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        check_lr(lr)
        check_option("weight_decay value", weight_decay)
        check_modes("ASGD", differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _init_state(self, p, s, group) -> None:
        s["step"] = new_step()
        s["eta"] = scalar(number(group["lr"]))
        s["mu"] = scalar(1.0)
        s["ax"] = _zeros_like(p)

    def _update(self, group):
        params, steps, lists = self._gathered(group, "ax", "mu", "eta")
        if not params:
            return
        scalars = (
            number(group["lr"]),
            number(group["lambd"]),
            number(group["alpha"]),
            number(group["t0"]),
            number(group["weight_decay"]),
            group["maximize"],
        )
        for step, part in by_step(steps, *lists):
            params[0]._k.asgd_step(*part, step, *scalars)
        bumped(params)
