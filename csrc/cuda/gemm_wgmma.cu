// The tensor-core rung of sm_90a: bfloat16 and float16 by TMA and wgmma. A persistent block takes tile after tile: a
// producer warpgroup lets TMA fill a ring of stages (64 of k each, 128-byte swizzle), two consumer warpgroups multiply,
// 64 x 256 (or 64 x 128) sums each, and give the stages back; full and empty mbarriers stand between them. While the
// consumers write one tile, the producer already fetches the next. Both operands may be contiguous along k or across
// it: wgmma reads either from shared memory.
#include "cuda/gemm_common.h"
#include "cuda/tensor_map.h"
#include "cuda/wgmma_ring.h"

namespace fastnn {
namespace cuda {
namespace {

// The boxes of 64 rows by 64 of k from (row, k) on.
template <bool kAlongK>
__device__ __forceinline__ void tile_load(unsigned char* to, const TensorMap* map, Mbarrier* full, int boxes, int row,
                                          int k, int z) {
  for (int i = 0; i < boxes; ++i) {
    if (kAlongK)
      tma_load(to + i * kBox, map, full, k, row + i * 64, z);
    else
      tma_load(to + i * kBox, map, full, row + i * 64, k, z);
  }
}

template <class T, int N, bool kAlongA, bool kAlongB>
__global__ void __launch_bounds__(kWgmmaThreads, 1)
    wgmma_kernel(const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b, const GemmProblem p,
                 int tiles_m, int tiles_n) {
#ifdef FASTNN_HAS_WGMMA
  FASTNN_DYNAMIC_SHARED(unsigned char, shared);
  Ring<N> ring(shared);
  int group = threadIdx.x / 128, steps = (p.k + kDeep - 1) / kDeep, tiles = tiles_m * tiles_n;
  int64_t all = int64_t(tiles) * p.batch;
  if (group == 0) {
    registers_give<40>();
    if (threadIdx.x == 0) {
      for (int64_t t = blockIdx.x; t < all; t += gridDim.x) {
        int tm, tn, z = static_cast<int>(t / tiles);
        tile_of(static_cast<int>(t % tiles), tiles_m, tiles_n, &tm, &tn);
        for (int s = 0; s < steps; ++s) {
          unsigned char* to = ring.begin();
          tile_load<kAlongA>(to, &map_a, ring.barrier(), kRows / 64, tm * kRows, s * kDeep, p.a_bs ? z : 0);
          tile_load<kAlongB>(to + ring.a_bytes, &map_b, ring.barrier(), N / 64, tn * N, s * kDeep, p.b_bs ? z : 0);
          ring.next();
        }
      }
    }
  } else {
    registers_take<232>();
    int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;
    for (int64_t t = blockIdx.x; t < all; t += gridDim.x) {
      int tm, tn, z = static_cast<int>(t / tiles);
      tile_of(static_cast<int>(t % tiles), tiles_m, tiles_n, &tm, &tn);
      float sum[N / 2];
      ring.template consume<T, kAlongA, kAlongB>(group, steps, sum);
      // To C by way of a few rows of shared memory of the warp's own, 32 columns at a time: 64 bytes of a row are
      // written at once, and the epilogue's code exists eight times, not once a register.
      T* c = static_cast<T*>(p.c) + z * p.c_bs;
      float* staging = ring.warp_staging(group);
      int row = tm * kRows + (group - 1) * 64 + warp * 16;
#pragma unroll
      for (int i = 0; i < N / 32; ++i) {
        stage_columns(staging, sum, i);
        __syncwarp();
#pragma unroll 1
        for (int at = lane; at < 16 * 16; at += 32) {
          const float* from = staging + at / 16 * kPitch + at % 16 * 2;
          int column = tn * N + i * 32 + at % 16 * 2;
          store_one(p, c, from[0], z, row + at / 16, column);
          store_one(p, c, from[1], z, row + at / 16, column + 1);
        }
        __syncwarp();
      }
    }
  }
#endif
}

// The operand's tensor map, boxes of 64 x 64: along k it is [batch][row][k], else [batch][k][row].
TensorMap operand_map(Dtype dtype, const void* base, bool along_k, int rows, int ks, int64_t row_stride,
                      int64_t k_stride, int64_t batch_stride, int batch) {
  if (batch == 1) batch_stride = 0;
  const uint64_t size[3] = {static_cast<uint64_t>(along_k ? ks : rows), static_cast<uint64_t>(along_k ? rows : ks),
                            static_cast<uint64_t>(batch_stride ? batch : 1)};
  const uint64_t line = static_cast<uint64_t>(along_k ? row_stride : k_stride) * 2;
  return tiled_map("gemm", dtype, base, size,
                   {line, batch_stride ? static_cast<uint64_t>(batch_stride) * 2 : line * size[1]}, {64, 64, 1});
}

template <class T, int N>
void wgmma_run(const GemmProblem& p, Dtype dtype, Stream stream) {
  int tiles_m = (p.m + kRows - 1) / kRows, tiles_n = (p.n + N - 1) / N;
  int64_t all = int64_t(tiles_m) * tiles_n * p.batch, blocks = device_multiprocessors();
  if (int64_t(tiles_m) * tiles_n > 0x7fffffff) throw std::invalid_argument("gemm: too many tiles");
  bool along_a = p.a_cs == 1, along_b = p.b_rs == 1;
  TensorMap a = operand_map(dtype, p.a, along_a, p.m, p.k, p.a_rs, p.a_cs, p.a_bs, p.batch);
  TensorMap b = operand_map(dtype, p.b, along_b, p.n, p.k, p.b_cs, p.b_rs, p.b_bs, p.batch);
  auto go = [&](auto kernel) {
    launch("gemm", kernel, dim3(static_cast<unsigned>(all < blocks ? all : blocks)), dim3(kWgmmaThreads),
           Ring<N>::bytes, stream, a, b, p, tiles_m, tiles_n);
  };
  if (along_a && along_b)
    go(wgmma_kernel<T, N, true, true>);
  else if (along_a)
    go(wgmma_kernel<T, N, true, false>);
  else if (along_b)
    go(wgmma_kernel<T, N, false, true>);
  else
    go(wgmma_kernel<T, N, false, false>);
}

}  // namespace

bool gemm_wgmma(const GemmProblem& p, Dtype dtype, Stream stream) {
  if (dtype != Dtype::BF16 && dtype != Dtype::F16) return false;
  // TMA wants every line to begin at a multiple of 16 bytes; without products there is nothing to fetch.
  auto positive = [](int64_t rs, int64_t cs, int64_t bs) { return rs > 0 && cs > 0 && bs >= 0; };
  if (!p.a_vector || !p.b_vector || p.k == 0 || !positive(p.a_rs, p.a_cs, p.a_bs) || !positive(p.b_rs, p.b_cs, p.b_bs))
    return false;
  // Wide tiles where they still make a wave of the device.
  int64_t wide = int64_t((p.m + 127) / 128) * ((p.n + 255) / 256) * p.batch;
  bool use_wide = wide >= device_multiprocessors() && p.n > 128;
  if (dtype == Dtype::BF16)
    use_wide ? wgmma_run<bf16, 256>(p, dtype, stream) : wgmma_run<bf16, 128>(p, dtype, stream);
  else
    use_wide ? wgmma_run<f16, 256>(p, dtype, stream) : wgmma_run<f16, 128>(p, dtype, stream);
  return true;
}

}  // namespace cuda
}  // namespace fastnn
