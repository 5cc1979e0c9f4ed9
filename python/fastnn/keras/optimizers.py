"""Optimizers under Keras's names, options and formulas; each makes one of fastnn.optim's when a model is compiled."""

import math

import fastnn
from fastnn import optim

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Nadam", "Optimizer", "RMSprop", "get", "schedules"]


class Optimizer:
    """learning_rate: a number, or a function of the step (schedules). clipnorm, global_clipnorm and clipvalue bound the
    gradients: of each weight by its norm, of all by theirs, or each element."""

    def __init__(
        self,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        name=None,
        **options,
    ):
        if "lr" in options:
            learning_rate = options.pop("lr")
        unknown = set(options) - set(self._defaults)
        if unknown:
            raise TypeError(f"{type(self).__name__}: unknown arguments {', '.join(sorted(unknown))}")
        if not callable(learning_rate) and learning_rate < 0:
            raise ValueError(f"learning_rate must not be negative, got {learning_rate}")
        self.options = {**self._defaults, **options}
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.name = name or type(self).__name__.lower()
        self._rate, self.iterations, self._inner = learning_rate, 0, None

    _defaults: dict = {}

    @property
    def learning_rate(self) -> float:
        return float(self._rate(self.iterations)) if callable(self._rate) else float(self._rate)

    @learning_rate.setter
    def learning_rate(self, value):
        self._rate = value

    lr = learning_rate

    def _make(self, params):
        raise NotImplementedError

    def build(self, params) -> None:
        """Take the weights to be trained."""
        params = list(params)
        self._inner = self._make(params) if params else None

    def step(self) -> None:
        """Update the weights from their gradients."""
        inner = self._inner
        if inner is None:
            return
        params = [p for group in inner.param_groups for p in group["params"]]
        if self.clipnorm is not None:
            for p in params:
                fastnn.nn.utils.clip_grad_norm_([p], self.clipnorm)
        elif self.global_clipnorm is not None:
            fastnn.nn.utils.clip_grad_norm_(params, self.global_clipnorm)
        elif self.clipvalue is not None:
            fastnn.nn.utils.clip_grad_value_(params, self.clipvalue)
        rate = self.learning_rate
        for group in inner.param_groups:
            group["lr"] = rate
        if self.weight_decay:
            with fastnn.no_grad():
                for p in params:
                    if p.grad is not None:
                        p.mul_(1 - rate * self.weight_decay)
        self.iterations += 1
        self._before_step(inner)
        inner.step()

    def _before_step(self, inner) -> None:
        """What changes from step to step."""

    def zero_grad(self) -> None:
        if self._inner is not None:
            self._inner.zero_grad()

    def get_config(self) -> dict:
        rate = self.learning_rate if callable(self._rate) else self._rate
        config = {"learning_rate": rate, "weight_decay": self.weight_decay, "clipnorm": self.clipnorm}
        return {**config, "clipvalue": self.clipvalue, "global_clipnorm": self.global_clipnorm, **self.options}


class SGD(Optimizer):
    """Gradient descent, with momentum and Nesterov's form of it."""

    _defaults = {"momentum": 0.0, "nesterov": False}

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, **kwargs):
        super().__init__(learning_rate, momentum=momentum, nesterov=nesterov, **kwargs)

    def _make(self, params):
        momentum, nesterov = self.options["momentum"], self.options["nesterov"]
        return optim.SGD(params, self.learning_rate, momentum, nesterov=bool(nesterov and momentum))


class Adam(Optimizer):
    """Adam; epsilon is added before the bias is corrected."""

    _defaults = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}
    _kind = optim.Adam

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **kwargs)

    def _make(self, params):
        o = self.options
        return optim.Adam(params, self.learning_rate, (o["beta_1"], o["beta_2"]), o["epsilon"], amsgrad=o["amsgrad"])

    def _before_step(self, inner):
        scale = math.sqrt(1 - self.options["beta_2"] ** self.iterations)
        for group in inner.param_groups:
            group["eps"] = self.options["epsilon"] / scale


class AdamW(Adam):
    """Adam with decoupled weight decay."""

    def __init__(self, learning_rate=0.001, weight_decay=0.004, *args, **kwargs):
        super().__init__(learning_rate, *args, weight_decay=weight_decay, **kwargs)


class Adamax(Optimizer):
    """Adam with the largest gradient in place of the mean square."""

    _defaults = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **kwargs)

    def _make(self, params):
        o = self.options
        return optim.Adamax(params, self.learning_rate, (o["beta_1"], o["beta_2"]), o["epsilon"])


class Nadam(Adamax):
    """Adam with Nesterov momentum."""

    def _make(self, params):
        o = self.options
        return optim.NAdam(params, self.learning_rate, (o["beta_1"], o["beta_2"]), o["epsilon"])


