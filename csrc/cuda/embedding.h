// Rows of a table, sums of rows, and gathering along a dimension. Nothing here uses atomics: gradients are sums over
// look-ups that the caller has sorted by row, in the order of the look-ups.
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

// out[i] = w[index[i]], i < count, rows of `width`; a row of NaN (0 of integers) for an id outside [0, rows).
struct EmbeddingArgs {
  Dtype dtype;
  int64_t rows, width, count;
  const void* w;
  const int64_t* index;
  void* out;
};
void embedding(const EmbeddingArgs& a, Stream stream);

// out[r] = sum over the look-ups i = order[k], start[r] <= k < start[r + 1], of factor[i] dy[source[i]]; 0 for none.
// order null: i = k; source null: i; factor (of dtype) null: 1. Serves embedding's backward, index_add and, with width
// 1, scatter_add. accumulate: is added to out.
struct SegmentSumArgs {
  Dtype dtype;  // floating, or I64
  int64_t segments, width;
  const void* dy;
  const int64_t *order, *start, *source;
  const void* factor;
  void* out;
  bool accumulate;
};
void segment_sum(const SegmentSumArgs& a, Stream stream);

// order: the look-ups 0 .. n - 1 sorted by id, those of one id in their order. Each compares its id with all others,
// from shared memory: 1e9 steps for n = 32768, some 100 us of an H200's 1e13 a second (132 x 128 lanes, a load and
// three operations each). It does not wait for the stream, as library sorts do, and so can be recorded.
void stable_order(const int64_t* ids, int64_t n, int64_t* order, Stream stream);

// out[b] = sum, mean or largest of factor[i] w[index[i]] over start[b] <= i < start[b + 1] but index[i] == padding;
// Bag::Max also writes chosen [bags, width], the look-up that gave each value (-1: none).
struct EmbeddingBagArgs {
  Dtype dtype;
  Bag bag;
  int64_t rows, width, bags, padding;  // padding -1: none
  const void* w;
  const int64_t *index, *start;
  const void* factor;
  void* out;
  int64_t* chosen;
};
void embedding_bag(const EmbeddingBagArgs& a, Stream stream);

// gather: out[i, j, k] = x[i, index[i, j, k], k] for x [outer, n, inner] and index, out [outer, m, inner], contiguous.
// scatter: out[i, index[i, j, k], k] = x[i, j, k], out [outer, n, inner]; of places named twice any one value stays.
// Of ids outside [0, n): gather gives NaN (0 of integers), scatter writes nothing.
struct GatherArgs {
  Dtype dtype;
  int64_t outer, n, inner, m;
  const void* x;
  const int64_t* index;
  void* out;
};
void gather(const GatherArgs& a, Stream stream);
void scatter(const GatherArgs& a, Stream stream);

}  // namespace cuda
}  // namespace fastnn
