"""Recursive networks: a net that follows a tree."""

import fastnn
from fastnn import nn


class TreeNet(nn.Module):
    """Binary Tree-LSTM (Tai et al. 2015): leaves are tokens, every inner node makes its state of its two children's.

    A tree is an int (a leaf) or a pair of trees. `forward(trees)` returns (h [nodes, size] of all the trees' nodes, for each
    tree its nodes' rows, children before parents, the root last). All nodes of one height are computed at once, over all trees.
    """

    def __init__(self, symbols: int, size: int):
        super().__init__()
        self.size = size
        self.leaves = nn.Embedding(symbols, 2 * size)  # state and memory
        self.gates = nn.Linear(2 * size, 5 * size)  # input, output, candidate, and a forget gate for each child
        with fastnn.no_grad():
            self.gates.bias[3 * size :] = 1.0  # forget gates start open

    def forward(self, trees):
        by_height, rows = [], []
        for tree in trees:
            own = []
            _arrange(tree, by_height, own)
            rows.append(own)
        starts, total = [], 0
        for level in by_height:
            starts.append(total)
            total += len(level)

        def place(node):
            return starts[node[0]] + node[1]

        leaves = fastnn.tensor(by_height[0] if by_height else [], dtype=fastnn.int64)
        h, c = self.leaves(leaves).chunk(2, -1)
        for level in by_height[1:]:
            left, right = (fastnn.tensor([place(pair[side]) for pair in level]) for side in (0, 1))
            i, o, g, f, k = self.gates(fastnn.cat([h[left], h[right]], 1)).chunk(5, 1)
            memory = i.sigmoid() * g.tanh() + f.sigmoid() * c[left] + k.sigmoid() * c[right]
            c = fastnn.cat([c, memory])
            h = fastnn.cat([h, o.sigmoid() * memory.tanh()])
        return h, [[place(node) for node in own] for own in rows]


def _arrange(tree, by_height, own):
    """Puts each node of `tree` into the list of its height; its (height, number) goes into `own`, children first."""
    stack, done = [(tree, False)], []
    while stack:  # no recursion: a tree may be as deep as a list is long
        node, ready = stack.pop()
        if not isinstance(node, int):
            try:
                left, right = node
            except (TypeError, ValueError):
                raise TypeError(f"TreeNet: a tree is an int or a pair of trees, got {node!r:.80}") from None
            if not ready:
                stack += [(node, True), (right, False), (left, False)]
                continue
            b, a = done.pop(), done.pop()
            height, content = 1 + max(a[0], b[0]), (a, b)
        else:
            height, content = 0, node
        if height == len(by_height):
            by_height.append([])
        by_height[height].append(content)
        place = (height, len(by_height[height]) - 1)
        done.append(place)
        own.append(place)
