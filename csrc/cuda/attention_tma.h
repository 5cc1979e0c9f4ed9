// What both directions of fused attention need on sm_90a: heads as TMA counts them, and the descriptors of tiles that
// it has brought.
#pragma once
#include "cuda/attention_common.h"
#include "cuda/tensor_map.h"

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

// Whether these products are for wgmma: 16-bit floats on sm_90, nothing hidden but by causality, no dropout, and q, k,
// v as TMA wants them.
inline bool wgmma_takes(const AttentionWork& work) {
  return (work.a.dtype == Dtype::BF16 || work.a.dtype == Dtype::F16) && work.seen_whole && work.scale_last &&
         work.q_vector && work.k_vector && work.v_vector && device_capability() == 90;
}

// f(type, columns): the dtype's, and 64 or 128 for the widest head, as an integral constant.
template <class F>
void with_wgmma_tile(const AttentionArgs& a, const F& f) {
  const auto with_columns = [&](auto type) {
    if (a.E <= 64 && a.Ev <= 64) return f(type, std::integral_constant<int, 64>());
    f(type, std::integral_constant<int, 128>());
  };
  a.dtype == Dtype::BF16 ? with_columns(Type<bf16>()) : with_columns(Type<f16>());
}

}  // namespace
}  // namespace cuda
}  // namespace fastnn
