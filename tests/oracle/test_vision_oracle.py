"""fastnn.vision against torchvision: transformations of images and tensors, grids, models, datasets."""

import os
import random

import numpy as np
import pytest
import torch

import fastnn

Image = pytest.importorskip("PIL.Image")
from oracle.torchvision_here import torchvision as find  # noqa: E402

torchvision = find()
if torchvision is None:
    pytest.skip("torchvision is not installed", allow_module_level=True)

from fastnn import vision  # noqa: E402

MODULES = {fastnn: vision, torch: torchvision}
rng = np.random.default_rng(0)
PICTURE = (np.add.outer(np.arange(37) * 3, np.arange(53) * 2)[..., None] * np.array([1, 2, 3]) // 2 % 256).astype(
    np.uint8
)
PICTURE = np.clip(PICTURE.astype(int) + rng.integers(-20, 20, PICTURE.shape), 0, 255).astype(np.uint8)


def picture(T, kind):
    """The test image on one side, as Pillow's or a tensor."""
    array = PICTURE[..., 0] if kind in ("L", "gray") else PICTURE
    if kind in ("RGB", "L"):
        return Image.fromarray(array)
    t = T.from_numpy(np.ascontiguousarray(array.reshape(37, 53, -1).transpose(2, 0, 1)))
    return t.to(T.float32).div(255) if kind == "float" else t


def values(x):
    if isinstance(x, (tuple, list)):
        return [values(v) for v in x]
    if isinstance(x, Image.Image):
        return x.mode, np.asarray(x)
    return (str(x.dtype), x.detach().numpy()) if hasattr(x, "detach") else x


def same(ours, theirs, off=0.0, warped=False):
    """warped: positions that torchvision computes in float32 may fall on the other side of a pixel's edge."""
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b, off, warped)
    elif isinstance(theirs, tuple) and len(theirs) == 2 and isinstance(theirs[1], np.ndarray):
        assert ours[0] == theirs[0] and ours[1].shape == theirs[1].shape
        a, b = ours[1].astype(float), theirs[1].astype(float)
        if warped:
            assert np.mean(np.abs(a - b) > max(off, 1e-3)) < 2e-3
        else:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=max(off, 1e-5))
    else:
        assert ours == theirs


