"""The steps of the rarer optimizers, as those in optim.py: lists of arrays, changed in place.

Each is made of `<name>_rates`, the numbers that change from step to step, and `<name>_update`, one parameter's arrays:
where a step is recorded (fastnn.cuda.graph) these numbers are 0-d arrays, filled anew at each replay.
"""

import numpy as np

from .optim import _effective, _lerp_

__all__ = ["adadelta_step", "adamax_step", "asgd_step", "nadam_step", "radam_step", "rprop_step"]


def _recorded(number):
    return hasattr(number, "dtype")


def _of(p, number):
    """A number that changes from step to step, in p's dtype."""
    return number if _recorded(number) else p.dtype.type(number)


def adadelta_update(p, g, v, u, lr, rho, eps, weight_decay, maximize):
    t = p.dtype.type
    g = _effective(p, g, weight_decay, maximize)
    v *= t(rho)
    v += t(1 - rho) * g * g
    delta = np.sqrt(u + t(eps))
    delta /= np.sqrt(v + t(eps))
    delta *= g
    u *= t(rho)
    u += t(1 - rho) * delta * delta
    p -= _of(p, lr) * delta


def adadelta_step(params, grads, square_avgs, acc_deltas, lr, rho, eps, weight_decay, maximize):
    for arrays in zip(params, grads, square_avgs, acc_deltas, strict=True):
        adadelta_update(*arrays, lr, rho, eps, weight_decay, maximize)


def adamax_rates(step, lr, beta1):
    """(rate,)"""
    return (lr / (1 - beta1**step),)


def adamax_update(p, g, m, u, rate, beta1, beta2, eps, weight_decay, maximize):
    t = p.dtype.type
    g = _effective(p, g, weight_decay, maximize)
    _lerp_(m, g, 1 - beta1)
    u *= t(beta2)
    np.maximum(u, np.abs(g) + t(eps), out=u)
    p -= _of(p, rate) * m / u


def adamax_step(params, grads, exp_avgs, exp_infs, step, lr, beta1, beta2, eps, weight_decay, maximize):
    """step counts from 1."""
    rates = adamax_rates(step, lr, beta1)
    for arrays in zip(params, grads, exp_avgs, exp_infs, strict=True):
        adamax_update(*arrays, *rates, beta1, beta2, eps, weight_decay, maximize)


def _moments(p, g, m, v, shrink, beta1, beta2, weight_decay, decoupled, maximize):
    """The effective gradient, once it has entered its running means; a decoupled decay shrinks p."""
    t = p.dtype.type
    if decoupled and weight_decay:
        p *= _of(p, shrink)
    g = _effective(p, g, 0 if decoupled else weight_decay, maximize)
    _lerp_(m, g, 1 - beta1)
    v *= t(beta2)
    v += t(1 - beta2) * g * g
    return g


def nadam_rates(product, step, lr, beta1, beta2, weight_decay, momentum_decay):
    """(shrink, correction, the gradient's rate, its mean's rate). product: a 0-d array, the product of the momentum
    coefficients so far, which is moved on."""
    mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
    product *= product.dtype.type(mu)
    now = product.item()
    return 1 - lr * weight_decay, 1 - beta2**step, -lr * (1 - mu) / (1 - now), -lr * mu_next / (1 - now * mu_next)


def nadam_update(
    p, g, m, v, shrink, correction, of_gradient, of_mean, beta1, beta2, eps, weight_decay, decoupled, maximize
):
    g = _moments(p, g, m, v, shrink, beta1, beta2, weight_decay, decoupled, maximize)
    root = np.sqrt(v / _of(p, correction))
    root += p.dtype.type(eps)
    p += _of(p, of_gradient) * g / root
    p += _of(p, of_mean) * m / root


def nadam_step(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    mu_products,
    step,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    momentum_decay,
    decoupled,
    maximize,
):
    """mu_products: 0-d arrays, see nadam_rates."""
    for *arrays, product in zip(params, grads, exp_avgs, exp_avg_sqs, mu_products, strict=True):
        rates = nadam_rates(product, step, lr, beta1, beta2, weight_decay, momentum_decay)
        nadam_update(*arrays, *rates, beta1, beta2, eps, weight_decay, decoupled, maximize)


def radam_rates(step, lr, beta1, beta2, weight_decay):
    """(shrink, correction, rate, correction of the root, rectification); the last is 0 as long as there is none."""
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / correction2  # of the window that v averages over
    rectified = 0.0
    if length > 5:
        rectified = ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5
    return 1 - lr * weight_decay, correction1, lr, correction2**0.5, rectified


def radam_update(
    p, g, m, v, shrink, correction, lr, root_correction, rectified, beta1, beta2, eps, weight_decay, decoupled, maximize
):
    _moments(p, g, m, v, shrink, beta1, beta2, weight_decay, decoupled, maximize)
    change = m / _of(p, correction)
    change *= _of(p, lr)
    if _recorded(rectified) or rectified:
        root = np.sqrt(v)
        root += p.dtype.type(eps)
        factor, rectified = _of(p, root_correction) / root, _of(p, rectified)
        if _recorded(lr):  # whether there is a rectification is a number of the device's, too
            one = p.dtype.type(1)
            factor, rectified = np.where(rectified > 0, factor, one), np.where(rectified > 0, rectified, one)
        change *= factor
        change *= rectified
    p -= change


def radam_step(
    params, grads, exp_avgs, exp_avg_sqs, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize
):  # fmt: skip
    rates = radam_rates(step, lr, beta1, beta2, weight_decay)
    for arrays in zip(params, grads, exp_avgs, exp_avg_sqs, strict=True):
        radam_update(*arrays, *rates, beta1, beta2, eps, weight_decay, decoupled, maximize)


def rprop_step(params, grads, prevs, step_sizes, eta_minus, eta_plus, smallest, largest, maximize):
    for i, p in enumerate(params):
        t = p.dtype.type
        g = np.array(-grads[i] if maximize else grads[i])
        prev, size = prevs[i], step_sizes[i]
        agreement = g * prev
        turned = agreement < 0
        size *= np.where(turned, t(eta_minus), np.where(agreement > 0, t(eta_plus), t(1)))
        np.clip(size, t(smallest), t(largest), out=size)
        g[turned] = 0  # after a change of sign: no move, and no comparison next time
        p -= np.sign(g) * size
        prev[...] = g


def asgd_rates(mu, eta, step, lr, lambd, alpha, t0):
    """(shrink, rate, weight of this point in the average). mu and eta: 0-d arrays, this step's weight and rate; set for
    the next."""
    rate, weight = eta.item(), mu.item()
    eta[...] = lr / (1 + lambd * lr * step) ** alpha
    mu[...] = 1 / max(1, step - t0)
    return 1 - lambd * rate, rate, weight


def asgd_update(p, g, ax, shrink, rate, weight, weight_decay, maximize):
    g = _effective(p, g, weight_decay, maximize)
    p *= _of(p, shrink)
    p -= _of(p, rate) * g
    if _recorded(weight):
        ax[...] = np.where(weight == 1, p, ax + (p - ax) * weight)
    elif weight == 1:
        ax[...] = p
    else:
        ax += (p - ax) * _of(p, weight)


def asgd_step(params, grads, axs, mus, etas, step, lr, lambd, alpha, t0, weight_decay, maximize):
    """mus and etas: 0-d arrays, see asgd_rates."""
    for *arrays, mu, eta in zip(params, grads, axs, mus, etas, strict=True):
        asgd_update(*arrays, *asgd_rates(mu, eta, step, lr, lambd, alpha, t0), weight_decay, maximize)
