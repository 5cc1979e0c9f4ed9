// The tensor-core rung by mma.sync, for gemm_mma.cu (bfloat16 and float16 by m16n8k16, float32 rounded to TF32 by
// m16n8k8) and gemm_3xtf32.cu (float32 as a sum of two TF32 numbers). A block of 8 warps computes 128 x 128; K goes by
// 64 bytes through four stages of shared memory that cp.async fills. The tiles keep the operands' own orientation: rows
// of 64 bytes along k, or of 128 elements across it, their 16-byte chunks permuted so that neither ldmatrix, nor loads
// of single floats, nor the copies meet bank conflicts.
#pragma once
#include "cuda/gemm_common.h"
#include "cuda/prim_async.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kMmaTile = 128, kMmaThreads = 256, kMmaStages = 4, kMmaStageBytes = 2 * kMmaTile * 64;

// Where 16-byte chunk `chunk` of row `row` lies in a tile: a row holds four chunks along k, else 128 elements. Across
// k, ldmatrix reads one chunk of eight rows, a load of floats two chunks of four.
template <bool kAlongK, int kChunks>
__device__ __forceinline__ int chunk_at(int row, int chunk) {
  return kAlongK ? row * 64 + ((chunk ^ (row >> 1)) & 3) * 16
                 : row * (kChunks * 16) + (chunk ^ (kChunks == 32 ? (row & 3) * 2 : row & 7)) * 16;
}

// One operand's tile of kMmaTile rows (or columns) by 64 bytes of k, into shared memory.
template <class T, bool kAlongK, bool kElements>
__device__ __forceinline__ void mma_fetch(unsigned char* tile, const T* p, int64_t row_stride, int64_t k_stride,
                                          int row0, int k0, int rows, int ks) {
  constexpr int V = 16 / sizeof(T), kStep = 64 / sizeof(T), kChunks = kMmaTile / V;
#pragma unroll
  for (int i = 0; i < kMmaTile * 4 / kMmaThreads; ++i) {
    int piece = threadIdx.x + i * kMmaThreads;
    int line = kAlongK ? piece / 4 : piece / kChunks, chunk = kAlongK ? piece % 4 : piece % kChunks;
    unsigned char* to = tile + chunk_at<kAlongK, kChunks>(line, chunk);
    int row = row0 + (kAlongK ? line : chunk * V), k = k0 + (kAlongK ? chunk * V : line);
    if constexpr (kElements) {
      Pack16<T> v;
#pragma unroll
      for (int j = 0; j < V; ++j) {
        int r = row + (kAlongK ? 0 : j), c = k + (kAlongK ? j : 0);
        v[j] = r < rows && c < ks ? p[r * row_stride + c * k_stride] : zero<T>();
      }
      store16(reinterpret_cast<T*>(to), v);
    } else {
      bool valid = row < rows && k < ks;
      const T* from = kAlongK ? p + row * row_stride + k : p + k * k_stride + row;
      cp_async16(to, valid ? from : p, valid);
    }
  }
  (void)kStep;
}

// The element (row, k) of a tile of floats that lies across k.
__device__ __forceinline__ uint32_t float_at(const unsigned char* tile, int row, int k) {
  return __float_as_uint(*reinterpret_cast<const float*>(tile + chunk_at<false, 32>(k, row / 4) + row % 4 * 4));
}

// A's 16 x 16 fragment (16 x 8 of floats, as they are) whose first element is (row, k). To ldmatrix a float is two
// elements: its rows of 16 bytes are then the four k of m16n8k8's registers.
template <class T, bool kAlongK>
__device__ __forceinline__ void fragment_a(uint32_t (&a)[4], const unsigned char* tile, int row, int k) {
  constexpr int V = 16 / sizeof(T), kChunks = kMmaTile / V;
  int lane = threadIdx.x % 32;
  if constexpr (kAlongK) {
    ldmatrix_x4<false>(a, tile + chunk_at<true, kChunks>(row + lane % 16, k / V + lane / 16));
  } else if constexpr (std::is_same<T, float>::value) {
#pragma unroll
    for (int i = 0; i < 4; ++i) a[i] = float_at(tile, row + lane / 4 + i % 2 * 8, k + lane % 4 + i / 2 * 4);
  } else {
    ldmatrix_x4<true>(a, tile + chunk_at<false, 16>(k + lane / 16 * 8 + lane % 8, row / 8 + lane / 8 % 2));
  }
}

