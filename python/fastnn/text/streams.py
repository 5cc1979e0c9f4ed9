"""One long text as batches."""

import fastnn


def stream_batches(tokens, batch: int, length: int):
    """(inputs, targets) [batch, <= length] that follow one another: row i of a batch goes on in row i of the next one.

    `tokens` [n] is cut into `batch` rows of equal length; what is left over at the end is not used. Targets are the
    inputs one later. A recurrent net carries its state from batch to batch.
    """
    if batch < 1 or length < 1:
        raise ValueError(f"stream_batches: batch and length must be positive, got {batch} and {length}")
    size = (len(tokens) - 1) // batch
    if size < 1:
        raise ValueError(f"stream_batches: {len(tokens)} tokens do not fill {batch} rows")
    inputs = tokens[: batch * size].reshape(batch, size)
    targets = tokens[1 : batch * size + 1].reshape(batch, size)
    for start in range(0, size, length):
        yield inputs[:, start : start + length], targets[:, start : start + length]


def random_windows(tokens, batch: int, length: int, generator=None):
    """(inputs, targets) [batch, length] from places drawn at random; targets are the inputs one later."""
    if len(tokens) <= length:
        raise ValueError(f"random_windows: {len(tokens)} tokens are too few for windows of {length} and their targets")
    starts = fastnn.randint(0, len(tokens) - length, (batch, 1), generator=generator)
    places = starts + fastnn.arange(length)
    return tokens[places], tokens[places + 1]
