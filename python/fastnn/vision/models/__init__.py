"""Models for images, with torchvision's constructors and state_dict keys.

weights: None; a path of a state_dict; or a name such as "DEFAULT", for which the file ARCH-*.pth of torch's download
folder ($TORCH_HOME/hub/checkpoints, by default ~/.cache/torch/hub/checkpoints) is read. Nothing is downloaded.
"""

from .alexnet import AlexNet, alexnet
from .lenet import LeNet, lenet
from .mobilenetv2 import MobileNetV2, mobilenet_v2
from .resnet import *
from .resnet import __all__ as _resnets
from .vgg import *
from .vgg import __all__ as _vggs

__all__ = ["AlexNet", "LeNet", "MobileNetV2", "alexnet", "get_model", "lenet", "list_models", "mobilenet_v2", *_resnets,
           *_vggs]  # fmt: skip


def list_models() -> list:
    """The names that get_model takes."""
    return sorted(name for name in __all__ if name[0].islower() and name not in ("get_model", "list_models"))


def get_model(name: str, **config):
    """The model of that name."""
    if name.lower() not in list_models():
        raise ValueError(f"Unknown model {name}; one of {', '.join(list_models())}")
    return globals()[name.lower()](**config)