// B's two fragments of 16 x 8 (8 x 8 of floats) whose first element is (k, column): b[0], b[1] and b[2], b[3].
template <class T, bool kAlongK>
__device__ __forceinline__ void fragment_b(uint32_t (&b)[4], const unsigned char* tile, int column, int k) {
  constexpr int V = 16 / sizeof(T), kChunks = kMmaTile / V;
  int lane = threadIdx.x % 32;
  if constexpr (kAlongK) {
    ldmatrix_x4<false>(b, tile + chunk_at<true, kChunks>(column + lane / 16 * 8 + lane % 8, k / V + lane / 8 % 2));
  } else if constexpr (std::is_same<T, float>::value) {
#pragma unroll
    for (int i = 0; i < 4; ++i) b[i] = float_at(tile, column + lane / 4 + i / 2 * 8, k + lane % 4 + i % 2 * 4);
  } else {
    ldmatrix_x4<true>(b, tile + chunk_at<false, 16>(k + lane / 8 % 2 * 8 + lane % 8, column / 8 + lane / 16));
  }
}

// What float32 becomes on its way into the tensor cores: rounded to TF32, or the sum of two TF32 numbers.
enum class Tf32 { Rounded, Split };

// x becomes hi, the 11 leading bits of x to the nearest, and low = x - hi, exactly; of low the tensor cores take the
// leading 11 bits, so that the two are x to within 2^-22. Two fused multiplications make hi: u = 8193 x rounded has 13
// bits fewer below x's last place, and u - 8192 x is exact. Of x beyond 2^114 u may be infinite, and hi NaN: plain_sum.
__device__ __forceinline__ void split_tf32(uint32_t& x, uint32_t& low) {
  float v = __uint_as_float(x), u = fmaf(v, 8192.0f, v), hi = fmaf(-8192.0f, v, u);
  x = __float_as_uint(hi);
  low = __float_as_uint(v - hi);
}

// One element of the product by float32's own arithmetic, where the tensor cores' sum came out infinite or NaN: as it
// does of infinite and NaN operands, of finite ones beyond 2^114 (their hi is NaN), and of sums that come near
// float32's largest. No finite sum comes of any of these, so that every sum that is finite is right.
__device__ __forceinline__ float plain_sum(const GemmProblem& p, const float* a, const float* b, int row, int column) {
  float sum = 0;
#pragma unroll 1
  for (int k = 0; k < p.k; ++k) sum = fmaf(a[row * p.a_rs + k * p.a_cs], b[column * p.b_cs + k * p.b_rs], sum);
  return sum;
}

