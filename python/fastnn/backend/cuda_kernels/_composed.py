"""The NumPy twins' sources once more, as functions of device arrays: loaded under another package's name, with the array
library's functions for NumPy's. Whatever has no kernel of its own runs so, on the device."""

import importlib.util
import os
import sys

from .. import numpy_kernels as twins
from ._numpy import DeviceNumpy, as_strided, ndarray

_NAME = "fastnn.backend.cuda_composed"


def _load():
    folder = os.path.dirname(twins.__file__)
    spec = importlib.util.spec_from_file_location(_NAME, twins.__file__, submodule_search_locations=[folder])
    package = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = package
    spec.loader.exec_module(package)
    on_device = DeviceNumpy()
    for name, module in list(sys.modules.items()):
        if name.startswith(_NAME + "."):
            module.np = on_device
            if hasattr(module, "ndarray"):
                module.ndarray = ndarray
            if hasattr(module, "as_strided"):
                module.as_strided = as_strided
    return package


package = _load()


def module(name):
    """The composed twin of numpy_kernels/<name>.py (the package's attributes of these names are functions)."""
    return sys.modules[f"{_NAME}.{name}"]


module("array")._REDUCING.update(
    {name: getattr(module("array").np, f) for name, f in
     {"sum": "add", "mean": "add", "prod": "multiply", "amax": "maximum", "amin": "minimum"}.items()}
)  # fmt: skip
# The twins' own table calls math.erf on every element.
module("gemm")._ACTS["gelu"] = module("elementwise").gelu
