"""Reading and writing by index."""

import numpy as np

from . import answer, fact, kind


def grid(T):
    return T.arange(24).reshape(2, 3, 4)


@fact
def basic_indexing(T):
    x = grid(T)
    indices = [
        0,
        -1,
        (1, 2),
        (slice(None), 1),
        (..., 0),
        (0, ..., 1),
        (slice(1, None), slice(None, 2)),
        None,
        (0, None, 1),
    ]
    indices += [
        (slice(None), slice(None, None, 2)),
        (slice(5, 9),),
        (slice(-1, None), -1, -1),
        (),
        Ellipsis,
        (None, ..., None),
    ]
    return [x[i] for i in indices]


@fact
def indexing_errors(T):
    x = grid(T)
    bad = [2, -3, (0, 3), (0, 0, 0, 0), (..., ..., 0), 1.5, "a", (0, "b"), T.tensor(1.5), (..., 4), T.tensor([0, 5])]
    return [kind(lambda i=i: x[i]) for i in bad]


@fact
def negative_steps_raise(T):
    x = T.arange(4)
    return (
        kind(lambda: x[::-1]),
        kind(lambda: x[3:0:-1]),
        kind(lambda: x[::0]),
        kind(x.__setitem__, slice(None, None, -1), 0),
    )


@fact
def indexing_a_0d_tensor(T):
    x = T.tensor(3)
    return x[()], x[...], x[None], kind(lambda: x[0]), kind(lambda: x[:]), x[True], x[False]


@fact
def an_element_is_a_0d_view(T):
    x = T.zeros(2, 2)
    e = x[0, 1]
    e += 3
    return x, e.shape, e.dim(), type(e) is T.Tensor


@fact
def indexing_by_bool(T):
    x = T.arange(3)
    return x[True], x[False], x[None, True].shape


@fact
def integer_arrays(T):
    x = grid(T)
    i, j = T.tensor([0, 1]), T.tensor([[0, 2], [1, -1]])
    return (
        [x[i], x[j % 2], x[i, i], x[:, i], x[:, :, j], x[i, :, i], x[0, i], x[i, ..., 0], x[i[:, None], i], x[..., i]],
        [x[[0, 1]], x[[0, 1], [2, 0]], x[:, [0, -1]], x[[0, 1]].shape, x[i, None].shape, x[None, i].shape],
    )


@fact
def separated_integer_arrays_go_first(T):
    x = T.ones(2, 3, 4, 5)
    i = T.tensor([0, 1, 1])
    return x[i, :, i].shape, x[:, i, i].shape, x[:, i, :, i].shape, x[0, :, i].shape, x[i, 0, :, i].shape


@fact
def masks(T):
    x = grid(T)
    m = x > 10
    return (
        x[m],
        x[T.tensor([True, False])],
        x[:, T.tensor([True, False, True])],
        x[m[:, :, 0]].shape,
        x[0][x[0] % 2 == 0],
    )


@fact
def mask_errors(T):
    x = grid(T)
    return (
        kind(lambda: x[T.tensor([True])]),
        kind(lambda: x[T.ones(3, 3, dtype=T.bool)]),
        kind(lambda: x[T.ones(2, 2, 2, dtype=T.bool)]),
    )


@fact
def a_uint8_index_is_a_mask(T):
    x = T.arange(3)
    return x[T.tensor([1, 0, 1], dtype=T.uint8)], kind(lambda: x[T.tensor([1, 0], dtype=T.uint8)])


@fact
def mask_with_no_true_value(T):
    return (
        grid(T)[grid(T) > 100],
        T.ones(2, 3)[T.zeros(2, dtype=T.bool)].shape,
        T.tensor(5)[T.tensor(True)],
        T.tensor(5)[T.tensor(False)],
    )


@fact
def tensors_as_slices_and_indices(T):
    x = T.arange(5)
    return (
        x[T.tensor(2)],
        x[T.tensor(1) : T.tensor(3)],
        x[T.tensor(-1)],
        [10, 20, 30][T.tensor(1)],
        x[T.tensor(2, dtype=T.int32)],
    )


@fact
def numpy_values_as_indices(T):
    x = T.arange(5)
    return (
        x[np.int64(2)],
        x[np.array([0, 2])],
        x[np.array([True, False, True, False, False])],
        x[: np.int32(2)],
        kind(lambda: x[np.float64(1)]),
    )


@fact
def int32_indices(T):
    x = T.arange(5)
    return x[T.tensor([0, 4], dtype=T.int32)], kind(lambda: x[T.tensor([0.0])]), x[T.tensor([], dtype=T.int64)], x[[]]


@fact
def basic_indexing_views_and_advanced_copies(T):
    x = T.zeros(3, 3)
    x[1:].fill_(1)
    x[[0]].fill_(5)
    x[x > 0].fill_(7)
    x[:, 0].add_(2)
    return x


@fact
def assignment(T):
    x = T.zeros(3, 4)
    x[0] = 1
    x[1, 1:3] = T.tensor([5.0, 6.0])
    x[:, 3] = 9
    x[2] = T.tensor(2.0)
    x[..., 0] = T.tensor([7, 8, 9])
    x[None, 1, 2] = -1
    return x


@fact
def assignment_with_index_arrays(T):
    x = T.zeros(3, 4)
    x[T.tensor([0, 2])] = T.tensor([1.0, 2.0, 3.0, 4.0])
    x[T.tensor([1, 1]), T.tensor([0, 3])] = 5
    x[[0, 1], [1, 2]] = T.tensor([8.0, 9.0])
    x[:, [1]] = T.tensor([[1.0], [2.0], [3.0]])
    return x


