"""nn: functional options, losses, Module's books, initial values and optimizers."""

from . import answer, fact, kind


def ramp(T, *shape):
    n = 1
    for s in shape:
        n *= s
    return (T.arange(float(n)) / 7 - 1).reshape(*shape)


@fact
def linear_shapes(T):
    F = T.nn.functional
    w, b = ramp(T, 4, 3), ramp(T, 4)
    return (
        [
            F.linear(ramp(T, 3), w).shape,
            F.linear(ramp(T, 2, 3), w, b),
            F.linear(ramp(T, 5, 2, 3), w, b).shape,
            F.linear(ramp(T, 0, 3), w, b).shape,
        ],
        [
            kind(F.linear, ramp(T, 2, 4), w),
            kind(F.linear, ramp(T, 2, 3), w, ramp(T, 3)),
            kind(F.linear, ramp(T, 2, 3).double(), w),
            F.linear(ramp(T, 2, 3), ramp(T, 3)).shape,
        ],
    )


@fact
def conv2d_options(T):
    F = T.nn.functional
    x, w = ramp(T, 2, 4, 7, 6), ramp(T, 6, 4, 3, 3)
    return [
        F.conv2d(x, w).shape,
        F.conv2d(x, w, None, 2, 1).shape,
        F.conv2d(x, w, ramp(T, 6), (2, 1), (1, 0), (1, 2)).shape,
        F.conv2d(x, w, padding="same").shape,
        F.conv2d(x, w, padding="valid").shape,
        F.conv2d(x, ramp(T, 6, 2, 3, 3), groups=2).sum(),
        F.conv2d(x[0], w).shape,
        F.conv2d(x[:0], w).shape,
        F.conv1d(x[0], ramp(T, 2, 7, 3)).shape,
    ]


@fact
def conv2d_errors(T):
    F = T.nn.functional
    x, w = ramp(T, 2, 4, 7, 6), ramp(T, 6, 4, 3, 3)
    return [
        kind(F.conv2d, x[:, :3], w),
        kind(F.conv2d, x, w, groups=3),
        kind(F.conv2d, x, w, stride=0),
        kind(F.conv2d, x, w, padding=-1),
        kind(F.conv2d, x, w, dilation=0),
        kind(F.conv2d, x, w, dilation=4),
        kind(F.conv2d, x[0, 0], w),
        kind(F.conv2d, x, w, ramp(T, 5)),
        kind(F.conv2d, x.double(), w),
        kind(F.conv2d, x, w, stride=2, padding="same"),
        kind(F.conv2d, x, w, padding="other"),
    ]


@fact
def pooling_options(T):
    F = T.nn.functional
    x = ramp(T, 1, 2, 7, 6)
    return (
        [
            F.max_pool2d(x, 2).shape,
            F.max_pool2d(x, 3, 2, 1).shape,
            F.max_pool2d(x, (2, 3), ceil_mode=True).shape,
            F.max_pool2d(x, 2, dilation=2).shape,
        ],
        [
            F.avg_pool2d(x, 3, 2, 1),
            F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
            F.avg_pool2d(x, 2, ceil_mode=True),
            F.avg_pool2d(x, 2, divisor_override=3),
        ],
        [
            F.max_pool2d(x[0], 2).shape,
            F.adaptive_avg_pool2d(x, 1).shape,
            kind(F.max_pool2d, x, 2, padding=2),
            kind(F.max_pool2d, x, 9),
            kind(F.avg_pool2d, x, 2, padding=2),
        ],
    )


@fact
def cross_entropy_options(T):
    F = T.nn.functional
    x, y, w = ramp(T, 3, 4), T.tensor([0, 3, 1]), T.tensor([1.0, 2.0, 3.0, 4.0])
    return (
        [
            F.cross_entropy(x, y),
            F.cross_entropy(x, y, reduction="none"),
            F.cross_entropy(x, y, reduction="sum"),
            F.cross_entropy(x, y, w),
        ],
        [
            F.cross_entropy(x, y, w, label_smoothing=0.1),
            F.cross_entropy(x, y, ignore_index=3),
            F.cross_entropy(x, T.softmax(x, 1)),
            F.cross_entropy(x[0], y[0]),
        ],
        [
            F.cross_entropy(x, T.tensor([-100, -100, -100])),
            F.cross_entropy(x.t()[None], T.tensor([[0, 1, 2]])),
            F.cross_entropy(x[:0], y[:0]),
        ],
    )


