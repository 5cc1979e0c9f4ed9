"""The operations of fastnn.ops under torch.nn.functional's names: the same functions, not wrapped."""

from fastnn import ops as _ops

__all__ = """
linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
max_pool1d max_pool2d avg_pool1d avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d
adaptive_max_pool2d max_pool3d avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d lp_pool1d lp_pool2d lp_pool3d
max_unpool1d max_unpool2d max_unpool3d fractional_max_pool2d fractional_max_pool3d
max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices
fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices
pad pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle fold interpolate upsample upsample_nearest
upsample_bilinear grid_sample affine_grid
sigmoid tanh relu relu_ relu6 leaky_relu prelu elu selu celu silu gelu softplus softsign hardtanh hardsigmoid hardswish
mish rrelu logsigmoid tanhshrink softshrink hardshrink threshold glu softmax softmin log_softmax gumbel_softmax
leaky_relu_ elu_ celu_ selu_ hardtanh_ threshold_ rrelu_
mse_loss l1_loss smooth_l1_loss huber_loss cross_entropy linear_cross_entropy nll_loss binary_cross_entropy
binary_cross_entropy_with_logits
kl_div ctc_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss
hinge_embedding_loss soft_margin_loss margin_ranking_loss cosine_embedding_loss
triplet_margin_loss triplet_margin_with_distance_loss
poisson_nll_loss gaussian_nll_loss cosine_similarity pairwise_distance pdist
dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout
scaled_dot_product_attention multi_head_attention_forward
batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm normalize embedding embedding_bag
one_hot
""".split()
globals().update({_name: getattr(_ops, _name) for _name in __all__})
__all__ += ["unfold"]
unfold = _ops.im2col  # torch.unfold is another function: windows of a tensor, as a view


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """fastnn.softmax; dim may be left out, which torch still allows here, with a warning."""
    return _ops.softmax(input, dim, dtype, _stacklevel=_stacklevel)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """fastnn.log_softmax; dim may be left out, which torch still allows here, with a warning."""
    return _ops.log_softmax(input, dim, dtype, _stacklevel=_stacklevel)
