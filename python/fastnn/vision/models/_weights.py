"""Pretrained weights: the enums that name them, and their files, from this machine or fetched from the network."""

import enum
import functools
import glob
import os
import warnings
from dataclasses import dataclass, field

from ..transforms._presets import ImageClassification

__all__ = ["WEIGHTS", "Weights", "WeightsEnum", "load", "weights_class"]

_SITE = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class Weights:
    """Where a model's weights are to be had, what its images go through before, and facts about it."""

    url: str
    transforms: object
    meta: dict = field(hash=False)


class WeightsEnum(enum.Enum):
    """The weights of one architecture; DEFAULT is the best of them. The members' url, transforms and meta are at hand."""

    @property
    def url(self):
        return self.value.url

    @property
    def transforms(self):
        return self.value.transforms

    @property
    def meta(self):
        return self.value.meta

    @classmethod
    def verify(cls, obj):
        """The member that obj is or names. KeyError for another name, TypeError for anything else."""
        if isinstance(obj, str):
            return cls[obj.replace(cls.__name__ + ".", "")]
        if obj is not None and not isinstance(obj, cls):
            raise TypeError(
                f"Invalid Weight class provided; expected {cls.__name__} but received {type(obj).__name__}."
            )
        return obj

    def get_state_dict(self, *args, **kwargs):
        """What hub.load_state_dict_from_url gives for the member's url."""
        from fastnn.hub import load_state_dict_from_url

        return load_state_dict_from_url(self.url, *args, **kwargs)

    def __repr__(self):
        return f"{type(self).__name__}.{self._name_}"


# name of the enum, number of parameters, file of V1, file of V2 (trained longer, for images resized to 232)
_FILES = """
AlexNet 61100840 alexnet-owt-7be5be79
VGG11 132863336 vgg11-8a719046
VGG13 133047848 vgg13-19584684
VGG16 138357544 vgg16-397923af
VGG19 143667240 vgg19-dcbb9e9d
VGG11_BN 132868840 vgg11_bn-6002323d
VGG13_BN 133053736 vgg13_bn-abd245e5
VGG16_BN 138365992 vgg16_bn-6c64b313
VGG19_BN 143678248 vgg19_bn-c79401a0
ResNet18 11689512 resnet18-f37072fd
ResNet34 21797672 resnet34-b627a593
ResNet50 25557032 resnet50-0676ba61 resnet50-11ad3fa6
ResNet101 44549160 resnet101-63fe2227 resnet101-cd907fc2
ResNet152 60192808 resnet152-394f9c45 resnet152-f82ba261
MobileNet_V2 3504872 mobilenet_v2-b0353104 mobilenet_v2-7ebf99e0
ResNeXt50_32X4D 25028904 resnext50_32x4d-7cdf4587 resnext50_32x4d-1a0047aa
ResNeXt101_32X8D 88791336 resnext101_32x8d-8ba56ff5 resnext101_32x8d-110c445d
Wide_ResNet50_2 68883240 wide_resnet50_2-95faca4d wide_resnet50_2-9ba9bcbe
Wide_ResNet101_2 126886696 wide_resnet101_2-32ee1156 wide_resnet101_2-d733dc28
"""


def _enum(name, parameters, *files):
    members = {}
    for version, file in enumerate(files, 1):
        resized = {} if version == 1 else {"resize_size": 232}
        transforms = functools.partial(ImageClassification, crop_size=224, **resized)
        members[f"IMAGENET1K_V{version}"] = Weights(f"{_SITE}{file}.pth", transforms, {"num_params": int(parameters)})
    members["DEFAULT"] = members[f"IMAGENET1K_V{len(files)}"]
    return WeightsEnum(f"{name}_Weights", members, module="fastnn.vision.models")


WEIGHTS = {f"{name}_Weights": _enum(name, *rest) for name, *rest in map(str.split, _FILES.strip().splitlines())}
_BY_MODEL = {name.removesuffix("_Weights").lower(): found for name, found in WEIGHTS.items()}


def weights_class(arch: str):
    """The enum of a model's weights; None for one that has none (LeNet)."""
    return _BY_MODEL.get(arch.lower())


def _folder() -> str:
    from fastnn.hub import get_dir

    return os.path.join(get_dir(), "checkpoints")


def load(model, arch: str, weights, pretrained=None):
    """The model, with `weights` where some are asked for. A path of a state_dict, a member of the model's
    enum or its name. Raises FileNotFoundError where they are neither on this machine nor to be fetched."""
    if pretrained is not None:
        warnings.warn(
            "The parameter 'pretrained' is deprecated since 0.13 and may be removed in the future, please use 'weights' "
            "instead.",
            stacklevel=3,
        )
        weights = weights or ("DEFAULT" if pretrained else None)
    if weights is None:
        return model
    from fastnn.serialization import load as read

    if isinstance(weights, (str, os.PathLike)) and os.path.isfile(weights):
        path = os.fspath(weights)
    else:
        path = _file(arch, weights)
    model.load_state_dict(read(path))
    return model


def _file(arch, weights):
    """The file of the weights with that name: in the folder of downloads, or put there now."""
    from fastnn.hub import download_url_to_file

    kinds = weights_class(arch)
    if kinds is not None and not isinstance(weights, (str, os.PathLike)):
        weights = kinds.verify(weights)
    elif kinds is not None and isinstance(weights, str) and weights.rpartition(".")[2] in kinds.__members__:
        weights = kinds.verify(weights)
    wanted = getattr(weights, "url", "").rpartition("/")[2]
    path = os.path.join(_folder(), wanted)
    if wanted and os.path.isfile(path):
        return path
    found = sorted(glob.glob(os.path.join(_folder(), f"{arch}-*.pth")), key=os.path.getmtime)
    if found and (not wanted or weights is kinds.DEFAULT):
        return found[-1]
    problem = ""
    if wanted:
        os.makedirs(_folder(), exist_ok=True)
        digits = wanted.removesuffix(".pth").rpartition("-")[2]
        try:
            download_url_to_file(weights.url, path, hash_prefix=digits)
            return path
        except OSError as error:  # no network, among others
            problem = f"; {weights.url} could not be fetched: {error}"
    raise FileNotFoundError(
        f"{arch}: weights={weights!r} is no file, and {os.path.join(_folder(), wanted or arch + '-*.pth')} is not there: "
        f"put torchvision's file into that folder, or give the path of a state_dict{problem}"
    )
