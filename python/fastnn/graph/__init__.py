"""Graphs: message passing over edge lists and sparse matrices, graph layers, the Planetoid files. Imported when named."""

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


def __getattr__(name):
    import importlib

    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    if name in _WHERE.values():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