template <class T, bool kAlongA, bool kAlongB, bool kElements, Tf32 kTf32>
__global__ void __launch_bounds__(kMmaThreads, 1) mma_kernel(const GemmProblem p, int tiles_m, int tiles_n) {
  constexpr int kStep = 64 / sizeof(T), kDepth = std::is_same<T, float>::value ? 8 : 16;
  constexpr bool kFloat = std::is_same<T, float>::value, kSplit = kFloat && kTf32 == Tf32::Split;
  // Split operands across k, both of them: two steps at once do not fit the registers of sm_120.
  [[maybe_unused]] constexpr int kUnroll = kSplit && !kAlongA && !kAlongB ? 1 : 2;
  FASTNN_DYNAMIC_SHARED(unsigned char, shared);
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int row = warp / 4 * 64, column = warp % 4 * 32;  // the warp's 64 x 32
  int tm, tn;
  tile_of(blockIdx.x, tiles_m, tiles_n, &tm, &tn);
  int steps = (p.k + kStep - 1) / kStep;
  for (int z = blockIdx.y; z < p.batch; z += gridDim.y) {
    const T* a = static_cast<const T*>(p.a) + z * p.a_bs;
    const T* b = static_cast<const T*>(p.b) + z * p.b_bs;
    auto fetch = [&](int s) {
      if (s < steps) {
        unsigned char* stage = shared + s % kMmaStages * kMmaStageBytes;
        mma_fetch<T, kAlongA, kElements>(stage, a, p.a_rs, p.a_cs, tm * kMmaTile, s * kStep, p.m, p.k);
        mma_fetch<T, kAlongB, kElements>(stage + kMmaStageBytes / 2, b, p.b_cs, p.b_rs, tn * kMmaTile, s * kStep, p.n,
                                         p.k);
      }
      cp_async_commit();  // also where there is nothing: the count of groups tells the stages apart
    };
    float sum[4][4][4] = {};
#pragma unroll 1
    for (int s = -(kMmaStages - 1); s < steps; ++s) {
      if (s >= 0) {
        cp_async_wait<kMmaStages - 2>();
        __syncthreads();  // stage s is there for all, and stage s - 1 has been read by all
      }
      fetch(s + kMmaStages - 1);
      if (s < 0) continue;
      const unsigned char* stage = shared + s % kMmaStages * kMmaStageBytes;
#pragma unroll kUnroll
      for (int k = 0; k < kStep; k += kDepth) {
        uint32_t y[2][4], y_low[2][4];
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          fragment_b<T, kAlongB>(y[j], stage + kMmaStageBytes / 2, column + j * 16, k);
#pragma unroll
          for (int l = 0; l < 4; ++l) {
            if constexpr (kSplit)
              split_tf32(y[j][l], y_low[j][l]);
            else if constexpr (kFloat)
              y[j][l] = to_tf32(__uint_as_float(y[j][l]));
          }
        }
        uint32_t x[kSplit ? 1 : 4][4];
        if constexpr (!kSplit) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            fragment_a<T, kAlongA>(x[i], stage, row + i * 16, k);
#pragma unroll
            for (int l = 0; kFloat && l < 4; ++l) x[i][l] = to_tf32(__uint_as_float(x[i][l]));
          }
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if constexpr (kSplit) {
            // Three products, the small terms first, which the tensor cores add up from zero: they cut off what they
            // cannot keep of a sum, so the long sum is float32's own, and its error grows with the root of K.
            uint32_t x_low[4];
            float part[4][4] = {};
            fragment_a<T, kAlongA>(x[0], stage, row + i * 16, k);
#pragma unroll
            for (int l = 0; l < 4; ++l) split_tf32(x[0][l], x_low[l]);
#pragma unroll
            for (int term = 0; term < 3; ++term)
#pragma unroll
              for (int j = 0; j < 4; ++j) {
                const uint32_t (&from)[4] = term == 1 ? y_low[j / 2] : y[j / 2];
                uint32_t pair[2] = {from[j % 2 * 2], from[j % 2 * 2 + 1]};
                mma_m16n8<T>(part[j], term == 0 ? x_low : x[0], pair);
              }
#pragma unroll
            for (int j = 0; j < 4; ++j)
#pragma unroll
              for (int e = 0; e < 4; ++e) sum[i][j][e] += part[j][e];
          } else {
#pragma unroll
            for (int j = 0; j < 4; ++j) {
              uint32_t pair[2] = {y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]};
              mma_m16n8<T>(sum[i][j], x[i], pair);
            }
          }
        }
        (void)y_low;
      }
    }
    cp_async_wait<0>();
    __syncthreads();
    // To C by way of shared memory, 64 rows at a time: whole rows are written, the epilogue's code exists once.
    constexpr int kRowPitch = kMmaTile + 4, V = 16 / sizeof(T);
    float* staging = reinterpret_cast<float*>(shared);
    T* c = static_cast<T*>(p.c) + z * p.c_bs;