@fact
def cross_entropy_errors(T):
    F = T.nn.functional
    x, y = ramp(T, 3, 4), T.tensor([0, 3, 1])
    return [
        kind(F.cross_entropy, x, T.tensor([0, 4, 1])),
        kind(F.cross_entropy, x, T.tensor([0, -1, 1])),
        kind(F.cross_entropy, x, y[:2]),
        kind(F.cross_entropy, x, y.float()),
        kind(F.cross_entropy, x, y, T.ones(3)),
        kind(F.cross_entropy, x, y, reduction="other"),
        kind(F.cross_entropy, x, y, label_smoothing=1.5),
        kind(F.cross_entropy, x, y.int()) in ("none", "RuntimeError"),
    ]


@fact
def losses(T):
    F = T.nn.functional
    x, y, p = ramp(T, 2, 3), ramp(T, 2, 3).flip(1), T.sigmoid(ramp(T, 2, 3))
    t = T.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    return (
        [
            F.mse_loss(x, y),
            F.l1_loss(x, y, reduction="sum"),
            F.smooth_l1_loss(x, y, beta=0.5),
            F.mse_loss(x, y, reduction="none"),
        ],
        [
            F.binary_cross_entropy(p, t),
            F.binary_cross_entropy_with_logits(x, t, pos_weight=T.tensor([1.0, 2.0, 3.0])),
            F.nll_loss(F.log_softmax(x, 1), T.tensor([0, 2])),
        ],
        [
            kind(F.binary_cross_entropy, x, t),
            kind(F.binary_cross_entropy, p, t[0]),
            kind(F.mse_loss, x, y, reduction="avg"),
            F.mse_loss(x, y[0]),
        ],
    )


@fact
def binary_cross_entropy_at_its_ends(T):
    F = T.nn.functional
    p = T.tensor([0.0, 1.0, 1.0, 0.0], requires_grad=True)
    loss = F.binary_cross_entropy(p, T.tensor([0.0, 1.0, 0.0, 1.0]), reduction="none")
    x = T.tensor([100.0, -100.0, 1000.0], requires_grad=True)
    F.binary_cross_entropy_with_logits(x, T.tensor([0.0, 0.0, 1.0]), reduction="sum").backward()
    return loss, x.grad


@fact
def embeddings(T):
    F = T.nn.functional
    w = ramp(T, 4, 2).requires_grad_()
    y = F.embedding(T.tensor([[0, 3], [3, 3]]), w, padding_idx=0)
    y.sum().backward()
    return (
        y,
        w.grad,
        kind(F.embedding, T.tensor([4]), w),
        kind(F.embedding, T.tensor([-1]), w),
        kind(F.embedding, T.tensor([0.5]), w),
    )


@fact
def normalisations(T):
    F = T.nn.functional
    x = ramp(T, 4, 3)
    m, v = T.zeros(3), T.ones(3)
    y = F.batch_norm(x, m, v, training=True)
    return (
        y,
        m,
        v,
        F.batch_norm(x, m, v),
        F.layer_norm(x, (3,)),
        kind(F.layer_norm, x, (4,)),
        kind(F.batch_norm, x[:1], m, v, training=True),
    )


@fact
def dropout(T):
    F = T.nn.functional
    x = T.ones(4, 4)
    return (
        F.dropout(x, 0.5, training=False),
        F.dropout(x, 0.0),
        F.dropout(x, 1.0),
        kind(F.dropout, x, 1.5),
        kind(F.dropout, x, -0.1),
        kind(T.nn.Dropout, 2),
    )


