"""Averaged stochastic gradient descent."""

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
    scalar,
)
from .optimizer import zeros_like as _zeros_like

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """SGD with a falling rate lr/(1 + lambd·lr·step)^alpha; state "ax" is the average of the points from step t0 on."""

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
        params = [p for p in group["params"] if p._grad is not None]
        if not params:
            return
        states = [self.state[p] for p in params]
        for p, s in zip(params, states, strict=True):
            if not s:
                self._init_state(p, s, group)
        arrays, grads = [p._a for p in params], [p._grad._a for p in params]
        axs = [s["ax"]._a for s in states]
        mus = [s["mu"]._a for s in states]
        etas = [s["eta"]._a for s in states]
        scalars = (
            number(group["lr"]),
            number(group["lambd"]),
            number(group["alpha"]),
            number(group["t0"]),
            number(group["weight_decay"]),
            group["maximize"],
        )
        for step, lists in by_step(advance([s["step"] for s in states]), arrays, grads, axs, mus, etas):
            params[0]._k.asgd_step(*lists, step, *scalars)
        bumped(params)