@fact
def assignment_with_masks(T):
    x = T.arange(6.0).reshape(2, 3)
    x[x > 3] = 0
    x[x == 0] = T.tensor([10.0, 20.0, 30.0])
    x[T.tensor([True, False])] = -1
    return x, kind(x.__setitem__, x < 0, T.ones(2))


@fact
def assignment_converts_to_the_dtype(T):
    i = T.zeros(3, dtype=T.int64)
    i[0] = 2.9
    i[1:] = T.tensor([1.5, -1.5])
    return i


@fact
def assignment_errors(T):
    x = T.zeros(2, 3)
    return (
        [
            kind(x.__setitem__, 2, 0),
            kind(x.__setitem__, 0, T.ones(2)),
            kind(x.__setitem__, 0, "a"),
            kind(x.__setitem__, 0, None),
        ],
        [
            kind(x.__setitem__, (0, 0, 0), 0),
            kind(x.__setitem__, T.tensor([5]), 0),
            kind(x.__setitem__, slice(None), T.ones(3, 3)),
        ],
    )


@fact
def assignment_of_leading_ones_broadcasts(T):
    x = T.zeros(3)
    x[:] = T.ones(1, 3)
    y = T.zeros(2)
    y[0] = T.ones(1)
    return x, y


@fact
def assignment_of_numpy_and_lists(T):
    x = T.zeros(3)
    x[0] = np.float64(1.5)
    return x, kind(x.__setitem__, slice(None), [1, 2, 3])


def delete_first(x):
    del x[0]


@fact
def deleting_items_raises(T):
    return kind(T.ones(2).__delattr__, "nothing"), kind(delete_first, T.ones(2))


@fact
def repeated_indices_accumulate_only_in_index_add(T):
    x = T.zeros(3)
    i = T.tensor([0, 0, 2])
    x[i] += 1
    return x, T.zeros(3).index_add(0, i, T.ones(3)), T.zeros(3).index_put((i,), T.ones(3), accumulate=True)


@fact
def gather_and_scatter(T):
    x = T.arange(6).reshape(2, 3)
    i = T.tensor([[2, 0], [1, 1]])
    return (
        [
            x.gather(1, i),
            T.gather(x, 0, T.tensor([[1, 0, 1]])),
            T.zeros(2, 3).scatter(1, i[:, :1], 1.0),
            x.scatter_add(1, i, T.ones(2, 2).long()),
        ],
        [T.zeros(2, 3).scatter_(1, i[:, :1], T.tensor([[5.0], [6.0]])), x.gather(1, T.tensor([[0]]))],
        [
            kind(x.gather, 1, T.tensor([[3]])),
            kind(x.gather, 2, i),
            kind(x.gather, 1, i.float()),
            kind(x.gather, 1, T.tensor([0])),
        ],
        [kind(T.zeros(2, 3).scatter, 1, T.tensor([[7]]), 1.0), kind(x.gather, 1, T.tensor([[-1]]))],
    )


@fact
def index_select_and_take(T):
    x = T.arange(6).reshape(2, 3)
    i = T.tensor([2, 0])
    return (
        [
            x.index_select(1, i),
            T.index_select(x, 0, T.tensor([1])),
            T.take(x, T.tensor([0, 5, -1])),
        ],
        [
            kind(x.index_select, 0, i),
            kind(x.index_select, 1, T.tensor([[0]])),
            kind(T.take, x, T.tensor([6])),
            kind(x.index_select, 1, i.float()),
        ],
    )


@fact
def index_fill_copy_and_masked(T):
    x = T.zeros(2, 3)
    return (
        [
            x.index_fill(1, T.tensor([0, 2]), 4),
            x.index_copy(0, T.tensor([1]), T.ones(1, 3)),
            x.masked_fill(T.tensor([True, False, True]), 2.0),
        ],
        [T.masked_select(T.arange(3), T.tensor([True, False, True])), x.masked_scatter(x == 0, T.arange(6.0))],
        [kind(x.masked_fill, T.ones(2, 3), 1.0), kind(x.masked_fill, x == 0, T.ones(2))],
    )


@fact
def nonzero(T):
    x = T.tensor([[0, 1], [2, 0]])
    return T.nonzero(x), x.nonzero(as_tuple=True), T.count_nonzero(x), T.tensor(0).nonzero().shape, T.argwhere(x)


@fact
def one_hot(T):
    F = T.nn.functional
    return (
        F.one_hot(T.tensor([0, 2])),
        F.one_hot(T.tensor([0]), 3),
        answer(F.one_hot, T.tensor([3]), 2),
        kind(F.one_hot, T.tensor([-1])),
        kind(F.one_hot, T.tensor([0.5])),
    )


@fact
def iteration(T):
    x = T.arange(6).reshape(3, 2)
    a, _, c = x
    return (
        list(x),
        a,
        [v.item() for v in c],
        kind(lambda: list(T.tensor(1))),
        kind(lambda: iter(T.tensor(1))),
        list(T.ones(0, 2)),
    )


@fact
def membership(T):
    x = T.tensor([1, 2, 3])
    return 2 in x, 5 in x, 2.0 in x, T.tensor(3) in x, float("nan") in T.tensor([float("nan")])  # noqa: PLW0177


@fact
def reversed_and_zip(T):
    x = T.arange(3)
    return reversed(x), [(a.item(), b.item()) for a, b in zip(x, x, strict=True)]


@fact
def searching(T):
    x = T.tensor([1.0, 3.0, 5.0])
    return (
        T.bucketize(T.tensor([0.0, 3.0, 6.0]), x),
        T.searchsorted(x, 3.0, right=True),
        T.unique(T.tensor([3, 1, 3])),
        T.bincount(T.tensor([0, 2, 2])),
    )
