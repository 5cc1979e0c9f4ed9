// The choice among the rungs of the GEMM ladder, and the first two of them: one product an element by a thread (naive),
// and tiles in shared memory (tiled). Both take any strides, and are what the faster ones are tested against.
#include "cuda/gemm.h"
#include "cuda/gemm_common.h"

namespace fastnn {
namespace cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(256) naive_kernel(const GemmProblem p) {
  int column = blockIdx.x * 16 + threadIdx.x, row = blockIdx.y * 16 + threadIdx.y;
  if (row >= p.m || column >= p.n) return;
  for (int z = blockIdx.z; z < p.batch; z += gridDim.z) {
    const T* a = static_cast<const T*>(p.a) + z * p.a_bs + row * p.a_rs;
    const T* b = static_cast<const T*>(p.b) + z * p.b_bs + column * p.b_cs;
    typename Accumulator<T>::type sum = 0;
    for (int k = 0; k < p.k; ++k) sum += to_acc(a[k * p.a_cs]) * to_acc(b[k * p.b_rs]);
    store_one(p, static_cast<T*>(p.c) + z * p.c_bs, sum, z, row, column);
  }
}

constexpr int kTile = 32;

template <class T>
__global__ void __launch_bounds__(256) tiled_kernel(const GemmProblem p) {
  using Acc = typename Accumulator<T>::type;
  FASTNN_SHARED(as, Acc[kTile][kTile + 1]);
  FASTNN_SHARED(bs, Acc[kTile][kTile + 1]);
  int x = threadIdx.x, y = threadIdx.y;  // 32 x 8
  int row0 = blockIdx.y * kTile, column0 = blockIdx.x * kTile;
  for (int z = blockIdx.z; z < p.batch; z += gridDim.z) {
    const T* a = static_cast<const T*>(p.a) + z * p.a_bs;
    const T* b = static_cast<const T*>(p.b) + z * p.b_bs;
    Acc sum[4] = {0, 0, 0, 0};
    for (int k0 = 0; k0 < p.k; k0 += kTile) {
#pragma unroll
      for (int i = 0; i < kTile; i += 8) {
        // Along whichever direction is contiguous in memory.
        int ar = p.a_cs == 1 ? y + i : x, ak = p.a_cs == 1 ? x : y + i;
        as[ar][ak] = row0 + ar < p.m && k0 + ak < p.k ? to_acc(a[(row0 + ar) * p.a_rs + (k0 + ak) * p.a_cs]) : Acc(0);
        int bk = p.b_cs == 1 ? y + i : x, bc = p.b_cs == 1 ? x : y + i;
        bs[bk][bc] =
            k0 + bk < p.k && column0 + bc < p.n ? to_acc(b[(k0 + bk) * p.b_rs + (column0 + bc) * p.b_cs]) : Acc(0);
      }
      __syncthreads();
#pragma unroll
      for (int k = 0; k < kTile; ++k)
#pragma unroll
        for (int i = 0; i < 4; ++i) sum[i] += as[y + 8 * i][k] * bs[k][x];
      __syncthreads();
    }
    for (int i = 0; i < 4; ++i)
      store_one(p, static_cast<T*>(p.c) + z * p.c_bs, sum[i], z, row0 + y + 8 * i, column0 + x);
  }
}

dim3 grid_of(const GemmProblem& p, int tile) {
  int rows = (p.m + tile - 1) / tile;
  if (rows > 65535) throw std::invalid_argument("gemm: m is " + std::to_string(p.m) + ", too large for this variant");
  return dim3((p.n + tile - 1) / tile, rows, p.batch < 65535 ? p.batch : 65535);
}

// 16 bytes at a time along the contiguous direction, from every row of every batch.
bool vectors(const void* p, int64_t stride0, int64_t stride1, int64_t batch_stride, int64_t batch, int size) {
  int64_t other = stride0 == 1 ? stride1 : stride0;
  return (stride0 == 1 || stride1 == 1) && reinterpret_cast<uintptr_t>(p) % 16 == 0 && other * size % 16 == 0 &&
         (batch <= 1 || batch_stride * size % 16 == 0);
}

}  // namespace

#define FASTNN_GEMM_DISPATCH(kernel, tile, block)                                                        \
  switch (dtype) {                                                                                       \
    case Dtype::F32:                                                                                     \
      return launch("gemm", kernel<float>, grid_of(p, tile), block, 0, stream, p);                       \
    case Dtype::F64:                                                                                     \
      return launch("gemm", kernel<double>, grid_of(p, tile), block, 0, stream, p);                      \
    case Dtype::BF16:                                                                                    \
      return launch("gemm", kernel<bf16>, grid_of(p, tile), block, 0, stream, p);                        \
    case Dtype::F16:                                                                                     \
      return launch("gemm", kernel<f16>, grid_of(p, tile), block, 0, stream, p);                         \
    default:                                                                                             \
      throw std::invalid_argument("gemm: the device multiplies float32, float64, bfloat16 and float16"); \
  }

