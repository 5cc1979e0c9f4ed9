"""The version of torch whose interface fastnn follows, as scripts compare it."""

import re

__all__ = ["TORCH", "TorchVersion"]

_RELEASE = re.compile(r"v?(\d+(?:\.\d+)*)(?:\.?(dev|a|alpha|b|beta|c|rc|pre)[._-]?(\d*))?(?:\.?post(\d+))?(?:\+.*)?$")


def _key(version):
    """What versions are ordered by: the numbers, then pre-release < release < post-release. None: not a version."""
    if isinstance(version, (tuple, list)):
        version = ".".join(map(str, version))
    found = _RELEASE.match(str(version).strip().lower())
    if found is None:
        return None
    numbers = [int(n) for n in found[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    stage = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, None: 0}.get(found[2], -1)
    return numbers, stage, int(found[3] or 0), int(found[4] or -1)


class TorchVersion(str):
    """A version that is a string and compares as a version, with strings and tuples: "2.9" < "2.13"."""

    __slots__ = ()

    def _compare(self, other, by_version, by_text):
        if not isinstance(other, (str, tuple, list)):
            return NotImplemented
        theirs = _key(other)
        if theirs is None:
            return by_text(str(self), str(other))
        return by_version(_key(str(self)), theirs)

    def __lt__(self, other):
        return self._compare(other, lambda a, b: a < b, str.__lt__)

    def __le__(self, other):
        return self._compare(other, lambda a, b: a <= b, str.__le__)

    def __gt__(self, other):
        return self._compare(other, lambda a, b: a > b, str.__gt__)

    def __ge__(self, other):
        return self._compare(other, lambda a, b: a >= b, str.__ge__)

    def __eq__(self, other):
        return self._compare(other, lambda a, b: a == b, str.__eq__)

    def __ne__(self, other):
        return self._compare(other, lambda a, b: a != b, str.__ne__)

    __hash__ = str.__hash__


TORCH = TorchVersion("2.13.0+fastnn.0.1.0")
