"""Layer, batch, group, instance and RMS normalisation: one op, (x - mean)·rstd·weight + bias over the dimensions that
each of them takes the mean over."""

from .._tape import grad_mode, record
from ..tensor import Tensor, wrap
from .elementwise import add, div, mul, sub
from .reduce import mean, sum_to
from .shape import expand, reshape
from .spread import vector_norm
from .unary import clamp, operand, rsqrt


def _normalize(t, dims, weight, bias, eps, centre=True):
    """(result, mean, var): t over the dimensions `dims`; weight and bias of shapes that broadcast to t's."""
    x = t._a
    w, b = None if weight is None else weight._a, None if bias is None else bias._a
    y, mu, var = Tensor._k.normalize_affine(x, dims, w, b, eps, centre)
    r = wrap(y)
    nodes = (t._fn, None if weight is None else weight._fn, None if bias is None else bias._fn)
    if grad_mode.enabled and nodes != (None, None, None):
        saved = (x, w, mu, var, dims, eps, centre, None if b is None else b.shape)
        record(r, normalize_rule, nodes, saved, (t, weight) + (None,) * 6)
    return r, mu, var


def normalize_rule(k, dy, saved, needs):
    *how, bias_shape = saved
    dx, dw = k.normalize_affine_backward(dy, *how, needs[0] is not None, needs[1] is not None)
    return dx, dw, None if needs[2] is None else k.sum_to(dy, bias_shape)


def normalize_affine_backward(dy, x, weight, mu, var, dims, eps, centre, want_input, want_weight):
    """(dx, dweight), differentiable: the statistics are taken from x again.

    With g = dy·weight and xhat = (x - mean)·rstd: dx = rstd·(g - mean(g) - xhat·mean(g·xhat)), dweight = Σ dy·xhat."""
    centred = sub(x, mean(x, dims, True)) if centre else x
    rstd = rsqrt(add(mean(mul(centred, centred), dims, True), eps))
    xhat = mul(centred, rstd)
    dx = dw = None
    if want_input:
        g = dy if weight is None else mul(dy, weight)
        inner = sub(g, mul(xhat, mean(mul(g, xhat), dims, True)))
        if centre:
            inner = sub(inner, mean(g, dims, True))
        dx = mul(inner, rstd)
    if want_weight:
        dw = sum_to(mul(dy, xhat), weight._a.shape)
    return dx, dw


def _shape_of(normalized_shape):
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


def _check_affine(shape, weight, bias, function):
    for v, name in ((weight, "weight"), (bias, "bias")):
        if v is not None and v._a.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(v._a.shape)} "
                f"and normalized_shape = {list(shape)}"
            )


def _trailing(t, normalized_shape, weight, bias, function):
    """The dimensions that normalized_shape names, the last ones."""
    shape = _shape_of(normalized_shape)
    x = t._a
    if not shape:
        raise RuntimeError("Expected normalized_shape to be at least 1-dimensional")
    _check_affine(shape, weight, bias, function)
    if x.ndim < len(shape) or x.shape[x.ndim - len(shape) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but "
            f"got input of size{list(x.shape)}"
        )
    if x.dtype.kind in "iub":
        raise NotImplementedError(f"\"{function}\" not implemented for '{t.dtype.short}'")
    return tuple(range(x.ndim - len(shape), x.ndim))


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(x - mean)/√(var + eps)·weight + bias over the last dimensions, those of normalized_shape."""
    t = operand(input, "layer_norm")
    dims = _trailing(t, normalized_shape, weight, bias, "LayerNormKernelImpl")
    return _normalize(t, dims, weight, bias, float(eps))[0]


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x/√(mean(x²) + eps)·weight over the last dimensions; eps is the dtype's unless given."""
    t = operand(input, "rms_norm")
    dims = _trailing(t, normalized_shape, weight, None, "rms_norm")
    if eps is None:
        from ..dtypes import finfo

        eps = finfo(t.dtype).eps
    return _normalize(t, dims, weight, None, float(eps), False)[0]


