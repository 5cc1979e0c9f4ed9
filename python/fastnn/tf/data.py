"""tf.data.Dataset over arrays in memory."""

import fastnn

__all__ = ["AUTOTUNE", "Dataset"]
AUTOTUNE = -1


class Dataset:
    """Samples in order: from_tensor_slices(...), then shuffle, map, batch, repeat, take, prefetch."""

    def __init__(self, make, length=None):
        self._make, self._length = make, length

    @staticmethod
    def from_tensor_slices(tensors):
        """One sample a row; of a tuple of arrays, a tuple."""
        from . import convert_to_tensor

        single = not isinstance(tensors, tuple)
        parts = [convert_to_tensor(t) for t in ((tensors,) if single else tensors)]
        if any(len(p) != len(parts[0]) for p in parts):
            raise ValueError(f"from_tensor_slices: arrays of {[len(p) for p in parts]} rows")

        def rows():
            for i in range(len(parts[0])):
                row = tuple(p[i] for p in parts)
                yield row[0] if single else row

        return Dataset(rows, len(parts[0]))

    def __iter__(self):
        return iter(self._make())

    def __len__(self):
        if self._length is None:
            raise TypeError("The dataset length is unknown or infinite.")
        return self._length

    def map(self, function, num_parallel_calls=None, deterministic=None):
        """function(sample), or function(*sample) of tuples."""

        def mapped():
            for sample in self:
                yield function(*sample) if isinstance(sample, tuple) else function(sample)

        return Dataset(mapped, self._length)

    def batch(self, batch_size, drop_remainder=False, **ignored):
        """Samples stacked by batch_size."""

        def stacked(samples):
            if isinstance(samples[0], tuple):
                return tuple(fastnn.stack([fastnn.as_tensor(s) for s in part]) for part in zip(*samples, strict=True))
            return fastnn.stack([fastnn.as_tensor(s) for s in samples])

        def batches():
            held = []
            for sample in self:
                held.append(sample)
                if len(held) == batch_size:
                    yield stacked(held)
                    held = []
            if held and not drop_remainder:
                yield stacked(held)

        n = self._length
        return Dataset(batches, n if n is None else n // batch_size if drop_remainder else -(-n // batch_size))

    def shuffle(self, buffer_size, seed=None, reshuffle_each_iteration=True):
        """A random order, within a window of buffer_size."""

        def shuffled():
            generator = None if seed is None else fastnn.Generator().manual_seed(seed)
            held = []
            for sample in self:
                held.append(sample)
                if len(held) >= buffer_size:
                    yield held.pop(int(fastnn.randint(0, len(held), (1,), generator=generator)))
            while held:
                yield held.pop(int(fastnn.randint(0, len(held), (1,), generator=generator)))

        return Dataset(shuffled, self._length)

    def repeat(self, count=None):
        """Again and again, or `count` times."""

        def repeated():
            n = 0
            while count is None or count < 0 or n < count:
                yield from self
                n += 1

        return Dataset(repeated, None if count is None or self._length is None else count * self._length)

    def take(self, count):
        """The first ones."""

        def first():
            for i, sample in enumerate(self):
                if i >= count:
                    return
                yield sample

        return Dataset(first, count if self._length is None else min(count, self._length))

    def prefetch(self, buffer_size=None):
        """Itself: samples are made when they are asked for."""
        return self

    cache = prefetch
