"""Layer, batch, group, instance and RMS normalisation: (x - mean)·rstd·weight + bias, each over its own dimensions, one
kernel forward and one backward. The backward functions below are made of ops, for create_graph: they take the statistics
from x again."""

from .._tape import grad_mode, own_version, record
from ..tensor import Tensor, wrap
from ._common import GRAPH
from .elementwise import add, div, mul, sub
from .reduce import mean, sum, sum_to
from .shape import expand, reshape
from .spread import vector_norm
from .unary import clamp, operand, rsqrt


def _wanted(needs):
    return needs[0] is not None, needs[1] is not None, needs[2] is not None


def _gradients(dy, x, weight, dims, eps, centre, wanted, statistics=None):
    """(dx, dweight, dbias) of the shape of x, the latter two not yet summed. weight broadcasts to x; `statistics` are
    mean and var where they are given, and constants.

    With g = dy·weight and xhat = (x - mean)·rstd: dx = rstd·(g - mean(g) - xhat·mean(g·xhat)), dweight = Σ dy·xhat."""
    if statistics is None:
        centred = sub(x, mean(x, dims, True)) if centre else x
        rstd = rsqrt(add(mean(mul(centred, centred), dims, True), eps))
    else:
        centred, rstd = sub(x, statistics[0]), rsqrt(add(statistics[1], eps))
    xhat = mul(centred, rstd)
    dx = None
    if wanted[0]:
        g = inner = dy if weight is None else mul(dy, weight)
        if statistics is None:
            inner = sub(g, mul(xhat, mean(mul(g, xhat), dims, True)))
            if centre:
                inner = sub(inner, mean(g, dims, True))
        dx = mul(inner, rstd)
    return dx, mul(dy, xhat) if wanted[1] else None, dy if wanted[2] else None


def _check_floating(t, function):
    if t._a.dtype.kind in "iub":
        raise NotImplementedError(f"\"{function}\" not implemented for '{t.dtype.short}'")


def _check_dtypes(t, function, **parameters):
    """16-bit input may come with 32-bit parameters, as in torch."""
    for name, v in parameters.items():
        if v is not None and v._a.dtype != t._a.dtype and t._a.dtype.itemsize != 2:
            raise RuntimeError(
                f"{function}: expected {name} of the input's dtype {t.dtype.short}, but got {v.dtype.short}"
            )


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
    _check_floating(t, function)
    _check_dtypes(t, function, weight=weight, bias=bias)
    return len(shape)


def _layer_norm(t, dims, weight, bias, eps, centre):
    x = t._a
    w, b = None if weight is None else weight._a, None if bias is None else bias._a
    y, mu, var = Tensor._k.layer_norm(x, dims, w, b, eps, centre)
    r = wrap(y)
    nodes = (t._fn, None if weight is None else weight._fn, None if bias is None else bias._fn)
    if grad_mode.enabled and nodes != (None, None, None):
        rule = layer_norm_rule if centre else rms_norm_rule
        record(r, rule, nodes, (x, dims, w, mu, var, eps), (t, None, weight, None, None, None))
    return r


def layer_norm_rule(k, dy, saved, needs):
    return k.layer_norm_backward(dy, *saved, _wanted(needs))


def rms_norm_rule(k, dy, saved, needs):
    return k.layer_norm_backward(dy, *saved, _wanted(needs))


def layer_norm_backward(dy, x, dims, weight, mu, var, eps, wanted):
    n = x._a.ndim
    dx, dw, db = _gradients(dy, x, weight, tuple(range(n - dims, n)), eps, mu is not None, wanted)
    shape = x._a.shape[n - dims :]
    return dx, None if dw is None else sum_to(dw, shape), None if db is None else sum_to(db, shape)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(x - mean)/√(var + eps)·weight + bias over the last dimensions, those of normalized_shape."""
    t = operand(input, "layer_norm")
    dims = _trailing(t, normalized_shape, weight, bias, "LayerNormKernelImpl")
    return _layer_norm(t, dims, weight, bias, float(eps), True)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x/√(mean(x²) + eps)·weight over the last dimensions; eps is the dtype's unless given."""
    t = operand(input, "rms_norm")
    dims = _trailing(t, normalized_shape, weight, None, "rms_norm")
    if eps is None:
        from ..dtypes import finfo

        eps = finfo(t.dtype).eps
    return _layer_norm(t, dims, weight, None, float(eps), False)


