"""torchvision beside a torch that its compiled operators do not fit: it registers them on import, and runs without them
where two of them are declared. transformers imports it, too."""

import torch

_kept: list = []


def torchvision():
    """The module, None where it is not installed."""
    try:
        import torchvision
    except ImportError:
        return None
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        _kept.append(library)  # what it declares goes with it
        import torchvision
    return torchvision
