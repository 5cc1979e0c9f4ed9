// The tensor-core rung of sm_90a: bfloat16 and float16 by TMA and wgmma. A persistent block takes tile after tile: a
// producer warpgroup lets TMA fill a ring of stages (64 of k each, 128-byte swizzle), two consumer warpgroups multiply,
// 64 x 256 (or 64 x 128) sums each, and give the stages back; full and empty mbarriers stand between them. While the
// consumers write one tile, the producer already fetches the next. Both operands may be contiguous along k or across
// it: wgmma reads either from shared memory.
#include "cuda/gemm_common.h"
#include "cuda/prim_async.h"
#ifndef FASTNN_EMU
#include <cudaTypedefs.h>
#endif

namespace fastnn {
namespace cuda {
namespace {

constexpr int kRows = 128, kDeep = 64, kConsumers = 2, kWgmmaThreads = 128 * (1 + kConsumers);
constexpr int kPitch = 36, kStaging = 16 * kPitch;  // floats a warp has for its way to C
[[maybe_unused]] constexpr int kBox =
    64 * kDeep * 2;  // bytes of a box of 64 rows (or columns) by 64 of k, either way round

template <int N>
struct Ring {
  static constexpr int stages = N == 256 ? 4 : 6;
  static constexpr int a_bytes = kRows * kDeep * 2, b_bytes = N * kDeep * 2, stage_bytes = a_bytes + b_bytes;
  static constexpr int staging = stages * stage_bytes, barriers = staging + kConsumers * 4 * kStaging * 4;
  static constexpr int bytes = barriers + 2 * stages * 8;
};

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

#if defined(FASTNN_EMU) || (defined(__CUDA_ARCH_FEAT_SM90_ALL))
#define FASTNN_HAS_WGMMA 1
#endif

template <class T, int N, bool kAlongA, bool kAlongB>
__global__ void __launch_bounds__(kWgmmaThreads, 1)
    wgmma_kernel(const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b, const GemmProblem p,
                 int tiles_m, int tiles_n) {
#ifdef FASTNN_HAS_WGMMA
  using R = Ring<N>;
  FASTNN_DYNAMIC_SHARED(unsigned char, shared);
  Mbarrier* full = reinterpret_cast<Mbarrier*>(shared + R::barriers);
  Mbarrier* empty = full + R::stages;
  int group = threadIdx.x / 128;
  if (threadIdx.x == 0) {
    for (int s = 0; s < R::stages; ++s) {
      mbarrier_init(&full[s], 1);
      mbarrier_init(&empty[s], kConsumers * 4);  // one arrival a warp
    }
    mbarrier_fence_init();
  }
  __syncthreads();
  int steps = (p.k + kDeep - 1) / kDeep, tiles = tiles_m * tiles_n;
  int64_t all = int64_t(tiles) * p.batch;
  int stage = 0;
  unsigned phase = 0;
  if (group == 0) {
    registers_give<40>();
    if (threadIdx.x == 0) {
      for (int64_t t = blockIdx.x; t < all; t += gridDim.x) {
        int tm, tn, z = static_cast<int>(t / tiles);
        tile_of(static_cast<int>(t % tiles), tiles_m, tiles_n, &tm, &tn);
        for (int s = 0; s < steps; ++s) {
          mbarrier_wait(&empty[stage], phase ^ 1);
          unsigned char* to = shared + stage * R::stage_bytes;
          mbarrier_arrive_expect(&full[stage], R::stage_bytes);
          tile_load<kAlongA>(to, &map_a, &full[stage], kRows / 64, tm * kRows, s * kDeep, p.a_bs ? z : 0);
          tile_load<kAlongB>(to + R::a_bytes, &map_b, &full[stage], N / 64, tn * N, s * kDeep, p.b_bs ? z : 0);
          if (++stage == R::stages) stage = 0, phase ^= 1;
        }
      }
    }
  } else {
    registers_take<232>();
    int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;
    for (int64_t t = blockIdx.x; t < all; t += gridDim.x) {
      int tm, tn, z = static_cast<int>(t / tiles), before = 0;
      tile_of(static_cast<int>(t % tiles), tiles_m, tiles_n, &tm, &tn);
      float sum[N / 2];
      for (int s = 0; s < steps; ++s) {
        mbarrier_wait(&full[stage], phase);
        uint32_t at = shared_address(shared + stage * R::stage_bytes);
        uint64_t a = wgmma_descriptor(at + (group - 1) * kBox, kBox, 1024);
        uint64_t b = wgmma_descriptor(at + R::a_bytes, kBox, 1024);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < kDeep / 16; ++k)  // the next 16 of k: 32 bytes on, or 16 rows of 128 bytes
          wgmma_m64<T, N, !kAlongA, !kAlongB>(sum, a + k * (kAlongA ? 2 : 128), b + k * (kAlongB ? 2 : 128),
                                              s > 0 || k > 0);
        wgmma_commit();
        if (s > 0) {  // the stage before this one has been read
          wgmma_wait<1>();
          if (lane == 0) mbarrier_arrive(&empty[before]);
        }
        before = stage;
        if (++stage == R::stages) stage = 0, phase ^= 1;
      }
      wgmma_wait<0>();
      if (lane == 0) mbarrier_arrive(&empty[before]);
      // To C by way of a few rows of shared memory of the warp's own, 32 columns at a time: 64 bytes of a row are
      // written at once, and the epilogue's code exists eight times, not once a register.
      T* c = static_cast<T*>(p.c) + z * p.c_bs;
      float* staging = reinterpret_cast<float*>(shared + R::staging) + (group - 1) * 4 * kStaging + warp * kStaging;
      int row = tm * kRows + (group - 1) * 64 + warp * 16;
#pragma unroll
      for (int i = 0; i < N / 32; ++i) {
#pragma unroll
        for (int e = 0; e < 16; ++e)
          staging[(lane / 4 + e / 2 % 2 * 8) * kPitch + e / 4 * 8 + lane % 4 * 2 + e % 2] = sum[i * 16 + e];
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

// Encodes the operand's tensor map, boxes of 64 x 64: along k it is [batch][row][k], else [batch][k][row].
template <class T>
TensorMap tensor_map(const void* base, bool along_k, int rows, int ks, int64_t row_stride, int64_t k_stride,
                     int64_t batch_stride, int batch) {
  if (batch == 1) batch_stride = 0;
  uint64_t size[3] = {static_cast<uint64_t>(along_k ? ks : rows), static_cast<uint64_t>(along_k ? rows : ks),
                      static_cast<uint64_t>(batch_stride ? batch : 1)};
  uint64_t line = static_cast<uint64_t>(along_k ? row_stride : k_stride) * 2;
  uint64_t slab = batch_stride ? static_cast<uint64_t>(batch_stride) * 2 : line * size[1];
  // What the driver would refuse, with less to read in its answer.
  if (reinterpret_cast<uintptr_t>(base) % 16 || line % 16 || slab % 16 || line >> 40 || slab >> 40)
    throw std::invalid_argument("gemm: an address or stride that TMA does not take");
#ifdef FASTNN_EMU
  TensorMap m = {};
  m.base = base;
  m.element = 2;
  m.swizzle = 128;
  for (int i = 0; i < 3; ++i) m.size[i] = size[i];
  m.stride[0] = 2, m.stride[1] = line, m.stride[2] = slab;
  m.box[0] = m.box[1] = 64, m.box[2] = 1;
  return m;
#else
  static PFN_cuTensorMapEncodeTiled_v12000 encode = [] {
    void* f = nullptr;
    cudaDriverEntryPointQueryResult found;
    check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &f, 12000, cudaEnableDefault, &found), "gemm");
    if (!f) throw std::runtime_error("gemm: the driver has no cuTensorMapEncodeTiled");
    return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(f);
  }();
  TensorMap m;
  cuuint64_t strides[2] = {line, slab};
  cuuint32_t box[3] = {64, 64, 1}, step[3] = {1, 1, 1};
  cuuint64_t sizes[3] = {size[0], size[1], size[2]};
  CUresult r =
      encode(&m, std::is_same<T, bf16>::value ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 3,
             const_cast<void*>(base), sizes, strides, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (r != CUDA_SUCCESS) throw std::runtime_error("gemm: the driver refuses a tensor map, error " + std::to_string(r));
  return m;
#endif
}

template <class T, int N>
void wgmma_run(const GemmProblem& p, Stream stream) {
  int tiles_m = (p.m + kRows - 1) / kRows, tiles_n = (p.n + N - 1) / N;
  int64_t all = int64_t(tiles_m) * tiles_n * p.batch, blocks = device_multiprocessors();
  if (int64_t(tiles_m) * tiles_n > 0x7fffffff) throw std::invalid_argument("gemm: too many tiles");
  bool along_a = p.a_cs == 1, along_b = p.b_rs == 1;
  TensorMap a = tensor_map<T>(p.a, along_a, p.m, p.k, p.a_rs, p.a_cs, p.a_bs, p.batch);
  TensorMap b = tensor_map<T>(p.b, along_b, p.n, p.k, p.b_cs, p.b_rs, p.b_bs, p.batch);
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
    use_wide ? wgmma_run<bf16, 256>(p, stream) : wgmma_run<bf16, 128>(p, stream);
  else
    use_wide ? wgmma_run<f16, 256>(p, stream) : wgmma_run<f16, 128>(p, stream);
  return true;
}

}  // namespace cuda
}  // namespace fastnn