@fact
def dropout_scales_and_matches_its_gradient(T):
    T.manual_seed(0)
    x = T.ones(100, requires_grad=True)
    y = T.nn.functional.dropout(x, 0.5)
    y.sum().backward()
    return y, x.grad


@fact
def softmax_options(T):
    F = T.nn.functional
    x = ramp(T, 2, 3)
    return (
        F.softmax(x, 0),
        F.softmax(x, dim=-1, dtype=T.float64),
        F.log_softmax(x, 1),
        kind(F.softmax, x, 2),
        kind(F.softmax, T.tensor([1, 2]), 0),
    )


def net(T):
    class Net(T.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = T.nn.Sequential(T.nn.Linear(3, 4), T.nn.ReLU(), T.nn.Linear(4, 2, bias=False))
            self.scale = T.nn.Parameter(T.ones(1))
            self.register_buffer("count", T.zeros(2))
            self.register_buffer("hidden", T.zeros(1), persistent=False)
            self.none = None

        def forward(self, x):
            return self.layers(x) * self.scale

    return Net()


@fact
def module_books(T):
    m = net(T)
    return (
        [
            list(m.state_dict()),
            [n for n, _ in m.named_parameters()],
            [n for n, _ in m.named_modules()],
            [n for n, _ in m.named_children()],
            [n for n, _ in m.named_buffers()],
        ],
        [
            len(list(m.parameters())),
            len(list(m.modules())),
            m.layers[0].in_features,
            len(m.layers),
            type(m.layers[:2]).__name__,
            m.training,
            m.eval().layers[1].training,
        ],
    )


@fact
def module_printing(T):
    m = T.nn.Sequential(
        T.nn.Conv2d(1, 2, 3, padding=1),
        T.nn.ReLU(),
        T.nn.MaxPool2d(2),
        T.nn.Flatten(),
        T.nn.Linear(4, 2),
        T.nn.Dropout(0.2),
    )
    return (
        repr(net(T)),
        repr(m),
        repr(T.nn.ModuleList([T.nn.Tanh(), T.nn.LeakyReLU(0.1)])),
        repr(T.nn.CrossEntropyLoss()),
        repr(T.nn.Sequential()),
    )


@fact
def module_attribute_rules(T):
    m = net(T)
    errors = [
        kind(setattr, m, "scale", T.ones(1)),
        kind(getattr, m, "nothing"),
        kind(m.register_buffer, "count", T.ones(1)),
        kind(m.register_parameter, "a.b", None),
    ]
    m.scale = None
    m.count = T.ones(2)
    del m.hidden
    return errors, [n for n, _ in m.named_parameters()], m.count, list(m.state_dict()), hasattr(m, "hidden")


@fact
def parameters_before_init_raise(T):
    class Bad(T.nn.Module):
        def __init__(self):
            self.w = T.nn.Parameter(T.ones(1))

    return kind(Bad)


@fact
def load_state_dict(T):
    m = net(T)
    s = {k: v.clone() + 1 for k, v in m.state_dict().items()}
    missing = dict(s)
    missing.pop("scale")
    w = m.scale
    keys = m.load_state_dict(missing, strict=False)
    m.load_state_dict(s)
    return (
        m.scale,
        m.scale is w,
        list(keys.missing_keys),
        list(keys.unexpected_keys),
        kind(m.load_state_dict, missing),
        kind(m.load_state_dict, {**s, "x": T.ones(1)}),
        kind(m.load_state_dict, {**s, "scale": T.ones(3)}),
    )


@fact
def state_dict_shares_memory(T):
    m = T.nn.Linear(2, 1)
    s = m.state_dict()
    with T.no_grad():
        m.weight.fill_(3)
    return s["weight"], s["weight"].requires_grad, type(s).__name__


@fact
def module_hooks(T):
    m, seen = T.nn.Linear(2, 1), []
    with T.no_grad():
        m.weight.fill_(1)
        m.bias.fill_(0)
    m.register_forward_pre_hook(lambda mod, args: (args[0] * 2,))
    handle = m.register_forward_hook(lambda mod, args, out: out + 1)
    m.register_full_backward_hook(lambda mod, gin, gout: seen.append(gout[0].clone()))
    y = m(T.ones(1, 2))
    y.sum().backward()
    handle.remove()
    return y, m(T.ones(1, 2)), seen, m.weight.grad


@fact
def zero_grad_apply_and_requires_grad(T):
    m, seen = net(T), []
    m(T.ones(1, 3)).sum().backward()
    m.zero_grad()
    m.apply(lambda mod: seen.append(type(mod).__name__))
    m.requires_grad_(False)
    return [p.grad is None for p in m.parameters()], seen, m(T.ones(1, 3)).requires_grad


@fact
def module_to_dtype(T):
    m = net(T)
    w = m.scale
    m.double()
    return (
        [str(v.dtype) for v in m.state_dict().values()],
        m.scale is w,
        m.to(T.float32).count.dtype,
        m.half().scale.dtype,
        kind(m.to, T.int64),
    )


@fact
def shared_parameters_appear_once(T):
    m = net(T)
    m.again = m.layers[0]
    m.same = m.scale
    return [n for n, _ in m.named_parameters()], list(m.state_dict()), len(list(m.modules()))


@fact
def containers(T):
    layers = T.nn.ModuleList([T.nn.ReLU()])
    layers.append(T.nn.Tanh())
    layers.extend([T.nn.Sigmoid()])
    layers.insert(0, T.nn.Identity())
    named = T.nn.ModuleDict({"a": T.nn.ReLU(), "b": T.nn.Tanh()})
    parameters = T.nn.ParameterList([T.nn.Parameter(T.ones(2))])
    return (
        [type(v).__name__ for v in layers],
        len(layers),
        type(layers[-1]).__name__,
        list(named),
        "a" in named,
        len(parameters),
        kind(layers.append, 3),
        kind(lambda: layers[9]),
    )


@fact
def initial_weights(T):
    T.manual_seed(0)
    m = T.nn.Linear(3, 2), T.nn.Conv2d(2, 2, 3), T.nn.PReLU(), T.nn.Linear(2, 2, bias=False)
    return [p.detach() for layer in m for p in layer.parameters()]


@fact
def init_functions(T):
    T.manual_seed(1)
    init = T.nn.init
    w = T.empty(4, 3)
    calls = ["xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"]
    calls += ["uniform_", "normal_", "ones_", "zeros_", "trunc_normal_"]
    return (
        {n: getattr(init, n)(w).clone() for n in calls},
        init.constant_(w, 2),
        init.calculate_gain("relu"),
        kind(init.xavier_uniform_, T.empty(3)),
        init.eye_(w),
    )


@fact
def orthogonal_init_is_orthogonal(T):
    w = T.nn.init.orthogonal_(T.empty(3, 5))
    return T.allclose(w @ w.t(), T.eye(3), atol=1e-5)


def optimised(T, name, **options):
    w = T.tensor([1.0, -2.0, 3.0], requires_grad=True)
    v = T.tensor([[0.5]], requires_grad=True)
    o = getattr(T.optim, name)([w, v], **options)
    for _ in range(4):
        o.zero_grad()
        ((w**2).sum() * v.exp().sum()).backward()
        o.step()
    return w.detach(), v.detach()


@fact
def optimizers(T):
    return (
        [
            optimised(T, "SGD", lr=0.1),
            optimised(T, "SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
            optimised(T, "SGD", lr=0.1, momentum=0.9, dampening=0.5),
        ],
        [
            optimised(T, "Adam"),
            optimised(T, "Adam", lr=0.1, amsgrad=True, weight_decay=0.1),
            optimised(T, "AdamW", lr=0.1),
            optimised(T, "Adagrad", lr=0.1),
            optimised(T, "RMSprop", momentum=0.5, centered=True),
        ],
        [
            optimised(T, "SGD", lr=0.01, maximize=True),
            optimised(T, "Adagrad", lr_decay=0.1, weight_decay=0.1),
            optimised(T, "RMSprop", lr=0.1),
        ],
    )


@fact
def optimizer_errors(T):
    w = T.ones(2, requires_grad=True)
    return [
        kind(T.optim.SGD, [w], lr=-1),
        kind(T.optim.SGD, [], lr=0.1),
        kind(T.optim.SGD, w, lr=0.1),
        kind(T.optim.SGD, [w * 2], lr=0.1),
        kind(T.optim.SGD, [w], lr=0.1, momentum=-1),
        kind(T.optim.SGD, [w], lr=0.1, nesterov=True),
        kind(T.optim.Adam, [w], betas=(1.0, 0.9)),
        kind(T.optim.Adam, [w], eps=-1),
        kind(T.optim.SGD, [1.0], lr=0.1),
    ]


@fact
def optimizer_groups_and_state(T):
    w, v = T.ones(2, requires_grad=True), T.ones(1, requires_grad=True)
    o = T.optim.SGD([{"params": [w]}, {"params": [v], "lr": 0.5}], lr=0.1, momentum=0.9)
    (w.sum() + v.sum()).backward()
    o.step()
    s = o.state_dict()
    return (
        [g["lr"] for g in o.param_groups],
        w,
        v,
        sorted(s),
        s["param_groups"][1]["params"],
        kind(o.add_param_group, {"params": [w]}),
        list(s["state"]),
    )


@fact
def optimizer_closures_and_missing_gradients(T):
    w, u = T.ones(1, requires_grad=True), T.ones(1, requires_grad=True)
    o = T.optim.SGD([w, u], lr=0.1)

    def closure():
        o.zero_grad()
        loss = (w * 2).sum()
        loss.backward()
        return loss

    return o.step(closure), w, u, w.grad, o.step()


@fact
def gradient_clipping(T):
    w, v = T.zeros(2, requires_grad=True), T.zeros(1, requires_grad=True)
    (w * T.tensor([3.0, 4.0])).sum().backward()
    (v * 12).sum().backward()
    clip = T.nn.utils.clip_grad_norm_
    n = clip([w, v], 6.5)
    T.nn.utils.clip_grad_value_([w, v], 2.0)
    return n, w.grad, v.grad, clip([w, v], 1.0, norm_type=float("inf")), clip([], 1.0), w.grad


@fact
def data_loading(T):
    D = T.utils.data
    s = D.TensorDataset(T.arange(7), T.arange(7) * 2)
    T.manual_seed(0)
    return (
        [
            [b[0] for b in D.DataLoader(s, batch_size=3)],
            [b[0] for b in D.DataLoader(s, 3, shuffle=True)],
            [b[0] for b in D.DataLoader(s, 3, drop_last=True)],
        ],
        [
            len(s),
            s[2],
            len(D.DataLoader(s, 3)),
            kind(D.TensorDataset, T.ones(2), T.ones(3)),
            kind(D.DataLoader, s, 0),
            [b.shape for b in D.DataLoader([1.0, 2.0], 2)],
        ],
    )


@fact
def functional_forms_of_modules(T):
    x = ramp(T, 2, 3)
    names = ["Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "SiLU", "GELU", "Identity", "Softplus", "Hardtanh", "ReLU6"]
    return (
        {n: getattr(T.nn, n)()(x) for n in names},
        T.nn.Softmax(1)(x),
        T.nn.GELU("tanh")(x),
        T.nn.PReLU(3)(x).detach(),
        kind(T.nn.functional.gelu, x, approximate="other"),
    )


@fact
def flatten_and_sequential(T):
    m = T.nn.Sequential(T.nn.Flatten(), T.nn.Linear(6, 2))
    return (
        m(T.ones(2, 2, 3)).shape,
        T.nn.Flatten(0)(T.ones(2, 3)).shape,
        answer(lambda: m(T.ones(2, 5)).shape),
        type(m[0]).__name__,
        type(m[-1]).__name__,
    )