T_ = "transforms"
TRANSFORMS = {
    "ToTensor": lambda t: t.ToTensor(),
    "PILToTensor": lambda t: t.PILToTensor(),
    "Compose": lambda t: t.Compose([t.Resize(24), t.ToTensor(), t.Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))]),
    "Resize": lambda t: t.Resize(20),
    "Resize_up": lambda t: t.Resize((70, 60)),
    "Resize_max": lambda t: t.Resize(20, max_size=25),
    "Resize_nearest": lambda t: t.Resize((20, 31), t.InterpolationMode.NEAREST),
    "Resize_bicubic": lambda t: t.Resize((20, 80), t.InterpolationMode.BICUBIC),
    "CenterCrop": lambda t: t.CenterCrop(21),
    "CenterCrop_larger": lambda t: t.CenterCrop((60, 20)),
    "Pad": lambda t: t.Pad((1, 2, 3, 4), fill=7),
    "Pad_reflect": lambda t: t.Pad((5, 3), padding_mode="reflect"),
    "Pad_edge": lambda t: t.Pad(4, padding_mode="edge"),
    "Pad_symmetric": lambda t: t.Pad((2, 6), padding_mode="symmetric"),
    "RandomCrop": lambda t: t.RandomCrop(32, padding=4),
    "RandomCrop_if_needed": lambda t: t.RandomCrop((40, 60), pad_if_needed=True),
    "RandomResizedCrop": lambda t: t.RandomResizedCrop(24),
    "RandomHorizontalFlip": lambda t: t.RandomHorizontalFlip(),
    "RandomVerticalFlip": lambda t: t.RandomVerticalFlip(0.7),
    "RandomRotation": lambda t: t.RandomRotation(40),
    "RandomRotation_expand": lambda t: t.RandomRotation((10, 80), t.InterpolationMode.BILINEAR, expand=True, fill=9),
    "RandomRotation_center": lambda t: t.RandomRotation(90, center=(3, 5)),
    "RandomAffine": lambda t: t.RandomAffine(30, (0.1, 0.2), (0.7, 1.3), 15),
    "RandomAffine_bilinear": lambda t: t.RandomAffine(30, (0.1, 0.2), shear=(5, 9, -3, 4), interpolation=2, fill=5),
    "ColorJitter": lambda t: t.ColorJitter(0.4, 0.5, 0.6, 0.2),
    "ColorJitter_one": lambda t: t.ColorJitter(contrast=(0.5, 2.0)),
    "Grayscale": lambda t: t.Grayscale(),
    "Grayscale_3": lambda t: t.Grayscale(3),
    "RandomGrayscale": lambda t: t.RandomGrayscale(0.5),
    "RandomInvert": lambda t: t.RandomInvert(0.5),
    "RandomApply": lambda t: t.RandomApply([t.RandomCrop(20)], 0.5),
    "RandomChoice": lambda t: t.RandomChoice([t.CenterCrop(10), t.RandomCrop(12)]),
    "RandomOrder": lambda t: t.RandomOrder([t.CenterCrop(10), t.Pad(3)]),
    "FiveCrop": lambda t: t.FiveCrop(10),
    "TenCrop": lambda t: t.TenCrop((8, 9), vertical_flip=True),
    "GaussianBlur": lambda t: t.GaussianBlur((5, 3), (0.5, 2.0)),
    "ToTensor_erase": lambda t: t.Compose([t.ToTensor(), t.RandomErasing(0.8), t.RandomErasing(1.0, value="random")]),
    "RandomErasing": lambda t: t.RandomErasing(0.9, value=(1, 2, 3)),
    "Normalize": lambda t: t.Normalize([0.5], [0.25]),
    "ConvertImageDtype": lambda t: t.ConvertImageDtype(None),
}
# what is rounded along the way may differ by one step of a byte, where Pillow does not do the work itself
ROUNDED = ("ColorJitter", "GaussianBlur", "Resize", "RandomResizedCrop", "RandomRotation_expand", "bilinear", "Compose")


@pytest.mark.parametrize("kind", ["RGB", "L", "bytes", "float"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name, kind):
    results = []
    for T in (fastnn, torch):
        module = MODULES[T].transforms
        T.manual_seed(4)
        random.seed(4)
        transform = TRANSFORMS[name](module)
        if name == "ConvertImageDtype":
            transform = module.ConvertImageDtype(T.float32 if kind == "bytes" else T.uint8)
        seen = [repr(transform).replace("torchvision.", "")]
        for _ in range(6):
            try:
                seen.append(values(transform(picture(T, kind))))
            except (TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
                seen.append(issubclass(type(error), Exception))
        seen.append(values(T.rand(1)))
        results.append(seen)
    if name == "ConvertImageDtype":
        results = [r[1:] for r in results]
    rounding = kind in ("bytes", "L", "RGB") and any(n in name for n in ROUNDED)
    assert results[1].count(True) in (0, 6)
    warped = kind in ("bytes", "float") and any(n in name for n in ("Rotation", "Affine"))
    same(*results, off=1.01 if rounding and kind == "bytes" else 0, warped=warped)


FUNCTIONS = {
    "adjust_gamma": lambda f, x: f.adjust_gamma(x, 0.7, 1.1),
    "adjust_hue": lambda f, x: f.adjust_hue(x, -0.3),
    "posterize": lambda f, x: f.posterize(x, 3),
    "solarize": lambda f, x: f.solarize(x, 100 if not hasattr(x, "is_floating_point") or not x.is_floating_point() else 0.4),
    "invert": lambda f, x: f.invert(x),
    "crop_outside": lambda f, x: f.crop(x, -3, 40, 20, 30),
    "rotate": lambda f, x: f.rotate(x, 33, expand=True),
    "affine": lambda f, x: f.affine(x, 20, [3, -2], 1.2, [5, 3]),
    "get_dimensions": lambda f, x: f.get_dimensions(x),
    "rgb_to_grayscale": lambda f, x: f.rgb_to_grayscale(x, 3),
    "hflip": lambda f, x: f.hflip(x),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["RGB", "L", "bytes", "float"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, kind):
    results = []
    for T in (fastnn, torch):
        try:
            results.append(values(FUNCTIONS[name](MODULES[T].transforms.functional, picture(T, kind))))
        except (TypeError, ValueError, AttributeError) as error:
            results.append(f"raises {issubclass(type(error), Exception)}")
    warped = kind in ("bytes", "float") and name in ("rotate", "affine")
    same(*results, off=1.01 if kind == "bytes" and name in ("adjust_hue", "adjust_gamma") else 0, warped=warped)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (3, 5, 7), (4, 5, 7)])
def test_images_of_tensors(shape, dtype):
    array = rng.random(shape).astype(dtype) if dtype == "float32" else rng.integers(0, 99, shape).astype(dtype)
    results = []
    for T in (fastnn, torch):
        f = MODULES[T].transforms.functional
        try:
            results.append(values(f.to_pil_image(T.from_numpy(array))))
        except TypeError:
            results.append("TypeError")
        if array.ndim == 3:
            results[-1] = [results[-1], values(f.to_tensor(array.transpose(1, 2, 0)))]
    same(*results)


@pytest.mark.parametrize("count, shape", [(1, (3, 5, 4)), (7, (1, 5, 4)), (10, (3, 4, 6))])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nrow": 3, "padding": 1, "pad_value": 0.5},
        {"normalize": True},
        {"normalize": True, "scale_each": True},
        {"normalize": True, "value_range": (-1, 1)},
    ],
)
def test_grids(count, shape, options, tmp_path):
    array = rng.standard_normal((count, *shape)).astype(np.float32)
    results = []
    for T in (fastnn, torch):
        u = MODULES[T].utils
        grid = u.make_grid(T.from_numpy(array), **options)
        listed = u.make_grid([T.from_numpy(a) for a in array], **options)
        u.save_image(T.from_numpy(array), tmp_path / "x.png", **options)
        results.append([values(grid), values(listed), values(Image.open(tmp_path / "x.png"))])
    same(*results)


