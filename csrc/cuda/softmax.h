// Softmax along n of [rows, n, inner], contiguous. Rows with a NaN, with +inf or of -inf alone are NaN throughout.
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

// exp(x) / sum exp(x), x - log sum exp(x), y (dy - sum dy y), dy - exp(y) sum dy
struct SoftmaxArgs {
  Dtype dtype;
  Softmax op;         // fastnn::Softmax: Forward, LogForward, Backward, LogBackward
  const void *a, *b;  // forward: a = x; backward: a = dy, b = forward's result
  void* out;
  int64_t rows, n, inner;
};
void softmax(const SoftmaxArgs& a, Stream stream);

// out[rows, inner] = log sum exp; a row of -inf gives -inf, one with +inf gives +inf. (op, b are not read.)
void logsumexp(const SoftmaxArgs& a, Stream stream);

}  // namespace cuda
}  // namespace fastnn
