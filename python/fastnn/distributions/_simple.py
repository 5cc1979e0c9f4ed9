"""What the distributions over one real number with a location and a scale share."""

from .distribution import Distribution
from .utils import broadcast_all


class LocationScale(Distribution):
    """Parameters `_names`, all of the batch's shape."""

    _names: tuple = ("loc", "scale")
    has_rsample = True

    def __init__(self, *values, validate_args=None):
        tensors = broadcast_all(*values)
        for name, value in zip(self._names, tensors, strict=True):
            setattr(self, name, value)
        super().__init__(tensors[0].shape, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(type(self), _instance, batch_shape, *((name, 0) for name in self._names))