#pragma unroll 1
    for (int half = 0; half < 2; ++half) {
      if (warp / 4 == half) {
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e)
              staging[(i * 16 + lane / 4 + e / 2 * 8) * kRowPitch + column + j * 8 + lane % 4 * 2 + e % 2] =
                  sum[i][j][e];
      }
      __syncthreads();
#pragma unroll 1
      for (int at = threadIdx.x; at < 64 * kMmaTile / V; at += kMmaThreads) {
        int r = at / (kMmaTile / V), col = at % (kMmaTile / V) * V;
        float* from = staging + r * kRowPitch + col;
        r += tm * kMmaTile + half * 64;
        col += tn * kMmaTile;
        if constexpr (kSplit) {
#pragma unroll 1
          for (int l = 0; l < V; ++l)
            if (!(fabsf(from[l]) <= 3.402823466e38f) && r < p.m && col + l < p.n)
              from[l] = plain_sum(p, a, b, r, col + l);
        }
        if (sizeof(T) == 2 && p.wide) {
#pragma unroll 1
          for (int l = 0; l < V; ++l) store_one(p, c, from[l], z, r, col + l);
          continue;
        }
        T* to = c + r * p.ldc + col;
        if (p.c_vector && r < p.m && col + V <= p.n) {
          Pack16<T> old, v;
          if (p.accumulate) old = load16(to);
#pragma unroll
          for (int l = 0; l < V; ++l) v[l] = finish<T>(p, from[l], z, r, col + l, &old[l]);
          store16(to, v);
        } else if (r < p.m) {
#pragma unroll 1
          for (int l = 0; l < V; ++l)
            if (col + l < p.n) to[l] = finish<T>(p, from[l], z, r, col + l, to + l);
        }
      }
      __syncthreads();
    }
  }
}

template <class T, Tf32 kTf32 = Tf32::Rounded>
void mma_run(const GemmProblem& p, Stream stream) {
  constexpr int V = 16 / sizeof(T);
  int tiles_m = (p.m + kMmaTile - 1) / kMmaTile, tiles_n = (p.n + kMmaTile - 1) / kMmaTile;
  if (int64_t(tiles_m) * tiles_n > 0x7fffffff) throw std::invalid_argument("gemm: too many tiles");
  dim3 grid(tiles_m * tiles_n, p.batch < 65535 ? p.batch : 65535);
  bool along_a = p.a_cs == 1, along_b = p.b_rs == 1;
  bool whole = p.a_vector && p.b_vector && (along_a ? p.k : p.m) % V == 0 && (along_b ? p.k : p.n) % V == 0;
  auto go = [&](auto kernel) {
    launch("gemm", kernel, grid, dim3(kMmaThreads), kMmaStages * kMmaStageBytes, stream, p, tiles_m, tiles_n);
  };
  if (!whole) {  // one element at a time, along what is contiguous
    if constexpr (std::is_same<T, float>::value) {
      go(mma_kernel<T, true, true, true, kTf32>);  // the rare case's rarest layouts are not worth three more kernels
    } else if (along_a && along_b) {
      go(mma_kernel<T, true, true, true, kTf32>);
    } else if (along_a) {
      go(mma_kernel<T, true, false, true, kTf32>);
    } else if (along_b) {
      go(mma_kernel<T, false, true, true, kTf32>);
    } else {
      go(mma_kernel<T, false, false, true, kTf32>);
    }
  } else if (along_a && along_b) {
    go(mma_kernel<T, true, true, false, kTf32>);
  } else if (along_a) {
    go(mma_kernel<T, true, false, false, kTf32>);
  } else if (along_b) {
    go(mma_kernel<T, false, true, false, kTf32>);
  } else {
    go(mma_kernel<T, false, false, false, kTf32>);
  }
}

}  // namespace
}  // namespace cuda
}  // namespace fastnn
