// What the kernels of fused attention share: the call as kernels take it, tiles in shared memory, the tensor cores'
// fragments of them, and what is done to a tile of scores.
#pragma once
#include "cuda/attention.h"
#include "cuda/launch.h"
#include "cuda/philox.h"
#include "cuda/prim_async.h"
#include "cuda/storage.h"

namespace fastnn {
namespace cuda {

constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

struct AttentionWork {
  AttentionArgs a;
  AttentionDropout drop;
  float* delta;
  float scale2;     // scale * log2(e): scores are exponents of 2
  bool scale_last;  // the scores stay as the products left them, the scale is folded into the exponent: scale > 0, and
                    // nothing is added to them
  bool seen_whole;  // neither a mask nor dropout
  bool q_vector, k_vector, v_vector, out_vector, dout_vector;  // 16 bytes at once
  bool dq_vector, dk_vector, dv_vector;
};

template <class T>
__device__ __forceinline__ T* attention_at(const AttentionArray& x, int64_t b, int64_t h, int64_t row) {
  return static_cast<T*>(x.p) + b * x.batch + h * x.head + row * x.row;
}

// ---- tiles: rows of D elements, 16 bytes apart more than that, so that neither ldmatrix (eight rows at once) nor the
// copies meet bank conflicts ----
template <class T, int D>
constexpr int kTilePitch = D + 16 / static_cast<int>(sizeof(T));

// Rows row0 .. row0 + kRows of x, zeros beyond `rows` and `width`.
template <class T, int D, int kRows, int kThreads>
__device__ __forceinline__ void fetch_tile(T* tile, const T* x, int64_t stride, int row0, int rows, int width,
                                           bool vector) {
  constexpr int V = 16 / sizeof(T), kChunks = D / V;
#pragma unroll 1
  for (int i = threadIdx.x; i < kRows * kChunks; i += kThreads) {
    const int row = row0 + i / kChunks, column = i % kChunks * V;
    T* to = tile + i / kChunks * kTilePitch<T, D> + column;
    const T* from = x + row * stride + column;
    if (vector) {
      const bool valid = row < rows && column < width;
      cp_async16(to, valid ? from : x, valid);
    } else {
      Pack16<T> v;
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] = row < rows && column + j < width ? from[j] : narrowed<T>(0);
      store16(to, v);
    }
  }
}

// ---- fragments: 16-bit elements as mma.m16n8k16 wants them, float32 as twice m16n8k8, split into two TF32 numbers
// whose products (but the smallest) are added up: 3xTF32. Of float32, k is taken in the order 0, 2, 4, 6, 1, 3, 5, 7,
// so that a thread's sums of one product are its operand of the next; sums do not mind. ----
template <class T>
constexpr int kDepth = sizeof(T) == 2 ? 16 : 8;

struct Tf32Pair {
  uint32_t high, low;
};
__device__ __forceinline__ Tf32Pair split_tf32(float x) {
  // An infinity is all low part: it meets the other operand's high part, which has the operand's own sign, and never
  // its low part, which may be 0 or have the other sign. (Two infinities do not meet: attention has made NaN of their
  // row before.)
  const float near = __uint_as_float(to_tf32(x)), high = fabsf(near) < INFINITY ? near : 0.0f;
  return {__float_as_uint(high), to_tf32(x - high)};
}

template <class T>
struct FragmentA {  // 16 rows by kDepth
  uint32_t r[4];
};
template <>
struct FragmentA<float> {
  uint32_t r[4], low[4];
  __device__ __forceinline__ void set(int i, float x) {
    const Tf32Pair p = split_tf32(x);
    r[i] = p.high, low[i] = p.low;
  }
};
template <class T>
struct FragmentB {  // kDepth by 16 columns
  uint32_t r[4];
};
template <>
struct FragmentB<float> {
  uint32_t r[4], low[4];
  __device__ __forceinline__ void set(int i, float x) {
    const Tf32Pair p = split_tf32(x);
    r[i] = p.high, low[i] = p.low;
  }
};

// Rows row .. row + 16, k from `k` on, of a tile whose rows lie along k.
template <class T, int D>
__device__ __forceinline__ void load_a(FragmentA<T>& a, const T* tile, int row, int k) {
  const int lane = threadIdx.x % 32;
  if constexpr (sizeof(T) == 2) {
    ldmatrix_x4<false>(a.r, tile + (row + lane % 16) * kTilePitch<T, D> + k + lane / 16 * 8);
  } else {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float* at = tile + (row + lane / 4 + i * 8) * kTilePitch<T, D> + k + lane % 4 * 2;
      a.set(i, at[0]);
      a.set(i + 2, at[1]);
    }
  }
}
// Columns n .. n + 16: rows of the tile (kAcross: columns of it, whose rows are k).
template <class T, int D, bool kAcross>
__device__ __forceinline__ void load_b(FragmentB<T>& b, const T* tile, int n, int k) {
  const int lane = threadIdx.x % 32;
  if constexpr (sizeof(T) == 2 && kAcross) {
    ldmatrix_x4<true>(b.r, tile + (k + lane / 8 % 2 * 8 + lane % 8) * kTilePitch<T, D> + n + lane / 16 * 8);
  } else if constexpr (sizeof(T) == 2) {
    ldmatrix_x4<false>(b.r, tile + (n + lane / 16 * 8 + lane % 8) * kTilePitch<T, D> + k + lane / 8 % 2 * 8);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int column = n + lane / 4 + i / 2 * 8, depth = k + lane % 4 * 2 + i % 2;
      b.set(i, kAcross ? tile[depth * kTilePitch<T, D> + column] : tile[column * kTilePitch<T, D> + depth]);
    }
  }
}
// d[0], d[1] += a b: 16 rows by twice eight columns.
template <class T>
__device__ __forceinline__ void multiply(float (&d0)[4], float (&d1)[4], const FragmentA<T>& a, const FragmentB<T>& b) {
  const uint32_t b0[2] = {b.r[0], b.r[1]}, b1[2] = {b.r[2], b.r[3]};
  if constexpr (sizeof(T) == 4) {
    const uint32_t l0[2] = {b.low[0], b.low[1]}, l1[2] = {b.low[2], b.low[3]};
    mma_m16n8<T>(d0, a.low, b0);
    mma_m16n8<T>(d1, a.low, b1);
    mma_m16n8<T>(d0, a.r, l0);
    mma_m16n8<T>(d1, a.r, l1);
  }
  mma_m16n8<T>(d0, a.r, b0);
  mma_m16n8<T>(d1, a.r, b1);
}

