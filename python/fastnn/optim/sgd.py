"""Stochastic gradient descent."""

from fastnn.backend import xp
from fastnn.tensor import wrap

from .optimizer import Optimizer, bumped, check_lr, check_modes, check_option, number, sparse_rows

__all__ = ["SGD"]


class SGD(Optimizer):
    """p -= lr·g; with momentum, g is the buffer b = momentum·b + (1 - dampening)·g (Nesterov: g + momentum·b)."""

    _recordable = True

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

    def _sparse_step(self, group, p):
        """p[rows] -= lr·values for a gradient of which only rows are kept."""
        if number(group["momentum"]) or number(group["weight_decay"]):
            raise RuntimeError("SGD: momentum and weight_decay do not go with sparse gradients: they change every row")
        rows, values = sparse_rows(p)
        lr = number(group["lr"])
        p._a[rows] += values * values.dtype.type(lr if group["maximize"] else -lr)
        bumped([p])

    def _update(self, group):
        momentum = number(group["momentum"])
        given = [p for p in group["params"] if p._grad is not None]
        sparse = [p for p in given if p._grad.is_sparse]
        for p in sparse:
            self._sparse_step(group, p)
        if sparse:
            given = [p for p in given if not p._grad.is_sparse]
        if momentum == 0:
            self._run(group, momentum, given, None, False)
            return
        state = self.state
        params, bufs, first = [], [], []
        for p in given:
            buf = state[p].get("momentum_buffer")
            if buf is None:
                first.append(p)
            else:
                params.append(p)
                bufs.append(buf._a)
        self._run(group, momentum, params, bufs, False)
        if first:
            new = [wrap(xp.on(p._a).empty(p._a.shape, p._a.dtype)) for p in first]
            for p, buf in zip(first, new, strict=True):
                state[p]["momentum_buffer"] = buf
            self._run(group, momentum, first, [buf._a for buf in new], True)

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
