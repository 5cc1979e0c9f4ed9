"""fastnn: neural networks on hand-written kernels, under torch's names.

    import fastnn as torch

The namespace is torch's: tensors and their functions here, layers in fastnn.nn, optimizers in fastnn.optim, data in
fastnn.utils.data. `show_config()` tells what it runs on; `kernels(gemm="tiled")` swaps a kernel for a named variant.
"""

import math as _math

from . import (
    _methods,  # noqa: I001  (hangs the ops on Tensor: before anything uses one)
    autograd,
    backend,
    ops,
    random,
)
from ._config import config, empty_cache, get_num_threads, memory_stats, set_num_threads, show_config
from ._device import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    get_default_device,
    layout,
    memory_format,
    preserve_format,
    set_default_device,
    sparse_coo,
)
from ._functions import FUNCTIONS, later
from ._legacy import TYPES, set_default_tensor_type
from ._tensor_str import set_printoptions
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .backend.variants import kernels
from .dtypes import (
    bfloat16,
    complex64,
    complex128,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from .dtypes import bool_ as bool  # noqa: A004
from .random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .tensor import Size, Tensor, device, strided

__version__ = "0.1.0"

double, half, long, int, short, float = float64, float16, int64, int32, int16, float32  # noqa: A001
pi, e, inf, nan, newaxis = _math.pi, _math.e, _math.inf, _math.nan, None

_FUNCTIONS = """
add sub mul div floor_divide remainder fmod pow maximum minimum atan2 where lerp addcmul addcdiv
eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor
bitwise_left_shift bitwise_right_shift
neg abs sign exp expm1 exp2 log log1p log2 log10 sqrt rsqrt reciprocal square sin cos tan asin acos atan sinh cosh tanh
sigmoid erf erfc erfinv floor ceil round trunc frac isnan isinf isfinite logical_not bitwise_not positive deg2rad rad2deg
clamp clip clamp_min clamp_max nan_to_num
neg_ abs_ exp_ log_ sqrt_ sigmoid_ tanh_ relu_ clamp_
relu prelu celu selu dropout threshold softmax log_softmax
sum mean prod amax amin max min argmax argmin any all var std var_mean std_mean norm logsumexp cumsum cumprod median
count_nonzero nansum dist aminmax
reshape flatten ravel unflatten squeeze unsqueeze permute transpose swapaxes swapdims t adjoint movedim moveaxis
broadcast_to broadcast_tensors tile repeat_interleave narrow select split chunk tensor_split unbind clone
flip fliplr flipud roll tril triu diagonal diag diag_embed trace meshgrid as_strided atleast_1d atleast_2d
cat concat concatenate stack hstack vstack row_stack
index_select gather scatter scatter_add index_add index_copy index_fill index_put take take_along_dim
masked_fill masked_select masked_scatter nonzero argwhere sort argsort msort topk kthvalue unique bincount searchsorted
bucketize isin
mm bmm matmul dot mv outer ger addmm addmv baddbmm addbmm addr chain_matmul
zeros ones empty full zeros_like ones_like empty_like full_like eye arange linspace logspace
tensor as_tensor asarray from_numpy frombuffer from_dlpack scalar_tensor
rand randn randint randperm rand_like randn_like randint_like normal bernoulli multinomial
equal isclose allclose is_tensor numel is_floating_point is_complex result_type
conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d max_pool1d max_pool2d avg_pool1d adaptive_avg_pool1d
cudnn_convolution_relu cudnn_convolution_add_relu
layer_norm batch_norm group_norm rms_norm embedding
lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell
""".split()
_FUNCTIONS += FUNCTIONS
for _name in _FUNCTIONS:
    globals()[_name] = getattr(ops, _name)
absolute, subtract, multiply, divide, true_divide, negative = (
    getattr(ops, n) for n in ("abs", "sub", "mul", "div", "div", "neg")
)
greater, greater_equal, less, less_equal, not_equal = (getattr(ops, n) for n in ("gt", "ge", "lt", "le", "ne"))
arccos, arcsin, arctan, arctan2, fix = (getattr(ops, n) for n in ("acos", "asin", "atan", "atan2", "trunc"))
arccosh, arcsinh, arctanh = ops.acosh, ops.asinh, ops.atanh
range, unsafe_chunk = ops.range_inclusive, ops.chunk  # noqa: A001
cfloat, cdouble = complex64, complex128
globals().update(TYPES)


# Parts that are not needed by every import: modules, and names that lie in one.
_MODULES = frozenset(
    """
_dynamo _inductor accelerator amp backends compiler cuda datasets distributed distributions func functional graph hub jit keras
models mps multiprocessing nn onnx optim profiler safetensors serialization testing text tf types utils version vision xpu
""".split()
)
_LAZY = {
    "GradScaler": "amp",
    "autocast": "amp",
    "compile": "compiler",
    "load": "serialization",
    "save": "serialization",
    "_standard_gamma": "ops.sampling",
    "binomial": "ops.sampling",
    "poisson": "ops.sampling",
    "are_deterministic_algorithms_enabled": "_settings",
    "get_float32_matmul_precision": "_settings",
    "get_num_interop_threads": "_settings",
    "is_anomaly_enabled": "autograd.anomaly_mode",
    "is_autocast_enabled": "_settings",
    "is_storage": "_settings",
    "set_flush_denormal": "_settings",
    "set_warn_always": "_settings",
    "typename": "_settings",
    "vmap": "func",
    "is_deterministic_algorithms_warn_only_enabled": "_settings",
    "set_deterministic_debug_mode": "_settings",
    "get_deterministic_debug_mode": "_settings",
    "set_float32_matmul_precision": "_settings",
    "set_num_interop_threads": "_settings",
    "use_deterministic_algorithms": "_settings",
}


def __getattr__(name):
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _LAZY:
        value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        return value
    return later(name)


__all__ = [  # noqa: PLE0604
    *_FUNCTIONS,
    "Generator",
    "Size",
    "Tensor",
    "autograd",
    "backend",
    "bfloat16",
    "bool",
    "complex128",
    "complex64",
    "config",
    "default_generator",
    "device",
    "dtype",
    "empty_cache",
    "enable_grad",
    "finfo",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "get_num_threads",
    "get_rng_state",
    "iinfo",
    "inference_mode",
    "initial_seed",
    "int16",
    "int32",
    "int64",
    "int8",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "kernels",
    "load",
    "manual_seed",
    "memory_stats",
    "nn",
    "no_grad",
    "optim",
    "promote_types",
    "random",
    "save",
    "seed",
    "set_default_dtype",
    "set_grad_enabled",
    "set_num_threads",
    "set_printoptions",
    "set_rng_state",
    "show_config",
    "strided",
    "uint8",
    "utils",
]
