"""Transposed convolution in one, two and three dimensions: the gradient of a convolution by its input, as a layer."""

from . import _autocast
from .conv2d import backward_input, batched, check, check_size, numbers, pad_end
from .elementwise import add
from .shape import reshape, squeeze, unsqueeze

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def _transposed(dims, input, weight, bias, stride, padding, output_padding, groups, dilation):
    function = f"conv_transpose{dims}d"
    if _autocast.depth:
        input, weight, bias = _autocast.low(input, weight, bias)
    x, w, single = batched(input, weight, dims, function)
    stride, padding = numbers(stride, dims, "stride", function), numbers(padding, dims, "padding", function)
    dilation = numbers(dilation, dims, "dilation", function)
    extra = numbers(output_padding, dims, "output_padding", function)
    check(x, w, bias, stride, padding, dilation, groups, function, channels_dim=0)
    if any(e < 0 or (e >= s and e >= d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding={extra}, "
            f"stride={stride}, dilation={dilation}"
        )
    n, _, *size = x._a.shape
    kernel = w._a.shape[2:]
    out = tuple(
        (size[i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + extra[i] + 1 for i in range(dims)
    )
    if min(out) <= 0:
        raise RuntimeError(
            f"Given input size per channel: ({' x '.join(map(str, size))}). Calculated output size per channel: "
            f"({' x '.join(map(str, out))}). Output size is too small"
        )
    shape = (n, w._a.shape[1] * groups, *out)
    check_size(shape, function)
    if any(e >= s for e, s in zip(extra, stride, strict=True)):
        # A convolution would make more of such an output than the input's places: those have the gradient 0.
        x = pad_end(x, [e // s for e, s in zip(extra, stride, strict=True)])
    if dims == 1:  # rows of height 1
        r = backward_input(
            unsqueeze(x, 2), unsqueeze(w, 2), (*shape[:2], 1, shape[2]), (1, *stride), (0, *padding), (1, *dilation),
            groups,
        )  # fmt: skip
        r = squeeze(r, 2)
    else:
        r = backward_input(x, w, shape, stride, padding, dilation, groups)
    if bias is not None:
        r = add(r, reshape(bias, (1, -1, *(1,) * dims)))
    return squeeze(r, 0) if single else r


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """conv_transpose2d on rows: input [N, C, L], weight [C, K/groups, S] -> [N, K, L']."""
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """conv2d's gradient as a layer: input [N, C, H, W], weight [C, K/groups, R, S] -> [N, K, H', W'] with
    H' = (H - 1)·stride - 2·padding + dilation·(R - 1) + output_padding + 1.

    output_padding, below stride or dilation, chooses among the sizes that conv2d would shrink to H. Raises RuntimeError
    where sizes, dtypes or arguments do not fit."""
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """conv_transpose2d with a depth: input [N, C, D, H, W], weight [C, K/groups, T, R, S] -> [N, K, D', H', W']."""
    return _transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
