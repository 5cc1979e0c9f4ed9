// The order of elements along lines: sorted, the first k of it, or its k-th alone. NaN is the largest of all, -0 equals
// 0, and equal elements keep their order. Independent of the instruction set: what limits these is the number of passes
// over keys that are integers.
#pragma once
#include "kernels.h"

namespace fastnn {

enum class Order : int { Sort, First, Kth };

// x [outer, n, inner], contiguous, n < 2^32, 1 <= k <= n. Sort writes values and indices of [outer, n, inner], First of
// [outer, k, inner] (sorted), Kth of [outer, 1, inner] (k from 1).
struct OrderArgs {
  Dtype dtype;  // F32, F64, I64, Bool
  Order order;
  bool descending;
  int64_t outer, n, inner, k;
  const void* x;
  void* values;
  int64_t* indices;
};
size_t order_workspace(const OrderArgs& a, int threads);
void order_lines(const OrderArgs& a, void* workspace);

}  // namespace fastnn
