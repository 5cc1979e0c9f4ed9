// Reductions over any dimensions of a strided array, in terms of the row and column kernels: how the work is cut, which
// depends on the shape alone, and in which order partial results are combined.
#pragma once
#include "kernels.h"

namespace fastnn {

constexpr int kReduceMaxDims = 32;

struct Reduction {
  Dtype dtype;
  Reduce op;
  const char* x;
  int ndim;
  int64_t shape[kReduceMaxDims], strides[kReduceMaxDims];  // strides in elements
  uint32_t reduced;                                        // bit d: dimension d goes

  int64_t outputs() const;
  int64_t length() const;  // elements that go into one output
};

// out: contiguous, the kept dimensions in order. centre: as many values (SumSquareDiff), else null. False where neither
// side has an inner dimension of stride 1: the caller makes a copy.
bool can_reduce(const Reduction& r);
void reduce(const Reduction& r, const void* centre, void* out);

}  // namespace fastnn
