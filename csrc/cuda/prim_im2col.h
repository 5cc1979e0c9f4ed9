// TMA's im2col mode, with the two bodies of prim.h: a column of pixels of a tensor [N, H, W, C], some channels of each,
// to consecutive rows of shared memory. The pixels go along W, H and N inside a bounding box: from the map's lower
// corner to the tensor's size - 1 plus its upper corner, by the map's steps; (w, h, n) is the first. What is read lies
// offset_w, offset_h further on; zeros where that leaves the tensor.
#pragma once
#include "cuda/prim_async.h"

#ifdef FASTNN_EMU
namespace fastnn {
namespace emu {
struct Im2colMap {
  const void* base;
  int element, swizzle;
  uint64_t size[4], stride[4];  // C, W, H, N; stride in bytes, [0] is the element's
  int lower[2], upper[2];       // W, H
  uint32_t channels, pixels, step[2];
};
void tensor_load_im2col(void* shared, const Im2colMap* map, uint64_t* barrier, int c, int w, int h, int n, int offset_w,
                        int offset_h, Where where);
}  // namespace emu
}  // namespace fastnn
#endif

namespace fastnn {
namespace cuda {

#ifdef FASTNN_EMU
using Im2colMap = emu::Im2colMap;
inline void tma_load_im2col(void* shared, const Im2colMap* map, Mbarrier* barrier, int c, int w, int h, int n,
                            int offset_w, int offset_h, FASTNN_EMU_PLACE) {
  emu::tensor_load_im2col(shared, map, barrier, c, w, h, n, offset_w, offset_h, FASTNN_EMU_HERE);
}
#else
using Im2colMap = CUtensorMap;
__device__ __forceinline__ void tma_load_im2col(void* shared, const Im2colMap* map, Mbarrier* barrier, int c, int w,
                                                int h, int n, int offset_w, int offset_h) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(shared_address(shared)),
      "l"(reinterpret_cast<uint64_t>(map)), "r"(shared_address(barrier)), "r"(c), "r"(w), "r"(h), "r"(n),
      "h"(static_cast<uint16_t>(offset_w)), "h"(static_cast<uint16_t>(offset_h))
      : "memory");
}
#endif

}  // namespace cuda
}  // namespace fastnn