MODELS = ["alexnet", "vgg11", "vgg16_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "mobilenet_v2"]
DEEP = ["vgg19", "resnet34", "resnet101", "resnet152"]


@pytest.mark.parametrize("name", MODELS + DEEP)
def test_models_have_torchvisions_keys_and_weights(name):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(num_classes=7)
    fastnn.manual_seed(0)
    ours = getattr(vision.models, name)(num_classes=7)
    a, b = ours.state_dict(), theirs.state_dict()
    assert list(a) == list(b)
    for key in b:
        np.testing.assert_array_equal(a[key].numpy(), b[key].numpy(), err_msg=key)
    assert fastnn.rand(1).item() == torch.rand(1).item()
    if name in DEEP or name.startswith("vgg"):
        return
    ours.eval(), theirs.eval()
    x = rng.standard_normal((2, 3, 64, 64)).astype(np.float32)
    with fastnn.no_grad(), torch.no_grad():
        y, z = ours(fastnn.from_numpy(x)).numpy(), theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, z, rtol=1e-4, atol=1e-4 * np.abs(z).max())


@pytest.mark.parametrize("name", sorted(vision.models._weights.WEIGHTS))
def test_weights_are_torchvisions(name):
    ours, theirs = getattr(vision.models, name), getattr(torchvision.models, name)
    for member in ours.__members__:
        a, b = ours[member], theirs[member]
        assert (a.url, a.name, str(a), repr(a)) == (b.url, b.name, str(b), repr(b))
        assert a.meta["num_params"] == b.meta["num_params"]
        assert repr(a.transforms()) == repr(b.transforms())
    assert ours.verify("DEFAULT") is ours.DEFAULT is vision.models.get_weight(f"{name}.DEFAULT")
    assert vision.models.get_model_weights(name.removesuffix("_Weights").lower()) is ours