class Adadelta(Optimizer):
    """Steps scaled by the running means of squared steps and gradients."""

    _defaults = {"rho": 0.95, "epsilon": 1e-7}

    def __init__(self, learning_rate=0.001, rho=0.95, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, rho=rho, epsilon=epsilon, **kwargs)

    def _make(self, params):
        return optim.Adadelta(params, self.learning_rate, self.options["rho"], self.options["epsilon"])


class _EpsilonInside(optim.Optimizer):
    """w -= lr·g/sqrt(v + epsilon), where torch adds epsilon to the root: v is the running mean of g² (RMSprop), or with
    rho None their sum (Adagrad)."""

    def __init__(self, params, lr, rho, epsilon, momentum=0.0, centered=False, start=0.0):
        super().__init__(params, {"lr": lr, "rho": rho, "eps": epsilon, "momentum": momentum, "centered": centered})
        self.start = start

    @fastnn.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            rho, momentum = group["rho"], group["momentum"]
            for p in group["params"]:
                g = p.grad
                if g is None:
                    continue
                s = self.state[p]
                if not s:
                    s["v"], s["m"], s["b"] = fastnn.full_like(p, self.start), fastnn.zeros_like(p), fastnn.zeros_like(p)
                if rho is None:
                    v = s["v"].addcmul_(g, g)
                else:
                    v = s["v"].mul_(rho).addcmul_(g, g, value=1 - rho)
                if group["centered"]:
                    m = s["m"].mul_(rho).add_(g, alpha=1 - rho)
                    v = v - m * m
                change = group["lr"] * g / (v + group["eps"]).sqrt()
                if momentum:
                    change = s["b"].mul_(momentum).add_(change)
                p.sub_(change)


class RMSprop(Optimizer):
    """Steps over the root of the running mean of squared gradients."""

    _defaults = {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False}

    def __init__(self, learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, **kwargs):
        super().__init__(learning_rate, rho=rho, momentum=momentum, epsilon=epsilon, centered=centered, **kwargs)

    def _make(self, params):
        o = self.options
        return _EpsilonInside(params, self.learning_rate, o["rho"], o["epsilon"], o["momentum"], o["centered"])


class Adagrad(Optimizer):
    """Steps over the root of the sum of squared gradients."""

    _defaults = {"initial_accumulator_value": 0.1, "epsilon": 1e-7}

    def __init__(self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, **kwargs):
        super().__init__(
            learning_rate, initial_accumulator_value=initial_accumulator_value, epsilon=epsilon, **kwargs
        )  # fmt: skip

    def _make(self, params):
        start = self.options["initial_accumulator_value"]
        return _EpsilonInside(params, self.learning_rate, None, self.options["epsilon"], start=start)


class schedules:  # noqa: N801  (a module in Keras)
    """Learning rates as functions of the step."""

    class ExponentialDecay:
        """rate·decay_rate**(step/decay_steps); staircase: of the whole part of that."""

        def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name=None):
            self.rate, self.steps, self.decay, self.staircase = (
                initial_learning_rate, decay_steps, decay_rate, staircase,
            )  # fmt: skip

        def __call__(self, step):
            power = step / self.steps
            return self.rate * self.decay ** (math.floor(power) if self.staircase else power)

    class PiecewiseConstantDecay:
        """values[i] up to boundaries[i], the last one from there on."""

        def __init__(self, boundaries, values, name=None):
            if len(boundaries) != len(values) - 1:
                raise ValueError("The length of boundaries should be 1 less than the length of values.")
            self.boundaries, self.values = boundaries, values

        def __call__(self, step):
            for boundary, value in zip(self.boundaries, self.values, strict=False):
                if step <= boundary:
                    return value
            return self.values[-1]

    class CosineDecay:
        """Half a cosine down to alpha·rate in decay_steps."""

        def __init__(self, initial_learning_rate, decay_steps, alpha=0.0, name=None):
            self.rate, self.steps, self.alpha = initial_learning_rate, decay_steps, alpha

        def __call__(self, step):
            share = 0.5 * (1 + math.cos(math.pi * min(step, self.steps) / self.steps))
            return self.rate * ((1 - self.alpha) * share + self.alpha)


_NAMES = {cls.__name__.lower(): cls for cls in (SGD, Adam, AdamW, Adamax, Nadam, Adadelta, RMSprop, Adagrad)}


def get(identifier):
    """The optimizer of a name; an object as it is."""
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    if isinstance(identifier, str) and identifier.lower() in _NAMES:
        return _NAMES[identifier.lower()]()
    raise ValueError(f"optimizer: expected an Optimizer or one of {', '.join(_NAMES)}, got {identifier!r}")
