"""The four IDX files of a set of MNIST's form, as arrays."""

import os

from fastnn.datasets.idx import read_idx


def load(name: str, folders: list, sizes=(28, 28)):
    """((train images, labels), (test images, labels)), uint8. Raises FileNotFoundError where a file is nowhere."""
    folders = [os.path.expanduser(f) for f in folders if f]

    def read(file, ndim):
        for folder in folders:
            for path in (os.path.join(folder, file), os.path.join(folder, file + ".gz")):
                if os.path.isfile(path):
                    return read_idx(path, ndim)
        raise FileNotFoundError(
            f"{name}.load_data: no {file}[.gz] in {' or '.join(folders) or 'any folder'}: set the environment variable "
            "FASTNN_DATA to the folder of its four IDX files, or give path="
        )

    parts = []
    for part in ("train", "t10k"):
        images, labels = read(f"{part}-images-idx3-ubyte", 3), read(f"{part}-labels-idx1-ubyte", 1)
        if len(images) != len(labels) or images.shape[1:] != sizes:
            raise ValueError(f"{name}.load_data: {images.shape} images and {len(labels)} labels do not fit together")
        parts.append((images, labels))
    return tuple(parts)


def folders(name: str, path) -> list:
    """Where a set is looked for: path, a folder or a file in it; FASTNN_DATA, itself or its folder `name`; the cache."""
    if path is not None and path != "mnist.npz":
        return [path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))]
    data = os.environ.get("FASTNN_DATA")
    return [*([data, os.path.join(data, name)] if data else []), f"~/.keras/datasets/{name}"]
