// Elementwise loops over any strides: dimensions coalesced, rows that are not contiguous gathered through small
// buffers, the whole cut into chunks by size alone. Independent of the instruction set: the loops themselves are the
// kernels'.
#pragma once
#include "kernels.h"
#include "runtime/thread_pool.h"

namespace fastnn {

constexpr int kMaxDims = 32;
constexpr int kMaxOperands = 4;

// Operand 0 is the result. Strides in bytes; after coalesce() the last dimension is the inner loop.
struct StridedLoop {
  int ndim, operands;
  int64_t shape[kMaxDims];
  char* data[kMaxOperands];
  int64_t strides[kMaxOperands][kMaxDims];
  int itemsize[kMaxOperands];
  ElementwiseFn fn;
  double p[2];
  bool stream;  // results go past the caches

  // Order of the dimensions as in memory of operand `leader`, then merged wherever all operands allow.
  void sort_by(int leader, int* order);
  void coalesce();
  // Elements [begin, end) in the order of the dimensions.
  void run(int64_t begin, int64_t end) const;
  // Sixteen rows of the last two dimensions, for operands that are contiguous along the other one.
  void run_tiles(int64_t block) const;
  bool transposed(int k) const {
    return ndim > 1 && strides[k][ndim - 2] == itemsize[k] && strides[k][ndim - 1] != itemsize[k] &&
           strides[k][ndim - 1] != 0;
  }
  // All of it, about `grain` elements a chunk.
  void run_parallel(int64_t grain) const;
  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < ndim; ++i) n *= shape[i];
    return n;
  }
};

}  // namespace fastnn
