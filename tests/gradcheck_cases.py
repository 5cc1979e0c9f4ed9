"""Every differentiable op in several configurations, for gradcheck and gradgradcheck in float64.

A case is a function of the module T and its inputs. Inputs are spread over a domain without ties, and away from the
points where a function has no derivative: finite differences say nothing there (facts/gradients.py does).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DOMAINS = {  # lowest and highest value
    "real": (-2.37, 2.41),
    "positive": (0.23, 2.9),
    "unit": (-0.87, 0.91),
    "probability": (0.12, 0.88),
    "above1": (1.2, 3.0),
}


@dataclass
class GradCase:
    name: str
    function: Callable  # function(T, *inputs) -> a Tensor or a tuple of them
    inputs: tuple  # (domain, shape) each
    twice: bool = True  # gradgradcheck too

    def arrays(self):
        """Values spaced evenly over the domain in random order: no two are equal, none at a corner of a function."""
        rng = np.random.default_rng(len(self.name))
        out = []
        for k, (domain, shape) in enumerate(self.inputs):
            low, high = DOMAINS[domain]
            n = int(np.prod(shape))
            out.append(rng.permutation(np.linspace(low + 0.013 * k, high - 0.017 * k, n)).reshape(shape))
        return out


CASES: list[GradCase] = []


def case(name, function, *inputs, twice=True):
    """Inputs are shapes, in the domain 'real', or (domain, shape)."""
    spec = tuple(i if i and isinstance(i[0], str) else ("real", i) for i in inputs)
    CASES.append(GradCase(name, function, spec, twice))


def each(names, domain="real", shapes=((), (5,), (2, 3), (2, 0)), find=lambda T: T, twice=True):
    """Functions of one tensor, over shapes, and over a transposed and an expanded input."""
    for name in names.split():
        for shape in shapes:
            case(
                f"{name}{list(shape)}", lambda T, x, name=name: getattr(find(T), name)(x), (domain, shape), twice=twice
            )
        case(f"{name} transposed", lambda T, x, name=name: getattr(find(T), name)(x.t()), (domain, (2, 3)), twice=twice)
        case(
            f"{name} expanded",
            lambda T, x, name=name: getattr(find(T), name)(x.expand(2, 3)),
            (domain, (3,)),
            twice=twice,
        )


def functional(T):
    return T.nn.functional


# Elementwise, of one tensor.
each("exp expm1 sin cos tanh sigmoid abs square neg sinh cosh atan erf exp2 floor ceil round trunc sign relu")
each("log log2 log10 log1p sqrt rsqrt reciprocal", "positive")
each("asin acos tan erfinv", "unit")
each("leaky_relu elu silu softplus hardtanh logsigmoid relu6 selu mish softsign", find=functional)
each("hardswish hardsigmoid tanhshrink softshrink hardshrink rrelu", find=functional, shapes=((5,), (2, 3)))
case("celu 0.5", lambda T, x: T.nn.functional.celu(x, 0.5), (7,))
case("threshold", lambda T, x: T.nn.functional.threshold(x, 0.1, 3.0), (7,))
case("glu", lambda T, x: T.nn.functional.glu(x, 0), (4, 3))
for approximate in ("none", "tanh"):
    case(f"gelu {approximate}", lambda T, x, a=approximate: T.nn.functional.gelu(x, approximate=a), (2, 3))
case("leaky_relu 0.3", lambda T, x: T.nn.functional.leaky_relu(x, 0.3), (7,))
case("elu 0.5", lambda T, x: T.nn.functional.elu(x, 0.5), (7,))
case("softplus 2, 1", lambda T, x: T.nn.functional.softplus(x, 2, 1), (7,))
case("prelu", lambda T, x, w: T.nn.functional.prelu(x, w), (2, 3, 2), (3,))
case("prelu one weight", lambda T, x, w: T.nn.functional.prelu(x, w), (2, 3), (1,))
case("clamp", lambda T, x: x.clamp(-1, 1.1), (7,))
case("clamp min", lambda T, x: x.clamp(min=0.05), (2, 3))
case("clamp max", lambda T, x: x.clamp(max=0.05), (2, 3))
case("clamp tensors", lambda T, x, a, b: T.clamp(x, a, b + 3), (2, 3), ("unit", (3,)), ("unit", ()))

# Elementwise, of two tensors and numbers, broadcast in both directions.
PAIRS = (((2, 3), (2, 3)), ((2, 1), (3,)), ((), (3,)), ((2, 3), ()), ((0, 3), (1, 3)))
for a, b in PAIRS:
    tag = f"{list(a)} {list(b)}"
    case(f"add {tag}", lambda T, x, y: x + y, a, b)
    case(f"add alpha {tag}", lambda T, x, y: T.add(x, y, alpha=2.5), a, b)
    case(f"sub {tag}", lambda T, x, y: x - y, a, b)
    case(f"mul {tag}", lambda T, x, y: x * y, a, b)
    case(f"div {tag}", lambda T, x, y: x / y, a, ("positive", b))
    case(f"pow {tag}", lambda T, x, y: x**y, ("positive", a), b)
    case(f"maximum {tag}", lambda T, x, y: T.maximum(x, y), a, b)
    case(f"minimum {tag}", lambda T, x, y: T.minimum(x, y), a, b)
    case(f"atan2 {tag}", lambda T, x, y: T.atan2(x, y), a, ("positive", b))
    case(f"where {tag}", lambda T, x, y: T.where(T.tensor([True, False, True]), x, y), a, b)
    case(f"fmod {tag}", lambda T, x, y: T.fmod(x, y), a, ("above1", b))
    case(f"remainder {tag}", lambda T, x, y: x % y, a, ("above1", b))
    case(f"lerp {tag}", lambda T, x, y: T.lerp(x, y, 0.3), a, b)
for n in (2, 3, 0.5, -1, 1, 0, 1.7):
    case(f"pow {n}", lambda T, x, n=n: x**n, ("positive", (2, 3)))
    case(f"pow of {n}", lambda T, x, n=n: abs(n) ** x if n else x * 0, (2, 3))
case("pow 3 of negative", lambda T, x: x**3, (2, 3))
case("numbers", lambda T, x: (2 - x) * 3 / (x + 5) + 1 / (x + 4) - 2.5, (2, 3))
case("remainder by a number", lambda T, x: x % 0.7, (2, 3))
case("lerp weights", lambda T, x, y, w: T.lerp(x, y, w), (2, 3), (3,), (2, 1))
case("addcmul", lambda T, x, a, b: T.addcmul(x, a, b, value=0.5), (2, 3), (3,), (2, 1))
case("addcdiv", lambda T, x, a, b: T.addcdiv(x, a, b, value=0.5), (2, 3), (3,), ("positive", (2, 1)))

# Reductions.
DIMS = (None, 0, -1, (0, 2))
for d in DIMS:
    for keep in (False, True):
        if d is None and keep:
            continue
        args = {} if d is None else {"dim": d, "keepdim": keep}
        tag = f"{d} {'keep' if keep else ''}"
        case(f"sum {tag}", lambda T, x, a=args: x.sum(**a), (2, 2, 3))
        case(f"mean {tag}", lambda T, x, a=args: x.mean(**a), (2, 2, 3))
        case(f"amax {tag}", lambda T, x, a=args: x.amax(**a), (2, 2, 3))
        case(f"amin {tag}", lambda T, x, a=args: x.amin(**a), (2, 2, 3))
        case(f"var {tag}", lambda T, x, a=args: x.var(**a), (2, 2, 3))
        case(f"std {tag}", lambda T, x, a=args: x.std(**a), (2, 2, 3))
        if d is not None:
            case(f"logsumexp {tag}", lambda T, x, a=args: x.logsumexp(**a), (2, 2, 3))
        for p in (1, 2, 3, float("inf")):
            case(
                f"norm {p} {tag}",
                lambda T, x, a=args, p=p: x.norm(p, **a),
                (2, 2, 3),
                twice=p != float("inf"),
            )
        if not isinstance(d, tuple):
            case(f"prod {tag}", lambda T, x, a=args: x.prod(**a), (2, 2, 2))
            if d is not None:
                case(f"max {tag}", lambda T, x, a=args: x.max(**a)[0], (2, 2, 3))
                case(f"min {tag}", lambda T, x, a=args: x.min(**a)[0], (2, 2, 3))
                case(f"median {tag}", lambda T, x, a=args: x.median(**a)[0], (2, 2, 3))
case("max of all", lambda T, x: x.max(), (2, 3))
case("min of all", lambda T, x: x.min(), (2, 3))
case("var correction 0", lambda T, x: x.var(dim=1, correction=0), (2, 3))
case("sum of a 0-d", lambda T, x: x.sum(), ())
case("sum of a transposed", lambda T, x: x.t().sum(0), (2, 3))
for d in (0, 1):
    case(f"cumsum {d}", lambda T, x, d=d: x.cumsum(d), (3, 2))
    case(f"cumprod {d}", lambda T, x, d=d: x.cumprod(d), (3, 2))
    case(f"softmax {d}", lambda T, x, d=d: x.softmax(d), (3, 2))
    case(f"log_softmax {d}", lambda T, x, d=d: x.log_softmax(d), (3, 2))
case("softmax middle", lambda T, x: T.softmax(x, 1), (2, 3, 2))
case("log_softmax middle", lambda T, x: T.log_softmax(x, 1), (2, 3, 2))

# Shapes and views.
SHAPES = {
    "reshape": lambda T, x: x.reshape(3, 4) * 2,
    "reshape of transposed": lambda T, x: x.transpose(0, 2).reshape(-1),
    "view": lambda T, x: x.view(6, 2) ** 2,
    "transpose": lambda T, x: x.transpose(0, 2) ** 2,
    "permute": lambda T, x: x.permute(2, 0, 1) ** 2,
    "mT": lambda T, x: x.mT**2,
    "squeeze": lambda T, x: x[:1].squeeze(0) ** 2,
    "unsqueeze": lambda T, x: x.unsqueeze(1) ** 2,
    "flatten": lambda T, x: x.flatten(1) ** 2,
    "expand": lambda T, x: x[:, :1].expand(2, 4, 3) ** 2,
    "expand new": lambda T, x: x.expand(2, 2, 2, 3) ** 2,
    "repeat": lambda T, x: x.repeat(2, 1, 2) ** 2,
    "flip": lambda T, x: x.flip(0, 2) ** 2,
    "roll": lambda T, x: x.roll(1, 2) ** 2,
    "contiguous": lambda T, x: x.transpose(0, 1).contiguous() ** 2,
    "clone": lambda T, x: x.clone() ** 2,
    "index int": lambda T, x: x[1] ** 2,
    "index slice": lambda T, x: x[:, ::2] ** 2,
    "index none": lambda T, x: x[None, ..., None, 1] ** 2,
    "index array": lambda T, x: x[T.tensor([0, 1, 0])] ** 2,
    "index two arrays": lambda T, x: x[T.tensor([0, 1, 0]), :, T.tensor([2, 0, 2])] ** 2,
    "index first arrays": lambda T, x: x[T.tensor([0, -1, 0]), T.tensor([1, 0, 1])] ** 2,
    "index all arrays": lambda T, x: x[T.tensor([[0], [1]]), T.tensor([1, 0]), T.tensor([2, -1])] ** 2,
    "index mask": lambda T, x: x[T.tensor([[True, False], [True, True]])] ** 2,
    "index list": lambda T, x: x[:, [1, 1]] ** 2,
    "index_select": lambda T, x: x.index_select(2, T.tensor([0, 2, 2])) ** 2,
    "gather": lambda T, x: x.gather(2, T.tensor([[[0, 2], [1, 1]], [[0, 0], [2, 1]]])) ** 2,
    "select": lambda T, x: x.select(1, 1) ** 2,
    "narrow": lambda T, x: x.narrow(2, 1, 2) ** 2,
    "split": lambda T, x: tuple(p**2 for p in x.split([1, 2], 2)),
    "chunk": lambda T, x: x.chunk(2)[1] ** 2,
    "unbind": lambda T, x: x.unbind(1)[0] ** 2,
    "tril": lambda T, x: x.tril() ** 2,
    "triu": lambda T, x: x.triu(1) ** 2,
    "diag": lambda T, x: x[0, :, :2].diag() ** 2,
    "masked_fill": lambda T, x: x.masked_fill(T.tensor([True, False, False]), 3.0) ** 2,
    "masked_select": lambda T, x: T.masked_select(x, T.tensor([True, False, True])) ** 2,
    "sort": lambda T, x: x.sort(2)[0] ** 2,
    "sort 0 down": lambda T, x: x.sort(0, descending=True)[0] ** 2,
    "topk": lambda T, x: x.topk(2)[0] ** 2,
    "topk 1 smallest": lambda T, x: x.topk(1, 1, largest=False)[0] ** 2,
    "kthvalue": lambda T, x: x.kthvalue(2, 2)[0] ** 2,
    "index_select 0": lambda T, x: x.index_select(0, T.tensor([1, 1, 0])) ** 2,
    "to float64": lambda T, x: x.to(T.float64) ** 2,
    "movedim": lambda T, x: x.movedim(0, 2) ** 2,
    "unfold": lambda T, x: x.unfold(2, 2, 1) ** 2,
    "repeat_interleave": lambda T, x: x.repeat_interleave(2, dim=1) ** 2,
}
for name, function in SHAPES.items():
    case(name, function, (2, 2, 3))
case("cat", lambda T, x, y: T.cat([x, y, x], 1) ** 2, (2, 3), (2, 1))
case("cat transposed", lambda T, x, y: T.cat([x.t(), y]) ** 2, (2, 3), (1, 2))
case("stack", lambda T, x, y: T.stack([x, y], 1) ** 2, (2, 3), (2, 3))
case("scatter", lambda T, x, y: x.scatter(1, T.tensor([[0, 2], [1, 0]]), y) ** 2, (2, 3), (2, 2))
case("scatter_add", lambda T, x, y: x.scatter_add(1, T.tensor([[0, 0], [1, 0]]), y) ** 2, (2, 3), (2, 2))
case("index_add", lambda T, x, y: x.index_add(0, T.tensor([1, 1]), y) ** 2, (2, 3), (2, 3))
case("index_add 1", lambda T, x, y: x.index_add(1, T.tensor([1, 0, 1]), y, alpha=3) ** 2, (2, 2), (2, 3))
case("index_copy", lambda T, x, y: x.index_copy(0, T.tensor([1]), y) ** 2, (2, 3), (1, 3))
case("index_put", lambda T, x, y: x.index_put((T.tensor([1, 0]),), y, accumulate=True) ** 2, (2, 3), (2, 3))
case("index_put twice", lambda T, x, y: x.index_put((T.tensor([-1, 1]),), y, accumulate=True) ** 2, (2, 3), (3,))

# Writes: in place, and through views.


def write(T, x, y, index):
    out = x * 2
    out[index(T)] = y * 3
    return out**2


def through_view(T, x, y):
    out = x * 2
    out.t()[1:].mul_(3).add_(y.t()[1:])
    return out**2


def out_t(T, x, y):
    out, h = T.zeros(3, 2, dtype=T.float64), x
    for t in range(3):
        h = (h * y).tanh()
        out[t] = h
    return out


case("write int", lambda T, x, y: write(T, x, y, lambda T: 1), (2, 3), (3,))
case("write slice", lambda T, x, y: write(T, x, y, lambda T: (slice(None), slice(1, None))), (2, 3), (2, 2))
case("write broadcast", lambda T, x, y: write(T, x, y, lambda T: (slice(None), slice(1, None))), (2, 3), (2, 1))
case("write array", lambda T, x, y: write(T, x, y, lambda T: (slice(None), T.tensor([2, 0]))), (2, 3), (2, 2))
case("write mask", lambda T, x, y: write(T, x, y, lambda T: T.tensor([False, True])), (2, 3), (1, 3))
case("write through a view", through_view, (2, 3), (2, 3))
case("out[t] = h", out_t, (2,), (2,))
case("copy_", lambda T, x, y: (x * 1).copy_(y) + x, (2, 3), (3,))
case("in place chain", lambda T, x, y: (x * 1).add_(y).mul_(2).sub_(x).div_(3).exp_(), (2, 3), (3,))
case("in place with a shared operand", lambda T, x, y: (x * y).mul_(y), (2, 3), (3,))
case("in place fill", lambda T, x: (x * 2).masked_fill_(T.tensor([True, False, False]), 1.0) ** 2, (2, 3))
case("in place zero", lambda T, x: (x * 2).zero_() + x, (2, 3))

# Products.
MATMULS = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((2, 2, 3), (3, 2)), ((2, 2, 3), (2, 3, 2))]
MATMULS += [
    ((2, 1, 2, 3), (2, 3, 2)),
    ((3,), (2, 3, 2)),
    ((2, 2, 3), (3,)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((1, 1), (1, 1)),
]
for a, b in MATMULS:
    case(f"matmul {list(a)} {list(b)}", lambda T, x, y: x @ y, a, b)
case("matmul transposed", lambda T, x, y: x.t() @ y.t(), (3, 2), (2, 3))
case("mm", lambda T, x, y: T.mm(x, y), (2, 3), (3, 2))
case("mv", lambda T, x, y: T.mv(x, y), (2, 3), (3,))
case("dot", lambda T, x, y: T.dot(x, y), (3,), (3,))
case("bmm", lambda T, x, y: T.bmm(x, y), (2, 2, 3), (2, 3, 2))
case("outer", lambda T, x, y: T.outer(x, y), (3,), (2,))
case("addmm", lambda T, c, x, y: T.addmm(c, x, y, beta=0.5, alpha=2), (2,), (2, 3), (3, 2))
case("baddbmm", lambda T, c, x, y: T.baddbmm(c, x, y), (2, 2, 2), (2, 2, 3), (2, 3, 2))
case("linear", lambda T, x, w, b: T.nn.functional.linear(x, w, b), (2, 3), (2, 3), (2,))
case("linear no bias", lambda T, x, w: T.nn.functional.linear(x, w), (2, 3), (2, 3))
case("linear 3-d", lambda T, x, w, b: T.nn.functional.linear(x, w, b), (2, 2, 3), (2, 3), (2,))
case("linear 1-d", lambda T, x, w, b: T.nn.functional.linear(x, w, b), (3,), (2, 3), (2,))

# Convolution and pooling.
CONVS = {
    "plain": ((1, 2, 4, 4), (2, 2, 3, 3), {}),
    "stride": ((1, 1, 5, 5), (2, 1, 3, 3), {"stride": 2}),
    "padding": ((2, 1, 3, 3), (1, 1, 3, 3), {"padding": 1}),
    "dilation": ((1, 1, 5, 5), (1, 1, 2, 2), {"dilation": 2}),
    "groups": ((1, 4, 3, 3), (4, 2, 2, 2), {"groups": 2}),
    "depthwise": ((1, 2, 3, 3), (2, 1, 2, 2), {"groups": 2, "padding": 1}),
    "1x1": ((2, 2, 2, 2), (3, 2, 1, 1), {}),
    "uneven": ((1, 1, 5, 4), (1, 1, 3, 2), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}),
    "same": ((1, 1, 4, 4), (1, 1, 3, 3), {"padding": "same"}),
    "1x1 stride": ((1, 2, 4, 4), (2, 2, 1, 1), {"stride": 3}),
}
for name, (xs, ws, options) in CONVS.items():
    case(f"conv2d {name}", lambda T, x, w, b, o=options: T.nn.functional.conv2d(x, w, b, **o), xs, ws, (ws[0],))
case("conv2d no bias", lambda T, x, w: T.nn.functional.conv2d(x, w), (1, 1, 3, 3), (1, 1, 2, 2))
case("conv1d", lambda T, x, w, b: T.nn.functional.conv1d(x, w, b, 2, 1), (2, 2, 5), (2, 2, 3), (2,))
for name, options in {
    "2": {},
    "stride 1": {"stride": 1},
    "padding": {"padding": 1, "stride": 2},
    "ceil": {"ceil_mode": True},
}.items():
    case(f"max_pool2d {name}", lambda T, x, o=options: T.nn.functional.max_pool2d(x, 2, **o), (1, 2, 3, 3))
    case(f"avg_pool2d {name}", lambda T, x, o=options: T.nn.functional.avg_pool2d(x, 2, **o), (1, 2, 3, 3))
case("max_pool2d dilation", lambda T, x: T.nn.functional.max_pool2d(x, 2, 1, dilation=2), (1, 1, 4, 4))
case(
    "avg_pool2d options",
    lambda T, x: T.nn.functional.avg_pool2d(x, 2, padding=1, count_include_pad=False),
    (1, 1, 3, 3),
)
case("avg_pool2d divisor", lambda T, x: T.nn.functional.avg_pool2d(x, 2, divisor_override=3), (1, 1, 4, 4))
case("adaptive_avg_pool2d", lambda T, x: T.nn.functional.adaptive_avg_pool2d(x, 1), (1, 2, 3, 3))

case("max_pool3d", lambda T, x: T.nn.functional.max_pool3d(x, 2, 1, ceil_mode=True), (1, 1, 3, 3, 2))
case("avg_pool3d", lambda T, x: T.nn.functional.avg_pool3d(x, 2, 1, 1, count_include_pad=False), (1, 1, 3, 3, 2))
case("adaptive_avg_pool3d", lambda T, x: T.nn.functional.adaptive_avg_pool3d(x, (2, 2, 1)), (1, 1, 3, 4, 2))
case("adaptive_max_pool2d", lambda T, x: T.nn.functional.adaptive_max_pool2d(x, 2), (1, 2, 3, 4))
case("lp_pool2d", lambda T, x: T.nn.functional.lp_pool2d(x, 3.0, 2), ("positive", (1, 2, 4, 4)))
case(
    "max_unpool2d",
    lambda T, x: T.nn.functional.max_unpool2d(x, T.tensor([[[[5, 2], [8, 15]]]]), 2) ** 2,
    (1, 1, 2, 2),
)

# Padding, windows and resizing.
for mode in ("constant", "reflect", "replicate", "circular"):
    case(f"pad {mode}", lambda T, x, m=mode: T.nn.functional.pad(x, (2, 1, 0, 2), m) ** 2, (1, 2, 3, 3))
    case(f"pad {mode} negative", lambda T, x, m=mode: T.nn.functional.pad(x, (2, -1), m) ** 2, (2, 2, 3))
case("unfold windows", lambda T, x: T.nn.functional.unfold(x, 2, 1, 1, 2) ** 2, (1, 2, 3, 4))
case("fold windows", lambda T, x: T.nn.functional.fold(x, (3, 4), 2) ** 2, (1, 4, 6))
case("pixel_shuffle", lambda T, x: T.nn.functional.pixel_shuffle(x, 2) ** 2, (4, 2, 3))
case("pixel_unshuffle", lambda T, x: T.nn.functional.pixel_unshuffle(x, 2) ** 2, (1, 2, 4))
case("channel_shuffle", lambda T, x: T.nn.functional.channel_shuffle(x, 2) ** 2, (1, 4, 2))
RESIZES = {
    "nearest 2": ({"scale_factor": 2}, (1, 2, 2, 3)),
    "nearest": ({"size": (5, 2)}, (1, 2, 3, 3)),
    "nearest 3-D": ({"scale_factor": 2}, (1, 1, 2, 1, 2)),
    "linear": ({"size": 5, "mode": "linear"}, (1, 2, 3)),
    "bilinear": ({"size": (5, 2), "mode": "bilinear"}, (1, 2, 3, 4)),
    "bilinear aligned": ({"scale_factor": 2, "mode": "bilinear", "align_corners": True}, (1, 1, 2, 3)),
    "bicubic": ({"size": (2, 5), "mode": "bicubic"}, (1, 1, 3, 4)),
    "trilinear": ({"size": (3, 2, 3), "mode": "trilinear"}, (1, 1, 2, 3, 2)),
    "area": ({"size": (2, 2), "mode": "area"}, (1, 1, 3, 4)),
    "antialias": ({"size": (2, 3), "mode": "bilinear", "antialias": True}, (1, 1, 5, 4)),
}
for name, (options, shape) in RESIZES.items():
    case(f"interpolate {name}", lambda T, x, o=options: T.nn.functional.interpolate(x, **o) ** 2, shape)
for mode, padding in (("bilinear", "zeros"), ("bilinear", "reflection"), ("bicubic", "border"), ("nearest", "zeros")):
    case(
        f"grid_sample {mode} {padding}",
        lambda T, x, g, m=mode, p=padding: T.nn.functional.grid_sample(x, g, m, p, False),
        (1, 2, 3, 4),
        ("unit", (1, 2, 2, 2)),
        twice=mode != "nearest",
    )
case(
    "grid_sample of 8 channels",
    lambda T, x, g: T.nn.functional.grid_sample(x, g, align_corners=False),
    (1, 8, 2, 3),
    ("unit", (1, 2, 2, 2)),
)
case("affine_grid", lambda T, x: T.nn.functional.affine_grid(x, (1, 1, 2, 3), False) ** 2, (1, 2, 3))
case("bilinear", lambda T, x, y, w: T.nn.functional.bilinear(x, y, w), (2, 3), (2, 2), (2, 3, 2))

# Losses.


def ids(T):
    return T.tensor([2, 0, 1])


for reduction in ("mean", "sum", "none"):
    r = {"reduction": reduction}
    case(f"mse_loss {reduction}", lambda T, x, y, r=r: T.nn.functional.mse_loss(x, y, **r), (2, 3), (2, 3))
    case(f"l1_loss {reduction}", lambda T, x, y, r=r: T.nn.functional.l1_loss(x, y, **r), (2, 3), (2, 3))
    case(
        f"smooth_l1 {reduction}",
        lambda T, x, y, r=r: T.nn.functional.smooth_l1_loss(x, y, beta=0.7, **r),
        (2, 3),
        (2, 3),
    )
    case(f"huber {reduction}", lambda T, x, y, r=r: T.nn.functional.huber_loss(x, y, delta=0.7, **r), (2, 3), (2, 3))
    case(f"cross_entropy {reduction}", lambda T, x, r=r: T.nn.functional.cross_entropy(x, ids(T), **r), (3, 4))
    case(
        f"cross_entropy smoothing {reduction}",
        lambda T, x, r=r: T.nn.functional.cross_entropy(x, ids(T), label_smoothing=0.2, **r),
        (3, 4),
    )
    case(
        f"cross_entropy weight ignore {reduction}",
        lambda T, x, r=r: T.nn.functional.cross_entropy(
            x, ids(T), T.tensor([1.0, 2.0, 0.5, 1.5], dtype=x.dtype), ignore_index=0, label_smoothing=0.1, **r
        ),
        (3, 4),
    )
    case(f"nll_loss {reduction}", lambda T, x, r=r: T.nn.functional.nll_loss(x.log_softmax(1), ids(T), **r), (3, 4))
    case(
        f"bce {reduction}",
        lambda T, x, y, r=r: T.nn.functional.binary_cross_entropy(x, y, **r),
        *[("probability", (2, 3))] * 2,
    )
    case(
        f"bce_logits {reduction}",
        lambda T, x, y, r=r: T.nn.functional.binary_cross_entropy_with_logits(x, y, **r),
        (2, 3),
        ("probability", (2, 3)),
    )
MARGINS = {  # of one input and of class ids
    "multi_margin_loss": lambda T, x: T.nn.functional.multi_margin_loss(x, ids(T), reduction="none"),
    "multi_margin_loss 2": lambda T, x: T.nn.functional.multi_margin_loss(x, ids(T), p=2, margin=0.8),
    "multilabel_margin_loss": lambda T, x: T.nn.functional.multilabel_margin_loss(
        x, T.tensor([[1, 0, -1, 0], [2, -1, 0, 0], [-1, 0, 0, 0]])
    ),
    "nll_loss images": lambda T, x: T.nn.functional.nll_loss(
        x[..., None], ids(T)[:, None], T.tensor([1.0, 2.0, 0.5, 1.5], dtype=x.dtype), ignore_index=0
    ),
    "multilabel_soft_margin_loss": lambda T, x: T.nn.functional.multilabel_soft_margin_loss(
        x, T.ones(3, 4, dtype=x.dtype).tril()
    ),
    "soft_margin_loss": lambda T, x: T.nn.functional.soft_margin_loss(x, 1 - 2 * T.ones(3, 4, dtype=x.dtype).tril()),
    "hinge_embedding_loss": lambda T, x: T.nn.functional.hinge_embedding_loss(
        x, 1 - 2 * T.ones(3, 4, dtype=x.dtype).tril()
    ),
}
for name, function in MARGINS.items():
    case(name, function, (3, 4))
PAIR_LOSSES = {
    "kl_div": lambda T, x, y: T.nn.functional.kl_div(x, y.abs() + 0.1, reduction="batchmean"),
    "kl_div log_target": lambda T, x, y: T.nn.functional.kl_div(x, y, reduction="sum", log_target=True),
    "poisson_nll_loss": lambda T, x, y: T.nn.functional.poisson_nll_loss(x, y.abs() + 1.1, full=True),
    "gaussian_nll_loss": lambda T, x, y: T.nn.functional.gaussian_nll_loss(x, y, y.abs() + 0.2),
    "cosine_embedding_loss": lambda T, x, y: T.nn.functional.cosine_embedding_loss(
        x, y, T.tensor([1, -1, 1]), margin=-0.9
    ),
    "cosine_similarity": lambda T, x, y: T.nn.functional.cosine_similarity(x, y[:1]),
    "pairwise_distance": lambda T, x, y: T.nn.functional.pairwise_distance(x, y),
    "margin_ranking_loss": lambda T, x, y: T.nn.functional.margin_ranking_loss(x, y, T.ones(3, 4).double(), 0.123),
    "triplet_margin_loss": lambda T, x, y: T.nn.functional.triplet_margin_loss(x, y, x.flip(0), 0.7, swap=True),
}
for name, function in PAIR_LOSSES.items():
    case(name, function, (3, 4), (3, 4))
case(
    "ctc_loss",
    lambda T, x: T.nn.functional.ctc_loss(
        x.log_softmax(2), T.tensor([[1, 2], [3, 3]]), T.tensor([5, 4]), T.tensor([2, 2]), reduction="none"
    ),
    (5, 2, 4),
    twice=False,
)
case(
    "linear_cross_entropy",
    lambda T, x, w, b: T.nn.functional.linear_cross_entropy(x, w, T.tensor([1, 0, 4]), linear_bias=b, label_smoothing=0.1),
    (3, 2), (5, 2), (5,),
)  # fmt: skip
case("cross_entropy images", lambda T, x: T.nn.functional.cross_entropy(x, T.tensor([[[2, 0], [1, 1]]])), (1, 3, 2, 2))
case("cross_entropy probabilities", lambda T, x, p: T.nn.functional.cross_entropy(x, p.softmax(1)), (2, 3), (2, 3))
case("embedding", lambda T, w: T.nn.functional.embedding(T.tensor([[0, 2], [2, 1]]), w) ** 2, (3, 2))
for mode in ("sum", "mean", "max"):
    case(
        f"embedding_bag {mode}",
        lambda T, w, m=mode: T.nn.functional.embedding_bag(T.tensor([[0, 2], [2, 1]]), w, mode=m, padding_idx=1) ** 2,
        (3, 2),
    )
case(
    "embedding_bag weights",
    lambda T, w, p: T.nn.functional.embedding_bag(T.tensor([0, 2, 2]), w, T.tensor([0, 1]), mode="sum", per_sample_weights=p),
    (3, 2), (3,),
)  # fmt: skip
case("layer_norm", lambda T, x, w, b: T.nn.functional.layer_norm(x, (3,), w, b), (2, 3), (3,), (3,))
case("layer_norm 2 dimensions", lambda T, x, w: T.nn.functional.layer_norm(x, (2, 3), w), (4, 2, 3), (2, 3))
case("layer_norm bias alone", lambda T, x, b: T.nn.functional.layer_norm(x, (3,), None, b), (2, 3), (3,))
case("rms_norm", lambda T, x, w: T.nn.functional.rms_norm(x, (4,), w), (3, 4), (4,))
for shape in ((4, 3), (3, 2, 4), (2, 3, 2, 2)):
    case(
        f"batch_norm {len(shape)}-D",
        lambda T, x, w, b: T.nn.functional.batch_norm(x, None, None, w, b, training=True),
        shape,
        *[(shape[1],)] * 2,
    )
    case(
        f"batch_norm eval {len(shape)}-D",
        lambda T, x, w, b: T.nn.functional.batch_norm(
            x, T.linspace(-1, 1, x.shape[1]).to(x.dtype), T.linspace(0.5, 2, x.shape[1]).to(x.dtype), w, b
        ),
        shape,
        *[(shape[1],)] * 2,
    )
case("batch_norm plain", lambda T, x: T.nn.functional.batch_norm(x, None, None, training=True), (4, 3))
case("group_norm", lambda T, x, w, b: T.nn.functional.group_norm(x, 2, w, b), (2, 4, 3), (4,), (4,))
case("group_norm plain", lambda T, x: T.nn.functional.group_norm(x, 1), (2, 3, 2))
case("instance_norm", lambda T, x, w: T.nn.functional.instance_norm(x, weight=w), (2, 3, 4), (3,))
for label, shapes, options in [
    ("", ((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 3)), {}),
    ("causal", ((1, 1, 4, 2),) * 3, {"is_causal": True}),
    ("scale", ((2, 3, 2), (2, 2, 2), (2, 2, 2)), {"scale": 0.3}),
    ("grouped", ((1, 4, 2, 2), (1, 2, 3, 2), (1, 2, 3, 2)), {"enable_gqa": True}),
    ("two dimensions", ((3, 2), (4, 2), (4, 3)), {}),
    ("broadcast", ((2, 2, 3, 2), (1, 2, 2, 2), (2, 2, 2)), {}),
]:
    case(
        f"attention {label}",
        lambda T, q, k, v, o=options: T.nn.functional.scaled_dot_product_attention(q, k, v, **o),
        *shapes,
    )
case(
    "attention bool mask",
    lambda T, q, k, v: T.nn.functional.scaled_dot_product_attention(
        q, k, v, T.tensor([[True, False, True], [False, False, False]])
    ),
    (1, 2, 2), (1, 3, 2), (1, 3, 2),
)  # fmt: skip
case(
    "attention mask",
    lambda T, q, k, v, m: T.nn.functional.scaled_dot_product_attention(q, k, v, m),
    (1, 2, 2, 2), (1, 2, 3, 2), (1, 2, 3, 2), (2, 3),
)  # fmt: skip
case(
    "attention dropout",
    lambda T, q, k, v: (
        T.manual_seed(0),
        T.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.4),
    )[1],
    *[(1, 2, 4, 2)] * 3,
)
case(
    "mlp",
    lambda T, x, w, v: T.nn.functional.linear(T.tanh(T.nn.functional.linear(x, w)), v).softmax(1),
    (2, 3),
    (4, 3),
    (2, 4),
)

# Recurrent layers: (x, h0, c0, weights of each direction), sizes of the steps.
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}


def recurrent(function, directions, packed, projected=0):
    hidden, features = 3, 2
    width = projected or hidden
    gates = GATES[function] * hidden
    shapes = [(gates, features), (gates, width), (gates,), (gates,), *([(projected, hidden)] if projected else [])]
    states = [(directions, 2, width), *([(directions, 2, hidden)] if function == "lstm" else [])]

    def run(T, x, *rest):
        hx, weights = rest[: len(states)], rest[len(states) :]
        hx = hx if function == "lstm" else hx[0]
        options = (list(weights), True, 1, 0.0, False, directions == 2)
        if packed:
            return getattr(T, function)(x, T.tensor([2, 2, 1]), hx, *options)
        return getattr(T, function)(x, hx, *options, False)

    x = (5, features) if packed else (3, 2, features)
    # Small states and weights: gates in the middle of their range.
    inputs = [("unit", s) for s in (x, *states, *(shapes * directions))]
    name = f"{function}{' both directions' if directions == 2 else ''}{' packed' if packed else ''}"
    case(name + (" projected" if projected else ""), run, *inputs)


for _function in ("rnn_tanh", "lstm", "gru"):
    recurrent(_function, 1, False)
    recurrent(_function, 2, True)
recurrent("rnn_relu", 1, False)
recurrent("lstm", 2, True, projected=2)
case(
    "lstm_cell", lambda T, x, h, c, w, u, b, d: T.lstm_cell(x, (h, c), w, u, b, d),
    *(("unit", s) for s in ((2, 3), (2, 2), (2, 2), (8, 3), (8, 2), (8,), (8,))),
)  # fmt: skip
case(
    "gru_cell", lambda T, x, h, w, u, b, d: T.gru_cell(x, h, w, u, b, d),
    *(("unit", s) for s in ((2, 3), (2, 2), (6, 3), (6, 2), (6,), (6,))),
)  # fmt: skip

# Convolution of volumes, transposed ones, and what is padded.
case("conv3d", lambda T, x, w, b: T.conv3d(x, w, b, padding=1), (1, 2, 3, 3, 2), (2, 2, 2, 3, 1), (2,))
case(
    "conv3d stride 2, groups", lambda T, x, w: T.conv3d(x, w, stride=(2, 1, 2), padding=(1, 0, 1), groups=2),
    (1, 2, 4, 3, 3), (2, 1, 2, 2, 3),
)  # fmt: skip
case(
    "conv_transpose3d", lambda T, x, w, b: T.conv_transpose3d(x, w, b, stride=2, output_padding=1),
    (1, 2, 2, 1, 2), (2, 1, 2, 1, 2), (1,),
)  # fmt: skip
case(
    "conv_transpose2d output_padding above stride",
    lambda T, x, w: T.conv_transpose2d(x, w, dilation=2, output_padding=1), (1, 1, 2, 2), (1, 2, 2, 2),
)  # fmt: skip

import gradcheck_functions  # noqa: E402, F401  (its cases join the list)
