"""Datasets, samplers and DataLoader, with and without workers; the digit sets and their files."""

import gzip
import os
import random
import struct
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import datasets
from fastnn.datasets.idx import read_idx
from fastnn.utils import data
from fastnn.utils.data import DataLoader, TensorDataset

MNIST_ROOT = Path(os.environ.get("FASTNN_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist")


def pairs(n=23):
    return TensorDataset(fastnn.arange(n * 2).reshape(n, 2).to(fastnn.float32), fastnn.arange(n))


def ids(loader):
    return [batch[1].tolist() for batch in loader]


# -- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_torchs_order(workers):
    # from torch 2.13: torch.manual_seed(0), two epochs of DataLoader(range(10), 5, shuffle=True)
    fastnn.manual_seed(0)
    loader = DataLoader(range(10), 5, shuffle=True, num_workers=workers)
    assert [b.tolist() for b in loader] == [[6, 7, 1, 4, 2], [0, 9, 8, 3, 5]]
    assert [b.tolist() for b in loader] == [[2, 4, 7, 0, 8], [9, 5, 3, 6, 1]]


def test_fast_path_has_the_order_and_values_of_the_slow_one():
    class Slow(TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)

    for options in ({}, {"drop_last": True}, {"shuffle": True}, {"shuffle": True, "drop_last": True}):
        for size in (1, 5, 23, 40):
            results = []
            for kind in (TensorDataset, Slow):
                fastnn.manual_seed(3)
                results.append(
                    [(x.tolist(), y.tolist()) for x, y in DataLoader(kind(*pairs().tensors), size, **options)]
                )
                results[-1].append(fastnn.rand(1).tolist())
            assert results[0] == results[1]


def test_batches_do_not_share_memory_with_the_dataset():
    dataset = pairs()
    for x, _ in DataLoader(dataset, 5):
        x.zero_()
    assert float(dataset.tensors[0].sum()) > 0


def test_generator_and_sampler_options():
    a = ids(DataLoader(pairs(), 4, shuffle=True, generator=fastnn.Generator().manual_seed(5)))
    b = ids(DataLoader(pairs(), 4, shuffle=True, generator=fastnn.Generator().manual_seed(5)))
    assert a == b and sorted(sum(a, [])) == list(range(23))
    assert ids(DataLoader(pairs(), 2, sampler=[3, 1, 2])) == [[3, 1], [2]]
    assert ids(DataLoader(pairs(), batch_sampler=[[3, 1], [2]])) == [[3, 1], [2]]
    assert len(DataLoader(pairs(), 5)) == 5 and len(DataLoader(pairs(), 5, drop_last=True)) == 4
    assert [y.tolist() for _, y in DataLoader(pairs(3), batch_size=None)] == [0, 1, 2]


def test_samplers():
    fastnn.manual_seed(0)
    assert len(list(data.RandomSampler(range(5), replacement=True, num_samples=40))) == 40
    assert sorted(data.RandomSampler(range(5), num_samples=5)) == list(range(5))
    assert len(list(data.RandomSampler(range(5), num_samples=12))) == 12
    drawn = list(data.WeightedRandomSampler([0, 1, 3], 100))
    assert set(drawn) == {1, 2} and drawn.count(2) > drawn.count(1)
    assert sorted(data.SubsetRandomSampler([4, 7])) == [4, 7]
    assert list(data.BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(data.BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: DataLoader(pairs(), 0),
        lambda: DataLoader(pairs(), -1),
        lambda: DataLoader(pairs(), 2.5),
        lambda: DataLoader(pairs(), 2, num_workers=-1),
        lambda: DataLoader(pairs(), 2, timeout=-1),
        lambda: DataLoader(pairs(), 2, shuffle=True, sampler=[1]),
        lambda: DataLoader(pairs(), 2, batch_sampler=[[1]]),
        lambda: DataLoader(pairs(), None, drop_last=True),
        lambda: DataLoader(pairs(), 2, prefetch_factor=2),
        lambda: DataLoader(pairs(), 2, persistent_workers=True),
        lambda: DataLoader(Stream(), 2, shuffle=True),
        lambda: data.RandomSampler([]),
        lambda: data.WeightedRandomSampler([1.0], 0),
        lambda: data.random_split(pairs(), [1, 2]),
        lambda: setattr(DataLoader(pairs()), "batch_size", 3),
    ],
)
def test_wrong_options(make):
    with pytest.raises(ValueError):
        make()


# -- datasets and collation -------------------------------------------------------------------------------------------


class Stream(data.IterableDataset):
    def __iter__(self):
        info = data.get_worker_info()
        start = 100 * info.id if info else 0
        return iter(range(start, start + 7))


def test_datasets():
    one, two = pairs(3), pairs(4)
    both = one + two
    assert len(both) == 7 and int(both[5][1]) == 2 and int(both[-1][1]) == 3
    with pytest.raises(IndexError):
        both[7]
    part = data.Subset(both, [6, 0])
    assert ids(DataLoader(part, 2)) == [[3, 0]]
    assert ids(DataLoader(data.Subset(data.Subset(pairs(), [5, 6, 7]), [2, 0]), 2)) == [[7, 5]]
    assert [b.tolist() for b in DataLoader(Stream() + Stream(), 5)] == [[0, 1, 2, 3, 4], [5, 6, 0, 1, 2], [3, 4, 5, 6]]
    stacked = data.StackDataset(a=one, b=pairs(3))
    assert set(stacked[0]) == {"a", "b"} and len(stacked) == 3
    with pytest.raises(AssertionError, match="Size mismatch"):
        TensorDataset(fastnn.ones(2), fastnn.ones(3))
    fastnn.manual_seed(0)
    parts = data.random_split(range(10), [0.5, 0.25, 0.25])
    assert [len(p) for p in parts] == [6, 2, 2] and sorted(i for p in parts for i in p) == list(range(10))


def test_collate():
    Point = namedtuple("Point", "x y")
    collate = data.default_collate
    assert collate([1, 2]).dtype is fastnn.int64 and collate([1.0, 2.0]).dtype is fastnn.float64
    assert collate([np.float32(1)] * 2).dtype is fastnn.float32 and collate([True, False]).dtype is fastnn.bool
    assert collate([np.ones(2)] * 3).shape == (3, 2)
    assert collate(["a", "b"]) == ["a", "b"]
    batch = collate([{"a": fastnn.ones(2), "b": (1, "s")}] * 2)
    assert batch["a"].shape == (2, 2) and batch["b"][0].tolist() == [1, 1] and list(batch["b"][1]) == ["s", "s"]
    assert isinstance(collate([Point(1, 2)] * 2), Point)
    with pytest.raises(RuntimeError, match="equal size"):
        collate([[1], [1, 2]])
    with pytest.raises(TypeError, match="must contain tensors"):
        collate([object()])
    with pytest.raises(RuntimeError):
        collate([fastnn.ones(1), fastnn.ones(2)])
    assert data.default_convert({"a": np.ones(1), "b": "s"})["b"] == "s"


# -- workers ----------------------------------------------------------------------------------------------------------


def test_workers_give_the_same_batches_after_the_threads_have_started():
    x = fastnn.randn(300, 300)
    (x @ x).sum()
    expected = ids(DataLoader(pairs(101), 7))
    for workers in (1, 3):
        assert ids(DataLoader(pairs(101), 7, num_workers=workers)) == expected

    class Computes(data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, i):
            return (x @ x).sum() * 0 + i

    batches = list(DataLoader(Computes(), 2, num_workers=2))
    assert [b.tolist() for b in batches] == [[0, 1], [2, 3], [4, 5]]


def test_streams_in_workers():
    batches = [b.tolist() for b in DataLoader(Stream(), 3, num_workers=2)]
    assert batches == [[0, 1, 2], [100, 101, 102], [3, 4, 5], [103, 104, 105], [6], [106]]
    assert [b.tolist() for b in DataLoader(Stream(), 3, drop_last=True)] == [[0, 1, 2], [3, 4, 5]]


class Drawn(data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        info = data.get_worker_info()
        return np.random.randint(1 << 30), random.random(), fastnn.rand(1), info.seed - info.id


def test_workers_are_seeded_apart_and_repeatably():
    epochs = []
    for _ in range(2):
        fastnn.manual_seed(5)
        epochs.append(list(DataLoader(Drawn(), 2, num_workers=2)))
    flat = [[value.tolist() for value in batch] for batch in epochs[0]]
    assert flat == [[value.tolist() for value in batch] for batch in epochs[1]]
    assert flat[0][3] == flat[1][3] and all(flat[0][k] != flat[1][k] for k in range(3))
    # from torch 2.13, the same seed and dataset: NumPy's and Python's draws
    assert fastnn.initial_seed() == 5 and data.get_worker_info() is None


class Faulty(data.Dataset):
    def __init__(self, what):
        self.what = what

    def __len__(self):
        return 4

    def __getitem__(self, i):
        if i == 2:
            if self.what == "raise":
                raise KeyError("no such sample")
            if self.what == "sleep":
                time.sleep(30)
            os._exit(7)
        return i


def test_worker_errors_arrive_with_their_traceback():
    with pytest.raises(KeyError) as caught:
        list(DataLoader(Faulty("raise"), 1, num_workers=2))
    text = str(caught.value)
    assert "Caught KeyError in DataLoader worker process 0" in text and "__getitem__" in text


def test_timeout_and_death_of_a_worker():
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="timed out after 0.5 seconds"):
        list(DataLoader(Faulty("sleep"), 1, num_workers=1, timeout=0.5))
    with pytest.raises(RuntimeError, match=r"exited unexpectedly \(exit code 7\)"):
        list(DataLoader(Faulty("die"), 1, num_workers=1))
    assert time.monotonic() - start < 15


def test_init_function_and_persistent_workers():
    started = []

    def note(worker):
        started.append(worker)
        os.environ["FASTNN_TEST_WORKER"] = str(worker)

    class Env(data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return int(os.environ["FASTNN_TEST_WORKER"]), os.getpid()

    loader = DataLoader(Env(), 1, num_workers=2, worker_init_fn=note, persistent_workers=True)
    first = [(int(a), int(b)) for a, b in loader]
    next(iter(loader))
    assert [(int(a), int(b)) for a, b in loader] == first and [a for a, _ in first] == [0, 1, 0, 1]
    assert not started

    def fails(worker):
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        list(DataLoader(Env(), 1, num_workers=1, worker_init_fn=fails))


def test_leaving_early_ends_the_workers_quickly():
    start = time.monotonic()
    for _ in range(3):
        for _ in DataLoader(TensorDataset(fastnn.zeros(64, 100_000)), 8, num_workers=2):
            break
    assert time.monotonic() - start < 10


# -- digits and MNIST -------------------------------------------------------------------------------------------------


def test_digits():
    digits = datasets.digits()
    assert digits.data.shape == (1797, 1, 8, 8) and digits.data.dtype is fastnn.float32
    assert float(digits.data.min()) == 0 and float(digits.data.max()) == 1
    assert digits.targets[:10].tolist() == list(range(10)) and len(digits) == 1797
    assert int((digits.data * 16).sum()) == 561718
    train, test = digits.split()
    assert len(train) == 1438 and len(test) == 359
    counts = [int((test.tensors[1] == c).sum()) for c in range(10)]
    assert min(counts) >= 34 and max(counts) <= 37
    again = digits.split()[1]
    assert (again.tensors[0] == test.tensors[0]).all()
    fastnn.manual_seed(99)
    assert digits.split()[1].tensors[1].tolist() == test.tensors[1].tolist()
    assert digits.split(seed=1)[1].tensors[1].tolist() != test.tensors[1].tolist()
    with pytest.raises(ValueError, match="between 0 and 1"):
        digits.split(test=1.0)


def idx(shape, content=None, magic=None):
    count = int(np.prod(shape))
    head = magic if magic is not None else bytes([0, 0, 8, len(shape)])
    return head + b"".join(struct.pack(">I", s) for s in shape) + (bytes(count) if content is None else content)


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        idx((2, 3, 3))[:-1],
        idx((2, 3, 3)) + b"x",
        idx((2, 3, 3), magic=b"\0\0\x08\x01"),
        idx((2, 3, 3), magic=b"\0\0\x0d\x03"),
        idx((2, 3, 3), magic=b"abcd"),
        idx((2**31, 2**31, 2**31), b""),
        idx((2**20, 28, 28), b""),
        idx((2**32 - 1, 1, 1), b"abc"),
    ],
)
def test_malformed_idx_files(tmp_path, content, pack):
    path = tmp_path / "f"
    path.write_bytes(pack(content))
    with pytest.raises(ValueError, match=str(path)):
        read_idx(path, 3)


