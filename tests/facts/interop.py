"""Python's protocols, NumPy, DLPack, copying and pickling."""

import copy
import io
import pickle

import numpy as np

from . import answer, fact, kind


@fact
def truth_of_a_tensor(T):
    return (
        bool(T.tensor(1)),
        bool(T.tensor([0.0])),
        kind(bool, T.ones(2)),
        kind(bool, T.ones(0)),
        bool(T.tensor([[2]])),
        not T.tensor(0),
    )


@fact
def numbers_of_a_tensor(T):
    x = T.tensor([2.7])
    return (
        float(x),
        int(x),
        kind(float, T.ones(2)),
        kind(int, T.ones(2)),
        complex(x).real,
        int(T.tensor(True)),
        kind(float, T.ones(0)),
    )


@fact
def a_tensor_as_an_index(T):
    return (
        list(range(T.tensor(2))),
        "abc"[T.tensor(1)],
        kind(range, T.tensor(2.0)),
        kind(range, T.tensor([1, 2])),
        range(T.tensor([2]))[1],
    )


@fact
def item_of_many_raises(T):
    return kind(T.ones(2).item), kind(T.ones(0).item), T.tensor([[3]]).item(), T.tensor(2.5, dtype=T.float16).item()


@fact
def lengths(T):
    return len(T.ones(3, 2)), len(T.ones(0, 2)), kind(len, T.tensor(1))


@fact
def comparison_with_none_and_others(T):
    x = T.ones(2)
    return (
        x == None,  # noqa: E711
        x != None,  # noqa: E711
        x is None,
        kind(lambda: x < None),
        answer(lambda: x == "a"),
        kind(lambda: x + None),
        kind(lambda: x * "a"),
    )


@fact
def comparison_of_shapes_that_do_not_fit(T):
    return (
        kind(lambda: T.ones(2) == T.ones(3)),
        T.ones(2) == 1,
        T.ones(2) == T.ones(2, 1),
        T.ones(2).eq(1),
        kind(T.ones(2).__lt__, T.ones(3)),
    )


@fact
def hash_is_identity(T):
    a = T.ones(2)
    return a in {a: 1}, T.ones(2) in {a: 1}, len({T.ones(1), T.ones(1)}), hash(a) == id(a)


@fact
def chained_comparison_raises(T):
    x = T.arange(4)
    return (
        kind(lambda: 1 < x < 3),
        kind(lambda: x and x),
        kind(max, T.ones(2, 2)),
        max(T.tensor([3, 1, 2])),
        sum(T.tensor([1, 2])),
    )


@fact
def unknown_attributes(T):
    return (
        kind(getattr, T.ones(1), "no_such_thing"),
        kind(lambda: T.no_such_thing),
        hasattr(T.ones(1), "weight"),
        kind(T.ones(1)),
    )


@fact
def operators_on_lists_and_tuples(T):
    x = T.ones(2)
    return kind(lambda: x + [1, 2]), kind(lambda: [1, 2] * x), kind(lambda: x @ [1, 2]), kind(lambda: (1, 2) - x)


@fact
def attributes_can_be_added(T):
    x = T.ones(2)
    x.note = "mine"
    return x.note, hasattr(x.clone(), "note")


@fact
def from_numpy_shares(T):
    a = np.zeros(3, np.float32)
    t = T.from_numpy(a)
    t[0] = 1
    a[1] = 2
    return t, a, kind(T.from_numpy, [1, 2]), kind(T.from_numpy, np.float32(1)), T.from_numpy(np.array(1.5)).shape


@fact
def from_numpy_refuses(T):
    a = np.arange(4.0)
    return (
        kind(T.from_numpy, a[::-1]),
        kind(T.from_numpy, np.array(["a"])),
        kind(T.from_numpy, np.array([None])),
        kind(T.from_numpy, a.astype(">f8")),
    )


@fact
def from_numpy_keeps_dtype_and_strides(T):
    a = np.arange(6, dtype=np.int16).reshape(2, 3)
    return (
        T.from_numpy(a.T),
        T.from_numpy(a.T).stride(),
        T.from_numpy(a[:, ::2]).stride(),
        T.from_numpy(np.ones(2, bool)).dtype,
        T.from_numpy(np.ones((0, 2))).shape,
    )


