"""In-place operations, the version counter, and writes through views under autograd."""

from . import fact, kind


def leaf(T, *shape):
    return T.ones(*shape, requires_grad=True)


@fact
def in_place_returns_self(T):
    x = T.ones(3)
    return (
        x.add_(1) is x,
        x.mul_(2) is x,
        x.zero_() is x,
        x.fill_(2) is x,
        x.clamp_(0, 1) is x,
        x.copy_(T.zeros(3)) is x,
        x,
    )


@fact
def augmented_operators_are_in_place(T):
    x = T.arange(4.0)
    y = x
    x += 1
    x *= 2
    x -= T.tensor([1.0])
    x /= 2
    x **= 2
    return y is x, y


@fact
def augmented_floor_and_mod(T):
    x = T.tensor([7, 8])
    y = x
    x //= 2
    x %= 3
    x <<= 1
    x |= 1
    return y, y is x


@fact
def integer_tensor_refuses_float_results(T):
    i = T.ones(2, dtype=T.int64)
    return (
        kind(i.add_, 1.5),
        kind(i.mul_, T.ones(2)),
        kind(i.div_, 2),
        kind(i.__itruediv__, 2),
        i.add_(2),
        kind(T.tensor([True]).add_, 1),
    )


@fact
def float_tensor_takes_what_promotion_allows(T):
    x = T.ones(2)
    return (
        x.add_(T.ones(2, dtype=T.float64)),
        x.add_(T.tensor([1, 2])),
        x.add_(True),
        x.mul_(T.tensor(2, dtype=T.float64)),
    )


@fact
def in_place_may_not_grow(T):
    x = T.ones(3)
    return (
        kind(x.add_, T.ones(2, 3)),
        kind(x.mul_, T.ones(2)),
        x.add_(T.ones(1)),
        kind(T.ones(()).add_, T.ones(1)),
        kind(T.ones(()).add_, T.ones(2)),
    )


@fact
def in_place_on_an_expanded_tensor_raises(T):
    x = T.ones(1).expand(3)
    return (
        kind(x.add_, 1),
        kind(x.copy_, T.zeros(3)),
        kind(x.mul_, T.ones(3)),
        kind(x.__setitem__, 0, 1.0),
        T.ones(1).expand(1).add_(1),
    )


@fact
def overlapping_copies_raise(T):
    x = T.arange(5)
    return (
        kind(x[1:].copy_, x[:-1]),
        kind(x[:-1].add_, x[1:]),
        kind(x[1:].__iadd__, x[:-1]),
        x.add_(x),
        x[:2].copy_(x[2:4]),
    )


@fact
def fill_and_zero(T):
    x = T.zeros(2, 2)
    x.t()[0].fill_(3)
    return x, x.zero_(), x.fill_(T.tensor(2)), kind(x.fill_, T.ones(2)), x.fill_(True)


@fact
def copy_broadcasts_and_converts(T):
    x = T.zeros(2, 2, dtype=T.int32)
    return (
        x.copy_(T.tensor([1.9, -1.9])),
        x.copy_(T.tensor(5)),
        kind(x.copy_, T.ones(3)),
        kind(x.copy_, T.ones(1, 2, 2).expand(2, 2, 2)),
    )


@fact
def in_place_forms(T):
    x = T.tensor([-1.0, 0.5, 2.0])
    names = ["abs_", "neg_", "exp_", "sqrt_", "sigmoid_", "tanh_", "relu_", "square_", "floor_", "round_", "sign_"]
    return (
        {n: getattr(x.clone(), n)() for n in names},
        x.clone().clamp_(min=0),
        x.clone().pow_(2),
        x.clone().masked_fill_(x > 0, 9),
    )


