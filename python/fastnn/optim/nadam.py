"""NAdam: Adam with Nesterov momentum."""

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

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """p -= lr·(the mean of g, one step ahead)/(sqrt(v̂) + eps), the momentum growing as momentum_decay says."""

    _recordable = True

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        momentum_decay=4e-3,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
    ):
        check_lr(lr)
        check_option("epsilon value", eps)
        for i in (0, 1):
            if not 0.0 <= betas[i] < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        check_option("weight_decay value", weight_decay)
        check_option("momentum_decay value", momentum_decay)
        check_modes("NAdam", differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _init_state(self, p, s, group) -> None:
        s["step"] = new_step()
        s["mu_product"] = scalar(1.0)
        s["exp_avg"] = _zeros_like(p)
        s["exp_avg_sq"] = _zeros_like(p)

    def _update(self, group):
        params, steps, lists = self._gathered(group, "exp_avg", "exp_avg_sq", "mu_product")
        if not params:
            return
        scalars = (
            number(group["lr"]),
            number(group["betas"][0]),
            number(group["betas"][1]),
            number(group["eps"]),
            number(group["weight_decay"]),
            number(group["momentum_decay"]),
            group["decoupled_weight_decay"],
            group["maximize"],
        )
        for step, part in by_step(steps, *lists):
            params[0]._k.nadam_step(*part, step, *scalars)
        bumped(params)