@fact
def tensor_copies_and_as_tensor_shares(T):
    a = np.zeros(2)
    t, s = T.tensor(a), T.as_tensor(a)
    a[0] = 7
    x = T.ones(1)
    return (
        t,
        s,
        T.as_tensor(x) is x,
        T.as_tensor(a, dtype=T.float32),
        T.as_tensor([1, 2]),
        T.asarray(a),
        T.tensor(x) is x,
    )


@fact
def numpy_shares(T):
    t = T.zeros(3)
    a = t.numpy()
    a[0] = 1
    t[1] = 2
    return a, t, T.tensor(1.5).numpy(), T.ones(2, 3).t().numpy().strides, type(T.ones(1).numpy())


@fact
def numpy_of_what_needs_a_gradient_raises(T):
    w = T.ones(2, requires_grad=True)
    return (
        kind(w.numpy),
        kind((w * 2).numpy),
        w.detach().numpy(),
        w.numpy(force=True),
        kind(np.asarray, w),
        w.data.numpy(),
    )


@fact
def asarray_of_a_tensor(T):
    t = T.zeros(2)
    a = np.asarray(t)
    a[0] = 5
    return t, a, np.array(t), np.asarray(t, dtype=np.float64), np.array(T.tensor(1)), np.stack([T.ones(2), T.zeros(2)])


@fact
def numpy_functions_of_a_tensor(T):
    t = T.tensor([[1.0, 4.0], [9.0, 16.0]])
    return [f(t) for f in (np.exp, np.sqrt, np.argmax, np.transpose, np.abs, np.ndim, np.tanh, np.round)]


@fact
def types_that_numpy_functions_return(T):
    t = T.tensor([1.0, 4.0])
    functions = (np.exp, np.sqrt, np.abs, np.cumsum, np.square, np.shape, np.squeeze, np.negative)
    return [type(f(t)).__name__ for f in functions], type(np.add(t, t)).__name__, type(np.add(t, np.ones(2))).__name__


@fact
def numpy_arrays_mixed_with_tensors(T):
    t, a = T.ones(2), np.ones(2, np.float32)
    return (
        answer(lambda: t + a),
        answer(lambda: t * np.float32(2)),
        answer(lambda: t * np.float64(2)),
        answer(lambda: np.float64(2) * t),
        answer(lambda: t / np.int64(2)),
    )


@fact
def dlpack_from_numpy(T):
    a = np.zeros(3)
    t = T.from_dlpack(a)
    t[0] = 2
    return t, a


@fact
def dlpack_to_numpy(T):
    t = T.zeros(2, 3).t()
    a = np.from_dlpack(t)
    t[0, 0] = 4
    return a, a.strides, T.ones(1).__dlpack_device__() == (1, 0), kind(T.ones(1, requires_grad=True).__dlpack__)


@fact
def dlpack_round_trip(T):
    x = T.arange(4)
    y = T.from_dlpack(x)
    y[0] = 9
    return x, kind(T.from_dlpack, [1, 2])


@fact
def deepcopy(T):
    w = T.ones(2, requires_grad=True)
    (w * 2).sum().backward()
    c = copy.deepcopy(w)
    x = T.zeros(4)
    pair = copy.deepcopy([x, x[:2].clone(), x])
    pair[0][0] = 5
    return c, c.grad, c.grad is w.grad, pair, pair[0] is pair[2]


def pickled(x):
    return pickle.loads(pickle.dumps(x))


@fact
def pickling(T):
    w = T.ones(2, requires_grad=True)
    x = T.arange(6).reshape(2, 3)
    return (
        pickled(w),
        pickled(w).is_leaf,
        pickled(x.t()),
        pickled(x.t()).stride(),
        pickled(T.ones(2, 0)),
        pickled(T.tensor(True)),
        kind(pickle.dumps, w * 2) in ("none", "RuntimeError"),
    )


