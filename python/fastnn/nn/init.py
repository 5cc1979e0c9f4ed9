"""Initialisation, in place and outside the graph; the draws are torch's, bit for bit."""

import math
import warnings

import fastnn


def calculate_gain(nonlinearity: str, param=None) -> float:
    """The factor by which `nonlinearity` shrinks a signal's standard deviation, inverted."""
    if nonlinearity in ("linear", "conv1d", "conv2d", "conv3d", "sigmoid") or nonlinearity.startswith("conv_transpose"):
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is None:
            slope = 0.01
        elif isinstance(param, (int, float)) and not isinstance(param, bool):
            slope = param
        else:
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def _calculate_fan_in_and_fan_out(tensor) -> tuple[int, int]:
    """Inputs that meet in one output, and outputs that one input reaches: weight [out, in, *window]."""
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def _calculate_correct_fan(tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode == "fan_in" else fan_out


def uniform_(tensor, a: float = 0.0, b: float = 1.0, generator=None):
    """Values from U(a, b)."""
    with fastnn.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor, mean: float = 0.0, std: float = 1.0, generator=None):
    """Values from N(mean, std²)."""
    with fastnn.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator=None):
    """Values from N(mean, std²), drawn again while outside [a, b].

    Draws as torch 2.13: whole tensors of normals, each taken where the value is still outside; where [a, b] holds
    less than 0.3 of the distribution, uniform proposals accepted in proportion to the density.
    """
    if std <= 0:
        raise ValueError(f"trunc_normal_: std must be positive, got {std}")
    if not a < b:
        raise ValueError(f"trunc_normal_: a must be smaller than b, got {a} and {b}")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )

    def cdf(x):
        return (1.0 + math.erf((x - mean) / std / math.sqrt(2.0))) / 2.0

    with fastnn.no_grad():
        if tensor.numel() == 0:
            return tensor
        if cdf(b) - cdf(a) > 0.3:
            return _truncate_by_normals(tensor, mean, std, a, b, generator)
        return _truncate_by_uniforms(tensor, mean, std, a, b, generator)


def _truncate_by_normals(tensor, mean, std, a, b, generator):
    tensor.normal_(mean, std, generator=generator)
    while True:
        outside = (tensor < a) | (tensor > b)
        if not outside.any():
            return tensor
        fresh = fastnn.empty_like(tensor).normal_(mean, std, generator=generator)
        tensor.copy_(fastnn.where(outside, fresh, tensor))


def _truncate_by_uniforms(tensor, mean, std, a, b, generator):
    # The density's peak within [a, b] is at its point nearest to the mean.
    peak = min(max(mean, a), b)
    log_peak = -0.5 * ((peak - mean) / std) ** 2
    todo = fastnn.ones_like(tensor, dtype=fastnn.bool)
    while todo.any():
        proposal = fastnn.empty_like(tensor).uniform_(a, b, generator=generator)
        log_density = -0.5 * ((proposal - mean) / std) ** 2
        accepted = fastnn.empty_like(tensor).uniform_(0, 1, generator=generator).log() <= log_density - log_peak
        take = todo & accepted
        tensor.copy_(fastnn.where(take, proposal, tensor))
        todo = todo & ~accepted
    return tensor


def constant_(tensor, val: float):
    """Every value `val`."""
    with fastnn.no_grad():
        return tensor.fill_(val)


def ones_(tensor):
    """Every value 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor):
    """Every value 0."""
    return constant_(tensor, 0.0)


def eye_(tensor):
    """A matrix with ones on the diagonal, zeros elsewhere."""
    if tensor.ndimension() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with fastnn.no_grad():
        return tensor.copy_(fastnn.eye(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor, groups: int = 1):
    """A convolution's weight [K, C, *window] that passes its channels through unchanged."""
    if tensor.ndimension() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    per_group = tensor.shape[0] // groups
    middle = tuple(size // 2 for size in tensor.shape[2:])
    with fastnn.no_grad():
        tensor.zero_()
        for g in range(groups):
            for c in range(min(per_group, tensor.shape[1])):
                tensor[(g * per_group + c, c, *middle)] = 1
    return tensor


def xavier_uniform_(tensor, gain: float = 1.0, generator=None):
    """U(−a, a), a = gain · √(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    a = math.sqrt(3.0) * (gain * math.sqrt(2.0 / float(fan_in + fan_out)))
    return uniform_(tensor, -a, a, generator)


def xavier_normal_(tensor, gain: float = 1.0, generator=None):
    """N(0, gain² · 2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)), generator)


def _kaiming_std(tensor, a, mode, nonlinearity) -> float | None:
    """gain / √fan, or None where there is nothing to initialise."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator=None):
    """U(−bound, bound), bound = gain · √(3 / fan) (He et al. 2015)."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator=None):
    """N(0, gain² / fan) (He et al. 2015)."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else normal_(tensor, 0.0, std, generator)


def bias_uniform_(bias, weight) -> None:
    """A layer's bias, if it has one, from U(±1/√fan_in) of its weight."""
    if bias is not None:
        fan_in, _ = _calculate_fan_in_and_fan_out(weight)
        if fan_in > 0:
            bound = 1 / math.sqrt(fan_in)
            uniform_(bias, -bound, bound)


def orthogonal_(tensor, gain: float = 1, generator=None):
    """A (semi-)orthogonal matrix times gain, over the first dimension and all the others (Saxe et al. 2013)."""
    if tensor.ndimension() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    cols = tensor.numel() // rows
    with fastnn.no_grad():
        flat = fastnn.empty(rows, cols, dtype=tensor.dtype).normal_(0, 1, generator=generator)
        if rows < cols:
            flat = flat.t()
        q, r = _qr(flat)
        # QR is unique up to signs: making R's diagonal positive makes Q uniformly distributed.
        q = q * fastnn.sign(fastnn.diag(r))
        if rows < cols:
            q = q.t()
        tensor.copy_(q.reshape(tensor.shape))
        return tensor.mul_(gain)


def _qr(matrix):
    from fastnn.backend import xp

    q, r = xp.qr(matrix.detach().numpy())
    return fastnn.from_numpy(q), fastnn.from_numpy(r)


def sparse_(tensor, sparsity: float, std: float = 0.01, generator=None):
    """N(0, std²), with the fraction `sparsity` of every column set to zero."""
    if tensor.ndimension() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, cols = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with fastnn.no_grad():
        tensor.normal_(0, std, generator=generator)
        for col in range(cols):
            tensor[fastnn.randperm(rows)[:zeros], col] = 0
    return tensor


def _old_name(function):
    name = function.__name__

    def deprecated(*args, **kwargs):
        warnings.warn(
            f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    deprecated.__name__ = deprecated.__qualname__ = name[:-1]
    deprecated.__doc__ = f"The old name of {name}."
    return deprecated


uniform, normal, constant, eye, dirac = map(_old_name, (uniform_, normal_, constant_, eye_, dirac_))
xavier_uniform, xavier_normal = _old_name(xavier_uniform_), _old_name(xavier_normal_)
kaiming_uniform, kaiming_normal = _old_name(kaiming_uniform_), _old_name(kaiming_normal_)
orthogonal, sparse = _old_name(orthogonal_), _old_name(sparse_)
