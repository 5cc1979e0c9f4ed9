"""The rarer optimizers' steps while a step is being recorded: their twins' updates with the numbers that change from
replay to replay on the device, where each replay fills them in."""

from .. import cuda_runtime as rt
from ._composed import module
from ._composed import package as twin

_more = module("optim_more")
__all__ = ["adadelta_step", "adamax_step", "asgd_step", "nadam_step", "radam_step", "rprop_step"]


def _on_device(count, dtype, step, rates):
    """`count` numbers of the dtype, those of rates(step, learning rate) at each replay."""
    return rt.capture.optimizer_rates(count, dtype, step, rates)


def adadelta_step(params, grads, square_avgs, acc_deltas, lr, *options):
    if rt.recording() is None:
        return twin.adadelta_step(params, grads, square_avgs, acc_deltas, lr, *options)
    for p, *arrays in zip(params, grads, square_avgs, acc_deltas, strict=True):
        _more.adadelta_update(p, *arrays, *_on_device(1, p.dtype, None, lambda step, lr: (lr,)), *options)


def adamax_step(params, grads, exp_avgs, exp_infs, step, lr, beta1, *options):
    if rt.recording() is None:
        return twin.adamax_step(params, grads, exp_avgs, exp_infs, step, lr, beta1, *options)
    for p, *arrays in zip(params, grads, exp_avgs, exp_infs, strict=True):
        rates = _on_device(1, p.dtype, step, lambda step, lr: _more.adamax_rates(step, lr, beta1))
        _more.adamax_update(p, *arrays, *rates, beta1, *options)


def nadam_step(
    params, grads, exp_avgs, exp_avg_sqs, mu_products, step, lr, beta1, beta2, eps, weight_decay, momentum_decay, *how
):
    lists = params, grads, exp_avgs, exp_avg_sqs, mu_products
    if rt.recording() is None:
        return twin.nadam_step(*lists, step, lr, beta1, beta2, eps, weight_decay, momentum_decay, *how)
    more = beta1, beta2, weight_decay, momentum_decay
    for p, *arrays, product in zip(*lists, strict=True):
        rates = _on_device(
            4, p.dtype, step, lambda step, lr, product=product: _more.nadam_rates(product, step, lr, *more)
        )
        _more.nadam_update(p, *arrays, *rates, beta1, beta2, eps, weight_decay, *how)


def radam_step(params, grads, exp_avgs, exp_avg_sqs, step, lr, beta1, beta2, eps, weight_decay, *how):
    lists = params, grads, exp_avgs, exp_avg_sqs
    if rt.recording() is None:
        return twin.radam_step(*lists, step, lr, beta1, beta2, eps, weight_decay, *how)
    for p, *arrays in zip(*lists, strict=True):
        rates = _on_device(5, p.dtype, step, lambda step, lr: _more.radam_rates(step, lr, beta1, beta2, weight_decay))
        _more.radam_update(p, *arrays, *rates, beta1, beta2, eps, weight_decay, *how)


def rprop_step(*args):
    if rt.recording() is not None:
        rt.capture.optimizer_rates(0, None, None, None)  # no number changes; the parameters are noted
    return twin.rprop_step(*args)


def asgd_step(params, grads, axs, mus, etas, step, lr, lambd, alpha, t0, *options):
    lists = params, grads, axs, mus, etas
    if rt.recording() is None:
        return twin.asgd_step(*lists, step, lr, lambd, alpha, t0, *options)
    for p, *arrays, mu, eta in zip(*lists, strict=True):
        rates = _on_device(
            3,
            p.dtype,
            step,
            lambda step, lr, mu=mu, eta=eta: _more.asgd_rates(mu, eta, step, lr, lambd, alpha, t0),
        )
        _more.asgd_update(p, *arrays, *rates, *options)
