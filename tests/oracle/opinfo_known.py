"""What the OpInfo comparison leaves out, or gets wrong, and why. Keys are op_db's "name" or "name/variant"."""

LEFT_OUT = {}
for _why, _names in {
    "a kernel or entry point of torch's own, which scripts do not name": """
        _softmax_backward_data native_group_norm native_layer_norm native_batch_norm _native_batch_norm_legit
        _batch_norm_with_update constant_pad_nd _upsample_bilinear2d_aa max_pool2d_with_indices_backward
        torch._scaled_mm_v2 torch._scaled_mm torch.ops.aten._safe_softmax.default
        torch.ops.aten._flash_attention_forward torch.ops.aten._efficient_attention_forward slice _unsafe_masked_index
        _unsafe_masked_index_put_accumulate chalf _chunk_cat native_dropout_backward grid_sampler_2d grid_sampler_3d
        hash_tensor _segment_reduce/lengths _segment_reduce/offsets
    """,
    "the copying twin of a view, for torch's own compiler": """
        expand_copy diagonal_copy alias_copy as_strided_copy narrow_copy view_copy permute_copy split_with_sizes_copy
        unbind_copy unfold_copy squeeze_copy unsqueeze_copy transpose_copy t_copy
    """,
    "not implemented": """
        stft istft sparse.sampled_addmm geqrf lu ormqr svd_lowrank pca_lowrank nonzero_static
          linalg.ldl_factor
        linalg.ldl_factor_ex linalg.ldl_solve
    """,
    "a special function that no script of the ranking uses": """
        special.airy_ai special.bessel_j0 special.bessel_j1 special.bessel_y0 special.bessel_y1
        special.chebyshev_polynomial_t special.chebyshev_polynomial_u special.chebyshev_polynomial_v
        special.chebyshev_polynomial_w special.hermite_polynomial_h special.hermite_polynomial_he
        special.laguerre_polynomial_l special.legendre_polynomial_p special.modified_bessel_i0
        special.modified_bessel_i1 special.modified_bessel_k0 special.modified_bessel_k1
        special.scaled_modified_bessel_k0 special.scaled_modified_bessel_k1 special.shifted_chebyshev_polynomial_t
        special.shifted_chebyshev_polynomial_u special.shifted_chebyshev_polynomial_v
        special.shifted_chebyshev_polynomial_w special.spherical_bessel_j0
    """,
    "torch.signal.windows: no script of the ranking uses it (the *_window functions are there)": """
        signal.windows.hamming signal.windows.hann signal.windows.bartlett signal.windows.blackman
        signal.windows.cosine signal.windows.exponential signal.windows.gaussian signal.windows.kaiser
        signal.windows.general_cosine signal.windows.general_hamming signal.windows.nuttall
    """,
    "torch.masked: a prototype in torch, unused by scripts": """
        masked.sum masked.prod masked.cumsum masked.cumprod masked.amax masked.amin masked.argmax masked.argmin
        masked.mean masked.median masked.norm masked.var masked.std masked.softmax masked.log_softmax masked.softmin
        masked.normalize masked.logaddexp masked.logsumexp
    """,
    "compiles a CUDA kernel": """
        jiterator_unary jiterator_binary jiterator_4inputs_with_extra_args jiterator_binary_return_by_ref
        jiterator_2inputs_2outputs
    """,
}.items():
    LEFT_OUT |= dict.fromkeys(_names.split(), _why)

# key: (samples wrong a dtype at most, why)
WRONG = {
    "cov": (2, "with float32 weights for float64 data a difference of weights cancels: float32's rounding shows"),
    "as_strided_scatter": (
        7,
        "torch's gradient is 0 where the input stays and dy where it is overwritten: the other way round",
    ),
    "nn.functional.batch_norm": (2, "an empty vector is refused"),
}

# key: (error inputs accepted at most, why)
ACCEPTED = {
    "normal/in_place": (1, "normal(): a negative std as third positional argument is read as size"),
    "gather": (1, "`out` of another size is resized where torch finds it overlapping"),
    "cat": (1, "`out` is a view of an input in torch's call; here the two are apart"),
}

# key: {dtype: tolerance}
TOLERANCE = {
    "cov": {"float64": 1e-6},  # float32 weights: their sums are in float32
}