void gemm_naive(const GemmProblem& p, Dtype dtype, Stream stream) {
  FASTNN_GEMM_DISPATCH(naive_kernel, 16, dim3(16, 16))
}
void gemm_tiled(const GemmProblem& p, Dtype dtype,
                Stream stream){FASTNN_GEMM_DISPATCH(tiled_kernel, kTile, dim3(32, 8))}

GemmProblem problem_of(const GemmArgs& g, const GemmOptions& o) {
  if (g.m > 0x7fffffff || g.n > 0x7fffffff || g.k > 0x7fffffff || g.batch > 0x7fffffff)
    throw std::invalid_argument("gemm: a size is above 2^31");
  int size = size_of(g.dtype);
  GemmProblem p = {};
  p.m = static_cast<int>(g.m);
  p.n = static_cast<int>(g.n);
  p.k = static_cast<int>(g.k < 0 ? 0 : g.k);
  p.batch = static_cast<int>(g.batch < 1 ? 1 : g.batch);
  p.a = g.a, p.b = g.b, p.bias = g.bias, p.c = g.c;
  p.a_rs = g.a_rs, p.a_cs = g.a_cs, p.b_rs = g.b_rs, p.b_cs = g.b_cs, p.ldc = g.ldc;
  p.a_bs = g.a_bs, p.b_bs = g.b_bs, p.c_bs = g.c_bs;
  p.act = g.act;
  p.accumulate = g.accumulate;
  p.bias_rows = o.bias_rows;
  p.wide = o.wide && size == 2;
  if (p.wide && (p.bias || p.accumulate || p.act != GemmAct::None))
    throw std::invalid_argument("gemm: float32 sums of 16-bit operands have no epilogue");
  p.bias_bs = o.bias_bs;
  // A direction of size one has any stride: the one that lets the other be loaded 16 bytes at a time.
  if (p.m == 1 && p.a_cs == 1) p.a_rs = (p.k + 15) / 16 * 16;
  if (p.k == 1 && p.a_rs == 1) p.a_cs = (p.m + 15) / 16 * 16;
  if (p.k == 1 && p.b_cs == 1) p.b_rs = (p.n + 15) / 16 * 16;
  if (p.n == 1 && p.b_rs == 1) p.b_cs = (p.k + 15) / 16 * 16;
  p.a_vector = vectors(g.a, p.a_rs, p.a_cs, p.a_bs, p.batch, size);
  p.b_vector = vectors(g.b, p.b_rs, p.b_cs, p.b_bs, p.batch, size);
  p.c_vector = vectors(g.c, p.ldc, 1, p.c_bs, p.batch, size);
  return p;
}

// The best that the device has.
static void gemm_tensorcore(const GemmProblem& p, Dtype dtype, Stream stream) {
  if (device_capability() == 90 && gemm_wgmma(p, dtype, stream)) return;
  gemm_mma(p, dtype, stream);
}

// Whether three products on tensor cores beat one without them. A block of either has a multiprocessor's whole rate, of
// which the tensor cores' is about twice the other; but its tile is 128 x 128 where that of small products is 64 x 64:
// half of the device must have a tile, and half of the tiles' area be needed. Single elements are fetched too slowly.
static bool tf32x3_pays(const GemmProblem& p) {
  const int64_t tiles = int64_t((p.m + 127) / 128) * ((p.n + 127) / 128) * p.batch;
  const bool whole =
      p.a_vector && p.b_vector && (p.a_cs == 1 ? p.k : p.m) % 4 == 0 && (p.b_rs == 1 ? p.k : p.n) % 4 == 0;
  return whole && p.k >= 32 && 2 * int64_t(p.m) * p.n * p.batch >= tiles * 128 * 128 &&
         2 * tiles >= device_multiprocessors() && device_capability() >= 80;
}

void gemm(const GemmArgs& g, const GemmOptions& o, Stream stream) {
  if (g.m <= 0 || g.n <= 0 || g.batch == 0) return;
  GemmProblem p = problem_of(g, o);
  bool half = g.dtype == Dtype::BF16 || g.dtype == Dtype::F16;
  switch (o.variant) {
    case GemmVariant::Naive:
      return gemm_naive(p, g.dtype, stream);
    case GemmVariant::Tiled:
      return gemm_tiled(p, g.dtype, stream);
    case GemmVariant::Warptiled:
      return gemm_warptiled(p, g.dtype, stream);
    case GemmVariant::Tensorcore:
      if (g.dtype == Dtype::F32 && !o.tf32)
        throw std::invalid_argument("gemm: the variant 'tensorcore' rounds float32 to TF32, which tf32 must allow");
      return gemm_tensorcore(p, g.dtype, stream);
    case GemmVariant::Tf32x3:
      return gemm_3xtf32(p, g.dtype, stream);
    default:
      if (half || (g.dtype == Dtype::F32 && o.tf32)) return gemm_tensorcore(p, g.dtype, stream);
      if (g.dtype == Dtype::F32 && o.variant == GemmVariant::Auto && tf32x3_pays(p))
        return gemm_3xtf32(p, g.dtype, stream);
      return gemm_warptiled(p, g.dtype, stream);
  }
}

}  // namespace cuda
}  // namespace fastnn
