"""Adadelta."""

from .optimizer import Optimizer, bumped, check_lr, check_modes, check_option, new_step, number
from .optimizer import zeros_like as _zeros_like

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """p -= lr·sqrt(u + eps)/sqrt(v + eps)·g, with v and u the running means of g² and of the squared changes."""

    _recordable = True

    def __init__(
        self,
        params,
        lr=1.0,
        rho=0.9,
        eps=1e-6,
        weight_decay=0,
        foreach=None,
        *,
        capturable=False,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_option("epsilon value", eps)
        check_option("weight_decay value", weight_decay)
        check_modes("Adadelta", differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _init_state(self, p, s, group) -> None:
        s["step"] = new_step()
        s["square_avg"] = _zeros_like(p)
        s["acc_delta"] = _zeros_like(p)

    def _update(self, group):
        params, _, lists = self._gathered(group, "square_avg", "acc_delta")
        if not params:
            return
        scalars = (
            number(group["lr"]),
            number(group["rho"]),
            number(group["eps"]),
            number(group["weight_decay"]),
            group["maximize"],
        )
        params[0]._k.adadelta_step(*lists, *scalars)
        bumped(params)
