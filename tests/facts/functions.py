"""autograd.Function for users' own operations, gradcheck and gradgradcheck."""

from . import fact, kind


def square(T):
    class Square(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    return Square


def make(T, forward, backward):
    """A Function of two plain functions."""
    return type("Mine", (T.autograd.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


def leaf(T, *values):
    return T.tensor(values, requires_grad=True)


@fact
def a_users_function(T):
    w = leaf(T, 2.0, 3.0)
    y = square(T).apply(w)
    y.sum().backward()
    return y.detach(), y.requires_grad, w.grad, y.grad_fn.name(), square(T).apply(T.ones(2)).requires_grad


@fact
def a_users_function_twice_differentiated(T):
    w = leaf(T, 2.0, 3.0)
    (g,) = T.autograd.grad(square(T).apply(w).sum(), w, create_graph=True)
    return T.autograd.grad((g * g).sum(), w)


@fact
def arguments_that_are_not_tensors(T):
    scale = make(T, lambda ctx, x, k, name: (setattr(ctx, "k", k), x * k)[1], lambda ctx, g: (g * ctx.k, None, None))
    w = leaf(T, 1.0, 2.0)
    scale.apply(w, 3, "name").sum().backward()
    return w.grad


@fact
def needs_input_grad(T):
    seen = []

    def backward(ctx, g):
        seen.append(tuple(ctx.needs_input_grad))
        return g, None, None

    f = make(T, lambda ctx, a, b, k: a + b, backward)
    f.apply(leaf(T, 1.0), T.ones(1), 5).sum().backward()
    return seen


@fact
def a_wrong_number_of_gradients_raises(T):
    f = make(T, lambda ctx, a, b: a + b, lambda ctx, g: g)
    g = make(T, lambda ctx, a: a * 1, lambda ctx, g: (g, g))
    extra_none = make(T, lambda ctx, a: a * 1, lambda ctx, g: (g, None))
    return (
        kind(f.apply(leaf(T, 1.0), leaf(T, 1.0)).backward),
        kind(g.apply(leaf(T, 1.0)).backward),
        kind(extra_none.apply(leaf(T, 1.0)).backward),
    )


@fact
def a_gradient_of_the_wrong_shape_raises(T):
    f = make(T, lambda ctx, a: a * 1, lambda ctx, g: T.ones(3))
    widened = make(T, lambda ctx, a: a * 1, lambda ctx, g: g.expand(4, 2))
    w = leaf(T, 1.0, 2.0)
    return kind(f.apply(w).sum().backward), kind(widened.apply(w).sum().backward), w.grad


@fact
def none_is_no_gradient(T):
    f = make(T, lambda ctx, a: a * 1, lambda ctx, g: None)
    w = leaf(T, 1.0)
    f.apply(w).sum().backward()
    return w.grad


@fact
def several_results(T):
    seen = []

    def backward(ctx, ga, gb):
        seen.append((ga is None, gb is None))
        return ga * 2 + gb * 3

    f = make(T, lambda ctx, x: (x * 2, x * 3), backward)
    w = leaf(T, 1.0, 2.0)
    a, _ = f.apply(w)
    a.sum().backward()
    return w.grad, seen


@fact
def unused_results_without_materialized_gradients(T):
    seen = []

    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def backward(ctx, ga, gb):
        seen.append((ga is None, gb is None))
        return ga * 2

    w = leaf(T, 1.0)
    make(T, forward, backward).apply(w)[0].sum().backward()
    return w.grad, seen


@fact
def results_that_are_not_differentiable(T):
    def forward(ctx, x):
        i = x.argsort()
        ctx.mark_non_differentiable(i)
        return x * 2, i

    f = make(T, forward, lambda ctx, g, gi: g * 2)
    y, i = f.apply(leaf(T, 2.0, 1.0))
    return y.requires_grad, i.requires_grad, i


@fact
def mark_dirty(T):
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    f = make(T, forward, lambda ctx, g: g * 2)
    w = leaf(T, 1.0, 2.0)
    x = w * 1
    y = f.apply(x)
    y.sum().backward()
    return y is x, w.grad, x._version, kind(f.apply, w)


@fact
def an_input_returned_unchanged(T):
    f = make(T, lambda ctx, x: x, lambda ctx, g: g * 5)
    w = leaf(T, 1.0)
    y = f.apply(w)
    y.sum().backward()
    return y is w, w.grad, y.is_leaf


@fact
def once_differentiable(T):
    from importlib import import_module

    once = import_module(T.__name__ + ".autograd.function").once_differentiable
    f = make(T, lambda ctx, x: (ctx.save_for_backward(x), x * x)[1], once(lambda ctx, g: 2 * ctx.saved_tensors[0] * g))
    w = leaf(T, 3.0)
    (g,) = T.autograd.grad(f.apply(w).sum(), w, create_graph=True)
    return g.detach(), kind(g.sum().backward)


@fact
def grad_mode_inside_functions(T):
    seen = []

    def forward(ctx, x):
        seen.append(T.is_grad_enabled())
        return x * 2

    def backward(ctx, g):
        seen.append(T.is_grad_enabled())
        return g * 2

    w = leaf(T, 1.0)
    y = make(T, forward, backward).apply(w)
    y.sum().backward(retain_graph=True)
    y.sum().backward(create_graph=True)
    return seen


@fact
def saved_tensors_are_freed_and_guarded(T):
    w = leaf(T, 2.0)
    y = square(T).apply(w)
    y.sum().backward()
    first = kind(y.sum().backward)
    x = w * 1
    y = square(T).apply(x)
    x.add_(1)
    return first, kind(y.sum().backward)


@fact
def setup_context(T):
    class Scale(T.autograd.Function):
        @staticmethod
        def forward(x, k):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k, None

    w = leaf(T, 1.0)
    Scale.apply(w, 4.0).sum().backward()
    return w.grad


@fact
def misuse_of_functions(T):
    class Nothing(T.autograd.Function):
        pass

    class OnlyForward(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    w = leaf(T, 1.0)
    return kind(Nothing.apply, w), kind(OnlyForward.apply(w).sum().backward), kind(lambda: square(T)()(w)) != "none"


@fact
def exceptions_inside_backward_reach_the_caller(T):
    def backward(ctx, g):
        raise KeyError("mine")

    w = leaf(T, 1.0)
    return kind(make(T, lambda ctx, x: x * 2, backward).apply(w).sum().backward), w.grad


@fact
def straight_through(T):
    f = make(T, lambda ctx, x: x.round(), lambda ctx, g: g)
    w = leaf(T, 0.4, 1.6)
    (f.apply(w) * T.tensor([2.0, 3.0])).sum().backward()
    return w.grad


@fact
def gradcheck_accepts_right_and_catches_wrong(T):
    x = T.tensor([0.5, 2.0], dtype=T.float64, requires_grad=True)
    wrong = make(T, lambda ctx, x: (ctx.save_for_backward(x), x * x)[1], lambda ctx, g: 3 * ctx.saved_tensors[0] * g)
    check = T.autograd.gradcheck
    return (
        check(square(T).apply, (x,)),
        check(wrong.apply, (x,), raise_exception=False),
        kind(check, wrong.apply, (x,)),
        check(T.exp, x),
    )


@fact
def gradgradcheck_accepts_right_and_catches_wrong(T):
    x = T.tensor([0.5, 2.0], dtype=T.float64, requires_grad=True)

    def backward(ctx, g):  # right once, but its own derivative is cut
        return 2 * ctx.saved_tensors[0].detach() * g

    once = make(T, lambda ctx, x: (ctx.save_for_backward(x), x * x)[1], backward)
    check = T.autograd.gradgradcheck
    return check(square(T).apply, (x,)), check(once.apply, (x,), raise_exception=False), kind(check, once.apply, (x,))


@fact
def gradcheck_needs_a_gradient_to_check(T):
    x = T.ones(2, dtype=T.float64)
    return kind(T.autograd.gradcheck, T.exp, (x,)), T.autograd.gradcheck(
        lambda a, b: a * b, (x, x.clone().requires_grad_())
    )
