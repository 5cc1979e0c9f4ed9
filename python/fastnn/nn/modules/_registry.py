"""The dictionaries in which a Module keeps its parameters, buffers and children.

They are dictionaries as in torch. Each also mirrors its entries into the module's own `__dict__`, so that `self.weight`
is one ordinary attribute look-up (20 ns) and not a failed one followed by `__getattr__` (400 ns): a forward pass makes
two of them a layer.
"""

import weakref


class Registry(dict):
    """A dictionary of a module's parameters, buffers or children, mirrored into the module's `__dict__`.

    Holds its module weakly: a model must be freed when its last name goes, not at the next garbage collection.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner, entries=()):
        super().__init__(entries)
        self._owner = weakref.ref(owner)
        owner.__dict__.update(self)

    def __setitem__(self, name, value):
        super().__setitem__(name, value)
        owner = self._owner()
        if owner is not None:
            owner.__dict__[name] = value

    def __delitem__(self, name):
        super().__delitem__(name)
        owner = self._owner()
        if owner is not None:
            owner.__dict__.pop(name, None)

    def pop(self, name, *default):
        if name not in self:
            return super().pop(name, *default)
        value = self[name]
        del self[name]
        return value

    def popitem(self):
        name = next(reversed(self))
        return name, self.pop(name)

    def clear(self):
        for name in list(self):
            del self[name]

    def setdefault(self, name, default=None):
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *args, **kwargs):
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __ior__(self, other):
        self.update(other)
        return self

    def move_to_end(self, name, last: bool = True):
        """As OrderedDict's: older scripts reorder `_modules` so."""
        value = super().pop(name)
        rest = [] if last else list(self.items())
        if not last:
            super().clear()
        super().__setitem__(name, value)
        super().update(rest)

    def __reduce__(self):
        return dict, (dict(self),)
