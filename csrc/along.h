// Elements found through an index along one dimension, and running totals along one. Independent of the instruction
// set: what limits these is the memory, and the sums' own order.
#pragma once
#include "strided.h"

namespace fastnn {

enum class Along : int { Read, Write, Add, Mul, Max, Min };

// For every position p of the index: Read: other[p] = x[q], else x[q] op= other[p], where q is p with its coordinate
// along the dimension replaced by index[p]. Strides in bytes; x's along that dimension is 0 here and `step` instead.
// Max and Min keep a NaN. Read and Write take any dtype by its size.
struct AlongArgs {
  Along op;
  Dtype dtype;
  int ndim;
  int64_t shape[kMaxDims], index_strides[kMaxDims], x_strides[kMaxDims], other_strides[kMaxDims];
  const char* index;  // int64
  char* x;
  char* other;
  int64_t n, step;  // x's size and stride along the dimension
};
// False where an index lies outside [0, n): then some elements are left as they were.
bool along(AlongArgs a);
// Whether all of an int64 index is in [0, n). Strides in bytes.
bool index_within(const char* index, int ndim, const int64_t* shape, const int64_t* strides, int64_t n);

// out[i] = x[0] + ... + x[i] (or the products) along n of [outer, n, inner], contiguous; floats of 4 bytes are
// accumulated in 8, bytes as int64. reverse: from the last to i.
struct ScanArgs {
  Dtype dtype;
  bool product, reverse;
  int64_t outer, n, inner;
  const void* x;
  void* out;
};
void scan(const ScanArgs& a);

}  // namespace fastnn
