"""Graphs: message passing over edge lists and sparse matrices, graph layers, the Planetoid files. Imported when named."""

from fastnn._lazy import attributes

_WHERE = {
    "aggregate": "message",
    "edge_softmax": "message",
    "add_self_loops": "message",
    "gcn_weights": "message",
    "propagate": "message",
    "as_sparse": "message",
    "GCNConv": "message",
    "GATConv": "message",
    "RelationalConv": "message",
    "Planetoid": "planetoid",
}
__all__ = sorted(_WHERE)
__getattr__ = attributes(__name__, _WHERE)
