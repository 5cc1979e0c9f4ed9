"""Every kernel in NumPy, under the name and signature that all backends share."""

from .array import *  # noqa: F403
from .attention import *  # noqa: F403
from .cdist import *  # noqa: F403
from .complex import *  # noqa: F403
from .conv2d import *  # noqa: F403
from .ctc_loss import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .embedding import *  # noqa: F403
from .fft import *  # noqa: F403
from .fold import *  # noqa: F403
from .gemm import *  # noqa: F403
from .grid_sample import *  # noqa: F403
from .interpolate import *  # noqa: F403
from .layers import *  # noqa: F403
from .linalg import *  # noqa: F403
from .linear_cross_entropy import *  # noqa: F403
from .normalization import *  # noqa: F403
from .optim import *  # noqa: F403
from .optim_more import *  # noqa: F403
from .order import *  # noqa: F403
from .pad import *  # noqa: F403
from .pair_loss import *  # noqa: F403
from .pairs import *  # noqa: F403
from .pool2d import *  # noqa: F403
from .reduce import *  # noqa: F403
from .rejection import *  # noqa: F403
from .rng import *  # noqa: F403
from .rnn import *  # noqa: F403
from .softmax import *  # noqa: F403
from .special import *  # noqa: F403
from .statistics import *  # noqa: F403

name = "numpy"
