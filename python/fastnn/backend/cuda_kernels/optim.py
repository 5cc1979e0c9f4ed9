"""Optimizer steps over all parameters in one native call, under their twins' names. Groups of mixed dtypes or layouts go
array by array; what the kernel does not take is composed on the device."""

from .. import cuda_runtime as rt
from ._composed import package as twin
from ._native import arrays, contiguous, described, has, is_float, native, ran, scratch, stream, wide

_SGD, _ADAM, _ADAGRAD, _RMSPROP = range(4)


def _native_step(rule, lists, numbers):
    """Whether the kernel took the lists: parameters, gradients, states (None where there is none)."""
    params, grads, *states = lists
    d = params[0].dtype if params else None
    given = [params, grads, *(s for s in states if s is not None)]
    if not params or not is_float(d) or not all(a.dtype == d and a.flags.c_contiguous for part in given for a in part):
        return False
    params, grads = [described(p) for p in params], [described(g) for g in grads]
    states = tuple(None if s is None else [described(a) for a in s] for s in states)
    if rt.recording() is not None:  # a replay reads them anew
        numbers = {**numbers, **rt.capture.optimizer_numbers(numbers.get("step"))}
    native.optim_step(params, grads, states, rule, numbers, stream())
    ran("optim_step")
    return True


def _step(rule, lists, numbers, composed):
    lists = list(lists)
    if _native_step(rule, lists, numbers):
        return
    for i in range(len(lists[0])):
        one = [None if x is None else [x[i]] for x in lists]
        one[1] = [contiguous(one[1][0])]
        if not _native_step(rule, one, numbers):
            if rt.recording() is not None:
                raise RuntimeError(
                    "fastnn.cuda.graph: this optimizer step cannot be recorded: the kernel takes contiguous parameters of "
                    f"float32, float64, float16 or bfloat16, got {lists[0][i].dtype} with strides {lists[0][i].strides}"
                )
            composed(*one)


def sgd_step(params, grads, bufs, lr, momentum, dampening, weight_decay, nesterov, maximize, first_step):
    numbers = {
        "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
        "maximize": maximize, "first_step": first_step, "has_buffers": bufs is not None,
    }  # fmt: skip
    scalars = (lr, momentum, dampening, weight_decay, nesterov, maximize, first_step)
    _step(_SGD, (params, grads, bufs), numbers, lambda *lists: twin.sgd_step(*lists, *scalars))


def adam_step(
    params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize
):  # fmt: skip
    numbers = {
        "step": step, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay,
        "decoupled": decoupled, "maximize": maximize, "amsgrad": max_exp_avg_sqs is not None,
    }  # fmt: skip
    scalars = (step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize)
    lists = (params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs)
    _step(_ADAM, lists, numbers, lambda *one: twin.adam_step(*one, *scalars))


def adagrad_step(params, grads, sums, step, lr, lr_decay, weight_decay, eps, maximize):
    numbers = {
        "step": step, "lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps, "maximize": maximize,
    }  # fmt: skip
    scalars = (step, lr, lr_decay, weight_decay, eps, maximize)
    _step(_ADAGRAD, (params, grads, sums), numbers, lambda *one: twin.adagrad_step(*one, *scalars))


def rmsprop_step(params, grads, square_avgs, grad_avgs, bufs, lr, alpha, eps, weight_decay, momentum, maximize):
    numbers = {
        "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum, "maximize": maximize,
        "centered": grad_avgs is not None, "has_buffers": bufs is not None,
    }  # fmt: skip
    scalars = (lr, alpha, eps, weight_decay, momentum, maximize)
    lists = (params, grads, square_avgs, grad_avgs, bufs)
    _step(_RMSPROP, lists, numbers, lambda *one: twin.rmsprop_step(*one, *scalars))


def grad_norm(grads, p):
    """The p-norm of all elements of all arrays, as a 0-d array of their dtype (float32 for the 16-bit types)."""
    full = [g for g in grads if g.size]
    if not full or p <= 0 or not is_float(full[0].dtype) or any(g.dtype != full[0].dtype for g in full):
        return twin.grad_norm(grads, p)
    parts = [described(contiguous(g)) for g in full]
    out = arrays.empty((), wide(full[0].dtype))
    memory, address = scratch(native.grad_norm(parts, float(p), described(out), None, stream()))
    native.grad_norm(parts, float(p), described(out), address, stream())
    ran("grad_norm")
    return out


__all__ = ["adagrad_step", "adam_step", "grad_norm", "rmsprop_step", "sgd_step"] if has("optim_step") else []
