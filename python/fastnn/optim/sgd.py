"""Stochastic gradient descent."""

from fastnn.backend import xp
from fastnn.tensor import wrap

from .optimizer import Optimizer, bumped, check_lr, check_modes, check_option, number

__all__ = ["SGD"]


class SGD(Optimizer):
    """p -= lr·g; with momentum, g is the buffer b = momentum·b + (1 - dampening)·g (Nesterov: g + momentum·b)."""

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
    ):
        check_lr(lr)
        check_option("momentum value", momentum)
        check_option("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_modes("SGD", differentiable, fused, foreach)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("nesterov", False)
            group.setdefault("maximize", False)

    def _update(self, group):
        params = [p for p in group["params"] if p._grad is not None]
        momentum = number(group["momentum"])
        if momentum == 0:
            self._run(group, momentum, params, None, False)
            return
        state = self.state
        first = [p for p in params if state[p].get("momentum_buffer") is None]
        if first:
            later = [p for p in params if state[p].get("momentum_buffer") is not None]
            for p in first:
                state[p]["momentum_buffer"] = wrap(xp.empty(p._a.shape, p._a.dtype))
            self._run(group, momentum, first, [state[p]["momentum_buffer"]._a for p in first], True)
            params = later
        self._run(group, momentum, params, [state[p]["momentum_buffer"]._a for p in params], False)

    def _run(self, group, momentum, params, bufs, first_step):
        if not params:
            return
        params[0]._k.sgd_step(
            [p._a for p in params],
            [p._grad._a for p in params],
            bufs,
            number(group["lr"]),
            momentum,
            number(group["dampening"]),
            number(group["weight_decay"]),
            group["nesterov"],
            group["maximize"],
            first_step,
        )
        bumped(params)
