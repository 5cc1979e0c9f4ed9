"""The compiled optimizer steps, under their twins' names; what they do not cover goes to the twin, array by array."""

import numpy as np

from fastnn import _cpu

from ..numpy_kernels import optim as twin
from ..numpy_kernels import optim_more

__all__ = ["adadelta_step", "adagrad_step", "adam_step", "grad_norm", "rmsprop_step", "scale_", "sgd_step"]


def _one_by_one(native, twin_step, lists, scalars):
    """A group of mixed dtypes or layouts. Gradients often are views of a transposed product: those are copied."""
    for i, g in enumerate(lists[1]):
        one = [None if x is None else [x[i]] for x in lists]
        one[1] = [np.asarray(g, order="C")]
        if not native(*one, *scalars):
            twin_step(*one, *scalars)


def sgd_step(params, grads, bufs, *scalars):
    if not _cpu.sgd_step(params, grads, bufs, *scalars):
        _one_by_one(_cpu.sgd_step, twin.sgd_step, (params, grads, bufs), scalars)


def adam_step(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, *scalars):
    if not _cpu.adam_step(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, *scalars):
        lists = (params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs)
        _one_by_one(_cpu.adam_step, twin.adam_step, lists, scalars)


def adagrad_step(params, grads, sums, *scalars):
    if not _cpu.adagrad_step(params, grads, sums, *scalars):
        _one_by_one(_cpu.adagrad_step, twin.adagrad_step, (params, grads, sums), scalars)


def adadelta_step(params, grads, square_avgs, acc_deltas, *scalars):
    if not _cpu.adadelta_step(params, grads, square_avgs, acc_deltas, *scalars):
        _one_by_one(_cpu.adadelta_step, optim_more.adadelta_step, (params, grads, square_avgs, acc_deltas), scalars)


def rmsprop_step(params, grads, square_avgs, grad_avgs, bufs, *scalars):
    if not _cpu.rmsprop_step(params, grads, square_avgs, grad_avgs, bufs, *scalars):
        lists = (params, grads, square_avgs, grad_avgs, bufs)
        _one_by_one(_cpu.rmsprop_step, twin.rmsprop_step, lists, scalars)


def grad_norm(grads, p):
    total = _cpu.grad_norm(grads, p)
    return twin.grad_norm(grads, p) if total is None else np.array(total, grads[0].dtype if grads else np.float32)


def scale_(grads, factor):
    if not _cpu.scale_(grads, factor):
        for g in grads:
            if not _cpu.scale_([g], factor):
                twin.scale_([g], factor)
