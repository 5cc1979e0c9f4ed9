"""The tape: leaves, backward, grad, hooks, modes, and user-defined functions."""

from . import fact, kind


def leaf(T, *shape, **kwargs):
    return T.ones(*shape, requires_grad=True, **kwargs)


@fact
def leaves(T):
    w, x = leaf(T, 2), T.ones(2)
    y = w * 2
    return (
        [w.is_leaf, x.is_leaf, y.is_leaf, y.detach().is_leaf, (x * 2).is_leaf, w.view(2).is_leaf, w.clone().is_leaf],
        [
            w.requires_grad,
            y.requires_grad,
            y.detach().requires_grad,
            w.grad_fn is None,
            y.grad_fn is None,
            w.grad is None,
        ],
    )


@fact
def only_floats_may_require_gradients(T):
    i = T.ones(2, dtype=T.int64)
    return (
        [
            kind(i.requires_grad_),
            kind(T.tensor, [1], requires_grad=True),
            kind(setattr, i, "requires_grad", True),
            kind(T.zeros, 2, dtype=T.bool, requires_grad=True),
        ],
        [
            i.requires_grad_(False).requires_grad,
            leaf(T, 2).long().requires_grad,
            (leaf(T, 2) > 0).requires_grad,
            leaf(T, 2).argmax().requires_grad,
        ],
    )


@fact
def requires_grad_of_a_result_cannot_change(T):
    y = leaf(T, 2) * 2
    return kind(setattr, y, "requires_grad", False), kind(y.requires_grad_, False), y.requires_grad_(True).requires_grad


@fact
def backward_of_a_scalar(T):
    w = leaf(T, 3)
    (w * T.tensor([1.0, 2.0, 3.0])).sum().backward()
    return w.grad


@fact
def backward_needs_a_scalar_or_a_gradient(T):
    w = leaf(T, 3)
    y = w * 2
    first = kind(y.backward)
    y.backward(T.tensor([1.0, 2.0, 3.0]))
    return (
        first,
        w.grad,
        kind((w * 2).backward, T.ones(2)),
        kind((w * 2).backward, T.ones(3, 1)),
        leaf(T, 1, 1).backward(),
    )


@fact
def backward_of_what_needs_no_gradient_raises(T):
    return (
        kind(T.ones(1).backward),
        kind((T.ones(1) * 2).backward),
        kind(leaf(T, 1).detach().backward),
        kind(T.ones(1, dtype=T.int64).backward),
    )


@fact
def backward_of_a_leaf(T):
    w = leaf(T, 1)
    w.backward()
    return w.grad


@fact
def gradients_accumulate_in_place(T):
    w = leaf(T, 3)
    (w * 2).sum().backward()
    g = w.grad
    (w * 3).sum().backward()
    return g is w.grad, g, g._version > 0


@fact
def a_gradient_does_not_alias_the_callers(T):
    w = leaf(T, 3)
    g = T.ones(3)
    (w * 1).backward(g)
    (w + 0).backward(g)
    return w.grad, g


@fact
def two_leaves_do_not_share_a_gradient(T):
    a, b = leaf(T, 2), leaf(T, 2)
    (a + b).sum().backward()
    a.grad.add_(5)
    return a.grad, b.grad


@fact
def second_backward_raises(T):
    w = leaf(T, 2)
    y = (w * w).sum()
    y.backward()
    return kind(y.backward), w.grad


@fact
def second_backward_with_nothing_saved_is_allowed(T):
    w = leaf(T, 2)
    y = (w + 1).sum()
    y.backward()
    return kind(y.backward), w.grad


@fact
def retain_graph(T):
    w = leaf(T, 2)
    y = (w * w).sum()
    y.backward(retain_graph=True)
    y.backward()
    return w.grad, kind(y.backward)


@fact
def a_shared_part_is_freed(T):
    w = leaf(T, 2)
    h = w.exp()
    h.sum().backward()
    return kind((h * 2).sum().backward)


@fact
def a_tensor_used_twice(T):
    w = T.tensor([2.0, 3.0], requires_grad=True)
    y = w * w + w
    z = y * y + y / w
    z.sum().backward()
    return w.grad


@fact
def broadcast_gradients_are_summed(T):
    a, b, c = leaf(T, 3, 1), leaf(T, 4), leaf(T, ())
    ((a + b) * c).sum().backward()
    return a.grad, b.grad, c.grad


@fact
def gradients_have_the_leafs_dtype(T):
    w, d = leaf(T, 2), leaf(T, 2, dtype=T.float64)
    (w * d + w.double() + T.ones(2, dtype=T.int64) * d).sum().backward()
    return w.grad, d.grad


@fact
def half_gradients(T):
    h = leaf(T, 2, dtype=T.float16)
    (h.float() * 3).sum().backward()
    return h.grad


