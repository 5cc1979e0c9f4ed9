"""The steps of the rarer optimizers, as those in optim.py: lists of arrays, changed in place."""

import numpy as np

from .optim import _effective, _lerp_

__all__ = ["adadelta_step", "adamax_step", "asgd_step", "nadam_step", "radam_step", "rprop_step"]


def adadelta_step(params, grads, square_avgs, acc_deltas, lr, rho, eps, weight_decay, maximize):
    for i, p in enumerate(params):
        t = p.dtype.type
        g = _effective(p, grads[i], weight_decay, maximize)
        v, u = square_avgs[i], acc_deltas[i]
        v *= t(rho)
        v += t(1 - rho) * g * g
        delta = np.sqrt(u + t(eps))
        delta /= np.sqrt(v + t(eps))
        delta *= g
        u *= t(rho)
        u += t(1 - rho) * delta * delta
        p -= t(lr) * delta


def adamax_step(params, grads, exp_avgs, exp_infs, step, lr, beta1, beta2, eps, weight_decay, maximize):
    """step counts from 1."""
    clr = lr / (1 - beta1**step)
    for i, p in enumerate(params):
        t = p.dtype.type
        g = _effective(p, grads[i], weight_decay, maximize)
        m, u = exp_avgs[i], exp_infs[i]
        _lerp_(m, g, 1 - beta1)
        u *= t(beta2)
        np.maximum(u, np.abs(g) + t(eps), out=u)
        p -= t(clr) * m / u


def _moments(p, g, m, v, shrink, beta1, beta2, weight_decay, decoupled, maximize):
    """The effective gradient, once it has entered its running means; a decoupled decay shrinks p."""
    t = p.dtype.type
    if decoupled and weight_decay:
        p *= t(shrink)
    g = _effective(p, g, 0 if decoupled else weight_decay, maximize)
    _lerp_(m, g, 1 - beta1)
    v *= t(beta2)
    v += t(1 - beta2) * g * g
    return g


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
    """mu_products: 0-d arrays, the product of the momentum coefficients so far."""
    mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
    correction = 1 - beta2**step
    for i, p in enumerate(params):
        t = p.dtype.type
        m, v, product = exp_avgs[i], exp_avg_sqs[i], mu_products[i]
        g = _moments(p, grads[i], m, v, 1 - lr * weight_decay, beta1, beta2, weight_decay, decoupled, maximize)
        product *= product.dtype.type(mu)
        root = np.sqrt(v / t(correction))
        root += t(eps)
        p += t(-lr * (1 - mu) / (1 - product.item())) * g / root
        p += t(-lr * mu_next / (1 - product.item() * mu_next)) * m / root


def radam_step(
    params, grads, exp_avgs, exp_avg_sqs, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize
):  # fmt: skip
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / correction2  # of the window that v averages over
    for i, p in enumerate(params):
        t = p.dtype.type
        m, v = exp_avgs[i], exp_avg_sqs[i]
        _moments(p, grads[i], m, v, 1 - lr * weight_decay, beta1, beta2, weight_decay, decoupled, maximize)
        change = m / t(correction1)
        change *= t(lr)
        if length > 5:
            rectified = ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5
            root = np.sqrt(v)
            root += t(eps)
            change *= t(correction2**0.5) / root
            change *= t(rectified)
        p -= change


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


def asgd_step(params, grads, axs, mus, etas, step, lr, lambd, alpha, t0, weight_decay, maximize):
    """mus and etas: 0-d arrays, the weight of this point in the average and this step's rate; set for the next."""
    for i, p in enumerate(params):
        t = p.dtype.type
        g = _effective(p, grads[i], weight_decay, maximize)
        eta, ax, mu = etas[i].item(), axs[i], mus[i].item()
        p *= t(1 - lambd * eta)
        p -= t(eta) * g
        if mu == 1:
            ax[...] = p
        else:
            ax += (p - ax) * t(mu)
        etas[i][...] = lr / (1 + lambd * lr * step) ** alpha
        mus[i][...] = 1 / max(1, step - t0)
