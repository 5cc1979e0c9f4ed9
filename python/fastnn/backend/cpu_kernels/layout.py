"""Padding, resampling, windows, joins and copies: compiled, or the twins, whose results come from the caching allocator here."""

from functools import partial

from fastnn._cpu import cat, col2im, copy, empty, index_pad2d, index_pad2d_backward, reshape

from ..numpy_kernels import array, fold, interpolate, pad

constant_pad = partial(pad.constant_pad, empty=empty)
index_pad = partial(pad.index_pad, empty=empty)
index_pad_backward = partial(pad.index_pad_backward, empty=empty)
im2col = partial(fold.im2col, empty=empty)
block_repeat = partial(interpolate.block_repeat, empty=empty)
resample = partial(interpolate.resample, empty=empty)
resample_backward = partial(interpolate.resample_backward, empty=empty)
stack = partial(array.stack, cat=cat)

__all__ = [
    "block_repeat", "cat", "col2im", "constant_pad", "copy", "im2col", "index_pad", "index_pad2d", "index_pad2d_backward",
    "index_pad_backward", "resample", "resample_backward", "reshape", "stack",
]  # fmt: skip
