// The row kernel that layer norm and group norm share.
#pragma once
#include "cuda/rows.h"

namespace fastnn {
namespace cuda {

// y = (x - mean) rstd w + b over rows of n. channels 0: w and b have n elements. Else row i is group i % groups, of
// that many channels, each of spread.d elements, and w and b one a channel of all groups.
struct NormRows {
  int64_t rows, n, groups, channels;
  FastDiv spread;
  const void *x, *weight, *bias;
  double eps;
  bool wide, centre, block, cached;
  void *y, *mean, *var;
};
void norm_rows(Dtype dtype, NormRows r, Stream stream);

}  // namespace cuda
}  // namespace fastnn
