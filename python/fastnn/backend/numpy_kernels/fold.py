"""Windows of images as columns, and columns added back into images, in NumPy."""

import numpy as np

from .pad import constant_pad

__all__ = ["col2im", "im2col"]


def _out(size, kernel, dilation, padding, stride):
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, padding, stride, strict=True)
    )


def im2col(x, kernel, dilation, padding, stride, empty=np.empty):
    """[N, C, H, W] -> [N, C·R·S, P·Q]: column p·Q + q holds the window at (p, q)."""
    n, c, h, w = x.shape
    p, q = _out((h, w), kernel, dilation, padding, stride)
    if padding[0] or padding[1]:
        x = constant_pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2), 0, empty)
    sn, sc, sh, sw = x.strides
    windows = np.lib.stride_tricks.as_strided(
        x,
        (n, c, *kernel, p, q),
        (sn, sc, sh * dilation[0], sw * dilation[1], sh * stride[0], sw * stride[1]),
        writeable=False,
    )
    out = empty((n, c * kernel[0] * kernel[1], p * q), x.dtype)
    out.reshape(windows.shape)[...] = windows
    return out


def col2im(columns, size, kernel, dilation, padding, stride):
    """im2col's transpose: [N, C·R·S, P·Q] -> [N, C, *size], windows added where they overlap."""
    n = columns.shape[0]
    c = columns.shape[1] // (kernel[0] * kernel[1])
    p, q = _out(size, kernel, dilation, padding, stride)
    windows = columns.reshape(n, c, *kernel, p, q)
    out = np.zeros((n, c, size[0] + 2 * padding[0], size[1] + 2 * padding[1]), columns.dtype)
    for r in range(kernel[0]):
        rows = slice(r * dilation[0], r * dilation[0] + (p - 1) * stride[0] + 1, stride[0])
        for s in range(kernel[1]):
            cols = slice(s * dilation[1], s * dilation[1] + (q - 1) * stride[1] + 1, stride[1])
            out[:, :, rows, cols] += windows[:, :, r, s]
    return out[:, :, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]].copy()
