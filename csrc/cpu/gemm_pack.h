// Packing functors of gemm_core.h for operands in memory, and the in-lane shuffles that transpose on the way.
#pragma once
#include "cpu/gemm_core.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// A register as 16-byte lanes of L elements. zip_lo / zip_hi interleave the lower / upper half of each lane of a and b:
// {a0, b0, a1, b1} and {a2, b2, a3, b3}; zip2_* do the same with pairs: {a0, a1, b0, b1} and {a2, a3, b2, b3}.
#if defined(__AVX512F__)
#define FASTNN_ZIP(name, T, reg, instr) \
  FASTNN_INLINE Vec<T> name(Vec<T> a, Vec<T> b) { return (Vec<T>::V)_mm512_##instr((reg)a.v, (reg)b.v); }
FASTNN_ZIP(zip_lo, float, __m512, unpacklo_ps)
FASTNN_ZIP(zip_hi, float, __m512, unpackhi_ps)
FASTNN_ZIP(zip2_lo, float, __m512d, unpacklo_pd)
FASTNN_ZIP(zip2_hi, float, __m512d, unpackhi_pd)
FASTNN_ZIP(zip_lo, double, __m512d, unpacklo_pd)
FASTNN_ZIP(zip_hi, double, __m512d, unpackhi_pd)
#elif defined(__AVX2__)
#define FASTNN_ZIP(name, T, reg, instr) \
  FASTNN_INLINE Vec<T> name(Vec<T> a, Vec<T> b) { return (Vec<T>::V)_mm256_##instr((reg)a.v, (reg)b.v); }
FASTNN_ZIP(zip_lo, float, __m256, unpacklo_ps)
FASTNN_ZIP(zip_hi, float, __m256, unpackhi_ps)
FASTNN_ZIP(zip2_lo, float, __m256d, unpacklo_pd)
FASTNN_ZIP(zip2_hi, float, __m256d, unpackhi_pd)
FASTNN_ZIP(zip_lo, double, __m256d, unpacklo_pd)
FASTNN_ZIP(zip_hi, double, __m256d, unpackhi_pd)
#else
#define FASTNN_ZIP(name, T, ...) \
  FASTNN_INLINE Vec<T> name(Vec<T> a, Vec<T> b) { return __builtin_shuffle(a.v, b.v, Vec<T>::I{__VA_ARGS__}); }
FASTNN_ZIP(zip_lo, float, 0, 4, 1, 5)
FASTNN_ZIP(zip_hi, float, 2, 6, 3, 7)
FASTNN_ZIP(zip2_lo, float, 0, 1, 4, 5)
FASTNN_ZIP(zip2_hi, float, 2, 3, 6, 7)
FASTNN_ZIP(zip_lo, double, 0, 2)
FASTNN_ZIP(zip_hi, double, 1, 3)
#endif
#undef FASTNN_ZIP

// The register whose lane q is the L elements at rows[q * step].
template <class T>
FASTNN_INLINE Vec<T> load_lanes(const T* const* rows, int step, int64_t k) {
  (void)step;
#if defined(__AVX512F__)
  auto lane = [&](int q) __attribute__((always_inline)) { return _mm_loadu_ps((const float*)(rows[q * step] + k)); };
  // Masked broadcasts from memory: a load and a blend, where an insert would be a load and a shuffle.
  __m512 r = _mm512_broadcast_f32x4(lane(0));
  r = _mm512_mask_broadcast_f32x4(r, 0x00f0, lane(1));
  r = _mm512_mask_broadcast_f32x4(r, 0x0f00, lane(2));
  return (typename Vec<T>::V)_mm512_mask_broadcast_f32x4(r, 0xf000, lane(3));
#elif defined(__AVX2__)
  auto lane = [&](int q) __attribute__((always_inline)) { return _mm_loadu_ps((const float*)(rows[q * step] + k)); };
  return (typename Vec<T>::V)_mm256_insertf128_ps(_mm256_castps128_ps256(lane(0)), lane(1), 1);
#else
  return Vec<T>::load(rows[0] + k);
#endif
}

// out[t * w + c] = rows[c][k + t] for c < W, t < L: W rows by one 16-byte lane. Loading whole lanes puts each element
// into its final lane, so only the transposition within lanes is left.
FASTNN_INLINE void transpose_lane(const float* const* rows, int64_t k, float* out, int64_t w) {
  const Vec<float> r0 = load_lanes(rows, 4, k), r1 = load_lanes(rows + 1, 4, k), r2 = load_lanes(rows + 2, 4, k),
                   r3 = load_lanes(rows + 3, 4, k);
  const Vec<float> a = zip_lo(r0, r1), b = zip_lo(r2, r3), c = zip_hi(r0, r1), d = zip_hi(r2, r3);
  zip2_lo(a, b).store(out);
  zip2_hi(a, b).store(out + w);
  zip2_lo(c, d).store(out + 2 * w);
  zip2_hi(c, d).store(out + 3 * w);
}
FASTNN_INLINE void transpose_lane(const double* const* rows, int64_t k, double* out, int64_t w) {
  const Vec<double> r0 = load_lanes(rows, 2, k), r1 = load_lanes(rows + 1, 2, k);
  zip_lo(r0, r1).store(out);
  zip_hi(r0, r1).store(out + w);
}

// B[k, j] at p[k * ld + j] -> panel.
template <class T>
struct PackBRows {
  static constexpr bool kPacks = true;
  const T* p;
  int64_t ld;
  void operator()(T* panel, int64_t j0, int cols, int64_t k0, int64_t kc) const {
    constexpr int W = Vec<T>::size;
    const int full = cols / W, tail = cols % W;
    const T* src = p + k0 * ld + j0;
    for (int64_t k = 0; k < kc; k++, src += ld) {
      for (int v = 0; v < full; v++, panel += W) Vec<T>::load(src + v * W).store(panel);
      if (tail) {
        Vec<T>::load(src + full * W, tail).store(panel);
        panel += W;
      }
    }
  }
};

// dst[k * ldd + c] = src[c * lds + k] for k < n, c < cols; 0 for cols <= c < the next multiple of W, all of which is
// written. W rows of src are read side by side, 16 bytes of each at a time; where their distance would put them into
// the same few sets of L1, they go through a small buffer, whole lines at a time.
template <class T>
FASTNN_INLINE void transpose(const T* src, int64_t lds, int64_t n, int cols, T* dst, int64_t ldd) {
  constexpr int W = Vec<T>::size, L = 16 / static_cast<int>(sizeof(T)), kStrip = 256 / static_cast<int>(sizeof(T));
  constexpr int kPitch = kStrip + L;
  const bool collide = lds * static_cast<int64_t>(sizeof(T)) % 2048 == 0;
  alignas(64) T strip[W * kPitch];
  for (int c0 = 0; c0 < cols; c0 += W) {
    const int live = cols - c0 < W ? cols - c0 : W;
    const bool staged = collide || live < W;
    if (live < W) __builtin_memset(strip, 0, sizeof strip);
    for (int64_t k0 = 0; k0 < n; k0 += staged ? kStrip : n) {
      const int64_t len = staged ? min_i(kStrip, n - k0) : n;
      const T* rows[W];
      for (int c = 0; c < W; c++) rows[c] = staged ? strip + c * kPitch : src + (c0 + c) * lds;
      if (staged)
        for (int c = 0; c < live; c++)
          __builtin_memcpy(strip + c * kPitch, src + (c0 + c) * lds + k0, static_cast<size_t>(len) * sizeof(T));
      T* out = dst + k0 * ldd + c0;
      int64_t k = 0;
      for (; k + L <= len; k += L) transpose_lane(rows, k, out + k * ldd, ldd);
      for (; k < len; k++)
        for (int c = 0; c < W; c++) out[k * ldd + c] = rows[c][k];
    }
  }
}

// B[k, j] at p[j * ld + k] (torch's Linear weight) -> panel: transposed.
template <class T>
struct PackBColumns {
  static constexpr bool kPacks = true;
  const T* p;
  int64_t ld;
  void operator()(T* panel, int64_t j0, int cols, int64_t k0, int64_t kc) const {
    transpose(p + j0 * ld + k0, ld, kc, cols, panel, round_up(cols, Vec<T>::size));
  }
};

// A[i, k] at p[i * ld + k] -> row panel: rows are copied as they are.
template <class T>
struct PackARows {
  static constexpr bool kPacks = true, kRowPanel = true;
  const T* p;
  int64_t ld;
  void operator()(T* panel, int64_t i0, int rows, int64_t k0, int64_t kc) const {
    for (int r = 0; r < rows; r++)
      __builtin_memcpy(panel + r * row_panel_stride<T>(kc), p + (i0 + r) * ld + k0,
                       static_cast<size_t>(kc) * sizeof(T));
  }
};

// A[i, k] at p[k * ld + i] -> panel, kMr at a time.
template <class T>
struct PackAColumns {
  static constexpr bool kPacks = true, kRowPanel = false;
  const T* p;
  int64_t ld;
  void operator()(T* panel, int64_t i0, int rows, int64_t k0, int64_t kc) const {
    constexpr int MR = GemmTile<T>::kMr;
    const T* src = p + k0 * ld + i0;
    if (rows == MR) {
      for (int64_t k = 0; k < kc; k++) __builtin_memcpy(panel + k * MR, src + k * ld, MR * sizeof(T));
    } else {
      for (int64_t k = 0; k < kc; k++)
        for (int r = 0; r < rows; r++) panel[k * MR + r] = src[k * ld + r];
    }
  }
};

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