def _per_channel(v, ndim, channels, name, function):
    """[C] as [1, C, 1, ...]."""
    if v is None:
        return None
    if v._a.shape != (channels,):
        raise RuntimeError(f"{function}: {name} should contain {channels} elements not {v._a.size}")
    return reshape(v, (1, channels) + (1,) * (ndim - 2))


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """(x - mean)/√(var + eps)·weight + bias for each channel (dimension 1): statistics of the batch when training,
    which move running_mean and running_var by `momentum`; else those two.

    Raises ValueError for a single value per channel."""
    t = operand(input, "batch_norm")
    x = t._a
    if x.ndim < 2:
        raise RuntimeError(f"batch_norm: expected an input of 2 or more dimensions, got {x.ndim}")
    channels = x.shape[1]
    w = _per_channel(weight, x.ndim, channels, "weight", "batch_norm")
    b = _per_channel(bias, x.ndim, channels, "bias", "batch_norm")
    for v, name in ((running_mean, "running_mean"), (running_var, "running_var")):
        if v is not None and v._a.size != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {v._a.size}")
        if v is None and not training:
            raise RuntimeError(f"Expected {name} to be defined when training=False")
    if not training:
        scale = rsqrt(add(wrap(running_var._a), float(eps)))
        scale = _per_channel(scale, x.ndim, channels, "running_var", "batch_norm")
        centred = sub(t, _per_channel(wrap(running_mean._a), x.ndim, channels, "running_mean", "batch_norm"))
        r = mul(centred, scale if w is None else mul(scale, w))
        return r if b is None else add(r, b)
    n = x.size // max(channels, 1)
    if n == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {t.shape}")
    r, mu, var = _normalize(t, (0, *range(2, x.ndim)), w, b, float(eps))
    if running_mean is not None:
        _move(running_mean, mu, momentum)
    if running_var is not None:
        _move(running_var, Tensor._k.mul(var, n / max(n - 1, 1)), momentum)
    return r


def _move(running, batch, momentum):
    """running ← (1 - momentum)·running + momentum·batch"""
    a = running._a
    a *= 1 - momentum
    a += momentum * batch.reshape(a.shape)
    running._bump()


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Each sample's channels in num_groups groups, each group normalised as a whole; weight and bias per channel."""
    t = operand(input, "group_norm")
    x = t._a
    if x.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {x.ndim}")
    n, channels = x.shape[:2]
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(x.shape)} and num_groups={num_groups}"
        )
    each = channels // num_groups
    rest = 1
    for s in x.shape[2:]:
        rest *= s
    affine = []
    for v, name in ((weight, "weight"), (bias, "bias")):
        if v is not None and v._a.shape != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                f"shape {list(v._a.shape)} and input of shape {list(x.shape)}"
            )
        affine.append(None if v is None else reshape(v, (1, num_groups, each, 1)))
    r, _, _ = _normalize(reshape(t, (n, num_groups, each, rest)), (2, 3), *affine, float(eps))
    return reshape(r, x.shape)


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """Each channel of each sample normalised by itself."""
    t = operand(input, "instance_norm")
    x = t._a
    if not use_input_stats:
        return batch_norm(t, running_mean, running_var, weight, bias, False, momentum, eps)
    if x.ndim < 3:
        raise RuntimeError(f"instance_norm: expected an input of 3 or more dimensions, got {x.ndim}")
    n = x.size // max(x.shape[0] * x.shape[1], 1)
    if n == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {t.shape}")
    w = _per_channel(weight, x.ndim, x.shape[1], "weight", "instance_norm")
    b = _per_channel(bias, x.ndim, x.shape[1], "bias", "instance_norm")
    r, mu, var = _normalize(t, tuple(range(2, x.ndim)), w, b, float(eps))
    if running_mean is not None:
        _move(running_mean, Tensor._k.mean(mu, (0,), False), momentum)
        _move(running_var, Tensor._k.mul(Tensor._k.mean(var, (0,), False), n / (n - 1)), momentum)
    return r


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """x/(k + alpha·mean of x² over `size` neighbouring channels)^beta"""
    from .elementwise import pow
    from .index import index_put_zeros
    from .pool2d import avg_pool2d

    t = operand(input, "local_response_norm")
    if t._a.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {t._a.ndim} dimensions)")
    n, c = t._a.shape[:2]
    squares = reshape(mul(t, t), (n, 1, c, -1))
    rest = squares._a.shape[3]
    before = size // 2
    window = (slice(0, n), slice(0, 1), slice(before, before + c), slice(0, rest))
    padded = index_put_zeros(squares, (n, 1, c + size - 1, rest), window, True)
    means = reshape(avg_pool2d(padded, (size, 1), 1), t._a.shape)
    return div(t, pow(add(mul(means, float(alpha)), float(k)), float(beta)))


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """input / max(‖input‖_p, eps) along `dim`."""
    from ._common import write_out

    t = operand(input, "normalize")
    r = div(t, expand(clamp(vector_norm(t, p, dim, True), min=eps), t._a.shape))
    return r if out is None else write_out(out, r)
