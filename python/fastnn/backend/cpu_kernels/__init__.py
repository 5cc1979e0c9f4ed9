"""The compiled kernels: each name of numpy_kernels, replaced by the native one where there is one."""

from ..numpy_kernels import *  # noqa: F403
from .array import *  # noqa: F403
from .attention import *  # noqa: F403
from .cdist import *  # noqa: F403
from .conv2d import *  # noqa: F403
from .ctc_loss import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .embedding import *  # noqa: F403
from .gemm import *  # noqa: F403
from .grid_sample import *  # noqa: F403
from .layout import *  # noqa: F403
from .linear_cross_entropy import *  # noqa: F403
from .normalization import *  # noqa: F403
from .optim import *  # noqa: F403
from .order import *  # noqa: F403
from .pool2d import *  # noqa: F403
from .reduce import *  # noqa: F403
from .rng import *  # noqa: F403
from .rnn import *  # noqa: F403
from .softmax import *  # noqa: F403

name = "cpu"
