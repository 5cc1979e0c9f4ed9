"""NumPy twins of the optimizers' steps: torch's update rules over lists of arrays, in place.

Every list has one array a parameter, alike in shape and dtype; None where an optimizer runs without that state. The
scalars are Python floats, and reach an array in its own dtype.
"""

import math

import numpy as np

__all__ = ["adagrad_step", "adam_step", "grad_norm", "rmsprop_step", "scale_", "sgd_step"]


def _effective(p, g, weight_decay, maximize):
    """The gradient that is descended: a fresh array where it is not g itself."""
    if maximize:
        g = -g
    return g + p * p.dtype.type(weight_decay) if weight_decay else g


def sgd_step(params, grads, bufs, lr, momentum, dampening, weight_decay, nesterov, maximize, first_step):
    """bufs is None without momentum; with first_step its arrays are filled, whatever they held."""
    for i, p in enumerate(params):
        t = p.dtype.type
        g = _effective(p, grads[i], weight_decay, maximize)
        if bufs is not None:
            b = bufs[i]
            if first_step:
                b[...] = g
            else:
                b *= t(momentum)
                b += g * t(1 - dampening)
            g = g + b * t(momentum) if nesterov else b
        p -= g * t(lr)


def adam_step(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs,
    step,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    decoupled,
    maximize,
):
    """step counts from 1; decoupled: AdamW. max_exp_avg_sqs is None without amsgrad."""
    step_size = lr / (1 - beta1**step)
    root_correction = (1 - beta2**step) ** 0.5
    for i, p in enumerate(params):
        t = p.dtype.type
        if decoupled:
            if weight_decay:
                p *= t(1 - lr * weight_decay)
            g = _effective(p, grads[i], 0, maximize)
        else:
            g = _effective(p, grads[i], weight_decay, maximize)
        m, v = exp_avgs[i], exp_avg_sqs[i]
        _lerp_(m, g, 1 - beta1)
        v *= t(beta2)
        v += t(1 - beta2) * g * g
        if max_exp_avg_sqs is not None:
            v = np.maximum(max_exp_avg_sqs[i], v, out=max_exp_avg_sqs[i])
        denominator = np.sqrt(v)
        denominator /= t(root_correction)
        denominator += t(eps)
        p -= t(step_size) * m / denominator


def _lerp_(m, g, weight):
    """m += weight·(g - m), from the nearer end."""
    t = m.dtype.type
    if weight < 0.5:
        m += t(weight) * (g - m)
    else:
        m[...] = g - (g - m) * t(1 - weight)


def adagrad_step(params, grads, sums, step, lr, lr_decay, weight_decay, eps, maximize):
    clr = lr / (1 + (step - 1) * lr_decay)
    for i, p in enumerate(params):
        t = p.dtype.type
        g = _effective(p, grads[i], weight_decay, maximize)
        s = sums[i]
        s += g * g
        p -= t(clr) * g / (np.sqrt(s) + t(eps))


def rmsprop_step(params, grads, square_avgs, grad_avgs, bufs, lr, alpha, eps, weight_decay, momentum, maximize):
    """grad_avgs is None unless centered, bufs is None without momentum."""
    for i, p in enumerate(params):
        t = p.dtype.type
        g = _effective(p, grads[i], weight_decay, maximize)
        v = square_avgs[i]
        v *= t(alpha)
        v += t(1 - alpha) * g * g
        if grad_avgs is not None:
            _lerp_(grad_avgs[i], g, 1 - alpha)
            root = np.sqrt(v - grad_avgs[i] * grad_avgs[i])
        else:
            root = np.sqrt(v)
        root += t(eps)
        if bufs is not None:
            b = bufs[i]
            b *= t(momentum)
            b += g / root
            p -= t(lr) * b
        else:
            p -= t(lr) * g / root


def _norm2(g):
    """The 2-norm of one array as torch adds it up: in as many lanes as 32 bytes hold, each sum rounded to g's dtype."""
    flat = g.reshape(-1)
    lanes = 32 // g.itemsize
    whole = flat.size // lanes * lanes
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = g.dtype.type(0)
        for part in (np.square(flat[:whole].reshape(-1, lanes)).sum(0), np.square(flat[whole:])):
            for x in part:
                total += x
    if total > 0 and np.isfinite(total):
        return np.sqrt(total)
    return np.sqrt(np.square(flat, dtype=np.float64).sum())  # a square left the dtype's range


def grad_norm(grads, p):
    """The p-norm of all elements of all arrays, as a 0-d array of their dtype (float32 for the 16-bit types).

    The 2-norm is the norm of the arrays' norms, each in torch's order: over long float32 arrays it loses digits as
    torch's does, so that clipped gradients stay the same.
    """
    if not grads:
        return np.zeros((), np.float32)
    dtype = np.result_type(*grads)
    if dtype.itemsize == 2:
        dtype = np.dtype(np.float32)
    if p == math.inf:
        total = np.max([np.max(np.abs(g), initial=0) for g in grads])
    elif p == 2:
        total = _norm2(np.array([_norm2(g.astype(dtype, copy=False)) for g in grads], dtype))
    else:
        total = sum(float((np.abs(g.astype(np.float64)) ** p).sum()) for g in grads) ** (1.0 / p)
    return np.array(total, dtype)


def scale_(grads, factor):
    for g in grads:
        g *= g.dtype.type(factor)
