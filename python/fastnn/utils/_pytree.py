"""Nested dictionaries, lists and tuples as a flat list of their leaves, and back."""

from collections import OrderedDict, defaultdict, deque
from typing import Any, NamedTuple

__all__ = ["TreeSpec", "tree_all", "tree_any", "tree_flatten", "tree_leaves", "tree_map", "tree_map_only",
           "tree_structure", "tree_unflatten"]  # fmt: skip


def _is_namedtuple(x) -> bool:
    return isinstance(x, tuple) and type(x) is not tuple and hasattr(x, "_fields")


def _take_apart(node):
    """(kind, what is needed besides the children to build it again, children), or None for a leaf."""
    kind = type(node)
    if kind in _REGISTERED:
        children, context = _REGISTERED[kind][0](node)
        return kind, context, list(children)
    if kind in (dict, OrderedDict):
        return kind, list(node), list(node.values())
    if kind is defaultdict:
        return kind, (node.default_factory, list(node)), list(node.values())
    if kind in (list, tuple):
        return kind, None, list(node)
    if kind is deque:
        return kind, node.maxlen, list(node)
    if _is_namedtuple(node):
        return kind, None, list(node)
    return None


_REGISTERED: dict = {}


def register_pytree_node(cls, flatten_fn, unflatten_fn, **ignored) -> None:
    """Take instances of cls apart by flatten_fn(x) → (children, context), and build by unflatten_fn(children, context)."""
    if cls in _REGISTERED:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _REGISTERED[cls] = (flatten_fn, unflatten_fn)


class TreeSpec(NamedTuple):
    """The structure of a tree: `type` None stands for a leaf."""

    type: Any
    context: Any
    children_specs: list

    @property
    def num_leaves(self) -> int:
        return 1 if self.type is None else sum(c.num_leaves for c in self.children_specs)

    def is_leaf(self) -> bool:
        return self.type is None


_LEAF = TreeSpec(None, None, [])


def tree_flatten(tree, is_leaf=None) -> tuple[list, TreeSpec]:
    """(leaves in order, structure). None is a leaf; so is what is_leaf(x) says."""
    leaves: list = []
    return leaves, _flatten(tree, is_leaf, leaves)


def _flatten(node, is_leaf, leaves):  # not a closure: one that calls itself would keep the leaves alive
    parts = None if is_leaf is not None and is_leaf(node) else _take_apart(node)
    if parts is None:
        leaves.append(node)
        return _LEAF
    kind, context, children = parts
    return TreeSpec(kind, context, [_flatten(child, is_leaf, leaves) for child in children])


def tree_unflatten(leaves, treespec: TreeSpec):
    """The tree of that structure with these leaves. Raises ValueError for another number of them."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree that "
            f"holds {treespec.num_leaves} items"
        )
    return _build(treespec, iter(leaves))


def _build(spec, feed):
    kind, context, specs = spec
    if kind is None:
        return next(feed)
    children = [_build(s, feed) for s in specs]
    if kind in _REGISTERED:
        return _REGISTERED[kind][1](children, context)
    if kind in (dict, OrderedDict):
        return kind(zip(context, children, strict=True))
    if kind is defaultdict:
        return defaultdict(context[0], zip(context[1], children, strict=True))
    if kind is deque:
        return deque(children, context)
    return kind(children) if kind in (list, tuple) else kind(*children)


def tree_leaves(tree, is_leaf=None) -> list:
    """The leaves in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree, is_leaf=None) -> TreeSpec:
    """The structure."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func, tree, *rests, is_leaf=None):
    """The tree with func(leaf, the leaves in its place in `rests` ...) for each leaf."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [tree_flatten(rest, is_leaf)[0] for rest in rests]
    return tree_unflatten([func(*row) for row in zip(leaves, *others, strict=True)], spec)


def tree_map_only(type_or_types, func, tree, is_leaf=None):
    """tree_map for the leaves of some types alone."""
    return tree_map(lambda x: func(x) if isinstance(x, type_or_types) else x, tree, is_leaf=is_leaf)


def tree_all(pred, tree, is_leaf=None) -> bool:
    """Whether pred holds for all leaves."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred, tree, is_leaf=None) -> bool:
    """Whether pred holds for a leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))
