"""Adam and AdamW."""

from fastnn.tensor import Tensor

from .optimizer import Optimizer, advance, bumped, by_step, check_lr, check_modes, check_option, new_step, number
from .optimizer import zeros_like as _zeros_like

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """p -= lr·m̂/(sqrt(v̂) + eps), with m and v the running means of g and g², and ^ their bias correction.

    weight_decay is added to the gradient; with decoupled_weight_decay (AdamW) it shrinks the parameter. amsgrad divides
    by the largest v so far.
    """

    _recordable = True

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
    ):
        check_lr(lr)
        check_option("epsilon value", eps)
        for i in (0, 1):
            if isinstance(betas[i], Tensor) and betas[i].numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
            if not 0.0 <= betas[i] < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        check_option("weight_decay value", weight_decay)
        check_modes(type(self).__name__, differentiable, fused, foreach)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(b.item() if isinstance(b, Tensor) else b for b in betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("amsgrad", False)
            group.setdefault("maximize", False)
            group.setdefault("decoupled_weight_decay", False)

    def _init_state(self, p, s, group) -> None:
        s["step"] = new_step()
        s["exp_avg"] = _zeros_like(p)
        s["exp_avg_sq"] = _zeros_like(p)
        if group["amsgrad"]:
            s["max_exp_avg_sq"] = _zeros_like(p)

    def _update(self, group):
        amsgrad = group["amsgrad"]
        state = self.state
        params, arrays, grads, means, squares, steps = [], [], [], [], [], []
        peaks = [] if amsgrad else None
        for p in group["params"]:
            g = p._grad
            if g is None:
                continue
            s = state[p]
            if not s:
                self._init_state(p, s, group)
            params.append(p)
            arrays.append(p._a)
            grads.append(g._a)
            means.append(s["exp_avg"]._a)
            squares.append(s["exp_avg_sq"]._a)
            steps.append(s["step"])
            if amsgrad:
                peaks.append(s["max_exp_avg_sq"]._a)
        if not params:
            return
        beta1, beta2 = group["betas"]
        scalars = (
            number(group["lr"]),
            number(beta1),
            number(beta2),
            number(group["eps"]),
            number(group["weight_decay"]),
            group["decoupled_weight_decay"],
            group["maximize"],
        )
        for step, lists in by_step(advance(steps), arrays, grads, means, squares, peaks):
            params[0]._k.adam_step(*lists, step, *scalars)
        bumped(params)


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters and does not enter the gradient's means."""

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
