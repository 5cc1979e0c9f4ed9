"""Rprop."""

from fastnn.backend import xp
from fastnn.tensor import wrap

from .optimizer import Optimizer, bumped, check_lr, check_modes, new_step, number
from .optimizer import zeros_like as _zeros_like

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Steps of each element's own size against the sign of its gradient; a size grows by etas[1] while the sign stays, and
    shrinks by etas[0] where it changes.
    """

    _recordable = True

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        check_modes("Rprop", differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _init_state(self, p, s, group) -> None:
        s["step"] = new_step()
        s["prev"] = _zeros_like(p)
        s["step_size"] = wrap(xp.on(p._a).full(p._a.shape, number(group["lr"]), p._a.dtype))

    def _update(self, group):
        params, _, lists = self._gathered(group, "prev", "step_size")
        if not params:
            return
        scalars = (
            number(group["etas"][0]),
            number(group["etas"][1]),
            number(group["step_sizes"][0]),
            number(group["step_sizes"][1]),
            group["maximize"],
        )
        params[0]._k.rprop_step(*lists, *scalars)
        bumped(params)
