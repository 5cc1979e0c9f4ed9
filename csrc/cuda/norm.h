// Layer, RMS, group and batch norm. Statistics (mean, biased variance) and the gradients of weight and bias are of the
// compute dtype; weight and bias of dtype, or of the compute dtype (wide).
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

// layer_norm: x [rows, n]; weight, bias [n] or null; mean, var [rows]. centre false (RMS): mean is null, var is the
// mean of squares.
struct LayerNormArgs {
  Dtype dtype;
  bool wide, centre;
  int64_t rows, n;
  const void *x, *weight, *bias;
  double eps;
  void *y, *mean, *var;
  const void* dy;              // backward; mean and var are then read
  void *dx, *dweight, *dbias;  // null: not wanted
};
void layer_norm(const LayerNormArgs& a, Stream stream);
size_t layer_norm_workspace(const LayerNormArgs& a);  // of backward
void layer_norm_backward(const LayerNormArgs& a, void* workspace, Stream stream);

// x [N, C, L]; weight, bias [C] or null. group_norm: statistics [N, groups], of groups of neighbouring channels;
// batch_norm: statistics [C], read where `given`.
struct ChannelNormArgs {
  Dtype dtype;
  bool wide, given;
  int64_t N, C, L, groups;
  const void *x, *weight, *bias;
  double eps;
  void *y, *mean, *var;
  const void* dy;
  void *dx, *dweight, *dbias;
};
void group_norm(const ChannelNormArgs& a, Stream stream);
size_t group_norm_workspace(const ChannelNormArgs& a);  // of backward
void group_norm_backward(const ChannelNormArgs& a, void* workspace, Stream stream);
size_t batch_norm_workspace(const ChannelNormArgs& a);  // of either direction
void batch_norm(const ChannelNormArgs& a, void* workspace, Stream stream);
void batch_norm_backward(const ChannelNormArgs& a, void* workspace, Stream stream);

}  // namespace cuda
}  // namespace fastnn
