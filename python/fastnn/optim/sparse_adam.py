"""Adam for sparse gradients (of an Embedding with sparse=True)."""

from .optimizer import Optimizer, check_lr, number
from .optimizer import zeros_like as _zeros_like

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam that updates, of parameter and state, only the rows that a sparse gradient names.

    Raises RuntimeError for a gradient that is not sparse.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        check_lr(lr)
        if not 0.0 < lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i in (0, 1):
            if not 0.0 <= betas[i] < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        for kind, is_of_it, text in (
            ("Sparse", lambda p: p.is_sparse, "requires dense parameter tensors"),
            ("Complex", lambda p: p.is_complex(), "does not support complex parameters"),
        ):
            found = [[g, i] for g, group in enumerate(self.param_groups) for i, p in enumerate(group["params"])
                     if is_of_it(p)]  # fmt: skip
            if found:
                raise ValueError(f"{kind} params at indices {found}: SparseAdam {text}")

    def _update(self, group):
        beta1, beta2 = (number(b) for b in group["betas"])
        lr, eps = number(group["lr"]), number(group["eps"])
        for p in group["params"]:
            if p._grad is None:
                continue
            if not p._grad.is_sparse:
                raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
            s = self.state[p]
            if not s:
                s["step"] = 0
                s["exp_avg"], s["exp_avg_sq"] = _zeros_like(p), _zeros_like(p)
            s["step"] += 1
            gradient = p._grad.coalesce()
            rows = tuple(row._a for row in gradient.indices())
            values = gradient.values()._a
            if not values.size:
                continue
            if group["maximize"]:
                values = -values
            t = p._a.dtype.type
            m, v = s["exp_avg"]._a, s["exp_avg_sq"]._a
            mean = m[rows] + (values - m[rows]) * t(1 - beta1)
            square = v[rows] + (values * values - v[rows]) * t(1 - beta2)
            m[rows], v[rows] = mean, square
            rate = lr * (1 - beta2 ** s["step"]) ** 0.5 / (1 - beta1 ** s["step"])
            p._a[rows] -= t(rate) * (mean / (square**0.5 + t(eps)))
            p._bump()