@fact
def grad_setter(T):
    w = leaf(T, 2)
    w.grad = T.ones(2)
    (w * 2).sum().backward()
    first = w.grad
    w.grad = None
    bad = [T.ones(3), T.ones(2, dtype=T.float64), 1.0, w]
    return first, w.grad is None, [kind(setattr, w, "grad", b) for b in bad]


@fact
def grad_of_a_result_is_none_unless_retained(T):
    w = leaf(T, 2)
    y = w * 2
    z = y * 3
    y.retain_grad()
    z.sum().backward()
    return y.grad, y.retains_grad, w.retains_grad, z.grad is None, kind(T.ones(2).retain_grad)


@fact
def autograd_grad(T):
    w, v = leaf(T, 2), leaf(T, 2)
    y = (w * w * v).sum()
    gw, gv = T.autograd.grad(y, (w, v))
    return gw, gv, w.grad is None, T.autograd.grad((w * 3).sum(), w)


@fact
def autograd_grad_of_inner_results(T):
    w = leaf(T, 2)
    h = w * 2
    y = (h * h).sum()
    return T.autograd.grad(y, [h, w]), w.grad is None


@fact
def autograd_grad_errors(T):
    w, u = leaf(T, 2), leaf(T, 2)
    grad = T.autograd.grad
    return (
        [
            kind(grad, (w * 2).sum(), u),
            grad((w * 2).sum(), [w, u], allow_unused=True),
            kind(grad, w * 2, w),
            kind(grad, (w * 2).sum(), T.ones(2)),
        ],
        [
            grad(w * 2, w, T.tensor([1.0, 2.0])),
            kind(grad, w * 2, w, T.ones(3)),
            kind(grad, T.ones(1), w),
            kind(grad, (w * 2).sum(), []),
        ],
        [grad((w * 2).sum(), [w, u], materialize_grads=True), kind(grad, [w.sum(), w.sum()], w, [T.ones(())])],
    )


@fact
def grad_outputs_of_several_outputs(T):
    w = leaf(T, 2)
    return T.autograd.grad([w * 2, (w * w).sum()], w, [T.ones(2), None]), T.autograd.grad([w.sum(), (3 * w).sum()], w)


@fact
def backward_to_chosen_inputs(T):
    w, v = leaf(T, 2), leaf(T, 2)
    (w * v).sum().backward(inputs=[w])
    return w.grad, v.grad is None, kind(lambda: (w * v).sum().backward(inputs=[]))


@fact
def autograd_backward_function(T):
    w = leaf(T, 2)
    T.autograd.backward([w.sum(), w * 2], [None, T.ones(2)])
    return w.grad


@fact
def double_backward(T):
    x = T.tensor([2.0, 3.0], requires_grad=True)
    (g,) = T.autograd.grad((x**3).sum(), x, create_graph=True)
    (h,) = T.autograd.grad(g.sum(), x, create_graph=True)
    (k,) = T.autograd.grad(h.sum(), x)
    return g, h, k


@fact
def without_create_graph_gradients_need_none(T):
    x = leaf(T, 2)
    (g,) = T.autograd.grad((x**3).sum(), x)
    x.pow(2).sum().backward()
    return g.requires_grad, x.grad.requires_grad, kind(g.sum().backward)


@fact
def backward_with_create_graph(T):
    x = T.tensor([2.0], requires_grad=True)
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.sum().backward()
    return first.requires_grad, x.grad


@fact
def gradient_penalty(T):
    w, x = T.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), T.tensor([[1.0, -1.0]], requires_grad=True)
    y = (x @ w).tanh().sum()
    (g,) = T.autograd.grad(y, x, create_graph=True)
    ((g.norm() - 1) ** 2).backward()
    return w.grad, x.grad


@fact
def gradients_through_detach_stop(T):
    w = leaf(T, 2)
    (w * w.detach()).sum().backward()
    return w.grad, w.detach().data_ptr() == w.data_ptr()


@fact
def hooks_on_tensors(T):
    w, seen = leaf(T, 2), []
    y = w * 2
    y.register_hook(lambda g: seen.append(g.clone()))
    y.register_hook(lambda g: g * 10)
    handle = w.register_hook(lambda g: g + 1)
    z = y * 3
    z.sum().backward(retain_graph=True)
    first = w.grad.clone()
    handle.remove()
    z.sum().backward()
    return seen, first, w.grad, kind(T.ones(2).register_hook, lambda g: g)


@fact
def a_hook_sees_the_whole_gradient_once(T):
    w, seen = leaf(T, 1), []
    y = w * 2
    y.register_hook(lambda g: seen.append(g.item()))
    (y * 3 + y * 4).sum().backward()
    return seen, w.grad


@fact
def a_bad_hook_raises(T):
    def after(hook):
        w = leaf(T, 2)
        w.register_hook(hook)
        return kind((w * 2).sum().backward)

    return after(lambda g: T.ones(3)), after(lambda g: 1), after(lambda g: 1 / 0)