@fact
def pickling_of_small_things(T):
    return (
        pickled(T.float32) is T.float32,
        pickled(T.ones(2, 3).shape),
        pickled(T.device("cpu")) == T.device("cpu"),
        pickled(T.ones(2, dtype=T.bfloat16)),
    )


@fact
def pickling_a_parameter(T):
    p = T.nn.Parameter(T.ones(2), requires_grad=False)
    return (
        type(pickled(p)).__name__,
        pickled(p).requires_grad,
        pickled(T.nn.Parameter(T.ones(1))).requires_grad,
        isinstance(p, T.Tensor),
    )


@fact
def save_and_load(T):
    f = io.BytesIO()
    x = T.arange(3.0)
    T.save({"a": x, "b": [1, "c"], "n": T.ones(2, dtype=T.int16)}, f)
    f.seek(0)
    return T.load(f)


@fact
def types_of_results(T):
    x = T.ones(2)
    return [
        type(v).__name__ for v in (x.sum(), x[0], x + 1, x.shape, x.dtype, x.tolist(), x.device, x.stride(), x.numel())
    ]


@fact
def is_tensor(T):
    return (
        T.is_tensor(T.ones(1)),
        T.is_tensor(1),
        T.is_floating_point(T.ones(1)),
        T.ones(1).is_floating_point(),
        T.is_tensor(np.ones(1)),
    )


@fact
def constructing_by_class(T):
    return (
        T.Tensor(2, 3).shape,
        T.Tensor([1, 2]),
        T.Tensor().shape,
        T.Tensor([]).dtype,
    )


@fact
def devices(T):
    d = T.device("cpu")
    return (
        T.ones(1).device == d,
        str(d),
        repr(d),
        d.type,
        d.index,
        T.device("cpu", 0).index,
        kind(T.device, "nonsense"),
        T.ones(1).is_cuda,
        T.ones(1, device="cpu").shape,
    )


@fact
def positional_and_keyword_forms(T):
    x = T.arange(6.0).reshape(2, 3)
    return (
        [
            T.sum(x, dim=0),
            T.sum(x, 0, True),
            x.sum(dim=(0, 1)),
            x.sum(axis=0),
            T.mean(input=x, dim=1),
            x.sum(0, keepdim=True),
        ],
        [
            x.add(1, alpha=2),
            T.sub(x, x, alpha=2),
            T.add(x, 1),
            x.mul(2),
            T.softmax(x, dim=0),
            x.transpose(dim0=0, dim1=1).shape,
        ],
        [kind(x.sum, dimension=0), kind(T.exp), kind(T.add, x), kind(x.add, 1, 2, 3), kind(T.softmax, x)],
    )


@fact
def constants(T):
    return T.pi, T.e, T.inf, T.nan, T.newaxis


@fact
def printing_of_pieces(T):
    return (
        str(T.ones(2).shape),
        f"{T.tensor(1.23456):.2f}",
        f"{T.tensor(3)}",
        kind(lambda: f"{T.ones(2):.2f}"),
        str(T.tensor(2.5)),
        repr(T.device("cpu")),
    )


@fact
def random_state(T):
    T.manual_seed(7)
    a = T.rand(3), T.randn(3), T.randint(0, 10, (4,)), T.randperm(5)
    state = T.get_rng_state()
    b = T.rand(2)
    T.set_rng_state(state)
    return a, T.equal(b, T.rand(2)), T.initial_seed(), T.manual_seed(3).initial_seed()


@fact
def random_shapes_and_errors(T):
    return (
        [
            T.rand(2, 3).shape,
            T.randn((2,)).shape,
            T.rand(()).shape,
            T.randint(5, (2,)).dtype,
            T.randperm(0).shape,
            T.rand(2, dtype=T.float64).dtype,
        ],
        [
            kind(T.randint, 5, 5, (2,)),
            kind(T.randperm, -1),
            kind(T.rand, 2, dtype=T.int64),
            kind(T.bernoulli, T.tensor([1.5])),
            kind(T.rand, -1),
        ],
    )
