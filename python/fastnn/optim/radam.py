"""RAdam: Adam whose adaptive rate waits until its estimate is sound."""

from .optimizer import Optimizer, bumped, by_step, check_lr, check_modes, check_option, new_step, number
from .optimizer import zeros_like as _zeros_like

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Adam with the rate rectified for the few gradients that v has seen; before the fifth or so, plain momentum."""

    _recordable = True

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
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
        check_modes("RAdam", differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _init_state(self, p, s, group) -> None:
        s["step"] = new_step()
        s["exp_avg"] = _zeros_like(p)
        s["exp_avg_sq"] = _zeros_like(p)

    def _update(self, group):
        params, steps, lists = self._gathered(group, "exp_avg", "exp_avg_sq")
        if not params:
            return
        scalars = (
            number(group["lr"]),
            number(group["betas"][0]),
            number(group["betas"][1]),
            number(group["eps"]),
            number(group["weight_decay"]),
            group["decoupled_weight_decay"],
            group["maximize"],
        )
        for step, part in by_step(steps, *lists):
            params[0]._k.radam_step(*part, step, *scalars)
        bumped(params)
