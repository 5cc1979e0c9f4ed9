"""The UCI handwritten digits, 8 x 8: small, real, and shipped with the package (source and licence: digits.txt)."""

import os

import fastnn
from fastnn.datasets.idx import read_idx
from fastnn.utils.data import TensorDataset

_HERE = os.path.dirname(os.path.abspath(__file__))


class Digits(TensorDataset):
    """1,797 digits: `data` float32 [1797, 1, 8, 8] in 0..1, `targets` int64 [1797]; sample i is (image, label)."""

    classes = tuple("0123456789")

    def __init__(self):
        images = fastnn.from_numpy(read_idx(os.path.join(_HERE, "digits-images.idx.gz"), 3))
        labels = fastnn.from_numpy(read_idx(os.path.join(_HERE, "digits-labels.idx.gz"), 1))
        self.data = images.to(fastnn.float32).div_(16).unsqueeze(1)
        self.targets = labels.to(fastnn.int64)
        super().__init__(self.data, self.targets)

    def split(self, test: float = 0.2, seed: int = 0) -> tuple[TensorDataset, TensorDataset]:
        """(training part, test part): `test` of each class, chosen by `seed` alone, in the order of the data set."""
        return stratified_split(self.data, self.targets, test, seed)

    def __repr__(self) -> str:
        return f"Digits({len(self)} images of 8 x 8, {len(self.classes)} classes)"


def stratified_split(data, targets, test: float, seed: int) -> tuple[TensorDataset, TensorDataset]:
    """Two parts with the classes in the same proportions; round(test · n) of a class's n samples go to the second."""
    if not 0 < test < 1:
        raise ValueError(f"split: test must lie between 0 and 1, got {test}")
    generator = fastnn.Generator()
    generator.manual_seed(seed)
    places: dict = {}
    for i, label in enumerate(targets.tolist()):
        places.setdefault(label, []).append(i)
    chosen = set()
    for label in sorted(places):
        own = places[label]
        order = fastnn.randperm(len(own), generator=generator).tolist()
        chosen.update(own[i] for i in order[: round(test * len(own))])
    first = [i for i in range(len(targets)) if i not in chosen]
    second = sorted(chosen)
    return TensorDataset(data[first], targets[first]), TensorDataset(data[second], targets[second])


def digits() -> Digits:
    """The UCI digits as a data set; `digits().split()` gives the training and the test part."""
    return Digits()
