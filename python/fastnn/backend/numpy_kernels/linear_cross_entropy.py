"""Cross-entropy of linear logits, z = x·wᵀ + bias, without z in memory: tile by tile, a tile being some rows of x by some
classes. Forward folds each tile's logsumexp into the rows'; backward makes each tile again, from it the tile of dz, and adds
that one's products to the gradients. All backends run this text; `Fused` gets their kernels.

The vocabulary is the outer cut: a tile has all rows where they fit, so that each row of dw is written once, and dx, which is
as small as x, takes the sums."""

import numpy as np

from .gemm import gemm
from .reduce import logsumexp
from .softmax import checked_targets, cross_entropy_backward, loss_sum

__all__ = ["linear_cross_entropy", "linear_cross_entropy_backward"]

_SHARE = 32  # a tile has at most this part of the logits
_SMALL = 1 << 14  # elements that a tile may always have
_NARROWEST = 256  # classes: below, the products lose their shape


def _wide(a):
    return a.astype(np.float32) if a.dtype.itemsize == 2 else a


class Fused:
    """The pair of kernels over a backend's products and row kernels. elements: the most that a tile may have."""

    def __init__(self, gemm, logsumexp, cross_entropy_backward, loss_sum, empty, check, elements):
        self.gemm, self.logsumexp, self.rows_backward = gemm, logsumexp, cross_entropy_backward
        self.loss_sum, self.empty, self.check, self.elements = loss_sum, empty, check, elements

    def tile(self, n, classes, rows):
        """(rows, classes) of a tile; rows: at most so many, or None."""
        elements = min(self.elements, max(n * classes // _SHARE, _SMALL))
        most = n if rows is None else min(rows, n)
        wide = max(min(classes, _NARROWEST), elements // max(most, 1))
        return min(most, max(elements // max(wide, 1), 1)), min(wide, classes)

    def _tiles(self, x, w, bias, tile):
        """(rows, classes) as slices and the logits in at least float32: classes outside, rows inside."""
        rows, wide = tile
        n, classes = x.shape[0], w.shape[0]
        memory = self.empty(max(min(rows, n), 1) * max(min(wide, classes), 1), x.dtype)
        for c in range(0, classes, wide or 1):
            cut = slice(c, min(c + wide, classes))
            b = None if bias is None else bias[cut]
            for r in range(0, n, rows or 1):
                block = slice(r, min(r + rows, n))
                shape = (block.stop - r, cut.stop - c)
                z = memory[: shape[0] * shape[1]].reshape(shape)
                self.gemm(x[block], w[cut].T, b, "none", z)
                yield block, cut, _wide(z)

    def _kept(self, x, target, weight, ignore_index):
        """(rows that count, targets with 0 at the others, the weights of the targets, 0 at the others)."""
        kept = target != ignore_index
        safe = np.where(kept, target, 0)
        d = np.dtype(np.float32) if x.dtype.itemsize == 2 else x.dtype
        return kept, safe, (kept if weight is None else np.where(kept, weight[safe], weight.dtype.type(0))).astype(d)

    def forward(self, x, w, bias, target, weight, ignore_index, label_smoothing, reduction, rows=None):
        """(loss, logsumexp of each row, sum of the weights that 'mean' divides by), of float32 for the 16-bit types.

        x [N, D], w [C, D], bias [C] or None, target [N] class ids, weight [C] or None; loss as cross_entropy's. Raises
        IndexError for an id outside [0, C)."""
        n, classes = x.shape[0], w.shape[0]
        target = self.check(target, classes, ignore_index)
        kept, safe, own = self._kept(x, target, weight, ignore_index)
        d = own.dtype
        lse, picked = np.full((n,), -np.inf, d), np.zeros((n,), d)
        evenly = np.zeros((n,), d) if label_smoothing else None
        for block, cut, z in self._tiles(x, w, bias, self.tile(n, classes, rows)):
            local = safe[block] - cut.start
            here = (local >= 0) & (local < z.shape[1])
            found = np.take_along_axis(z, np.where(here, local, 0)[:, None], 1)[:, 0]
            picked[block] = np.where(here, found, picked[block])
            if label_smoothing:
                evenly[block] += z.sum(1) if weight is None else (z * weight[cut].astype(d)).sum(1)
            lse[block] = np.logaddexp(lse[block], self.logsumexp(z, (1,), False))
        lse = np.where(lse == np.inf, d.type(np.nan), lse)  # a row with +inf is NaN throughout
        loss = (lse - picked) * own
        if label_smoothing:
            mass = classes if weight is None else weight.sum().astype(d)
            smooth = np.where(kept, lse * mass - evenly, d.type(0)) * d.type(label_smoothing / classes)
            loss = loss * d.type(1 - label_smoothing) + smooth
        loss = np.where(kept, loss, d.type(0))
        total = own.sum()
        if reduction != "none":
            loss = self.loss_sum(loss)
            if reduction == "mean":
                loss = loss / total
        return np.asarray(loss), lse, np.asarray(total)

    def backward(
        self, dloss, x, w, bias, target, weight, ignore_index, label_smoothing, reduction, lse, total, rows, wanted
    ):
        """(dx, dw, dbias), None for what is not wanted: dz = g ((a + b) softmax - a onehot - s / C weight), a = (1 - s)
        weight[target], b = s / C Σ weight."""
        n, classes = x.shape[0], w.shape[0]
        kept, safe, own = self._kept(x, target, weight, ignore_index)
        d = own.dtype
        g = dloss.astype(d) / total if reduction == "mean" else dloss.astype(d)
        g = np.where(kept, np.broadcast_to(g, (n,)), d.type(0))
        uniform = d.type(label_smoothing / classes if classes else 0)
        a = g * own * d.type(1 - label_smoothing)
        b = g * uniform * (d.type(classes) if weight is None else weight.sum().astype(d)) if label_smoothing else None
        both = a if b is None else a + b
        marked = np.where(kept, 0, -100)  # what the row kernel is to leave out
        sums = [self._sum(v, yes, d) for v, yes in zip((x, w, bias), wanted, strict=True)]
        dx, dw, db = sums
        for block, cut, z in self._tiles(x, w, bias, self.tile(n, classes, rows)):
            local = safe[block] - cut.start
            here = (local >= 0) & (local < z.shape[1])
            local = np.where(here, local, 0)
            ids = np.where(kept[block], local, marked[block])
            dz = self.rows_backward(both[block], z, ids, None, -100, 0.0, "none", lse[block], 1.0)
            # That was (a + b)(softmax - onehot), with the target at 0 where it is not in this tile.
            back = np.where(here, d.type(0) if b is None else b[block], both[block])
            dz[np.arange(len(local)), local] += back
            if label_smoothing:
                dz -= g[block][:, None] * (uniform if weight is None else uniform * weight[cut].astype(d))
            if db is not None:
                db[cut] += dz.sum(0)
            dz = dz.astype(x.dtype, copy=False)
            if dx is not None:
                self._add(dx[block], dz, w[cut], not cut.start)
            if dw is not None:
                self._add(dw[cut], dz.T, x[block], not block.start)
        return [v if v is None else v.astype(x.dtype, copy=False) for v in sums]

    def _sum(self, like, wanted, d):
        """Where a gradient collects, in float32 for the 16-bit types."""
        return np.zeros(like.shape, d) if wanted else None

    def _add(self, total, a, b, first):
        """total += a @ b (the first time: =, over zeros)."""
        if total.dtype == a.dtype:
            self.gemm(a, b, None, "none", total, not first)
        else:
            total += self.gemm(a, b).astype(total.dtype)


_twin = Fused(gemm, logsumexp, cross_entropy_backward, loss_sum, np.empty, checked_targets, 1 << 21)
linear_cross_entropy, linear_cross_entropy_backward = _twin.forward, _twin.backward
