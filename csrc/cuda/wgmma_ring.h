// The ring of stages between TMA and wgmma, for the products of sm_90a (gemm_wgmma.cu, conv2d_wgmma.cu): a producer
// warpgroup's one thread fills stages of 64 of the sum, two consumer warpgroups multiply 64 x N each and give the
// stages back; full and empty mbarriers stand between them. Operands are boxes of 64 lines by 64 with the 128-byte
// swizzle, contiguous along the sum or across it: wgmma reads either.
#pragma once
#include "cuda/prim_async.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kRows = 128, kDeep = 64, kConsumers = 2, kWgmmaThreads = 128 * (1 + kConsumers);
constexpr int kPitch = 36, kStaging = 16 * kPitch;     // floats a warp has for its way out
[[maybe_unused]] constexpr int kBox = 64 * kDeep * 2;  // bytes of a box

// The block's shared memory: the stages, the warps' staging, the barriers.
template <int N>
struct Ring {
  static constexpr int stages = N == 256 ? 4 : 6;
  static constexpr int a_bytes = kRows * kDeep * 2, b_bytes = N * kDeep * 2, stage_bytes = a_bytes + b_bytes;
  static constexpr int staging = stages * stage_bytes, barriers = staging + kConsumers * 4 * kStaging * 4;
  static constexpr int bytes = barriers + 2 * stages * 8;

  unsigned char* shared;
  Mbarrier *full, *empty;
  int stage = 0;
  unsigned phase = 0;

  // All threads of the block.
  __device__ __forceinline__ explicit Ring(unsigned char* memory)
      : shared(memory), full(reinterpret_cast<Mbarrier*>(memory + barriers)), empty(full + stages) {
    if (threadIdx.x == 0) {
      for (int s = 0; s < stages; ++s) {
        mbarrier_init(&full[s], 1);
        mbarrier_init(&empty[s], kConsumers * 4);  // one arrival a warp
      }
      mbarrier_fence_init();
    }
    __syncthreads();
  }

  // The producer: where the next stage's boxes go, A's and a_bytes behind them B's, to be loaded with barrier().
  __device__ __forceinline__ unsigned char* begin() {
    mbarrier_wait(&empty[stage], phase ^ 1);
    mbarrier_arrive_expect(&full[stage], stage_bytes);
    return shared + stage * stage_bytes;
  }
  __device__ __forceinline__ Mbarrier* barrier() { return &full[stage]; }
  __device__ __forceinline__ void next() {
    if (++stage == stages) stage = 0, phase ^= 1;
  }

  // A consumer warpgroup (1 or 2): its 64 x N sums over so many stages; zeros where there are none (and no early
  // return: ptxas would spill).
  template <class T, bool kAlongA, bool kAlongB>
  __device__ __forceinline__ void consume(int group, int steps, float (&sum)[N / 2]) {
    int lane = threadIdx.x % 32, before = 0;
    if (steps == 0) {
#pragma unroll
      for (int i = 0; i < N / 2; ++i) sum[i] = 0;
    }
    for (int s = 0; s < steps; ++s) {
      mbarrier_wait(&full[stage], phase);
      uint32_t at = shared_address(shared + stage * stage_bytes);
      uint64_t a = wgmma_descriptor(at + (group - 1) * kBox, kBox, 1024);
      uint64_t b = wgmma_descriptor(at + a_bytes, kBox, 1024);
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < kDeep / 16; ++k)  // the next 16 of the sum: 32 bytes on, or 16 rows of 128 bytes
        wgmma_m64<T, N, !kAlongA, !kAlongB>(sum, a + k * (kAlongA ? 2 : 128), b + k * (kAlongB ? 2 : 128),
                                            s > 0 || k > 0);
      wgmma_commit();
      if (s > 0) {  // the stage before this one has been read
        wgmma_wait<1>();
        if (lane == 0) mbarrier_arrive(&empty[before]);
      }
      before = stage;
      next();
    }
    wgmma_wait<0>();
    if (steps && lane == 0) mbarrier_arrive(&empty[before]);
  }

  // The warp's floats on the way out: 16 rows of kPitch.
  __device__ __forceinline__ float* warp_staging(int group) {
    return reinterpret_cast<float*>(shared + staging) + ((group - 1) * 4 + threadIdx.x % 128 / 32) * kStaging;
  }
};

// Columns 32 i and on of a warp's sums, 16 rows of 32, into its staging.
template <int N>
__device__ __forceinline__ void stage_columns(float* to, const float (&sum)[N], int i) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int e = 0; e < 16; ++e)
    to[(lane / 4 + e / 2 % 2 * 8) * kPitch + e / 4 * 8 + lane % 4 * 2 + e % 2] = sum[i * 16 + e];
}

}  // namespace
}  // namespace cuda
}  // namespace fastnn