def test_weights_transforms_and_errors(tmp_path, monkeypatch):
    for kind in "ResNet18_Weights", "ResNet50_Weights":
        a, b = (getattr(m, kind).DEFAULT.transforms()(Image.fromarray(PICTURE)) for m in
                (vision.models, torchvision.models))  # fmt: skip
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for models in vision.models, torchvision.models:
        for wrong in 3, models.VGG16_Weights.DEFAULT:
            with pytest.raises(TypeError, match="Invalid Weight class provided; expected ResNet18_Weights"):
                models.ResNet18_Weights.verify(wrong)
        with pytest.raises(KeyError):
            models.ResNet18_Weights.verify("no such")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    model = vision.models.resnet18()
    fastnn.save(model.state_dict(), folder / "resnet18-f37072fd.pth")
    for weights in vision.models.ResNet18_Weights.DEFAULT, "IMAGENET1K_V1", "ResNet18_Weights.DEFAULT":
        read = vision.models.resnet18(weights=weights)
        np.testing.assert_array_equal(read.fc.weight.detach().numpy(), model.fc.weight.detach().numpy())


def test_fake_data_and_folders(tmp_path):
    for i, name in enumerate(["cat", "dog", "dog"]):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(PICTURE[i:]).save(tmp_path / name / f"{i}.png")
    results = []
    for T in (fastnn, torch):
        d, t = MODULES[T].datasets, MODULES[T].transforms
        T.manual_seed(1)
        fake = d.FakeData(5, (3, 8, 9), 4, transform=t.ToTensor(), random_offset=3)
        seen = [repr(fake), *([values(image), int(target)] for image, target in (fake[0], fake[4])), values(T.rand(1))]
        folder = d.ImageFolder(str(tmp_path), transform=t.ToTensor(), target_transform=abs)
        seen += [repr(folder).replace("    ", ""), folder.classes, folder.class_to_idx, folder.targets, len(folder)]
        seen += [[values(image), target] for image, target in (folder[0], folder[2])]
        results.append(seen)
    same(*results)


def test_mnist(tmp_path):
    data = os.environ.get("FASTNN_DATA") or os.path.join(
        os.path.dirname(__file__), "..", "..", "..", "shared", "data", "mnist"
    )
    if not os.path.exists(os.path.join(data, "t10k-images-idx3-ubyte.gz")):
        pytest.skip("MNIST's files are not here: set FASTNN_DATA to their folder")
    import gzip

    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in (
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ):
        with gzip.open(os.path.join(data, name + ".gz")) as packed:
            (raw / name).write_bytes(packed.read())
    results = []
    for T in (fastnn, torch):
        d, t = MODULES[T].datasets, MODULES[T].transforms
        transform = t.Compose([t.ToTensor(), t.Normalize((0.1307,), (0.3081,))])
        plain, ready = d.MNIST(str(tmp_path), train=False), d.MNIST(str(tmp_path), False, transform)
        image, label = plain[7]
        seen = [repr(plain), values(image), label, type(label).__name__, plain.classes, len(plain)]
        seen += [values(ready[9999][0]), values(ready.data[:3]), values(ready.targets[:50]), repr(ready)]
        results.append(seen)
    same(*results)
    packed = vision.datasets.MNIST(data, train=False)
    assert values(packed[7][0])[1].tolist() == results[0][1][1].tolist()
    with pytest.raises(RuntimeError, match="Dataset not found"):
        vision.datasets.FashionMNIST(str(tmp_path))


def test_cifar(tmp_path):
    """Files in the form of the original's, as Python 2 pickled them."""
    import pickle

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    images = rng.integers(0, 256, (5, 4, 3072)).astype(np.uint8)
    for i, name in enumerate([*vision.datasets.CIFAR10.train_list, "test_batch"]):
        entry = {"data": images[i % 5], "labels": [i, 1, 2, 3], "batch_label": "x", "filenames": ["a"] * 4}
        (folder / name).write_bytes(pickle.dumps(entry, protocol=2))
    names = ["airplane", "cat"] * 5
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, protocol=2))
    ours = vision.datasets.CIFAR10(str(tmp_path), transform=vision.transforms.ToTensor())
    assert len(ours) == 20 and ours.data.shape == (20, 32, 32, 3) and ours.targets[4] == 1 and ours.classes == names
    expected = images[1, 2].reshape(3, 32, 32) / np.float32(255)
    np.testing.assert_allclose(ours[6][0].numpy(), expected, rtol=1e-6)
    (folder / "test_batch").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(pickle.UnpicklingError, match="system"):
        vision.datasets.CIFAR10(str(tmp_path), train=False)