template <class T>
__device__ __forceinline__ uint32_t pack_pair(float x, float y) {
#ifdef FASTNN_EMU
  return uint32_t(from_float<T>(x).bits) | uint32_t(from_float<T>(y).bits) << 16;
#else
  uint32_t r;
  if constexpr (std::is_same<T, bf16>::value)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(y), "f"(x));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(y), "f"(x));
  return r;
#endif
}
// Columns k .. k + kDepth of a tile of sums, as the left operand of the next product.
template <class T, int N>
__device__ __forceinline__ void sums_as_a(FragmentA<T>& a, const float (&s)[N][4], int k) {
  if constexpr (sizeof(T) == 2) {
#pragma unroll
    for (int i = 0; i < 4; ++i) a.r[i] = pack_pair<T>(s[k / 8 + i / 2][i % 2 * 2], s[k / 8 + i / 2][i % 2 * 2 + 1]);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) a.set(i, s[k / 8][i % 2 * 2 + i / 2]);
  }
}

// s = the rows `row` .. of x times the rows of y, both of depth D.
template <class T, int D, int M, int N>
__device__ __forceinline__ void scores_of(float (&s)[M][N][4], const T* x, int row, const T* y) {
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) s[m][n][e] = 0;
#pragma unroll 2  // more of them only makes the compiler load operands that it has no registers for
  for (int k = 0; k < D; k += kDepth<T>) {
    FragmentA<T> a[M];
#pragma unroll
    for (int m = 0; m < M; ++m) load_a<T, D>(a[m], x, row + m * 16, k);
#pragma unroll
    for (int n = 0; n < N; n += 2) {
      FragmentB<T> b;
      load_b<T, D, false>(b, y, n * 8, k);
#pragma unroll
      for (int m = 0; m < M; ++m) multiply<T>(s[m][n], s[m][n + 1], a[m], b);
    }
  }
}
// sum += s y: the rows of y are s's columns.
template <class T, int D, int M, int N>
__device__ __forceinline__ void add_product(float (&sum)[M][D / 8][4], const float (&s)[M][N][4], const T* y) {
#pragma unroll
  for (int k = 0; k < N * 8; k += kDepth<T>) {
    FragmentA<T> a[M];
#pragma unroll
    for (int m = 0; m < M; ++m) sums_as_a<T>(a[m], s[m], k);
#pragma unroll
    for (int n = 0; n < D / 8; n += 2) {
      if (sizeof(T) == 4 && n % 4 == 0) __syncwarp();  // keeps loads on their side: there are no registers for more
      FragmentB<T> b;
      load_b<T, D, true>(b, y, n * 8, k);
#pragma unroll
      for (int m = 0; m < M; ++m) multiply<T>(sum[m][n], sum[m][n + 1], a[m], b);
    }
  }
}

