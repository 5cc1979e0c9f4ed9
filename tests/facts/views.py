"""Shapes, strides, views and layout."""

from . import answer, fact, kind


def layout(x):
    return tuple(x.shape), tuple(x.stride()), x.storage_offset(), x.is_contiguous()


@fact
def strides_of_views(T):
    x = T.arange(24.0).reshape(2, 3, 4)
    views = [
        x,
        x.T if x.dim() == 2 else x.mT,
        x.transpose(0, 2),
        x.permute(2, 0, 1),
        x[1],
        x[:, 1:],
        x[..., ::2],
        x[:, None],
    ]
    views += [
        x.unsqueeze(-1),
        x[:1].squeeze(0),
        x.flatten(1),
        x.view(6, 4),
        x.select(1, 2),
        x.narrow(2, 1, 2),
        x.expand(2, 2, 3, 4),
    ]
    return [layout(v) for v in views]


@fact
def strides_of_new_tensors(T):
    return [layout(t) for t in (T.ones(2, 3), T.ones(2, 0, 3), T.ones(()), T.ones(1, 5, 1), T.arange(5), T.eye(3))]


@fact
def strides_of_results_are_contiguous_for_contiguous_inputs(T):
    x = T.ones(3, 4)
    return [
        layout(r) for r in (x + 1, x.exp(), x.sum(0), x @ x.T, x.clone(), T.cat([x, x]), x[[0, 2]], x.T.contiguous())
    ]


@fact
def view_of_a_transposed_tensor_raises(T):
    x = T.arange(6).reshape(2, 3)
    return kind(x.t().view, 6), kind(x.t().view, -1), x.t().reshape(6), x.view(3, 2), kind(x[:, :2].view, 4)


@fact
def view_that_strides_allow(T):
    x = T.arange(24).reshape(2, 3, 4).transpose(0, 1)
    return layout(x.view(3, 2, 2, 2)), layout(x.view(3, 2, 4, 1)), layout(x[:, :1].view(3, 4)), kind(x.view, 6, 4)


@fact
def reshape_views_where_it_can(T):
    x = T.zeros(2, 3)
    x.reshape(6)[0] = 1
    y = T.zeros(2, 3).t()
    z = y.reshape(6)
    z[0] = 1
    return x, y, x.reshape(6).data_ptr() == x.data_ptr(), z.data_ptr() == y.data_ptr()


@fact
def reshape_infers_one_dimension(T):
    x = T.arange(12)
    return (
        [
            x.reshape(-1, 3).shape,
            x.view(2, -1).shape,
            x.reshape((3, 4)).shape,
            x.reshape(2, 2, -1).shape,
            T.ones(0, 3).reshape(-1).shape,
        ],
        [
            kind(x.reshape, -1, -1),
            kind(x.reshape, 5, -1),
            kind(x.reshape, 13),
            kind(x.view, -2),
            kind(T.ones(0).reshape, -1, 0),
        ],
    )


@fact
def view_as_and_reshape_as(T):
    x, y = T.arange(6), T.ones(2, 3)
    return x.view_as(y), x.reshape_as(y), kind(x.view_as, T.ones(5))


@fact
def views_share_memory(T):
    x = T.zeros(2, 3)
    x[0].add_(1)
    x.t()[0, 1] = 5
    x.view(-1)[5] = 7
    x[:, 1:2].fill_(2)
    return x


@fact
def contiguous_returns_self_or_a_copy(T):
    x = T.ones(2, 3)
    y = x.t().contiguous()
    return x.contiguous() is x, y.data_ptr() == x.data_ptr(), layout(y)


@fact
def contiguity_ignores_dimensions_of_size_one(T):
    return (
        T.ones(3, 1, 4).transpose(0, 1).is_contiguous(),
        T.ones(1, 3).t().is_contiguous(),
        T.ones(0, 2).t().is_contiguous(),
    )


@fact
def t_and_T_and_mT(T):
    x = T.arange(6).reshape(2, 3)
    return (
        x.t(),
        x.T,
        x.mT,
        T.arange(3).t(),
        kind(T.ones(1, 2, 3).t),
        kind(lambda: T.ones(3).mT),
        T.t(x).shape,
        T.tensor(1).t(),
    )


@fact
def transposes(T):
    x = T.arange(24).reshape(2, 3, 4)
    return (
        x.transpose(0, -1).shape,
        x.swapaxes(0, 1).shape,
        T.transpose(x, 1, 2),
        kind(x.transpose, 0, 3),
        T.movedim(x, 0, 2).shape,
    )


@fact
def permute(T):
    x = T.ones(2, 3, 4)
    return (
        [x.permute(2, 0, 1).shape, x.permute((1, 0, 2)).shape, T.permute(x, (-1, 0, 1)).shape],
        [kind(x.permute, 0, 1), kind(x.permute, 0, 0, 1), kind(x.permute, 0, 1, 3)],
    )


