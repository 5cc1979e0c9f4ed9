"""Where tensors live, and how they lie in memory."""


class device:
    """Where a tensor lives: 'cpu' (or 'cuda:0', for builds that have it)."""

    __slots__ = ("type", "index")

    def __init__(self, type="cpu", index=None):
        if isinstance(type, device):
            type, index = type.type, type.index
        elif isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", type
        elif isinstance(type, str):
            if ":" in type:
                type, _, number = type.partition(":")
                if index is not None or not number.isdigit():
                    raise RuntimeError(f"Invalid device string: '{type}:{number}'")
                index = int(number)
        else:
            raise TypeError(f"device: expected a string such as 'cpu', got {type!r}")
        if type not in ("cpu", "cuda", "meta", "mps", "xpu"):
            raise RuntimeError(f"Expected one of cpu, cuda device type at start of device string: {type}")
        self.type, self.index = type, index

    def __repr__(self):
        return f"device(type='{self.type}'" + (")" if self.index is None else f", index={self.index})")

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __reduce__(self):
        return device, (self.type, self.index)

    def __enter__(self):
        check_device(self, "with device")
        return self

    def __exit__(self, *exc):
        return None


CPU = device("cpu")


def check_device(d, function: str) -> None:
    """Raise unless `d` names the CPU: the one device of this build."""
    if d is None or d is CPU:
        return
    d = device(d)
    if d.type != "cpu":
        raise RuntimeError(f"{function}: device={str(d)!r} is not available in this build; use device='cpu'")


def set_default_device(device) -> None:
    """Where tensors are made that name no device: 'cpu' (or None), the one device of this build."""
    check_device(device, "set_default_device")


def get_default_device():
    """The device of tensors that name none."""
    return CPU


class layout:
    """How a tensor's elements are kept: torch.strided or torch.sparse_coo."""

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"torch.{self._name}"


class memory_format(layout):
    """The order of dimensions in memory, as an argument of to, contiguous, empty_like and others."""

    def __reduce__(self):
        return self._name


strided, sparse_coo = layout("strided"), layout("sparse_coo")
preserve_format, contiguous_format = memory_format("preserve_format"), memory_format("contiguous_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")
