"""Batches of images as one: grids, and files of them."""

import math

import fastnn
from fastnn.tensor import Tensor

from ._pillow import pillow

__all__ = ["make_grid", "save_image"]


def make_grid(tensor, nrow=8, padding=2, normalize=False, value_range=None, scale_each=False, pad_value=0.0):
    """Images [N, C, H, W], or a list of [C, H, W], as one image of rows of `nrow`, `padding` pixels apart.

    normalize brings the values to 0..1: from value_range, or from the least and largest of all (scale_each: of each).
    """
    if not isinstance(tensor, Tensor):
        if not isinstance(tensor, list):
            raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
        for t in tensor:
            if not isinstance(t, Tensor):
                raise TypeError(f"tensor or list of tensors expected, got a list containing {type(t)}")
        tensor = fastnn.stack(tensor, dim=0)
    tensor = tensor.detach()
    if tensor.dim() == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() == 3:
        if tensor.size(0) == 1:
            tensor = fastnn.cat((tensor, tensor, tensor), 0)
        tensor = tensor.unsqueeze(0)
    if tensor.dim() == 4 and tensor.size(1) == 1:
        tensor = fastnn.cat((tensor, tensor, tensor), 1)
    if normalize:
        tensor = tensor.clone()
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        for part in tensor if scale_each else (tensor,):
            low, high = (float(part.min()), float(part.max())) if value_range is None else value_range
            part.clamp_(min=low, max=high).sub_(low).div_(max(high - low, 1e-5))
    if not isinstance(tensor, Tensor) or tensor.dim() != 4:
        raise ValueError(f"make_grid: expected images of 2 to 4 dimensions, got {tensor.dim()}")
    if tensor.size(0) == 1:
        return tensor.squeeze(0)
    count = tensor.size(0)
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = tensor.size(2) + padding, tensor.size(3) + padding
    grid = fastnn.full(
        (tensor.size(1), height * rows + padding, width * columns + padding), pad_value, dtype=tensor.dtype
    )  # fmt: skip
    for k in range(count):
        top, left = k // columns * height + padding, k % columns * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = tensor[k]
    return grid


def save_image(tensor, fp, format=None, **kwargs):
    """make_grid of images in 0..1, written to a file name or file object; `format` where the name does not tell it."""
    grid = make_grid(tensor, **kwargs)
    array = grid.mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0).to(fastnn.uint8).contiguous().numpy()
    pillow().fromarray(array).save(fp, format=format)
