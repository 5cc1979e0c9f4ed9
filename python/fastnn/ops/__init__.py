"""Every operation on Tensors: one file an op or family, forward and backward rule side by side.

Under create_graph this module stands in for a backend: rules call its functions by the kernels' names.
"""

# isort: off
from .elementwise import *  # noqa: F403
from .ternary import *  # noqa: F403
from .shape import *  # noqa: F403
from .join import *  # noqa: F403
from .arrange import *  # noqa: F403
from .cast import *  # noqa: F403
from .index import *  # noqa: F403
from .gather import *  # noqa: F403
from .sort import *  # noqa: F403
from .create import *  # noqa: F403
from .random import *  # noqa: F403
from .unary import *  # noqa: F403
from .activation import *  # noqa: F403
from .reduce import *  # noqa: F403
from .spread import *  # noqa: F403
from .matmul import *  # noqa: F403
from .linear import *  # noqa: F403
from .conv2d import *  # noqa: F403
from .conv2d_fused import *  # noqa: F403
from .conv_transpose2d import *  # noqa: F403
from .pool2d import *  # noqa: F403
from .pool3d import *  # noqa: F403
from .other_pool import *  # noqa: F403
from .pad import *  # noqa: F403
from .pixel_shuffle import *  # noqa: F403
from .fold import *  # noqa: F403
from .interpolate import *  # noqa: F403
from .grid_sample import *  # noqa: F403
from .softmax import *  # noqa: F403
from .cross_entropy import *  # noqa: F403
from .linear_cross_entropy import *  # noqa: F403
from .loss import *  # noqa: F403
from .margin_loss import *  # noqa: F403
from .ctc_loss import *  # noqa: F403
from .dropout import *  # noqa: F403
from .embedding import *  # noqa: F403
from .normalization import *  # noqa: F403
from .attention import *  # noqa: F403
from .multi_head_attention import *  # noqa: F403
from .rnn import *  # noqa: F403
from .compare import *  # noqa: F403
from .complex import *  # noqa: F403
from .pairs import *  # noqa: F403
from .scan import *  # noqa: F403
from .scatter_reduce import *  # noqa: F403
from .special import *  # noqa: F403
from .statistics import *  # noqa: F403
from .einsum import *  # noqa: F403
from .distance import *  # noqa: F403
from .window import *  # noqa: F403
from .inplace import *  # noqa: F403
from ._common import view_read, view_write, result_dtype as result_type  # noqa: F401

# What the gradients of rarely used packages call: imported with those.
_LATER = (
    {"coo_mm": "sparse"}
    | {n: "fft" for n in ("fft_c2c", "fft_c2r", "fft_r2c")}
    | {
        n: "linalg"
        for n in ("cholesky_solve_matrix", "cofactors", "inv", "matrix_exp", "solve_matrix", "triangular_solve_matrix")
    }
)


def __getattr__(name):
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
