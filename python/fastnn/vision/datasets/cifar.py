"""CIFAR-10 and CIFAR-100, from their Python files."""

import hashlib
import io
import os
import pickle
import tarfile

from fastnn.backend import xp
from fastnn.vision._pillow import pillow

from .vision import VisionDataset

__all__ = ["CIFAR10", "CIFAR100"]


class _Unpickler(pickle.Unpickler):
    """Admits what the files are made of, arrays, and calls nothing else."""

    def find_class(self, module, name):
        if (module, name) in (
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        ):
            return xp.pickled(name)
        if (module, name) == ("_codecs", "encode"):
            import codecs

            return codecs.encode
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no CIFAR file needs; refused")


class CIFAR10(VisionDataset):
    """50,000 training or 10,000 test images, 32 x 32 in colour: sample i is (Pillow image, label).

    Reads root/cifar-10-batches-py, or root/cifar-10-python.tar.gz; download=True fetches the latter, and checks it.
    """

    base_folder, filename = "cifar-10-batches-py", "cifar-10-python.tar.gz"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [f"data_batch_{i}" for i in range(1, 6)]
    test_list = ["test_batch"]
    meta, _key, _labels = "batches.meta", "label_names", "labels"

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        names = self.train_list if train else self.test_list
        entries = [_Unpickler(io.BytesIO(self._read(name)), encoding="latin1").load() for name in names]
        data = xp.concatenate([entry["data"] for entry in entries]).reshape(-1, 3, 32, 32)
        self.data = xp.contiguous(data.transpose(0, 2, 3, 1))
        self.targets = [int(label) for entry in entries for label in entry[self._labels]]
        if len(self.data) != len(self.targets):
            raise RuntimeError(f"{type(self).__name__}: {len(self.data)} images and {len(self.targets)} labels")
        self.classes = _Unpickler(io.BytesIO(self._read(self.meta)), encoding="latin1").load()[self._key]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def _read(self, name) -> bytes:
        path = os.path.join(self.root, self.base_folder, name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return file.read()
        archive = os.path.join(self.root, self.filename)
        if os.path.isfile(archive):
            with tarfile.open(archive) as tar:
                member = tar.extractfile(f"{self.base_folder}/{name}")
                if member is not None:
                    return member.read()
        raise RuntimeError(
            "Dataset not found or corrupted. You can use download=True to download it: neither "
            f"{path} nor {archive} is there"
        )

    def download(self) -> None:
        """Fetch the archive where neither it nor its files are there."""
        from urllib.request import urlopen

        from fastnn.serialization import atomic_write

        archive = os.path.join(self.root, self.filename)
        first = os.path.join(self.root, self.base_folder, self.train_list[0])
        if os.path.isfile(archive) or os.path.isfile(first):
            return
        os.makedirs(self.root, exist_ok=True)
        with urlopen(self.url, timeout=60) as reply:
            content = reply.read(1 << 29)
        if hashlib.md5(content).hexdigest() != self.tgz_md5:
            raise RuntimeError(f"{self.url}: the file has another checksum than {self.tgz_md5}")
        with atomic_write(archive) as file:
            file.write(content)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index):
        return self._transformed(pillow().fromarray(self.data[index]), self.targets[index])

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


class CIFAR100(CIFAR10):
    """As CIFAR10, of 100 classes: root/cifar-100-python."""

    base_folder, filename = "cifar-100-python", "cifar-100-python.tar.gz"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list, test_list = ["train"], ["test"]
    meta, _key, _labels = "meta", "fine_label_names", "fine_labels"