def _channel_parameters(t, weight, bias, function):
    """The arrays of weight and bias, checked to be [C]."""
    channels = t._a.shape[1]
    for v, name in ((weight, "weight"), (bias, "bias")):
        if v is not None and v._a.shape != (channels,):
            raise RuntimeError(
                f"{function}: expected {name} to be a vector of size equal to the number of channels in input, "
                f"{channels}, but got {name} of shape {list(v._a.shape)} and input of shape {list(t._a.shape)}"
            )
    _check_floating(t, function)
    _check_dtypes(t, function, weight=weight, bias=bias)
    return None if weight is None else weight._a, None if bias is None else bias._a


def _nodes(t, weight, bias):
    """The three nodes, None where none needs a gradient."""
    nodes = (t._fn, None if weight is None else weight._fn, None if bias is None else bias._fn)
    return nodes if grad_mode.enabled and nodes != (None, None, None) else None


def _per_channel(v, ndim):
    """[C] as [1, C, 1, ...]."""
    return None if v is None else reshape(v, (1, -1) + (1,) * (ndim - 2))


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """(x - mean)/√(var + eps)·weight + bias for each channel (dimension 1): statistics of the batch when training,
    which move running_mean and running_var by `momentum`; else those two.

    Raises ValueError for a single value per channel."""
    t = operand(input, "batch_norm")
    x = t._a
    if x.ndim < 2:
        raise RuntimeError(f"batch_norm: expected an input of 2 or more dimensions, got {x.ndim}")
    channels = x.shape[1]
    w, b = _channel_parameters(t, weight, bias, "batch_norm")
    for v, name in ((running_mean, "running_mean"), (running_var, "running_var")):
        if v is not None and v._a.size != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {v._a.size}")
        if v is None and not training:
            raise RuntimeError(f"Expected {name} to be defined when training=False")
    eps = float(eps)
    n = x.size // max(channels, 1)
    if training and n == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {t.shape}")
    if training:
        y, mu, var = Tensor._k.batch_norm(x, w, b, eps)
    else:
        mu, var = running_mean._a, running_var._a
        y = Tensor._k.batch_norm_eval(x, mu, var, w, b, eps)
    r = wrap(y)
    nodes = _nodes(t, weight, bias)
    if nodes:
        kept = (None, None) if training else (running_mean, running_var)
        record(r, batch_norm_rule, nodes, (x, w, mu, var, eps, training), (t, weight, *kept, None, None))
    if training and n and running_mean is not None:  # an empty batch moves nothing
        _move(running_mean, mu, momentum)
    if training and n and running_var is not None:
        _move(running_var, Tensor._k.mul(var, n / max(n - 1, 1)), momentum)
    return r


def batch_norm_rule(k, dy, saved, needs):
    return k.batch_norm_backward(dy, *saved, _wanted(needs))


def batch_norm_backward(dy, x, weight, mu, var, eps, training, wanted):
    ndim = x._a.ndim
    dims = (0, *range(2, ndim))
    statistics = None if training else (_per_channel(mu, ndim), _per_channel(var, ndim))
    dx, dw, db = _gradients(dy, x, _per_channel(weight, ndim), dims, eps, True, wanted, statistics)
    return dx, None if dw is None else sum(dw, dims), None if db is None else sum(db, dims)


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
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if x.shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(x.shape)} and num_groups={num_groups}"
        )
    if x.size == num_groups:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(x.shape)}")
    if not x.size:  # empty too, with gradients of 0 for what it is multiplied by
        shape = (1, -1) + (1,) * (x.ndim - 2)
        _channel_parameters(t, weight, bias, "group_norm")
        r = mul(t, 1.0 if weight is None else reshape(weight, shape))
        return r if bias is None else add(r, reshape(bias, shape))
    return _group_norm(t, num_groups, weight, bias, float(eps), "group_norm")[0]


