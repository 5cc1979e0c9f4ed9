"""fastnn.graph against dense matrices in float64, and the Planetoid reader against files written here."""

import pickle

import numpy as np
import pytest

import fastnn
from fastnn import graph, nn

EDGES = np.array([[0, 1, 2, 3, 0, 4, 2, 1], [1, 0, 1, 1, 2, 2, 3, 2]])  # node 4 hears nothing
NODES = 5


def dense(weights=None):
    a = np.zeros((NODES, NODES))
    np.add.at(a, (EDGES[1], EDGES[0]), 1.0 if weights is None else weights)
    return a


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(NODES, 3))


@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
def test_propagate_is_the_matrix(x, reduce):
    a = dense()
    want = {
        "sum": lambda: a @ x,
        "mean": lambda: a @ x / np.maximum(a.sum(1, keepdims=True), 1),
        "max": lambda: np.where(a.any(1)[:, None], np.where(a[..., None] > 0, x[None], -np.inf).max(1), 0.0),
    }[reduce]()
    leaf = fastnn.tensor(x, requires_grad=True)
    got = graph.propagate(leaf, fastnn.tensor(EDGES), reduce=reduce)
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=1e-12, atol=1e-15)
    assert fastnn.autograd.gradcheck(lambda t: graph.propagate(t, fastnn.tensor(EDGES), reduce=reduce), (leaf,))


def test_weighted_and_sparse_agree(x):
    weights = np.random.default_rng(1).normal(size=EDGES.shape[1])
    want = dense(weights) @ x
    edges, w, t = fastnn.tensor(EDGES), fastnn.tensor(weights), fastnn.tensor(x)
    np.testing.assert_allclose(graph.propagate(t, edges, w).numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(fastnn.sparse.mm(graph.as_sparse(edges, w, NODES), t).numpy(), want, rtol=1e-12)


def test_edge_softmax_is_a_masked_softmax():
    scores = np.random.default_rng(2).normal(size=(EDGES.shape[1], 2)) * 300  # needs the shift
    a = np.full((NODES, NODES, 2), -np.inf)
    a[EDGES[1], EDGES[0]] = scores
    with np.errstate(invalid="ignore"):
        e = np.exp(a - a.max(1, keepdims=True))
        want = (e / e.sum(1, keepdims=True))[EDGES[1], EDGES[0]]
    got = graph.edge_softmax(fastnn.tensor(scores), fastnn.tensor(EDGES[1]), NODES)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-10, atol=1e-300)
    leaf = fastnn.tensor(scores / 300, requires_grad=True)
    assert fastnn.autograd.gradcheck(lambda t: graph.edge_softmax(t, fastnn.tensor(EDGES[1]), NODES), (leaf,))


def test_gcn_is_the_formula(x):
    edges = graph.add_self_loops(fastnn.tensor(EDGES), NODES)
    a = dense() + np.eye(NODES)
    d = a.sum(1)
    a = a / np.sqrt(d[:, None] * d[None])
    weights = graph.gcn_weights(edges, NODES, dtype=fastnn.float64)
    layer = graph.GCNConv(3, 2).double()
    with fastnn.no_grad():
        layer.bias.copy_(fastnn.tensor([1.0, -2.0]))
    want = a @ x @ layer.weight.detach().numpy() + [1.0, -2.0]
    for adjacency in ((edges, weights), graph.as_sparse(edges, weights, NODES)):
        np.testing.assert_allclose(layer(fastnn.tensor(x), adjacency).detach().numpy(), want, rtol=1e-9)


@pytest.mark.parametrize("concat", [True, False])
def test_gat_is_the_formula(x, concat):
    edges = graph.add_self_loops(fastnn.tensor(EDGES), NODES)
    layer = graph.GATConv(3, 4, heads=2, concat=concat, dropout=0.5).double().eval()
    w, a, b = (p.detach().numpy() for p in (layer.weight, layer.source, layer.target))
    there = (dense() + np.eye(NODES)) > 0
    heads = []
    for h in range(2):
        z = x @ w[:, 4 * h : 4 * h + 4]
        scores = (z @ b[h])[:, None] + (z @ a[h])[None]
        scores = np.where(there, np.where(scores > 0, scores, 0.2 * scores), -np.inf)
        e = np.exp(scores - scores.max(1, keepdims=True))
        heads.append(e / e.sum(1, keepdims=True) @ z)
    want = np.concatenate(heads, 1) if concat else sum(heads) / 2
    np.testing.assert_allclose(layer(fastnn.tensor(x), edges).detach().numpy(), want, rtol=1e-9)
    layer.train()
    assert not np.allclose(layer(fastnn.tensor(x), edges).detach().numpy(), want)


