// How a reduction's dimensions are read and cut: by the host, from the shape alone.
#pragma once
#include "cuda/strides.h"

namespace fastnn {
namespace cuda {

// The dimensions that stay and those that go, merged; sort: the latter in the order of memory.
struct ReducePlan {
  Layout<1> kept, gone;
  int64_t outputs, length;
  bool empty;
};
inline ReducePlan plan_of(int ndim, const int64_t* shape, const int64_t* stride, uint32_t reduced, bool sort) {
  int64_t size[2][kDims], step[2][kDims];
  int n[2] = {0, 0};
  if (ndim > kDims) throw std::invalid_argument("reduce: more than 16 dimensions");
  for (int d = 0; d < ndim; ++d) {
    const int k = reduced >> d & 1;
    size[k][n[k]] = shape[d];
    step[k][n[k]++] = stride[d];
  }
  ReducePlan p{Layout<1>(n[0], size[0]), Layout<1>(n[1], size[1]), 1, 1, false};
  p.kept.set(0, step[0]);
  p.gone.set(0, step[1]);
  p.outputs = p.kept.count();
  p.length = p.gone.count();
  p.empty = p.outputs == 0;
  p.kept.drop_ones();
  p.kept.merge();
  p.gone.drop_ones();
  if (sort) p.gone.sort();
  p.gone.merge();
  return p;
}
inline int64_t inner_stride(const Layout<1>& l) {
  if (l.ndim == 0) return INT64_MAX;
  int64_t least = INT64_MAX;
  for (int d = 0; d < l.ndim; ++d) {
    const int64_t s = l.stride[0][d] < 0 ? -l.stride[0][d] : l.stride[0][d];
    if (s && s < least) least = s;
  }
  return least;
}
inline bool by_rows(const ReducePlan& p) { return p.kept.ndim == 0 || inner_stride(p.gone) <= inner_stride(p.kept); }

// How many parts: enough blocks for a large device, none with less than a few thousand elements.
constexpr int64_t kBlocksWanted = 1056, kLeastPart = 4096, kMostParts = 512;
inline uint32_t cut_into(int64_t blocks, int64_t length, int64_t least) {
  int64_t parts = (kBlocksWanted + blocks - 1) / blocks;
  if (parts > length / least) parts = length / least;
  if (parts > kMostParts) parts = kMostParts;
  return static_cast<uint32_t>(parts < 1 ? 1 : parts);
}

}  // namespace cuda
}  // namespace fastnn
