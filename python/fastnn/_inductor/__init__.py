"""The name of torch's code generator, for its settings: nothing is generated here."""

from . import config

__all__ = ["config"]