def test_relational_is_the_formula(x):
    kinds = [fastnn.tensor(EDGES[:, :5]), fastnn.tensor(EDGES[:, 5:])]
    layer = graph.RelationalConv(3, 2, 2).double()
    want = x @ layer.own.weight.detach().numpy().T + layer.own.bias.detach().numpy()
    for edges, w in zip(kinds, layer.weights.detach().numpy(), strict=True):
        a = np.zeros((NODES, NODES))
        np.add.at(a, (edges[1].numpy(), edges[0].numpy()), 1.0)
        want = want + a / np.maximum(a.sum(1, keepdims=True), 1) @ (x @ w)
    np.testing.assert_allclose(layer(fastnn.tensor(x), kinds).detach().numpy(), want, rtol=1e-9)
    with pytest.raises(ValueError, match="1 kinds"):
        layer(fastnn.tensor(x), kinds[:1])


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"\[2, E\]"):
        graph.gcn_weights(fastnn.zeros(3, 4, dtype=fastnn.int64), 4)
    with pytest.raises(IndexError, match="there are 4"):
        graph.gcn_weights(fastnn.tensor(EDGES), 4)
    with pytest.raises(ValueError, match="3 messages for 2"):
        graph.aggregate(fastnn.zeros(3, 1), fastnn.tensor([0, 1]), 2)
    with pytest.raises(ValueError, match="'median'"):
        graph.aggregate(fastnn.zeros(2, 1), fastnn.tensor([0, 1]), 2, "median")
    empty = graph.propagate(fastnn.ones(3, 2), fastnn.zeros(2, 0, dtype=fastnn.int64))
    assert empty.tolist() == [[0, 0]] * 3


def test_planetoid_reads_what_scipy_wrote(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    features = (rng.random((12, 6)) < 0.4).astype(np.float32)
    features[:, 0] = 1
    labels = np.eye(3, dtype=np.int32)[rng.integers(0, 3, 12)]
    test = [11, 9, 10]
    parts = {
        "x": sparse.csr_matrix(features[:4]),
        "y": labels[:4],
        "allx": sparse.csr_matrix(features[:9]),
        "ally": labels[:9],
        "tx": sparse.csr_matrix(features[test]),
        "ty": labels[test],
        "graph": {0: [1, 1, 0], 1: [0, 11], 11: [1], 5: [7]},
    }
    for part, content in parts.items():
        (tmp_path / f"ind.toy.{part}").write_bytes(pickle.dumps(content, protocol=2))
    (tmp_path / "ind.toy.test.index").write_text("".join(f"{t}\n" for t in test))
    data = graph.Planetoid(tmp_path, "toy")
    np.testing.assert_allclose(data.x.numpy(), features / features.sum(1, keepdims=True), rtol=1e-6)
    assert data.y.tolist() == labels.argmax(1).tolist()
    assert data.edges.t().tolist() == [[0, 1], [1, 0], [1, 11], [5, 7], [7, 5], [11, 1]]
    assert data.train.tolist() == [0, 1, 2, 3] and data.test.tolist() == [9, 10, 11]
    with pytest.raises(FileNotFoundError):
        graph.Planetoid(tmp_path, "cora")


def test_planetoid_runs_nothing_from_a_file(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    (tmp_path / "ind.toy.test.index").write_text("0\n")
    (tmp_path / "ind.toy.allx").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(pickle.UnpicklingError, match="refused"):
        graph.Planetoid(tmp_path, "toy")


def test_layers_are_modules():
    assert all(
        isinstance(m, nn.Module) for m in (graph.GCNConv(2, 2), graph.GATConv(2, 2), graph.RelationalConv(2, 2, 1))
    )
