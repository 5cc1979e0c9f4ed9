// Tiles of shared memory for convolutions: rows of 64 bytes along the sum, or, across it, rows of kWidth elements;
// their 16-byte chunks permuted so that neither the copies nor the reads meet bank conflicts. Fragments for mma.sync,
// and registers for FFMA.
#pragma once
#include "cuda/gemm_common.h"
#include "cuda/prim_async.h"

namespace fastnn {
namespace cuda {
namespace {

// Where 16-byte chunk `chunk` of row `row` lies.
template <bool kAlong, int kRowBytes>
__device__ __forceinline__ int conv_chunk(int row, int chunk) {
  return kAlong ? row * 64 + ((chunk ^ (row >> 1)) & 3) * 16 : row * kRowBytes + (chunk ^ (row & 7)) * 16;
}

// The element (line, k) of a tile of floats, rounded to TF32.
template <bool kAlong, int kWidth>
__device__ __forceinline__ uint32_t conv_tf32(const unsigned char* tile, int line, int k) {
  int row = kAlong ? line : k, along = kAlong ? k : line;
  return to_tf32(
      *reinterpret_cast<const float*>(tile + conv_chunk<kAlong, kWidth * 4>(row, along / 4) + along % 4 * 4));
}

// A's 16 x 16 fragment (16 x 8 of tf32) whose first element is (line, k).
template <class T, bool kAlong, int kWidth>
__device__ __forceinline__ void conv_fragment_a(uint32_t (&a)[4], const unsigned char* tile, int line, int k) {
  int lane = threadIdx.x % 32;
  if constexpr (std::is_same<T, float>::value) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      a[i] = conv_tf32<kAlong, kWidth>(tile, line + lane / 4 + i % 2 * 8, k + lane % 4 + i / 2 * 4);
  } else if constexpr (kAlong) {
    ldmatrix_x4<false>(a, tile + conv_chunk<true, 64>(line + lane % 16, k / 8 + lane / 16));
  } else {
    ldmatrix_x4<true>(a, tile + conv_chunk<false, kWidth * 2>(k + lane / 16 * 8 + lane % 8, line / 8 + lane / 8 % 2));
  }
}

// B's two fragments of 16 x 8 (8 x 8 of tf32) whose first element is (k, line): b[0], b[1] and b[2], b[3].
template <class T, bool kAlong, int kWidth>
__device__ __forceinline__ void conv_fragment_b(uint32_t (&b)[4], const unsigned char* tile, int line, int k) {
  int lane = threadIdx.x % 32;
  if constexpr (std::is_same<T, float>::value) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      b[i] = conv_tf32<kAlong, kWidth>(tile, line + lane / 4 + i / 2 * 8, k + lane % 4 + i % 2 * 4);
  } else if constexpr (kAlong) {
    ldmatrix_x4<false>(b, tile + conv_chunk<true, 64>(line + lane / 16 * 8 + lane % 8, k / 8 + lane / 8 % 2));
  } else {
    ldmatrix_x4<true>(b, tile + conv_chunk<false, kWidth * 2>(k + lane / 8 % 2 * 8 + lane % 8, line / 8 + lane / 16));
  }
}

// For FFMA: thread `t` of 16 has kWidth / 16 lines, t + 16 i along the sum, four neighbours of every 64 across it;
// either way the 16 threads of a quarter of a tile's reads touch different banks.
template <bool kAlong>
__device__ __forceinline__ int conv_line(int t, int i) {
  return kAlong ? t + 16 * i : i / 4 * 64 + t * 4 + i % 4;
}
// Its lines' elements at k, k + 1, k + 2, k + 3.
template <bool kAlong, int kWidth>
__device__ __forceinline__ void conv_lines(float (&v)[4][kWidth / 16], const unsigned char* tile, int t, int k) {
  if constexpr (kAlong) {
#pragma unroll
    for (int i = 0; i < kWidth / 16; ++i) {
      Pack16<float> x = load16(reinterpret_cast<const float*>(tile + conv_chunk<true, 64>(t + 16 * i, k / 4)));
#pragma unroll
      for (int e = 0; e < 4; ++e) v[e][i] = x[e];
    }
  } else {
#pragma unroll
    for (int e = 0; e < 4; ++e)
#pragma unroll
      for (int i = 0; i < kWidth / 64; ++i) {
        Pack16<float> x =
            load16(reinterpret_cast<const float*>(tile + conv_chunk<false, kWidth * 4>(k + e, i * 16 + t)));
#pragma unroll
        for (int l = 0; l < 4; ++l) v[e][i * 4 + l] = x[l];
      }
  }
}

// A number of three digits (the last below `lows`, the middle one below `mids`) that grows by constant steps without
// divisions: a tap's row, column and channel; an image, its row and column.
struct Place {
  int high, mid, low;
};
__device__ __forceinline__ Place place_of(int i, int mids, int lows) {
  int upper = i / lows;
  return {upper / mids, upper % mids, i % lows};
}
__device__ __forceinline__ void advance(Place& a, const Place& step, int mids, int lows) {
  a.low += step.low;
  a.mid += step.mid;
  a.high += step.high;
  if (a.low >= lows) a.low -= lows, ++a.mid;
  if (a.mid >= mids) a.mid -= mids, ++a.high;
}

}  // namespace
}  // namespace cuda
}  // namespace fastnn