def test_damaged_gzip(tmp_path):
    whole = gzip.compress(idx((50, 3, 3)))
    path = tmp_path / "f.gz"
    for content in (whole[:20], whole[:-6], whole[:15] + b"\xff" * 8 + whole[23:], b"\x1f\x8b"):
        path.write_bytes(content)
        with pytest.raises(ValueError):
            read_idx(path, 3)
    path.write_bytes(whole)
    assert read_idx(path, 3).shape == (50, 3, 3)


def write_mnist(folder, part="t10k", images=3, labels=(1, 2, 3), size=28):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(idx((images, size, size), b"\x80" * (images * size * size)))
    )
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx((len(labels),), bytes(labels)))


def test_mnist_from_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="download=True"):
        datasets.MNIST(tmp_path)
    write_mnist(tmp_path / "MNIST" / "raw")
    mnist = datasets.MNIST(tmp_path, train=False)
    image, label = mnist[1]
    assert len(mnist) == 3 and image.shape == (1, 28, 28) and label == 2
    assert float(image.max()) == pytest.approx(128 / 255) and mnist.data.dtype is fastnn.uint8
    changed = datasets.MNIST(tmp_path, train=False, transform=lambda x: x.shape, target_transform=lambda y: -y)
    assert changed[0] == ((28, 28), -1)
    for wrong in ({"labels": (1, 2)}, {"labels": (1, 2, 11)}, {"size": 27}):
        write_mnist(tmp_path / "wrong", **wrong)
        with pytest.raises(ValueError, match="MNIST"):
            datasets.MNIST(tmp_path / "wrong", train=False)


def test_mnist_download_checks_what_it_gets(tmp_path, monkeypatch):
    import urllib.request

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: open(os.devnull, "rb"))
    with pytest.raises(RuntimeError, match="could not fetch train-images"):
        datasets.MNIST(tmp_path, download=True)
    assert not any(p.is_file() for p in tmp_path.rglob("*"))


def test_real_mnist():
    if not (MNIST_ROOT / "t10k-images-idx3-ubyte.gz").exists():
        print(f"MNIST's files are not in {MNIST_ROOT}: set FASTNN_DATA to their folder")
        pytest.skip(f"MNIST's files are not in {MNIST_ROOT}: set FASTNN_DATA to their folder")
    mnist = datasets.MNIST(MNIST_ROOT, train=False)
    assert len(mnist) == 10_000 and mnist.targets[:5].tolist() == [7, 2, 1, 0, 4]
    assert mnist.targets.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
