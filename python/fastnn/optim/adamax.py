"""Adamax: Adam with the largest gradient in place of the mean square."""

from .optimizer import Optimizer, bumped, by_step, check_lr, check_modes, check_option, new_step, number
from .optimizer import zeros_like as _zeros_like

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """p -= lr·m̂/u, with m the running mean of g and u the largest decayed |g|."""

    _recordable = True

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        check_lr(lr)
        check_option("epsilon value", eps)
        for i in (0, 1):
            if not 0.0 <= betas[i] < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        check_option("weight_decay value", weight_decay)
        check_modes("Adamax", differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _init_state(self, p, s, group) -> None:
        s["step"] = new_step()
        s["exp_avg"] = _zeros_like(p)
        s["exp_inf"] = _zeros_like(p)

    def _update(self, group):
        params, steps, lists = self._gathered(group, "exp_avg", "exp_inf")
        if not params:
            return
        scalars = (
            number(group["lr"]),
            number(group["betas"][0]),
            number(group["betas"][1]),
            number(group["eps"]),
            number(group["weight_decay"]),
            group["maximize"],
        )
        for step, part in by_step(steps, *lists):
            params[0]._k.adamax_step(*part, step, *scalars)
        bumped(params)
