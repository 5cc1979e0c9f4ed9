"""L-BFGS, with or without a line search."""

from typing import Any, NamedTuple

import fastnn
from fastnn.autograd import enable_grad, no_grad

from .optimizer import Optimizer, check_lr, number

__all__ = ["LBFGS"]


class _Point(NamedTuple):
    """A place on the line that is searched: how far, the loss and the gradient there, and the slope along the line."""

    t: Any
    f: Any
    g: Any
    slope: Any


def _cubic_minimum(a: _Point, b: _Point, bounds=None):
    """Where the cubic through two points and slopes is least, kept within `bounds` (default: between the points)."""
    low, high = bounds if bounds is not None else sorted((a.t, b.t))
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if square < 0:
        return (low + high) / 2.0
    d2 = square.sqrt()
    if a.t > b.t:
        a, b = b, a
    least = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(least, low), high)


def _strong_wolfe(evaluate, t, direction, start: _Point, tolerance, max_steps, c1=1e-4, c2=0.9):
    """A point on the line that meets the strong Wolfe conditions, or the best one found: (point, evaluations).

    First the step grows until it brackets such a point, then the bracket is narrowed.
    """
    reach = direction.abs().max()
    last, now = start._replace(t=0), evaluate(t)
    steps, done = 0, False
    while steps < max_steps:
        too_high = now.f > start.f + c1 * now.t * start.slope or (steps > 1 and now.f >= last.f)
        if not too_high and abs(now.slope) <= -c2 * start.slope:
            bracket, done = [now], True
            break
        if too_high or now.slope >= 0:
            bracket = [last, now]
            break
        t = _cubic_minimum(last, now, (now.t + 0.01 * (now.t - last.t), now.t * 10))
        last, now = now, evaluate(t)
        steps += 1
    else:
        bracket = [start._replace(t=0), now]

    stalled = False
    low, high = (0, 1) if bracket[0].f <= bracket[-1].f else (1, 0)
    while not done and steps < max_steps:
        near, far = sorted((bracket[0].t, bracket[1].t))
        if (far - near) * reach < tolerance:
            break
        t = _cubic_minimum(bracket[0], bracket[1])
        margin = 0.1 * (far - near)
        if min(far - t, t - near) < margin:  # at the edge: once is forgiven, then it is moved inwards
            if stalled or t >= far or t <= near:
                t = far - margin if abs(t - far) < abs(t - near) else near + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        now = evaluate(t)
        steps += 1
        if now.f > start.f + c1 * now.t * start.slope or now.f >= bracket[low].f:
            bracket[high] = now
            low, high = (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)
        else:
            if abs(now.slope) <= -c2 * start.slope:
                done = True
            elif now.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
    return bracket[low], steps + 1


class LBFGS(Optimizer):
    """Quasi-Newton steps from the last `history_size` changes of point and gradient; one parameter group.

    step(closure) makes up to max_iter of them and calls closure, which must clear the gradients, compute the loss, call
    backward and return the loss, up to max_eval times. line_search_fn: None for steps of lr, or "strong_wolfe".
    """

    def __init__(
        self,
        params,
        lr=1,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    ):
        check_lr(lr)
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self):
        return self.param_groups[0]["params"]

    def _flat_grad(self):
        return fastnn.cat([(fastnn.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in self._params])

    def _move(self, t, direction) -> None:
        offset = 0
        for p in self._params:
            p.add_(direction[offset : offset + p.numel()].view_as(p), alpha=number(t))
            offset += p.numel()

    def _direction(self, state, gradient, history_size):
        """The next direction: minus the gradient times the inverse Hessian that the history stands for."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return gradient.neg()
        y = gradient.sub(state["prev_flat_grad"])
        s = state["d"].mul(state["t"])
        changes, moves, ro = state["old_dirs"], state["old_stps"], state["ro"]
        ys = y.dot(s)
        if ys > 1e-10:
            if len(changes) == history_size:
                for kept in (changes, moves, ro):
                    kept.pop(0)
            changes.append(y)
            moves.append(s)
            ro.append(1.0 / ys)
            state["H_diag"] = ys / y.dot(y)
        al = state.setdefault("al", [None] * history_size)
        q = gradient.neg()
        for i in range(len(changes) - 1, -1, -1):
            al[i] = moves[i].dot(q) * ro[i]
            q.add_(changes[i], alpha=-number(al[i]))
        d = q.mul(state["H_diag"])
        for i in range(len(changes)):
            d.add_(moves[i], alpha=number(al[i] - changes[i].dot(d) * ro[i]))
        return d

    @no_grad()
    def step(self, closure):
        """Up to max_iter steps; returns the loss at the start."""
        group = self.param_groups[0]
        lr = number(group["lr"])
        max_iter, max_eval = group["max_iter"], group["max_eval"]
        tolerance = group["tolerance_change"]
        search = group["line_search_fn"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        closure = enable_grad()(closure)
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        first_loss = closure()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        gradient = self._flat_grad()
        flat = bool(gradient.abs().max() <= group["tolerance_grad"])
        if flat:
            return first_loss

        for iteration in range(1, max_iter + 1):
            state["n_iter"] += 1
            d = state["d"] = self._direction(state, gradient, group["history_size"])
            if state.get("prev_flat_grad") is None:
                state["prev_flat_grad"] = gradient.clone()
            else:
                state["prev_flat_grad"].copy_(gradient)
            previous = state["prev_loss"] = loss
            t = min(1.0, 1.0 / gradient.abs().sum()) * lr if state["n_iter"] == 1 else lr
            state["t"] = t
            slope = gradient.dot(d)
            if slope > -tolerance:
                break

            used = 0
            if search is not None:
                here = [p.clone() for p in self._params]

                def evaluate(t, d=d, here=here):
                    self._move(t, d)
                    f = float(closure())
                    g = self._flat_grad()
                    for p, value in zip(self._params, here, strict=True):
                        p.copy_(value)
                    return _Point(t, f, g, g.dot(d))

                start = _Point(0, loss, gradient, slope)
                found, used = _strong_wolfe(evaluate, t, d, start, tolerance, max_eval - evaluations)
                loss, gradient, t = found.f, found.g, found.t
                state["t"] = t
                self._move(t, d)
                flat = bool(gradient.abs().max() <= group["tolerance_grad"])
            else:
                self._move(t, d)
                if iteration != max_iter:
                    loss = float(closure())
                    gradient = self._flat_grad()
                    flat = bool(gradient.abs().max() <= group["tolerance_grad"])
                    used = 1
            evaluations += used
            state["func_evals"] += used
            if iteration == max_iter or evaluations >= max_eval or flat:
                break
            if d.mul(t).abs().max() <= tolerance or abs(loss - previous) < tolerance:
                break
        return first_loss
