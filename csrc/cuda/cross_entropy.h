// Cross-entropy from logits [rows, classes], contiguous, and class ids; forward may write the gradient in the same
// pass.
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

enum class Reduction : int { None, Mean, Sum };

// loss_i = (1 - s) w[t] (lse - x[t]) + s / C sum_c w[c] (lse - x[c]), 0 where t is ignore_index. A target outside
// [0, classes) cannot raise here: its loss and gradient are NaN.
struct CrossEntropyArgs {
  Dtype dtype;
  Reduction reduction;
  const void* logits;
  const int64_t* target;
  const void* weight;  // [classes] of dtype, or null
  int64_t rows, classes, ignore_index;
  double smoothing;
  void* lse;          // [rows], compute dtype: written by forward, read by backward
  void* losses;       // [rows], compute dtype: written by forward; with Reduction::None it is the loss
  void* loss;         // Mean, Sum: one value of the compute dtype
  void* total;        // one value of the compute dtype: what Mean divides by; written by forward, read by backward
  void* dlogits;      // of dtype. forward: the gradient for dloss = 1, or null; backward: written
  const void* dloss;  // backward: of dtype, one value, or (Reduction::None) one a row
};
// Bytes that forward and backward need.
size_t cross_entropy_workspace(const CrossEntropyArgs& a);
void cross_entropy(const CrossEntropyArgs& a, void* workspace, Stream stream);
void cross_entropy_backward(const CrossEntropyArgs& a, void* workspace, Stream stream);

// dlogits[rows, classes] *= dloss (as above, Mean: already divided), in place; where dloss is 1 nothing is touched.
void cross_entropy_scale(const CrossEntropyArgs& a, Stream stream);

}  // namespace cuda
}  // namespace fastnn