// ---- a tile of scores: kKeys says that its rows are keys, its columns queries ----
// Of each score of a tile, at bit (m * N + n) * 4 + e, whether f(i, j) holds. A loop that stays one: masks and dropout
// cost code once, not once a register.
template <bool kKeys, int M, int N, class F>
__device__ __forceinline__ uint64_t score_bits(int row0, int column0, F f) {
  static_assert(M * N <= 16, "more than 64 scores a thread");
  const int lane = threadIdx.x % 32;
  uint64_t bits = 0;
#pragma unroll 1
  for (int at = 0; at < M * N * 4; ++at) {
    const int row = row0 + at / 4 / N * 16 + lane / 4 + at / 2 % 2 * 8;
    const int column = column0 + at / 4 % N * 8 + lane % 4 * 2 + at % 2;
    bits |= uint64_t(f(kKeys ? column : row, kKeys ? row : column)) << at;
  }
  return bits;
}
// x = f(x, its bit).
template <int M, int N, class F>
__device__ __forceinline__ void with_bits(float (&s)[M][N][4], uint64_t bits, F f) {
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) s[m][n][e] = f(s[m][n][e], (bits >> ((m * N + n) * 4 + e) & 1) != 0);
}
// Scaled, the mask added, hidden ones -inf. What is left to multiply them by is work.scale_last ? scale2 : 1.
template <class T, bool kKeys, int M, int N>
__device__ __forceinline__ void finish_scores(float (&s)[M][N][4], const AttentionWork& work, int64_t b, int64_t h,
                                              int row0, int column0) {
  const AttentionArgs& a = work.a;
  const int L = static_cast<int>(a.L), S = static_cast<int>(a.S), lane = threadIdx.x % 32;
  if (!work.scale_last) {
    const float scale2 = work.scale2;
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int n = 0; n < N; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) s[m][n][e] *= scale2;
  }
  if (a.mask_kind == AttentionMask::Additive) {
    const T* mask = static_cast<const T*>(a.mask.p) + b * a.mask.batch + h * a.mask.head;
    const int64_t row_step = kKeys ? a.mask_column : a.mask.row, column_step = kKeys ? a.mask.row : a.mask_column;
    const int rows = kKeys ? S : L, columns = kKeys ? L : S;
#pragma unroll 1  // unrolled, more loads would be begun than there are registers for
    for (int n = 0; n < N; ++n) {
      float value[M][4];
#pragma unroll
      for (int m = 0; m < M; ++m)
#pragma unroll
        for (int e = 0; e < 4; ++e) {  // beyond the ends the last ones are read, whose sums nobody takes
          const int row = min(row0 + m * 16 + lane / 4 + e / 2 * 8, rows - 1);
          const int column = min(column0 + n * 8 + lane % 4 * 2 + e % 2, columns - 1);
          value[m][e] = kLog2e * widened(mask[row * row_step + column * column_step]);
        }
#pragma unroll
      for (int i = 0; i < N; ++i)
        if (i == n) {
#pragma unroll
          for (int m = 0; m < M; ++m)
#pragma unroll
            for (int e = 0; e < 4; ++e) s[m][i][e] += value[m][e];
        }
    }
  }
  auto hide = [](float x, bool hidden) { return hidden ? -INFINITY : x; };
  if (a.mask_kind == AttentionMask::Bool) {
    const uint8_t* mask = static_cast<const uint8_t*>(a.mask.p) + b * a.mask.batch + h * a.mask.head;
    with_bits(s,
              score_bits<kKeys, M, N>(
                  row0, column0,
                  [&](int i, int j) { return mask[min(i, L - 1) * a.mask.row + min(j, S - 1) * a.mask_column] == 0; }),
              hide);
  }
  const int i0 = kKeys ? column0 : row0, j1 = kKeys ? row0 + M * 16 : column0 + N * 8;
  if (j1 > S || (a.causal && j1 - 1 > i0)) {
    const bool causal = a.causal;
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int n = 0; n < N; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int row = row0 + m * 16 + lane / 4 + e / 2 * 8, column = column0 + n * 8 + lane % 4 * 2 + e % 2;
          const int i = kKeys ? column : row, j = kKeys ? row : column;
          if (j >= S || (causal && j > i)) s[m][n][e] = -INFINITY;
        }
  }
}