@fact
def more_in_place_forms(T):
    x = T.arange(6.0).reshape(2, 3)
    return (
        [
            x.clone().sub_(1),
            x.clone().div_(2),
            x.clone().add_(x, alpha=2),
            x.clone().lerp_(T.zeros(2, 3), 0.5),
            x.clone().addcmul_(x, x, value=2),
        ],
        [
            x.clone().t_().shape,
            x.clone().unsqueeze_(0).shape,
            x.clone().transpose_(0, 1).shape,
            x.clone()[:1].squeeze_(0).shape,
        ],
        [
            x.clone().index_fill_(0, T.tensor([0]), 1),
            x.clone().scatter_(1, T.tensor([[0], [1]]), 9.0),
            x.clone().addcdiv_(x, x + 1),
        ],
    )


@fact
def out_arguments(T):
    out = T.empty(3)
    r = T.add(T.ones(3), 1, out=out)
    return r is out, out, T.exp(T.zeros(3), out=out), T.matmul(T.ones(3, 2), T.ones(2), out=out)


@fact
def versions_count(T):
    x = T.zeros(3)
    counts = [x._version]
    x.add_(1)
    counts.append(x._version)
    x[0].mul_(2)
    counts.append(x._version)
    x[1] = 5
    counts.append(x._version)
    x.view(3).fill_(1)
    return [*counts, x._version, x.exp()._version]


@fact
def detach_shares_the_version_counter_and_data_does_not(T):
    x = T.zeros(3)
    x.detach().add_(1)
    first = x._version
    x.data.add_(1)
    return first, x._version, x, x.detach()._version, x.data._version


@fact
def a_saved_tensor_modified_in_place_raises(T):
    w = leaf(T, 3)
    a = w * 2
    y = a * a
    a.add_(1)
    return kind(y.sum().backward)


@fact
def what_backward_does_not_need_may_change(T):
    w = leaf(T, 3)
    a = w * 2
    y = a + 1
    a.mul_(3)
    y.sum().backward()
    return w.grad


@fact
def exp_saves_its_result(T):
    w = leaf(T, 3)
    y = w.exp()
    z = y.sum()
    y.add_(1)
    return kind(z.backward), kind(w.exp().add_(1).sum().backward)


@fact
def a_change_through_a_view_is_noticed(T):
    w = leaf(T, 3)
    a = w * 2
    y = (a * a).sum()
    a[0] = 5
    return kind(y.backward)


@fact
def a_change_through_detach_is_noticed_and_through_data_is_not(T):
    w = leaf(T, 3)
    a = w * 2
    y = (a * a).sum()
    a.detach().add_(1)
    first = kind(y.backward)
    b = w * 2
    z = (b * b).sum()
    b.data.add_(1)
    return first, kind(z.backward), w.grad


@fact
def a_leaf_that_needs_a_gradient_refuses_in_place(T):
    w = leaf(T, 3)
    return kind(w.add_, 1), kind(w.__setitem__, 0, 1.0), kind(w.zero_), kind(w[0].add_, 1), kind(w.view(3).mul_, 2)


@fact
def a_leaf_may_change_without_grad(T):
    w = leaf(T, 3)
    with T.no_grad():
        w.add_(1)
        w[0] = 5
        w.t().mul_(2)
    w.data.sub_(1)
    return w, w.is_leaf, w._version


@fact
def in_place_on_a_result_is_differentiated(T):
    w = leaf(T, 3)
    x = w * 3
    x.mul_(2)
    x += w
    x.sum().backward()
    return w.grad, x.is_leaf


@fact
def an_operand_with_gradient_makes_the_target_need_one(T):
    w, out = leaf(T, 3), T.zeros(3)
    out.add_(w * 2)
    out.sum().backward()
    return out.requires_grad, out.is_leaf, w.grad


@fact
def writes_through_views_are_differentiated(T):
    w = leaf(T, 3)
    out = T.zeros(2, 3)
    out[0] = w * 2
    out[1].copy_(w * 3)
    out[:, 0].mul_(5)
    (out * T.tensor([[1.0], [2.0]])).sum().backward()
    return w.grad, out.requires_grad, out


