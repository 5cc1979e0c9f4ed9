"""Models for images, with torchvision's constructors and state_dict keys.

weights: None; a path of a state_dict; or a name such as "DEFAULT", for which the file ARCH-*.pth of torch's download
folder ($TORCH_HOME/hub/checkpoints, by default ~/.cache/torch/hub/checkpoints) is read, or a member of the model's enum
(ResNet18_Weights.DEFAULT): its file is fetched, with its checksum compared, where it is not there.
"""

from ._weights import WEIGHTS, Weights, WeightsEnum, weights_class
from .alexnet import AlexNet, alexnet
from .lenet import LeNet, lenet
from .mobilenetv2 import MobileNetV2, mobilenet_v2
from .resnet import *
from .resnet import __all__ as _resnets
from .vgg import *
from .vgg import __all__ as _vggs

globals().update(WEIGHTS)

__all__ = ["AlexNet", "LeNet", "MobileNetV2", "Weights", "WeightsEnum", "alexnet", "get_model", "get_model_weights",
           "get_weight", "lenet", "list_models", "mobilenet_v2", *WEIGHTS, *_resnets, *_vggs]  # fmt: skip


def list_models() -> list:
    """The names that get_model takes."""
    return sorted(name for name in __all__ if name[0].islower() and not name.startswith(("get_", "list_")))


def get_model(name: str, **config):
    """The model of that name."""
    if name.lower() not in list_models():
        raise ValueError(f"Unknown model {name}; one of {', '.join(list_models())}")
    return globals()[name.lower()](**config)


def get_model_weights(name):
    """The enum of the weights of a model, given by name or constructor."""
    found = weights_class(name if isinstance(name, str) else name.__name__)
    if found is None:
        raise ValueError(f"get_model_weights: there are no weights of {name}")
    return found


def get_weight(name: str):
    """The member that a full name means: "ResNet18_Weights.DEFAULT"."""
    kind, _, member = name.partition(".")
    if not member:
        raise ValueError(f"Invalid weight name provided: '{name}'.")
    if kind not in WEIGHTS:
        raise ValueError(f"The weight enum for the specific method couldn't be retrieved: '{name}'")
    return WEIGHTS[kind][member]