// The block of Philox that serves score (i, j) of a head.
__host__ __device__ inline int64_t dropout_block(int64_t head, int64_t L, int64_t S, int i, int j) {
  return ((head * ((L + 15) / 16) + i / 16) * ((S + 15) / 16) + j / 16) * 64 + i % 8 * 8 + j % 8;
}
// Which scores of a tile dropout keeps; row0 and column0 are multiples of 16.
template <bool kKeys, int M, int N>
__device__ __forceinline__ uint64_t kept_bits(const AttentionWork& work, int64_t head, int row0, int column0) {
  const AttentionArgs& a = work.a;
  const int L = static_cast<int>(a.L), S = static_cast<int>(a.S), lane = threadIdx.x % 32;
  if (a.kept) {
    const uint8_t* kept = a.kept + head * L * S;
    return score_bits<kKeys, M, N>(row0, column0, [&](int i, int j) {
      return kept[static_cast<int64_t>(min(i, L - 1)) * S + min(j, S - 1)] != 0;
    });
  }
  uint64_t bits = 0;
#pragma unroll 1
  for (int at = 0; at < M * N; ++at) {  // two columns of eight, and one of a thread's two
    const int m = at / N, n = at % N / 2 * 2, e = at % 2;
    const int row = row0 + m * 16 + lane / 4, column = column0 + n * 8 + lane % 4 * 2 + e;
    const Words words = words_of(work.drop.g, dropout_block(head, L, S, kKeys ? column : row, kKeys ? row : column));
#pragma unroll
    for (int k = 0; k < 4; ++k) {  // k / 2: the lower rows, k % 2: the right columns
      const bool kept = words.w[kKeys ? k % 2 * 2 + k / 2 : k] < work.drop.keep;
      bits |= uint64_t(kept) << ((m * N + n + k % 2) * 4 + k / 2 * 2 + e);
    }
  }
  return bits;
}

// The rows of a warp, M * 16 of them, by way of `tile` (its own rows of shared memory) to memory: whole rows are
// written 16 bytes at a time.
template <class T, int D, int M>
__device__ __forceinline__ void store_rows(const float (&sum)[M][D / 8][4], T* tile, T* out, int64_t stride, int rows,
                                           int width, bool vector) {
  constexpr int V = 16 / sizeof(T), kChunks = D / V;
  const int lane = threadIdx.x % 32;
  __syncwarp();
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        tile[(m * 16 + lane / 4 + e / 2 * 8) * kTilePitch<T, D> + n * 8 + lane % 4 * 2 + e % 2] =
            narrowed<T>(sum[m][n][e]);
  __syncwarp();
#pragma unroll 1
  for (int i = lane; i < M * 16 * kChunks; i += 32) {
    const int row = i / kChunks, column = i % kChunks * V;
    if (row >= rows || column >= width) continue;
    const T* from = tile + row * kTilePitch<T, D> + column;
    T* to = out + row * stride + column;
    if (vector) {
      store16(to, load16(from));
    } else {
#pragma unroll 1
      for (int j = 0; j < V; ++j)
        if (column + j < width) to[j] = from[j];
    }
  }
}

// What kernels are given; checks what a launcher can check.
AttentionWork attention_work(const char* fn, const AttentionArgs& a, const AttentionDropout& d, float* delta);
inline int attention_blocks_of(const char* fn, int64_t heads, int64_t tiles) {
  if (heads * tiles > 0x7fffffff) throw std::invalid_argument(std::string(fn) + ": too many tiles");
  return static_cast<int>(heads * tiles);
}
// The rungs of sm_90a (attention_wgmma.cu, attention_backward_wgmma.cu); false: not for these operands, or not on this
// device. Backward: delta is there.
bool attention_wgmma(const AttentionWork& work, Stream stream);
bool attention_backward_wgmma(const AttentionWork& work, Stream stream);
template <class F>
void with_attention_dtype(const char* fn, Dtype d, const F& f) {
  switch (d) {
    case Dtype::F32:
      return f(Type<float>());
    case Dtype::F16:
      return f(Type<f16>());
    case Dtype::BF16:
      return f(Type<bf16>());
    default:
      refuse(fn, d);
  }
}

}  // namespace cuda
}  // namespace fastnn
