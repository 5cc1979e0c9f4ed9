"""MNIST and its kin, from the four IDX files, as torchvision's class of that name offers them."""

import gzip
import hashlib
import io
import os
import zlib

import fastnn
from fastnn.datasets.idx import read_idx
from fastnn.utils.data import Dataset

_MAX_PACKED = 32 << 20  # the largest file has 9.9 MB packed, 47 MB unpacked
_MAX_UNPACKED = 64 << 20


def _unpack(packed: bytes) -> bytes:
    return gzip.GzipFile(fileobj=io.BytesIO(packed)).read(_MAX_UNPACKED)


class MNIST(Dataset):
    """60,000 training or 10,000 test images of handwritten digits, 28 x 28.

    `root` holds the IDX files (gzipped or not), itself or in MNIST/raw. `data` is uint8 [N, 28, 28], `targets` int64
    [N]. Sample i is (image, label): the image as float32 [1, 28, 28] in 0..1, or `transform` of the uint8 [28, 28]
    tensor where one is given. With download=True missing files are fetched, and checked, into root/MNIST/raw.
    """

    # Two public mirrors of http://yann.lecun.com/exdb/mnist/ (Y. LeCun, C. Cortes; CC BY-SA 3.0), and the files'
    # SHA-256 when unpacked: mirrors may pack them differently.
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    files = {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    }
    classes = tuple("0123456789")

    def __init__(self, root, train: bool = True, transform=None, target_transform=None, download: bool = False):
        self.root = os.path.expanduser(os.fspath(root))
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        if download:
            self.download()
        part = "train" if train else "t10k"
        self.data = fastnn.from_numpy(read_idx(self._find(f"{part}-images-idx3-ubyte"), 3))
        labels = read_idx(self._find(f"{part}-labels-idx1-ubyte"), 1)
        self.targets = fastnn.from_numpy(labels).to(fastnn.int64)
        if len(self.data) != len(self.targets):
            raise ValueError(f"MNIST: {self.root} holds {len(self.data)} {part} images and {len(self.targets)} labels")
        if tuple(self.data.shape[1:]) != (28, 28):
            raise ValueError(f"MNIST: expected images of 28 x 28 in {self.root}, got {tuple(self.data.shape[1:])}")
        if len(self.targets) and int(self.targets.max()) > 9:
            raise ValueError(f"MNIST: labels lie in 0..9, but {self.root} holds {int(self.targets.max())}")

    def _folders(self):
        return self.root, os.path.join(self.root, type(self).__name__, "raw"), os.path.join(self.root, "raw")

    def _path(self, name) -> str | None:
        for folder in self._folders():
            for path in (os.path.join(folder, name), os.path.join(folder, name + ".gz")):
                if os.path.isfile(path):
                    return path
        return None

    def _find(self, name) -> str:
        path = self._path(name)
        if path is None:
            raise FileNotFoundError(
                f"MNIST: no {name}[.gz] in {' or '.join(self._folders()[:2])}. "
                f"Pass download=True to fetch it, or put there the file of {self.mirrors[0]}"
            )
        return path

    def download(self) -> None:
        """Fetch the files that are missing; each is checked before it gets its name."""
        for name, digest in self.files.items():
            if self._path(name) is None:
                self._fetch(name + ".gz", digest)

    def _fetch(self, name, digest) -> None:
        from urllib.error import URLError
        from urllib.request import urlopen

        from fastnn.serialization import atomic_write

        folder = self._folders()[1]
        os.makedirs(folder, exist_ok=True)
        problems = []
        for mirror in self.mirrors:
            try:
                with urlopen(mirror + name, timeout=30) as reply:
                    packed = reply.read(_MAX_PACKED)
                content = _unpack(packed)
            except (URLError, OSError, EOFError, zlib.error) as error:
                problems.append(f"{mirror}: {error}")
                continue
            if hashlib.sha256(content).hexdigest() != digest:
                problems.append(f"{mirror}: the file has another checksum")
                continue
            with atomic_write(os.path.join(folder, name)) as file:
                file.write(packed)
            return
        raise RuntimeError(f"MNIST: could not fetch {name}\n  " + "\n  ".join(problems))

    def __getitem__(self, index):
        image, label = self.data[index], int(self.targets[index])
        image = image.to(fastnn.float32).div_(255).unsqueeze(0) if self.transform is None else self.transform(image)
        return image, label if self.target_transform is None else self.target_transform(label)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"MNIST({'training' if self.train else 'test'} set, {len(self)} images of 28 x 28)"