@fact
def squeeze_and_unsqueeze(T):
    x = T.ones(1, 3, 1)
    return (
        [x.squeeze().shape, x.squeeze(0).shape, x.squeeze(1).shape, x.squeeze(-1).shape, x.squeeze((0, 2)).shape],
        [x.unsqueeze(0).shape, x.unsqueeze(-1).shape, x.unsqueeze(3).shape, T.tensor(1).unsqueeze(0).shape],
        [kind(x.unsqueeze, 4), kind(x.unsqueeze, -5), kind(x.squeeze, 3), T.tensor(1).squeeze().shape],
    )


@fact
def flatten_and_unflatten(T):
    x = T.ones(2, 3, 4)
    return (
        [
            x.flatten().shape,
            x.flatten(1).shape,
            x.flatten(0, 1).shape,
            x.flatten(-2).shape,
            T.tensor(1).flatten().shape,
        ],
        [
            x.unflatten(2, (2, 2)).shape,
            x.unflatten(-1, (2, -1)).shape,
            kind(x.flatten, 2, 1),
            kind(x.unflatten, 2, (3, 2)),
        ],
    )


@fact
def expand(T):
    x = T.arange(3).reshape(3, 1)
    return (
        [layout(x.expand(3, 4)), layout(x.expand(2, 3, 4)), x.expand(-1, 2), layout(x.expand_as(T.ones(3, 5)))],
        [kind(x.expand, 4, 4), kind(x.expand, 3), kind(T.ones(3).expand, -1, 3), T.ones(1).expand(0).shape],
    )


@fact
def broadcast_to_and_broadcast_tensors(T):
    a, b = T.ones(3, 1), T.ones(4)
    return (
        T.broadcast_to(a, (3, 2)).shape,
        [t.shape for t in T.broadcast_tensors(a, b)],
        kind(T.broadcast_to, a, (2, 2)),
    )


@fact
def repeat_and_tile(T):
    x = T.tensor([[1, 2]])
    return (
        [
            x.repeat(2, 2),
            x.repeat(2, 1, 1).shape,
            T.tile(x, (2,)),
            x.repeat_interleave(2),
            x.repeat_interleave(2, dim=1),
        ],
        [kind(x.repeat, 2), kind(x.repeat, -1, 1), x.repeat(0, 1).shape],
    )


@fact
def chunk_and_split(T):
    x = T.arange(7)
    return (
        [x.chunk(3), x.split(3), x.split([2, 5]), T.ones(2, 4).chunk(2, 1)[1].shape, x.chunk(10), x.tensor_split(3)],
        [kind(x.split, [2, 2]), kind(x.chunk, 0), kind(x.split, -1), x.unbind()[0]],
    )


@fact
def splits_are_views(T):
    x = T.zeros(4)
    x.split(2)[1].fill_(1)
    x.chunk(4)[0].fill_(2)
    x.unbind()[1].fill_(3)
    return x


@fact
def cat_shapes(T):
    a = T.ones(2, 3)
    return (
        [
            T.cat([a, a], 1).shape,
            T.cat((a, T.ones(1, 3))).shape,
            T.cat([a, a], dim=-1).shape,
            T.cat([T.ones(0), a]).shape,
        ],
        [
            kind(T.cat, [a, T.ones(2, 4)]),
            kind(T.cat, []),
            kind(T.cat, [a, a], 2),
            kind(T.cat, [T.tensor(1)]),
            kind(T.cat, a),
        ],
    )


@fact
def stack_shapes(T):
    a = T.ones(2, 3)
    return (
        [T.stack([a, a]).shape, T.stack([a, a], 2).shape, T.stack([a], -1).shape],
        [
            kind(T.stack, [a, T.ones(3, 2)]),
            kind(T.stack, []),
            kind(T.stack, [a], 3),
            T.hstack([a, a]).shape,
            T.vstack([a, a]).shape,
        ],
    )


@fact
def size_is_a_tuple(T):
    s = T.ones(2, 3).shape
    return (
        [
            isinstance(s, tuple),
            s == (2, 3),
            s[0],
            s[-1],
            s[:1],
            s + (4,),
            s.numel(),
            len(s),
            repr(s),
            list(s),
            hash(s) == hash((2, 3)),
        ],
        [
            T.Size([1, 2]),
            isinstance(s + (1,), T.Size),
            isinstance(s[1:], T.Size),
            T.ones(2, 3).size(),
            T.ones(2, 3).size(1),
        ],
    )


@fact
def dimensions_and_sizes(T):
    x = T.ones(2, 3, dtype=T.float64)
    return (
        x.dim(),
        x.ndim,
        x.numel(),
        x.nelement(),
        x.element_size(),
        x.nbytes,
        x.size(-1),
        kind(x.size, 2),
        T.numel(x),
        len(x),
    )


@fact
def broadcasting(T):
    return [
        (T.ones(3, 1) + T.ones(4)).shape,
        (T.ones(2, 1, 4) * T.ones(3, 1)).shape,
        (T.ones(0, 3) + T.ones(1, 3)).shape,
        (T.ones(()) + T.ones(2)).shape,
        kind(lambda: T.ones(3) + T.ones(4)),
        kind(lambda: T.ones(2, 3) * T.ones(2)),
        kind(lambda: T.ones(0) + T.ones(2)),
    ]


