// What both directions of fused attention need on sm_90a: heads as TMA counts them, and the descriptors of tiles that
// it has brought.
#pragma once
#include "cuda/attention_common.h"
#include "cuda/tensor_map.h"

#if defined(FASTNN_EMU) || (defined(__CUDA_ARCH_FEAT_SM90_ALL))
#define FASTNN_HAS_WGMMA 1
#endif

namespace fastnn {
namespace cuda {
namespace {

// How heads are numbered for TMA, which takes three dimensions: head h of batch b is slab b * batch + h * head of
// `stride` elements, of `slabs`.
struct Slabs {
  int64_t stride, slabs;
  int batch, head;
};

// False: batches and heads are no multiples of one stride.
inline bool slabs_of(const AttentionArray& x, int64_t B, int64_t heads, Slabs* s) {
  const int64_t batch = B > 1 ? x.batch : 0, head = heads > 1 ? x.head : 0;
  if (batch < 0 || head < 0 || x.row <= 0) return false;
  int64_t unit = head && batch ? (batch < head ? batch : head) : head + batch;
  if (!unit) unit = 8;  // one slab alone
  if (batch % unit || head % unit) return false;
  s->stride = unit;
  const int64_t last = (B - 1) * (batch / unit) + (heads - 1) * (head / unit);
  s->slabs = last + 1;
  s->batch = static_cast<int>(batch / unit), s->head = static_cast<int>(head / unit);
  return last < 0x7fffffff;
}

// Boxes of `box` rows by 64 columns.
inline TensorMap slab_map(const char* fn, Dtype dtype, const AttentionArray& x, const Slabs& s, int64_t rows,
                          int64_t width, uint32_t box) {
  return tiled_map(fn, dtype, x.p,
                   {static_cast<uint64_t>(width), static_cast<uint64_t>(rows), static_cast<uint64_t>(s.slabs)},
                   {static_cast<uint64_t>(x.row) * 2, static_cast<uint64_t>(s.stride) * 2}, {64, box, 1});
}

}  // namespace
}  // namespace cuda
}  // namespace fastnn