@fact
def filling_a_sequence_of_outputs(T):
    w, h = leaf(T, 2), T.ones(2)
    out = T.zeros(4, 2)
    for t in range(4):
        h = h * w + 0.5
        out[t] = h
    (out**2).sum().backward()
    return out, w.grad


@fact
def overwritten_parts_get_no_gradient(T):
    w = leaf(T, 4)
    y = w * 2
    y[1:3] = 0
    y.sum().backward()
    return w.grad, y


@fact
def assignment_of_a_value_with_gradient(T):
    w, v = leaf(T, 4), T.tensor(3.0, requires_grad=True)
    y = w * 1
    y[1:] = v
    (y * T.arange(4.0)).sum().backward()
    return w.grad, v.grad


@fact
def assignment_by_index_and_mask_is_differentiated(T):
    w, v, u = leaf(T, 4), leaf(T, 2), leaf(T, 1)
    y = w * 2
    y[T.tensor([0, 2])] = v * 3
    y[T.tensor([False, True, False, False])] = u * 5
    (y * T.arange(1.0, 5)).sum().backward()
    return w.grad, v.grad, u.grad


@fact
def a_view_made_before_a_write_sees_its_history(T):
    w = leaf(T, 3)
    base = T.zeros(3)
    view = base[:2]
    base.copy_(w * 2)
    view.sum().backward()
    return w.grad, view.requires_grad, base.grad_fn is None


@fact
def a_write_to_a_view_reaches_other_views(T):
    w = leaf(T, 2)
    base = T.zeros(4)
    left, whole = base[:2], base.view(2, 2)
    left.add_(w)
    (whole * T.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    return w.grad, whole


@fact
def nested_views(T):
    w = leaf(T, 1)
    base = T.zeros(2, 3, 4)
    base[0][1].t()[2] = w * 3
    (base * T.arange(24.0).reshape(2, 3, 4)).sum().backward()
    return w.grad


@fact
def writes_into_split_results_raise_under_autograd(T):
    x = leaf(T, 4) * 1
    a, _ = x.split(2)
    return kind(a.mul_, 2), kind(x.chunk(2)[0].mul_, 2), kind(x.unbind()[0].mul_, 2)


@fact
def views_taken_without_grad_of_a_result(T):
    x = leaf(T, 4) * 1
    with T.no_grad():
        v = x[:2]
    return kind(v.mul_, 2)


@fact
def masked_fill_and_clamp_in_place_are_differentiated(T):
    w = leaf(T, 3)
    x = w * T.tensor([1.0, 2.0, 3.0])
    x.masked_fill_(T.tensor([True, False, False]), 0)
    x.clamp_(max=2.5)
    x.sum().backward()
    return w.grad


@fact
def relu_in_place(T):
    w = T.tensor([-1.0, 2.0], requires_grad=True)
    x = w * 2
    y = T.nn.functional.relu(x, inplace=True)
    y.sum().backward()
    return y is x, w.grad, kind(T.nn.functional.relu, w, inplace=True)


@fact
def detach_in_place(T):
    x = leaf(T, 2) * 2
    v = x[:1]
    return kind(v.detach_), x.detach_() is x, x.requires_grad, x.is_leaf


@fact
def requires_grad_in_place(T):
    x = T.ones(2)
    y = x.requires_grad_()
    return y is x, x.requires_grad, x.requires_grad_(False).requires_grad, kind((leaf(T, 2) * 2).requires_grad_, False)


@fact
def setting_data(T):
    w = leaf(T, 3)
    w.data = T.zeros(2)
    return w, w.requires_grad, w.is_leaf, kind(setattr, w, "data", T.ones(2, dtype=T.int64)) != "none"


@fact
def random_fills_bump_the_version(T):
    x = T.zeros(3)
    x.normal_()
    x.uniform_(0, 1)
    x.bernoulli_(0.5)
    return x._version, kind(leaf(T, 2).normal_), kind(T.zeros(2, dtype=T.int64).normal_)
