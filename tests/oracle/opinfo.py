"""What both sides of the OpInfo comparison share: calls as plain data, and running them.

The module named by `T` is torch in the test's process and fastnn in the worker's: `python opinfo.py` serves requests
from stdin in a process where importing torch fails. A call's Tensors travel as NumPy arrays with their strides.
"""

import functools
import pickle
import sys

import numpy as np

# Results that are unique only up to signs or phases, or an order: what is compared instead, of torch's and fastnn's
# alike. Gradients are those of what is compared.
PROCESS = {
    "svd": lambda T, r: _thin(r[0].abs(), r[1], r[2].abs()),
    "linalg.svd": lambda T, r: _thin(r[0].abs(), r[1], r[2].mT.abs()),
    "linalg.eigh": lambda T, r: (r[0], r[1].abs()),
    "linalg.eig": lambda T, r: (_by_angle(T, r[0]),),
    "linalg.eigvals": lambda T, r: (_by_angle(T, r),),
}
# Ops whose samples come in another order or form than the function takes them, as op_db's own wrappers turn them.
FORMS = {
    "einsum": lambda T, tensors, equation: T.einsum(equation, tensors),
    "where": lambda T, x, condition, other: T.where(condition, x, other),
    "polygamma": lambda T, x, n: T.polygamma(n, x),
    "special.polygamma": lambda T, x, n: T.special.polygamma(n, x),
    "nn.functional.embedding": lambda T, weight, i, **k: T.nn.functional.embedding(i, weight, **k),
    "nn.functional.embedding_bag": lambda T, weight, i, **k: T.nn.functional.embedding_bag(i, weight, **k),
    "resize_": lambda T, x, shape: x.clone().resize_(shape),
    "resize_as_": lambda T, x, other: x.clone().resize_as_(other),
    "zero_": lambda T, x: x.clone().zero_(),
    "linalg.lstsq/grad_oriented": lambda T, a, b, driver: T.linalg.lstsq(a, b, driver=driver)[:2],
    "linalg.pinv/singular": lambda T, a, b: T.linalg.pinv(a @ b.mT),
    "normal/number_mean": lambda T, std, mean, *a, **k: T.normal(mean, std, *a, **k),
    "svd_lowrank": lambda T, a, b, **k: T.svd_lowrank(a @ b.mT, **k),
    "pca_lowrank": lambda T, a, b, **k: T.pca_lowrank(a @ b.mT, **k),
    **{n: lambda T, x, n=n: getattr(x, n) for n in ("T", "H", "mT", "mH", "real", "imag")},
    **{
        n: lambda T, x, *a, n=n, **k: getattr(x.clone(), n + "_")(*a, **k)
        for n in ("cauchy", "exponential", "geometric", "log_normal", "uniform")
    },
}
METHODS = {
    "float",
    "int",
    "long",
    "short",
    "double",
    "half",
    "bool",
    "byte",
    "char",
    "bfloat16",
    "to",
    "item",
    "unfold",
    "view",
}
SHAPE_ONLY = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}


def _thin(u, s, v):
    """Without the vectors that belong to no singular value: any basis of what is left would do for those."""
    n = s.shape[-1]
    return u[..., :n], s, v[..., :n], *(tuple(t.shape) for t in (u, v))


def _by_angle(T, values):
    """Power sums: symmetric functions of values that come in any order."""
    return [(values**n).sum(-1) for n in (1, 2, 3)]


class Unsupported(Exception):
    """A sample that needs what the exchange cannot carry."""


