"""MNIST and sets of its form: four IDX files, plain or gzipped."""

import os
import warnings

import fastnn
from fastnn.datasets.idx import read_idx
from fastnn.vision._pillow import pillow

from .vision import VisionDataset

__all__ = ["KMNIST", "MNIST", "FashionMNIST"]


class MNIST(VisionDataset):
    """60,000 training or 10,000 test images of digits, 28 x 28: sample i is (Pillow image, label).

    The files lie in root/MNIST/raw, in root/raw or in root itself, gzipped or not; with the environment variable
    FASTNN_DATA also in that folder. download=True fetches what is missing, and checks it.
    """

    classes = ["0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight",
               "9 - nine"]  # fmt: skip
    training_file, test_file = "training.pt", "test.pt"

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError(
                f"Dataset not found. You can use download=True to download it: no {type(self).__name__} in "
                f"{' or '.join(self._folders())}"
            )
        self.data, self.targets = self._load_data()

    def _renamed(self, old, name):
        warnings.warn(f"{old} has been renamed {name}", stacklevel=3)
        return getattr(self, name)

    @property
    def train_data(self):
        """The old name of `data`, with a warning; test_data, train_labels and test_labels likewise."""
        return self._renamed("train_data", "data")

    @property
    def test_data(self):
        return self._renamed("test_data", "data")

    @property
    def train_labels(self):
        return self._renamed("train_labels", "targets")

    @property
    def test_labels(self):
        return self._renamed("test_labels", "targets")

    @property
    def raw_folder(self) -> str:
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def processed_folder(self) -> str:
        return os.path.join(self.root, type(self).__name__, "processed")

    @property
    def class_to_idx(self) -> dict:
        return {name: i for i, name in enumerate(self.classes)}

    def _folders(self) -> list:
        root = os.fspath(self.root)
        folders = [self.raw_folder, os.path.join(root, "raw"), root]
        if type(self) is MNIST and os.environ.get("FASTNN_DATA"):
            data = os.environ["FASTNN_DATA"]
            folders += [data, os.path.join(data, "mnist")]
        return folders

    def _path(self, name):
        for folder in self._folders():
            for path in (os.path.join(folder, name), os.path.join(folder, name + ".gz")):
                if os.path.isfile(path):
                    return path
        return None

    def _names(self) -> tuple:
        part = "train" if self.train else "t10k"
        return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"

    def _check_exists(self) -> bool:
        return all(self._path(name) is not None for name in self._names())

    def _load_data(self):
        images, labels = self._names()
        data = fastnn.from_numpy(read_idx(self._path(images), 3))
        targets = fastnn.from_numpy(read_idx(self._path(labels), 1)).to(fastnn.int64)
        if len(data) != len(targets):
            raise RuntimeError(f"{type(self).__name__}: {len(data)} images and {len(targets)} labels in {self.root}")
        return data, targets

    def download(self) -> None:
        """Fetch the files of MNIST that are missing."""
        if self._check_exists():
            return
        if type(self) is not MNIST:
            raise RuntimeError(
                f"{type(self).__name__}: put the four files {', '.join(self._names())} ... (or .gz) into {self.raw_folder}; "
                "fastnn fetches MNIST alone"
            )
        from fastnn.datasets import MNIST as Fetching

        Fetching(self.root, self.train, download=True)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index):
        image = pillow().fromarray(self.data._a[index])
        return self._transformed(image, int(self.targets._a[index]))

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


class FashionMNIST(MNIST):
    """Images of clothes, in MNIST's form, from root/FashionMNIST/raw."""

    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class KMNIST(MNIST):
    """Images of Japanese letters, in MNIST's form, from root/KMNIST/raw."""

    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
