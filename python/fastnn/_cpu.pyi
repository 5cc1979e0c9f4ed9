"""
The compiled kernels. Not a public interface: fastnn.backend.cpu_kernels is built on it.
"""

from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing

class Generator:
    def __init__(self, seed: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def bernoulli_(
        self, out: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]], p: typing.SupportsFloat | typing.SupportsIndex
    ) -> bool: ...
    def dropout(
        self, x: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]], p: typing.SupportsFloat | typing.SupportsIndex
    ) -> typing.Any: ...
    def exponential_(
        self, out: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]], rate: typing.SupportsFloat | typing.SupportsIndex
    ) -> bool: ...
    def get_state(self) -> tuple: ...
    def integers_(
        self,
        out: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
        low: typing.SupportsInt | typing.SupportsIndex,
        span: typing.SupportsInt | typing.SupportsIndex,
    ) -> bool: ...
    def manual_seed(self, seed: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def normal_(
        self,
        out: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
        mean: typing.SupportsFloat | typing.SupportsIndex,
        std: typing.SupportsFloat | typing.SupportsIndex,
        serial: bool,
    ) -> bool: ...
    def normals(
        self, n: typing.SupportsInt | typing.SupportsIndex
    ) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
    def randperm(
        self, n: typing.SupportsInt | typing.SupportsIndex
    ) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
    def set_state(
        self,
        seed: typing.SupportsInt | typing.SupportsIndex,
        key: typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
        pos: typing.SupportsInt | typing.SupportsIndex,
        fresh: bool,
        cached: typing.Any,
    ) -> None: ...
    def uniform_(
        self,
        out: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
        low: typing.SupportsFloat | typing.SupportsIndex,
        high: typing.SupportsFloat | typing.SupportsIndex,
    ) -> bool: ...
    def words32(
        self, n: typing.SupportsInt | typing.SupportsIndex
    ) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
    def words64(
        self, n: typing.SupportsInt | typing.SupportsIndex
    ) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
    @property
    def initial_seed(self) -> int: ...

def _cpu_quota(root: str) -> float:
    """
    Processors allowed by the control group whose files lie under root; 0: unlimited.
    """

def _fail_allocation(n: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    The n-th allocation from now fails, once; 0: none.
    """

def _os() -> str:
    """
    Which of the runtime/os_*.cpp this is.
    """

def _parallel_indices(
    n: typing.SupportsInt | typing.SupportsIndex, spins: typing.SupportsInt | typing.SupportsIndex = 0
) -> list[int]:
    """
    Which thread ran each of n chunks; -2 where a nested call ran elsewhere.
    """

def abs(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def absolute_difference(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def absolute_difference_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def adadelta_step(
    params: typing.Any,
    grads: typing.Any,
    square_avgs: typing.Any,
    acc_deltas: typing.Any,
    lr: typing.SupportsFloat | typing.SupportsIndex,
    rho: typing.SupportsFloat | typing.SupportsIndex,
    eps: typing.SupportsFloat | typing.SupportsIndex,
    weight_decay: typing.SupportsFloat | typing.SupportsIndex,
    maximize: bool,
) -> bool: ...
def adagrad_step(
    params: typing.Any,
    grads: typing.Any,
    sums: typing.Any,
    step: typing.SupportsFloat | typing.SupportsIndex,
    lr: typing.SupportsFloat | typing.SupportsIndex,
    lr_decay: typing.SupportsFloat | typing.SupportsIndex,
    weight_decay: typing.SupportsFloat | typing.SupportsIndex,
    eps: typing.SupportsFloat | typing.SupportsIndex,
    maximize: bool,
) -> bool: ...
def adam_step(
    params: typing.Any,
    grads: typing.Any,
    exp_avgs: typing.Any,
    exp_avg_sqs: typing.Any,
    max_exp_avg_sqs: typing.Any,
    step: typing.SupportsFloat | typing.SupportsIndex,
    lr: typing.SupportsFloat | typing.SupportsIndex,
    beta1: typing.SupportsFloat | typing.SupportsIndex,
    beta2: typing.SupportsFloat | typing.SupportsIndex,
    eps: typing.SupportsFloat | typing.SupportsIndex,
    weight_decay: typing.SupportsFloat | typing.SupportsIndex,
    decoupled: bool,
    maximize: bool,
) -> bool: ...
def adaptive_max_pool2d(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def adaptive_max_pool2d_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def add(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def addcdiv(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def addcmul(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def amax(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def amin(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def argmax(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def argmin(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def attention(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.attention.
    """

def attention_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.attention.
    """

def avg_pool2d(
    x: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    kernel: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    stride: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    padding: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: typing.SupportsInt | typing.SupportsIndex | None,
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def avg_pool2d_backward(
    dy: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    x_shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    kernel: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    stride: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    padding: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: typing.SupportsInt | typing.SupportsIndex | None,
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def axpy_(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def batch_norm(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.normalization.
    """

def batch_norm_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.normalization.
    """

def batch_norm_eval(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.normalization.
    """

def bce(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def bce_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def bce_with_logits(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def bce_with_logits_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def bmm(a, b, out=None):
    """
    The products of two batches of matrices.
    """

def cat(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def cdist(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.cdist.
    """

def cdist_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.cdist.
    """

def ceil(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def clamp(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def clamp_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def col2im(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def compiler() -> str:
    """
    The compiler that built this module.
    """

def conv2d(
    x: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    bias: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    stride: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    padding: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    dilation: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    groups: typing.SupportsInt | typing.SupportsIndex,
    act: str = "none",
    variant: str = "auto",
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def conv2d_backward_input(
    dy: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    x_shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    stride: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    padding: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    dilation: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    groups: typing.SupportsInt | typing.SupportsIndex,
    variant: str = "auto",
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def conv2d_backward_weight(
    dy: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    x: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w_shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    stride: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    padding: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    dilation: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    groups: typing.SupportsInt | typing.SupportsIndex,
    variant: str = "auto",
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def conv3d(
    x: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    bias: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    stride: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    padding: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    dilation: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    groups: typing.SupportsInt | typing.SupportsIndex,
    act: str = "none",
    variant: str = "auto",
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def conv3d_backward_input(
    dy: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    x_shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    stride: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    padding: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    dilation: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    groups: typing.SupportsInt | typing.SupportsIndex,
    variant: str = "auto",
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def conv3d_backward_weight(
    dy: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    x: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w_shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    stride: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    padding: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    dilation: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    groups: typing.SupportsInt | typing.SupportsIndex,
    variant: str = "auto",
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def copy(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def counters() -> dict:
    """
    How often each kernel variant has run.
    """

def cross_entropy(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.softmax.
    """

def cross_entropy_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.softmax.
    """

def ctc_loss(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.ctc_loss.
    """

def ctc_loss_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.ctc_loss.
    """

def cumprod(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array and reduce.
    """

def cumsum(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array and reduce.
    """

def cumsum_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array and reduce.
    """

def div(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def dropout_backward(
    dy: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    mask: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    p: typing.SupportsFloat | typing.SupportsIndex,
) -> typing.Any: ...
def elu(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def elu_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def embedding(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.embedding.
    """

def embedding_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.embedding.
    """

def embedding_bag(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.embedding.
    """

def embedding_bag_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.embedding.
    """

def empty(shape, dtype, /):
    """
    An uninitialised C-contiguous array over the caching allocator.
    """

def empty_cache() -> None:
    """
    Give cached memory back to the system.
    """

def eq(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def erf(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def erfc(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def exp(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def exp2(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def expm1(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def flip(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array.
    """

def floor(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def gather(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array and reduce.
    """

def ge(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def gelu(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def gelu_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def gemm(a, b, bias=None, act="none", out=None, accumulate=False):
    """
    act(a @ b + bias), or out += a @ b.
    """

def gemm_counters() -> dict: ...
def gemm_setup(variant: typing.Any, gemm: typing.Any, bmm: typing.Any) -> None:
    """
    The context variable that names the variant, and the twins that take other dtypes and 'blas'.
    """

def get_num_threads() -> int: ...
def grad_norm(grads: typing.Any, p: typing.SupportsFloat | typing.SupportsIndex) -> typing.Any: ...
def grid_sample(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def grid_sample_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def group_norm(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.normalization.
    """

def group_norm_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.normalization.
    """

def gt(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def hardshrink(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def hardsigmoid(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def hardsigmoid_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def hardswish(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def hardswish_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def hardtanh(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def hardtanh_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def huber(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def huber_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def index_pad2d(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def index_pad2d_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def index_select(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array and reduce.
    """

def index_within(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array and reduce.
    """

def isa() -> str:
    """
    The instruction set in use.
    """

def isfinite(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def isinf(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def isnan(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def kthvalue(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.order.
    """

def layer_norm(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.normalization.
    """

def layer_norm_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.normalization.
    """

def le(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def leaky_relu(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def leaky_relu_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def lerp(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def log(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def log10(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def log1p(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def log2(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def log_softmax(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.softmax.
    """

def log_softmax_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.softmax.
    """

def logsigmoid(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def logsigmoid_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def logsumexp(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.softmax.
    """

def loss_sum(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.softmax.
    """

def lt(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def max_dim(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def max_pool2d(
    x: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    kernel: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    stride: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    padding: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    dilation: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    ceil_mode: bool,
) -> tuple: ...
def max_pool2d_backward(
    dy: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    idx: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    x_shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    kernel: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    stride: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    padding: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    dilation: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def max_pool2d_indices(
    idx: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    x_shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    kernel: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    stride: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    padding: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    dilation: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
def maximum(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def mean(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def memory_stats() -> dict:
    """
    Bytes in use, cached and in use at most so far; allocations, and how many of them the cache served.
    """

def min_dim(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def minimum(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def mish(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def mish_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def mul(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def ne(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def neg(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def nonzero(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array.
    """

def norm(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def peak_copy(
    megabytes: typing.SupportsInt | typing.SupportsIndex = 256,
    streaming: bool = False,
    repeats: typing.SupportsInt | typing.SupportsIndex = 10,
) -> float:
    """
    GB/s of a copy, read and written bytes counted.
    """

def peak_fma(
    dtype: str,
    steps: typing.SupportsInt | typing.SupportsIndex = 1000000,
    repeats: typing.SupportsInt | typing.SupportsIndex = 10,
) -> float:
    """
    GFLOP/s of independent multiply-adds on the table and threads in use.
    """

def pow(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def prelu(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def prelu_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def prelu_backward_weight(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def prod(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def reciprocal(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def relu(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def relu_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def reshape(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.
    """

def rmsprop_step(
    params: typing.Any,
    grads: typing.Any,
    square_avgs: typing.Any,
    grad_avgs: typing.Any,
    bufs: typing.Any,
    lr: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    eps: typing.SupportsFloat | typing.SupportsIndex,
    weight_decay: typing.SupportsFloat | typing.SupportsIndex,
    momentum: typing.SupportsFloat | typing.SupportsIndex,
    maximize: bool,
) -> bool: ...
def rnn(
    cell: str,
    gates: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w_hh: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w_hr: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    b_hn: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    h0: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    c0: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    gh: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    sizes: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    reverse: bool,
    keep: bool,
    y: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
) -> tuple: ...
def rnn_backward(
    cell: str,
    gates: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w_hh: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    w_hr: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    y: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    cells: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    hn: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    h0: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    c0: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    dy: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    dh: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    dc: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]] | None,
    sizes: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    reverse: bool,
) -> tuple: ...
def roll(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array.
    """

def round(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def rsqrt(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def scale_(grads: typing.Any, factor: typing.SupportsFloat | typing.SupportsIndex) -> bool: ...
def scatter(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array and reduce.
    """

def scatter_add_zeros(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array and reduce.
    """

def set_isa(name: str) -> None:
    """
    Use another of supported_isas().
    """

def set_num_threads(n: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def sgd_step(
    params: typing.Any,
    grads: typing.Any,
    bufs: typing.Any,
    lr: typing.SupportsFloat | typing.SupportsIndex,
    momentum: typing.SupportsFloat | typing.SupportsIndex,
    dampening: typing.SupportsFloat | typing.SupportsIndex,
    weight_decay: typing.SupportsFloat | typing.SupportsIndex,
    nesterov: bool,
    maximize: bool,
    first_step: bool,
) -> bool: ...
def shrink_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def sigmoid(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def sigmoid_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def sign(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def silu(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def silu_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def softmax(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.softmax.
    """

def softmax_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.softmax.
    """

def softplus(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def softplus_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def softshrink(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def sort(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.order.
    """

def sqrt(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def square(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def squared_difference(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def squared_difference_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def sub(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def sum(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def sum_to(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def supported_isas() -> list[str]:
    """
    Compiled in and supported by this CPU, weakest first.
    """

def tanh(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def tanh_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def threshold(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def threshold_backward(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def topk(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.order.
    """

def triangle(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.array.
    """

def trunc(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """

def var(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.reduce.
    """

def where(*args, **kwargs):
    """
    See fastnn.backend.numpy_kernels.elementwise.
    """
