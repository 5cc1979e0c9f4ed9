"""The names of torch's function namespace beyond the everyday ones, and where those live that are imported late."""

import importlib

# In fastnn.ops under the same name.
FUNCTIONS = """
acosh asinh atanh sgn angle conj conj_physical resolve_conj resolve_neg is_conj is_neg real imag complex polar view_as_real
view_as_complex isreal isposinf isneginf signbit copysign hypot logaddexp logaddexp2 heaviside gcd lcm
nextafter float_power fmax fmin ldexp frexp xlogy rsub cross vdot inner kron tensordot einsum logit sinc lgamma
digamma polygamma mvlgamma i0 igamma igammac vander
cummax cummin logcumsumexp diff trapezoid trapz cumulative_trapezoid gradient quantile nanquantile nanmedian nanmean
mode histc histogram histogramdd cov corrcoef renorm unique_consecutive unravel_index
scatter_reduce index_reduce select_scatter slice_scatter diagonal_scatter as_strided_scatter put
rot90 diagflat tril_indices triu_indices cartesian_prod combinations atleast_3d dstack column_stack block_diag
hsplit vsplit dsplit split_with_sizes unsafe_split broadcast_shapes
hann_window hamming_window blackman_window bartlett_window kaiser_window fill empty_strided empty_permuted
sin_ cos_ tan_ asin_ acos_ atan_ sinh_ cosh_ asinh_ acosh_ atanh_ exp2_ expm1_ log1p_ log2_ log10_ rsqrt_
reciprocal_ square_ floor_ ceil_ round_ trunc_ frac_ erf_ erfc_ clip_ clamp_min_ clamp_max_ nan_to_num_ fill_ zero_
lgamma_ digamma_ sinc_ i0_ xlogy_ ldexp_ index_put_ resize_as_ is_same_size is_nonzero is_signed is_inference
can_cast cdist pdist
deg2rad_ rad2deg_ logit_ gcd_ lcm_ unsafe_split_with_sizes detach
""".split()

# Imported when they are first asked for: (module in fastnn.ops, name there).
LATER = {
    **{n: ("linalg", n) for n in ("det", "slogdet", "matrix_exp")},
    **{
        n: ("linalg_forms", n)
        for n in """
        cholesky cholesky_solve cholesky_inverse triangular_solve matrix_power svd qr logdet pinverse orgqr
        """.split()
    },
    "inverse": ("linalg", "inv"),
    "lu_solve": ("linalg_lu", "lu_solve_old"),
    "lu_unpack": ("linalg_lu", "lu_unpack"),
    "sparse_coo_tensor": ("sparse", "sparse_coo_tensor"),
    "to_sparse": ("sparse", "to_sparse"),
    "to_dense": ("sparse", "to_dense"),
    "hspmm": ("sparse", "mm"),
    "spmm": ("sparse", "mm"),
    "smm": ("sparse", "mm"),
    "sspaddmm": ("sparse", "addmm"),
}
# torch's namespace has some of nn.functional too.
LAYERS = frozenset(
    """
    adaptive_max_pool1d alpha_dropout bilinear binary_cross_entropy_with_logits celu_ channel_shuffle conv3d conv_transpose3d
    cosine_embedding_loss cosine_similarity ctc_loss embedding_bag feature_alpha_dropout hardshrink hinge_embedding_loss
    instance_norm kl_div margin_ranking_loss max_pool3d pairwise_distance pdist pixel_shuffle pixel_unshuffle poisson_nll_loss
    rrelu rrelu_ selu_ threshold_ triplet_margin_loss
    """.split()
)
PACKAGES = ("linalg", "fft", "special", "sparse")


def later(name):
    """The package or function of that name, imported now; AttributeError where there is none."""
    if name in PACKAGES:
        return importlib.import_module(f"fastnn.{name}")
    if name in LATER:
        module, function = LATER[name]
        return getattr(importlib.import_module(f"fastnn.ops.{module}"), function)
    if name in LAYERS:
        found = getattr(importlib.import_module("fastnn.nn.functional"), name, None)
        if found is not None:
            return found
    raise AttributeError(f"module 'fastnn' has no attribute '{name}'")


def method(name):
    """A method that imports its function at the first call."""

    def call(self, *args, **keywords):
        return later(name)(self, *args, **keywords)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"See fastnn.{name}."
    return call
