"""Message passing. Edges are int64 [2, E]: row 0 has the sources, row 1 the targets; a message goes from 0 to 1."""

import fastnn
from fastnn import nn

F = nn.functional


def _check(edges, nodes):
    if edges.dim() != 2 or edges.shape[0] != 2:
        raise ValueError(f"edges must be [2, E], sources and targets, got {tuple(edges.shape)}")
    if edges.shape[1] and not 0 <= int(edges.min()) <= int(edges.max()) < nodes:
        raise IndexError(f"edges name the nodes {int(edges.min())}..{int(edges.max())}, but there are {nodes}")


def aggregate(messages, target, nodes: int, reduce: str = "sum"):
    """[nodes, ...]: what arrives at each node of messages [E, ...] for target [E], by sum, mean or max.

    A node that gets none has zeros.
    """
    if len(messages) != len(target):
        raise ValueError(f"aggregate: {len(messages)} messages for {len(target)} targets")
    zeros = messages.new_zeros((nodes, *messages.shape[1:]))
    if reduce == "sum":
        return zeros.index_add(0, target, messages)
    if reduce == "mean":
        count = messages.new_zeros(nodes).index_add(0, target, messages.new_ones(len(target))).clamp(min=1)
        return zeros.index_add(0, target, messages) / count.view(-1, *[1] * (messages.dim() - 1))
    if reduce == "max":
        return zeros.index_reduce(0, target, messages, "amax", include_self=False)
    raise ValueError(f"aggregate: reduce must be 'sum', 'mean' or 'max', got {reduce!r}")


def edge_softmax(scores, target, nodes: int):
    """Scores [E, ...] as shares: those of the edges that arrive at one node add up to 1."""
    with fastnn.no_grad():  # shifting by any constant of a node changes nothing, so it needs no gradient
        most = aggregate(scores, target, nodes, "max")
    e = (scores - most[target]).exp()
    return e / aggregate(e, target, nodes)[target]


def add_self_loops(edges, nodes: int):
    """Edges [2, E + nodes]: each node also hears itself."""
    loops = fastnn.arange(nodes)
    return fastnn.cat([edges, fastnn.stack([loops, loops])], 1)


def gcn_weights(edges, nodes: int, dtype=None):
    """1 / sqrt(d_i d_j) for each edge, d the number of edges that arrive (Kipf, Welling 2017); self-loops are the caller's."""
    _check(edges, nodes)
    degree = fastnn.zeros(nodes, dtype=dtype).index_add(0, edges[1], fastnn.ones(edges.shape[1], dtype=dtype))
    inverse = degree.clamp(min=1).rsqrt()  # a node that gets nothing has no edge that this is used for as a target
    return inverse[edges[0]] * inverse[edges[1]]


def propagate(x, edges, weights=None, reduce: str = "sum"):
    """[nodes, ...]: for each node the sum (mean, max) over its edges of weight * x[source]."""
    messages = x[edges[0]]
    if weights is not None:
        messages = messages * weights.view(-1, *[1] * (x.dim() - 1))
    return aggregate(messages, edges[1], len(x), reduce)


def as_sparse(edges, weights, nodes: int):
    """The sparse matrix [nodes, nodes] with weights at (target, source): fastnn.sparse.mm(it, x) is propagate by sum."""
    _check(edges, nodes)
    return fastnn.sparse_coo_tensor(edges.flip(0), weights, (nodes, nodes)).coalesce()


class GCNConv(nn.Module):
    """y = A (x W) + b with A from gcn_weights: a sparse matrix, or a pair (edges, weights).

    W [inputs, outputs] starts as Glorot's uniform, b as zeros.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(fastnn.empty(inputs, outputs)))
        self.bias = nn.Parameter(fastnn.zeros(outputs))

    def forward(self, x, adjacency):
        x = x @ self.weight
        if isinstance(adjacency, tuple):
            return propagate(x, *adjacency) + self.bias
        return fastnn.sparse.mm(adjacency, x) + self.bias


class GATConv(nn.Module):
    """Graph attention (Velickovic et al. 2018): [N, inputs] to [N, heads * outputs], or their mean [N, outputs].

    Edge j -> i scores leaky_relu(a · [W x_i, W x_j]) with a slope of 0.2; the scores of a node's edges go through softmax,
    then dropout.
    """

    def __init__(self, inputs: int, outputs: int, heads: int = 1, concat: bool = True, dropout: float = 0.0):
        super().__init__()
        self.heads, self.outputs, self.concat, self.dropout = heads, outputs, concat, dropout
        self.weight = nn.Parameter(nn.init.xavier_uniform_(fastnn.empty(inputs, heads * outputs)))
        # The two halves of a: each is one scalar product a node, added along the edges.
        self.source = nn.Parameter(nn.init.xavier_uniform_(fastnn.empty(heads, outputs)))
        self.target = nn.Parameter(nn.init.xavier_uniform_(fastnn.empty(heads, outputs)))
        self.bias = nn.Parameter(fastnn.zeros(heads * outputs if concat else outputs))

    def forward(self, x, edges):
        nodes = len(x)
        x = (x @ self.weight).view(nodes, self.heads, self.outputs)
        a, b = (x * self.source).sum(-1), (x * self.target).sum(-1)
        shares = edge_softmax(F.leaky_relu(a[edges[0]] + b[edges[1]], 0.2), edges[1], nodes)
        shares = F.dropout(shares, self.dropout, self.training)
        # Dropout on the projected features too, as the paper has it on every layer's input.
        x = F.dropout(x, self.dropout, self.training)
        y = aggregate(x[edges[0]] * shares.unsqueeze(-1), edges[1], nodes)
        return (y.flatten(1) if self.concat else y.mean(1)) + self.bias


class RelationalConv(nn.Module):
    """Several kinds of edges (Schlichtkrull et al. 2018): y_i = W_0 x_i + sum over kinds r of the mean of W_r x_j + b."""

    def __init__(self, inputs: int, outputs: int, kinds: int):
        super().__init__()
        self.own = nn.Linear(inputs, outputs)
        self.weights = nn.Parameter(
            fastnn.stack([nn.init.xavier_uniform_(fastnn.empty(inputs, outputs)) for _ in range(kinds)])
        )

    def forward(self, x, edges_of_kinds):
        if len(edges_of_kinds) != len(self.weights):
            raise ValueError(
                f"RelationalConv: {len(edges_of_kinds)} kinds of edges, but it was made for {len(self.weights)}"
            )
        y = self.own(x)
        for edges, weight in zip(edges_of_kinds, self.weights, strict=True):
            y = y + propagate(x @ weight, edges, reduce="mean")
        return y