def _group_norm(t, groups, weight, bias, eps, function):
    """(result, mean, var), the statistics [N, groups]."""
    x = t._a
    w, b = _channel_parameters(t, weight, bias, function)
    y, mu, var = Tensor._k.group_norm(x, groups, w, b, eps)
    r = wrap(y)
    nodes = _nodes(t, weight, bias)
    if nodes:
        record(r, group_norm_rule, nodes, (x, groups, w, mu, var, eps), (t, None, weight, None, None, None))
    return r, mu, var


def group_norm_rule(k, dy, saved, needs):
    return k.group_norm_backward(dy, *saved, _wanted(needs))


def group_norm_backward(dy, x, groups, weight, mu, var, eps, wanted):
    n, channels = x._a.shape[:2]
    grouped = (n, groups, channels // groups, x._a.size // max(n * channels, 1))
    w = None if weight is None else reshape(weight, (1, groups, channels // groups, 1))
    dx, dw, db = _gradients(reshape(dy, grouped), reshape(x, grouped), w, (2, 3), eps, True, wanted)
    return (
        None if dx is None else reshape(dx, x._a.shape),
        None if dw is None else reshape(sum(dw, (0, 3)), (channels,)),
        None if db is None else reshape(sum(db, (0, 3)), (channels,)),
    )


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """Each channel of each sample normalised by itself."""
    t = operand(input, "instance_norm")
    x = t._a
    if not use_input_stats:
        return batch_norm(t, running_mean, running_var, weight, bias, False, momentum, eps)
    if x.ndim < 2:
        raise RuntimeError(f"instance_norm: expected an input of 3 or more dimensions, got {x.ndim}")
    n = x.size // max(x.shape[0] * x.shape[1], 1)
    if n == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {t.shape}")
    if x.size == 0:
        return mul(t, 1.0)
    r, mu, var = _group_norm(t, x.shape[1], weight, bias, float(eps), "instance_norm")
    if running_mean is not None:
        _move(running_mean, Tensor._k.mean(mu, (0,), False), momentum)
    if running_var is not None:
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
    if not t._a.size:
        return mul(t, 1.0)
    squares = reshape(mul(t, t), (n, 1, c, -1))
    rest = squares._a.shape[3]
    before = size // 2
    window = (slice(0, n), slice(0, 1), slice(before, before + c), slice(0, rest))
    padded = index_put_zeros(squares, (n, 1, c + size - 1, rest), window, True)
    means = reshape(avg_pool2d(padded, (size, 1), 1), t._a.shape)
    return div(t, pow(add(mul(means, float(alpha)), float(k)), float(beta)))


def unit_rows(x, dim, eps):
    """x / max(|x|, eps) along `dim`, float32 or float64: normalize, and both sides of cosine_similarity."""
    a = wrap(x._a)
    length = clamp(vector_norm(a, 2, dim, True), min=eps)
    r = wrap(div(a, length)._a)
    if x._fn is not None and grad_mode.enabled:
        record(r, unit_rows_rule, (x._fn,), (x._a, r._a, length._a, dim, eps), (x, own_version(r), None, None, None))
    return r


def unit_rows_rule(k, dy, saved, needs):
    """(dy - r·Σ dy·r)/|x| for r = x/|x|; dy/eps where |x| < eps."""
    x, r, length, dim, eps = saved
    if k is GRAPH:
        length = clamp(vector_norm(x, 2, dim, True), min=eps)
        r = div(x, length)
    dim = dim % len(x.shape)
    along = k.sum(k.mul(dy, r), (dim,), True)
    if eps:
        along = k.where(k.gt(length, eps), along, 0.0)
    return (k.div(k.sub(dy, k.mul(r, along)), length),)


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """input / max(‖input‖_p, eps) along `dim`."""
    from ._common import write_out

    t = operand(input, "normalize")
    if p == 2 and isinstance(dim, int) and t._a.ndim and t._a.dtype.char in "fd":
        r = unit_rows(t, dim, eps)
        return r if out is None else write_out(out, r)
    r = div(t, expand(clamp(vector_norm(t, p, dim, True), min=eps), t._a.shape))
    return r if out is None else write_out(out, r)