def encode(v, torch, memo=None):
    """An argument of a sample as plain data."""
    memo = {} if memo is None else memo
    if isinstance(v, torch.Tensor):
        if id(v) in memo:
            return ("same", memo[id(v)])
        memo[id(v)] = len(memo)
        if (
            v.layout != torch.strided
            or v.dtype in (torch.bfloat16, torch.complex32)
            or v.is_quantized
            or v.is_meta
            or v.ndim > 64
        ):
            raise Unsupported(f"{v.layout} {v.dtype}")
        if type(v) is not torch.Tensor:
            raise Unsupported(type(v).__name__)
        needs, v = v.requires_grad, v.detach().resolve_conj().resolve_neg()
        if v.is_contiguous() and v.storage_offset() == 0:
            return ("tensor", v.numpy().copy(), None, needs)
        whole = torch.as_strided(v, (v.untyped_storage().nbytes() // v.element_size(),), (1,), 0)
        return ("tensor", whole.numpy().copy(), (tuple(v.shape), v.stride(), v.storage_offset()), needs)
    if isinstance(v, torch.Size):
        return ("size", tuple(v))
    if isinstance(v, tuple):
        return ("tuple", [encode(x, torch, memo) for x in v])
    if isinstance(v, list):
        return ("list", [encode(x, torch, memo) for x in v])
    if isinstance(v, dict):
        return ("dict", {k: encode(x, torch, memo) for k, x in v.items()})
    if isinstance(v, slice):
        return ("slice", [encode(x, torch, memo) for x in (v.start, v.stop, v.step)])
    if isinstance(v, torch.dtype | torch.layout | torch.memory_format):
        return ("named", str(v).removeprefix("torch."))
    if isinstance(v, torch.device):
        return ("device", str(v))
    if v is None or v is Ellipsis or isinstance(v, bool | int | float | complex | str | np.ndarray | np.generic):
        return ("plain", v)
    raise Unsupported(type(v).__name__)


def decode(v, T, tensors):
    """The argument again, with T's Tensors, which `tensors` collects."""
    kind, value = v[0], v[1]
    if kind == "tensor":
        a = value.copy()
        if v[2] is not None:
            size, stride, offset = v[2]
            a = np.lib.stride_tricks.as_strided(a[offset:], size, tuple(s * a.itemsize for s in stride))
        t = T.from_numpy(a)
        if v[3]:
            t.requires_grad_()
        tensors.append(t)
        return t
    if kind == "same":
        return tensors[value]
    if kind in ("tuple", "list"):
        return {"tuple": tuple, "list": list}[kind](decode(x, T, tensors) for x in value)
    if kind == "dict":
        return {k: decode(x, T, tensors) for k, x in value.items()}
    if kind == "slice":
        return slice(*(decode(x, T, tensors) for x in value))
    if kind == "named":
        return getattr(T, value)
    if kind == "size":
        return T.Size(value)
    if kind == "device":
        return T.device(value)
    return value


def flat(r, T):
    """The results of a call, in a row."""
    if isinstance(r, tuple | list) and not isinstance(r, T.Size):
        return [x for v in r for x in flat(v, T)]
    if isinstance(r, dict):
        return [x for v in r.values() for x in flat(v, T)]
    return [r]


def plain(r, T):
    """A result as plain data: arrays, numbers, names."""
    if isinstance(r, T.Tensor):
        return r.detach().resolve_conj().resolve_neg().numpy().copy() if T.__name__ == "torch" else r.detach().numpy()
    if isinstance(r, T.Size):
        return tuple(r)
    return r if r is None or isinstance(r, bool | int | float | complex | str) else str(r)


def resolve(T, key):
    """The function behind an OpInfo's "name/variant": torch.name, or a method of Tensor. None where there is none."""
    name = key.split("/")[0]
    form = FORMS.get(key) or FORMS.get(name)
    f = None if name in METHODS else T
    for part in name.split("."):
        f = getattr(f, part, None)
    if f is None and "." not in name:
        f = getattr(T.Tensor, name, None) or getattr(T.Tensor, name + "_", None)
    return f if form is None or f is None else functools.partial(form, T)


def run(T, function, name, call, weights=None):
    """(results, gradients): of the call, and of its results' product with fixed weights."""
    tensors = []
    args, keywords = decode(call["args"], T, tensors), decode(call["kwargs"], T, tensors)
    T.manual_seed(42)
    r = function(*args, **keywords)
    if name in PROCESS:
        r = PROCESS[name](T, r)
    results = flat(r, T)
    outs = [v for v in results if isinstance(v, T.Tensor) and v.requires_grad]
    sources = [t for t in tensors if t.requires_grad]
    gradients = []
    if outs and sources and call["gradients"]:
        starts = []
        for i, v in enumerate(outs):
            rng = np.random.default_rng(i)
            w = rng.standard_normal(tuple(v.shape))
            d = str(v.dtype).removeprefix("torch.")
            w = w + 1j * rng.standard_normal(w.shape) if "complex" in d else w
            starts.append(T.from_numpy(np.asarray(w, d)))
        gradients = T.autograd.grad(outs, sources, starts, allow_unused=True)
    return [plain(v, T) for v in results], [None if g is None else plain(g, T) for g in gradients]


def evaluate(T, code):
    """The flat results of a snippet: of an expression, or of statements that leave `r`."""
    space = {"torch": T, "nn": T.nn, "F": T.nn.functional, "np": np}
    T.manual_seed(0)
    try:
        try:
            r = eval(compile(code, "<snippet>", "eval"), space)
        except SyntaxError:
            exec(compile(code, "<snippet>", "exec"), space)
            r = space["r"]
        return ("ok", [plain(v, T) for v in flat(r, T)], [])
    except Exception as e:  # noqa: BLE001
        return ("error", type(e).__name__, str(e))


def answer(T, function, name, call):
    """run's, or the error that it ended in."""
    try:
        return ("ok", *run(T, function, name, call))
    except Exception as e:  # noqa: BLE001
        return ("error", type(e).__name__, str(e))


def serve():
    """The worker: one pickled request after another, (key, calls), each with its list of answers."""
    import os
    import warnings

    sys.modules["torch"] = None  # importing it fails from here on
    warnings.simplefilter("ignore")
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import fastnn

    fastnn.set_num_threads(1)
    while True:
        try:
            key, calls = pickle.load(requests)
        except EOFError:
            return
        if key == "__snippets__":
            pickle.dump([evaluate(fastnn, code) for code in calls], replies)
            replies.flush()
            continue
        function = resolve(fastnn, key)
        reply = None if function is None else [answer(fastnn, function, key.split("/")[0], call) for call in calls]
        pickle.dump(reply, replies)
        replies.flush()


if __name__ == "__main__":
    serve()