@fact
def matmul_shapes(T):
    shapes = [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
    ]
    shapes += [
        ((5, 1, 2, 3), (4, 3, 2)),
        ((3,), (5, 3, 2)),
        ((5, 2, 3), (3,)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((1, 2, 3), (7, 3, 1)),
    ]
    shapes += [((2, 3), (2, 3)), ((3,), (4,)), ((), (3,)), ((5, 2, 3), (4, 3, 2)), ((2, 3), (4,)), ((3, 2), ())]
    return [answer(lambda a=a, b=b: tuple((T.ones(*a) @ T.ones(*b)).shape)) for a, b in map(sized, shapes)]


def sized(pair):
    return tuple((s,) for s in pair)


@fact
def matmul_dtypes(T):
    x, i = T.ones(2, 2), T.ones(2, 2, dtype=T.int64)
    return (
        i @ i,
        kind(lambda: x @ i),
        kind(lambda: x @ x.double()),
        (x.double() @ x.double()).dtype,
        kind(lambda: x @ 2),
    )


@fact
def mm_mv_dot_bmm_check_their_ranks(T):
    a, v, b = T.ones(2, 3), T.ones(3), T.ones(4, 2, 3)
    return (
        [
            T.mm(a, a.t()),
            T.mv(a, v),
            T.dot(v, v),
            T.bmm(b, b.mT).shape,
            T.outer(v, v).shape,
            T.addmm(T.ones(2), a, a.t()),
        ],
        [
            kind(T.mm, a, a),
            kind(T.mm, a, v),
            kind(T.mv, a, T.ones(2)),
            kind(T.dot, a, v),
            kind(T.bmm, a, a),
            kind(T.dot, v, T.ones(2)),
        ],
    )


@fact
def empty_products_are_zero(T):
    return (
        T.ones(2, 0) @ T.ones(0, 3),
        T.ones(0) @ T.ones(0),
        T.nn.functional.linear(T.ones(2, 0), T.ones(3, 0), T.ones(3)),
    )


@fact
def flip_roll_tril_diag(T):
    x = T.arange(6).reshape(2, 3)
    return (
        x.flip(0),
        x.flip(0, 1),
        T.flip(x, (1,)),
        x.roll(1, 1),
        x.roll(2),
        x.tril(),
        x.triu(1),
        T.diag(T.tensor([1, 2])),
        x.diag(),
    )


@fact
def reductions_with_dims(T):
    x = T.arange(24.0).reshape(2, 3, 4)
    return (
        [
            x.sum(1),
            x.sum((0, 2)),
            x.sum(-1, keepdim=True).shape,
            x.mean((0, 1)),
            x.sum([]).shape,
            x.amax((1, 2)),
            x.prod(1).shape,
        ],
        [
            kind(x.sum, 3),
            kind(x.sum, (0, 0)),
            kind(x.mean, -4),
            kind(x.prod, (0, 1)),
            x.logsumexp(1),
            x.norm(),
            x.norm(dim=1).shape,
        ],
    )


@fact
def reductions_of_0d(T):
    x = T.tensor(3.0)
    return x.sum(0), x.mean(-1), x.max(0), x.argmax(), x.argmax(0), x.softmax(0), x.cumsum(0), kind(x.sum, 1), x.sum()


@fact
def cumulative_sums(T):
    x = T.tensor([[1.0, 2.0], [3.0, 4.0]])
    return x.cumsum(0), T.cumsum(x, -1), x.cumprod(1), kind(x.cumsum, 2), kind(x.cumsum)


@fact
def sorting(T):
    x = T.tensor([3.0, 1.0, 2.0, float("nan")])
    s = x.sort()
    return (
        s.values,
        s.indices,
        x[:3].argsort(descending=True),
        x[:3].topk(2),
        T.sort(x[:3], descending=True)[0],
        kind(x.topk, 5),
    )


@fact
def sums_of_expanded_and_permuted_tensors(T):
    x = T.arange(6.0).reshape(2, 3)
    return x.t().sum(0), x.expand(4, 2, 3).sum(0), x[:, ::2].sum(), x.t().cumsum(0), x.t().softmax(1), x.t().argmax(1)


@fact
def as_strided(T):
    x = T.arange(6)
    return x.as_strided((2, 2), (2, 1), 1), kind(x.as_strided, (10,), (1,)), kind(x.as_strided, (2,), (-1,))


@fact
def unfold(T):
    return T.arange(7).unfold(0, 3, 2), kind(T.arange(3).unfold, 0, 4, 1), kind(T.arange(3).unfold, 0, 2, 0)


@fact
def ravel_and_view_dtype(T):
    x = T.arange(4).reshape(2, 2)
    return x.ravel(), T.tensor([1.0]).view(T.int32), kind(T.ones(3, dtype=T.uint8).view, T.float32)


@fact
def meshgrid(T):
    return T.meshgrid(T.arange(2), T.arange(3), indexing="ij")