@fact
def accumulate_grad_hooks(T):
    w, seen = leaf(T, 2), []
    w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    (w * 2).sum().backward()
    (w * 3).sum().backward()
    return seen


@fact
def no_grad_and_enable_grad(T):
    w = leaf(T, 2)
    seen = []
    with T.no_grad():
        seen.append((w * 2).requires_grad)
        with T.enable_grad():
            seen.append((w * 2).requires_grad)
        seen.append(T.is_grad_enabled())
        seen.append(T.ones(2, requires_grad=True).requires_grad)
        seen.append((w * 2).is_leaf)
    return [*seen, T.is_grad_enabled(), (w * 2).requires_grad]


@fact
def modes_as_decorators_and_after_exceptions(T):
    w = leaf(T, 2)

    @T.no_grad()
    def f():
        return (w * 2).requires_grad

    @T.no_grad
    def g():
        return (w * 2).requires_grad

    def fails():
        with T.no_grad():
            raise ValueError("x")

    return f(), g(), f.__name__, kind(fails), T.is_grad_enabled()


@fact
def set_grad_enabled(T):
    w = leaf(T, 2)
    with T.set_grad_enabled(False):
        a = (w * 2).requires_grad
    T.set_grad_enabled(False)
    b = T.is_grad_enabled()
    T.set_grad_enabled(True)
    return a, b, T.is_grad_enabled()


@fact
def no_grad_in_a_generator(T):
    @T.no_grad()
    def produce():
        yield T.is_grad_enabled()
        yield T.is_grad_enabled()

    return [(inside, T.is_grad_enabled()) for inside in produce()]


@fact
def modes_are_per_thread(T):
    import threading

    seen = []
    with T.no_grad():
        thread = threading.Thread(target=lambda: seen.append(T.is_grad_enabled()))
        thread.start()
        thread.join()
    return seen


@fact
def inference_mode(T):
    w = leaf(T, 2)
    with T.inference_mode():
        y = w * 2
        z = T.ones(2)
        inside = [
            y.requires_grad,
            y.is_inference(),
            z.is_inference(),
            w.is_inference(),
            T.is_inference_mode_enabled(),
            T.is_grad_enabled(),
        ]
    return inside, y.is_inference(), T.is_inference_mode_enabled(), (w * 2).is_inference()


@fact
def inference_tensors_may_not_be_saved(T):
    w = leaf(T, 2)
    with T.inference_mode():
        y = T.ones(2) * 3
    return (
        kind(lambda: w * y),
        (w + y).requires_grad,
        kind(y.requires_grad_),
        (y * 2).is_inference(),
        kind(y.add_, 1),
        y.clone().is_inference(),
    )


@fact
def backward_inside_no_grad(T):
    w = leaf(T, 2)
    y = (w * w).sum()
    with T.no_grad():
        y.backward()
    return w.grad


@fact
def clone_is_differentiable_and_separate(T):
    w = leaf(T, 2)
    c = w.clone()
    with T.no_grad():
        c.add_(1)
    c.sum().backward()
    return w, w.grad, c.requires_grad


@fact
def a_chain_deeper_than_the_recursion_limit(T):
    w = leaf(T, 1)
    y = w
    for _ in range(5000):
        y = y + 1
    y.sum().backward()
    return w.grad, y


@fact
def names_of_grad_fns(T):
    w = leaf(T, 2, 2)
    results = [
        w * 2,
        w + 1,
        w.sum(),
        w @ w,
        w.exp(),
        w.t(),
        w[0],
        w.view(4),
        w.mean(),
        w.relu(),
        -w,
        w / 2,
        w - 1,
        w**2,
        w.clone(),
    ]
    results += [
        w.reshape(4),
        w.sigmoid(),
        w.tanh(),
        w.log(),
        w.sqrt(),
        w.abs(),
        T.cat([w, w]),
        T.stack([w, w]),
        w.expand(2, 2, 2),
    ]
    return [r.grad_fn.name() for r in results]


@fact
def grad_fn_chain(T):
    y = (leaf(T, 2) * 2).sum()
    mul = y.grad_fn.next_functions[0][0]
    return mul.name(), len(mul.next_functions), mul.next_functions[0][0].variable.is_leaf


@fact
def multiple_results_of_one_op(T):
    w = T.tensor([[3.0, 1.0], [2.0, 5.0]], requires_grad=True)
    values, indices = w.max(1)
    a, b = w.unbind(0)
    (values.sum() + (a * b).sum()).backward()
    return w.grad, indices.requires_grad


@fact
def only_some_results_used(T):
    w = T.arange(6.0).requires_grad_()
    a, _, c = w.split(2)
    (a.sum() * 2 + c.prod()).backward()
    return w.grad


@fact
def deepcopy_of_results_raises(T):
    import copy

    w = leaf(T, 2)
    c = copy.deepcopy(w)
    return c, c.is_leaf, c is w, c.data_ptr() == w.data_ptr(), kind(copy.deepcopy, w * 2), copy.copy(w) is w
