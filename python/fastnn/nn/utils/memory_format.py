"""torch's requests for channels-last weights: layouts are a matter of the kernels here, so the module stays as it is."""


def convert_conv2d_weight_memory_format(module, memory_format):
    """Returns the module unchanged."""
    return module


def convert_conv3d_weight_memory_format(module, memory_format):
    """Returns the module unchanged."""
    return module
