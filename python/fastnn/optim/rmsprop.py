"""RMSprop."""

from .optimizer import Optimizer, bumped, check_lr, check_modes, check_option, new_step, number
from .optimizer import zeros_like as _zeros_like

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """p -= lr·g/(sqrt(v) + eps), v the running mean of g²; centered: less the square of g's running mean."""

    _recordable = True

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        check_option("epsilon value", eps)
        check_option("momentum value", momentum)
        check_option("weight_decay value", weight_decay)
        check_option("alpha value", alpha)
        check_modes("RMSprop", differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("momentum", 0)
            group.setdefault("centered", False)
            group.setdefault("maximize", False)

    def _init_state(self, p, s, group) -> None:
        s["step"] = new_step()
        s["square_avg"] = _zeros_like(p)
        if group["momentum"] > 0:
            s["momentum_buffer"] = _zeros_like(p)
        if group["centered"]:
            s["grad_avg"] = _zeros_like(p)

    def _update(self, group):
        params, _, lists = self._gathered(group, "square_avg")
        if not params:
            return
        states = [self.state[p] for p in params]
        params[0]._k.rmsprop_step(
            *lists,
            [s["grad_avg"]._a for s in states] if group["centered"] else None,
            [s["momentum_buffer"]._a for s in states] if group["momentum"] > 0 else None,
            number(group["lr"]),
            number(group["alpha"]),
            number(group["eps"]),
            number(group["weight_decay"]),
            number(group["momentum"]),
            group["maximize"],
        )
        bumped(params)
