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


CPU = device("cpu")


def check_device(d, function: str) -> None:
    """Raise unless `d` names the CPU: the one device of this build."""
    if d is None or d is CPU:
        return
    d = device(d)
    if d.type != "cpu":
        raise RuntimeError(f"{function}: device={str(d)!r} is not available in this build; use device='cpu'")


class _Layout:
    def __repr__(self):
        return "torch.strided"


strided = _Layout()
