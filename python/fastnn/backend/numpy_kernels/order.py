"""The order of elements along a dimension: NaN counts as the largest, equal elements keep their order."""

import numpy as np

from .array import gather

__all__ = ["kthvalue", "sort", "sorting", "topk"]


def sorting(x, dim, descending, stable):
    """The indices that sort x along dim; NaN counts as the largest."""
    if descending:
        # A stable descending order keeps equal values in their order: sort the reversed array, reverse the result.
        order = np.flip(np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)
        return x.shape[dim] - 1 - order
    return np.argsort(x, axis=dim, kind="stable" if stable else None)


def _part(order, dim, start, stop):
    return np.array(order[(slice(None),) * dim + (slice(start, stop),)], order="C", copy=True)


def sort(x, dim, descending):
    """(values, indices) in order along dim."""
    order = sorting(x, dim, descending, True)
    return gather(x, dim, order), order


def topk(x, k, dim, largest):
    """(values, indices) of the k largest (smallest) along dim, in order."""
    order = _part(sorting(x, dim, largest, True), dim, 0, k)
    return gather(x, dim, order), order


def kthvalue(x, k, dim):
    """(values, indices) of the k-th smallest along dim (k from 1), which stays as a dimension of 1."""
    order = _part(sorting(x, dim, False, True), dim, k - 1, k)
    return gather(x, dim, order), order
