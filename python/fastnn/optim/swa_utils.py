"""Averages of weights: stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407) and moving averages."""

import copy
import itertools
import math

import fastnn
from fastnn import nn

from ._schedules import _per_group
from .lr_scheduler import LRScheduler

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_avg_fn(decay=0.999):
    """f(average, new, count) = decay·average + (1 - decay)·new."""
    _check_decay(decay)

    def ema_update(ema_param, current_param, num_averaged):
        with fastnn.no_grad():
            return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """f(average, new, count) = average + (new - average)/(count + 1), the mean of all so far."""

    def swa_update(averaged_param, current_param, num_averaged):
        with fastnn.no_grad():
            return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay=0.999):
    """get_ema_avg_fn over lists, in place."""
    _check_decay(decay)

    def ema_update(ema_param_list, current_param_list, _):
        with fastnn.no_grad():
            for average, new in zip(ema_param_list, current_param_list, strict=True):
                if average.is_floating_point() or average.is_complex():
                    average.lerp_(new, 1 - decay)
                else:
                    average.copy_(average * decay + new * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn():
    """get_swa_avg_fn over lists, in place."""

    def swa_update(averaged_param_list, current_param_list, num_averaged):
        with fastnn.no_grad():
            share = 1 / (int(num_averaged) + 1)
            for average, new in zip(averaged_param_list, current_param_list, strict=True):
                if average.is_floating_point() or average.is_complex():
                    average.lerp_(new, share)
                else:
                    average.add_(((new - average) * share).to(average.dtype))

    return swa_update


class AveragedModel(nn.Module):
    """A copy of `model` whose parameters are the average of those that update_parameters has been given.

    avg_fn(average, new, count) makes the new average of one tensor, multi_avg_fn(averages, news, count) of a list in place;
    without both it is the mean. Buffers are averaged with use_buffers, else copied.
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", fastnn.tensor(0, dtype=fastnn.long, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def _tensors(self, model) -> list:
        buffers = model.buffers() if self.use_buffers else ()
        return [t.detach() for t in itertools.chain(model.parameters(), buffers)]

    def update_parameters(self, model) -> None:
        """Take in the parameters that `model` has now; the first time they are copied."""
        averages = self._tensors(self.module)
        news = [new.to(average.device) for new, average in zip(self._tensors(model), averages, strict=True)]
        with fastnn.no_grad():
            if self.n_averaged == 0:
                for average, new in zip(averages, news, strict=True):
                    average.copy_(new)
            elif self.multi_avg_fn is not None:
                self.multi_avg_fn(averages, news, self.n_averaged)
            else:
                f = self.avg_fn or get_swa_avg_fn()
                for average, new in zip(averages, news, strict=True):
                    average.copy_(f(average, new, self.n_averaged))
            if not self.use_buffers:
                for ours, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                    ours.detach().copy_(theirs.detach())
            self.n_averaged += 1


def update_bn(loader, model, device=None) -> None:
    """The running statistics of every batch norm in `model`, from one pass over `loader`, whose batches are inputs or
    (input, ...) tuples. The model comes back in the mode it was in."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    was_training = model.training
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # the plain mean over the batches
    model.train()
    with fastnn.no_grad():
        for batch in loader:
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(x if device is None else x.to(device))
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Each group's rate goes to swa_lr over anneal_epochs, along a cosine or a line, and stays there."""

    def __init__(self, optimizer, swa_lr: float, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        for lr, group in zip(_per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of the way to swa_lr has been gone after `step` steps."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            lr, swa = group["lr"], group["swa_lr"]
            start = swa if before == 1 else (lr - before * swa) / (1 - before)
            rates.append(swa * now + start * (1 - now))
        return rates
