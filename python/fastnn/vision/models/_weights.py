"""Pretrained weights from local files."""

import glob
import os
import warnings

__all__ = ["load"]


def _folder() -> str:
    home = os.environ.get("TORCH_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return os.path.join(os.path.expanduser(home), "hub", "checkpoints")


def load(model, arch: str, weights, pretrained=None):
    """The model, with `weights` where some are asked for. Raises FileNotFoundError where they are not on this machine."""
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

    path = os.fspath(weights) if isinstance(weights, (str, os.PathLike)) else str(weights)
    if not os.path.isfile(path):
        found = sorted(glob.glob(os.path.join(_folder(), f"{arch}-*.pth")), key=os.path.getmtime)
        if not found:
            raise FileNotFoundError(
                f"{arch}: weights={weights!r} is no file, and {os.path.join(_folder(), arch)}-*.pth is not there: put "
                "torchvision's file into that folder, or give the path of a state_dict"
            )
        path = found[-1]
    model.load_state_dict(read(path))
    return model
