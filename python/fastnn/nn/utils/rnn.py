"""Batches of sequences of different lengths: padded to one tensor, or packed without padding."""

from collections import namedtuple

import fastnn

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip

_Fields = namedtuple("_Fields", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])


class PackedSequence(_Fields):
    """Sequences without padding: data holds step after step of all of them, longest first; batch_sizes[t] sequences
    have a step t. sorted_indices says which sequence became which, None where they were in order. Made by
    pack_padded_sequence and pack_sequence; every recurrent layer takes it."""

    __slots__ = ()

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if batch_sizes is None:  # PackedSequence((data, batch_sizes))
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("PackedSequence: expected data and batch_sizes")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def __getnewargs__(self):
        return tuple(self)

    def to(self, *args, **kwargs):
        """The same sequences with data.to(...), and the indices on its device; batch_sizes stays on the CPU."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        order, back = (None if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices))
        return type(self)(data, self.batch_sizes, order, back)

    def pin_memory(self):
        return self

    def cpu(self):
        return self.to("cpu")

    def cuda(self, device=None):
        return self.to("cuda" if device is None else device)

    def float(self):
        return self.to(dtype=fastnn.float32)

    def double(self):
        return self.to(dtype=fastnn.float64)

    def half(self):
        return self.to(dtype=fastnn.float16)

    def long(self):
        return self.to(dtype=fastnn.int64)

    def int(self):
        return self.to(dtype=fastnn.int32)

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        return False


def invert_permutation(permutation):
    """The permutation that undoes this one; None for None."""
    if permutation is None:
        return None
    inverse = fastnn.empty_like(permutation)
    inverse[permutation] = fastnn.arange(permutation.numel(), device=permutation.device)
    return inverse


def _lengths(lengths):
    if not isinstance(lengths, fastnn.Tensor):
        lengths = fastnn.tensor([int(n) for n in lengths], dtype=fastnn.int64, device="cpu")
    if lengths.is_cuda:
        raise RuntimeError(f"expected lengths on the CPU, but they are on {lengths.device}: pass lengths.cpu()")
    if lengths.dim() != 1:
        raise RuntimeError(f"expected lengths to be one-dimensional, but got shape {list(lengths.shape)}")
    return lengths.to(fastnn.int64)


def pack_padded_sequence(input, lengths, batch_first: bool = False, enforce_sorted: bool = True):
    """Packs sequences padded to input [L, N, ...] ([N, L, ...] with batch_first), lengths [N] long.

    They must lie in order of decreasing length unless enforce_sorted=False. Raises RuntimeError where they do not, for a
    length below 1 or above L, or where lengths are not N, or a tensor that is not on the CPU."""
    lengths = _lengths(lengths)
    if not batch_first:
        input = input.transpose(0, 1)
    batch, longest = input.shape[:2]
    if lengths.shape[0] != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {lengths.shape[0]} (batch_size={batch})"
        )
    if batch == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    order = None
    if not enforce_sorted:
        lengths, order = fastnn.sort(lengths, descending=True)
    sizes = lengths.tolist()
    if sizes[-1] <= 0 or min(sizes) <= 0:
        raise RuntimeError(
            f"Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0: {sizes}"
        )
    if any(a < b for a, b in zip(sizes[:-1], sizes[1:], strict=True)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement."
        )
    if sizes[0] > longest:
        raise RuntimeError(f"Expected every length to be at most {longest}, the input's, but got {sizes[0]}")
    steps = sizes[0]
    batch_sizes = [0] * steps
    for n in sizes:
        for t in range(n):
            batch_sizes[t] += 1
    source = range(batch) if order is None else order.tolist()
    rows = [source[b] * longest + t for t in range(steps) for b in range(batch_sizes[t])]
    rows = fastnn.tensor(rows, device=input.device)
    data = input.reshape(batch * longest, *input.shape[2:]).index_select(0, rows)
    order = None if order is None else order.to(input.device)
    return PackedSequence(data, fastnn.tensor(batch_sizes, device="cpu"), order, None)


def pad_packed_sequence(sequence, batch_first: bool = False, padding_value: float = 0.0, total_length=None):
    """(padded [L, N, ...], lengths [N]) of a PackedSequence, in the order in which its sequences were given.

    Raises ValueError for a total_length below the longest sequence's."""
    data, batch_sizes, _, back = sequence
    sizes = batch_sizes.tolist()
    longest = len(sizes)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                f"Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {longest}"
            )
        longest = total_length
    batch = sizes[0]
    lengths = [sum(n > b for n in sizes) for b in range(batch)]
    padding = data.shape[0]  # the row after the last one
    table = [[padding] * batch for _ in range(longest)]
    at = 0
    for t, n in enumerate(sizes):
        table[t][:n] = range(at, at + n)
        at += n
    order = range(batch) if back is None else back.tolist()
    if batch_first:
        rows = [table[t][b] for b in order for t in range(longest)]
        shape = (batch, longest)
    else:
        rows = [table[t][b] for t in range(longest) for b in order]
        shape = (longest, batch)
    filled = fastnn.cat([data, data.new_full((1, *data.shape[1:]), padding_value)])
    padded = filled.index_select(0, fastnn.tensor(rows, device=data.device)).reshape(*shape, *data.shape[1:])
    return padded, fastnn.tensor([lengths[b] for b in order], device="cpu")


def pad_sequence(sequences, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"):
    """Tensors [L_i, ...] as one [L, N, ...] ([N, L, ...] with batch_first), L the longest, the rest padding_value."""
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: padding_side must be 'left' or 'right', got {padding_side!r}")
    if not hasattr(sequences, "__iter__"):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    longest = max(s.shape[0] for s in sequences)
    padded = []
    for s in sequences:
        if s.shape[0] < longest:
            rest = s.new_full((longest - s.shape[0], *s.shape[1:]), padding_value)
            s = fastnn.cat([s, rest] if padding_side == "right" else [rest, s])
        padded.append(s)
    return fastnn.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first: bool = False):
    """The first lengths[i] steps of each sequence of a padded batch, as a list."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [s[: int(n)] for s, n in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences, enforce_sorted: bool = True):
    """Tensors [L_i, ...], longest first unless enforce_sorted=False, as a PackedSequence."""
    sequences = list(sequences)
    return pack_padded_sequence(pad_sequence(sequences), [s.shape[0] for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """The sequences of a PackedSequence, as a list of tensors."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
