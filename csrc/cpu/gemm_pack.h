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
  __m512 r = _mm512_castps128_ps512(lane(0));
  r = _mm512_insertf32x4(r, lane(1), 1);
  r = _mm512_insertf32x4(r, lane(2), 2);
  return (typename Vec<T>::V)_mm512_insertf32x4(r, lane(3), 3);
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

// B[k, j] at p[j * ld + k] (torch's Linear weight) -> panel: transposed.
template <class T>
struct PackBColumns {
  static constexpr bool kPacks = true;
  const T* p;
  int64_t ld;
  void operator()(T* panel, int64_t j0, int cols, int64_t k0, int64_t kc) const {
    constexpr int W = Vec<T>::size, L = 16 / static_cast<int>(sizeof(T));
    const int64_t w = round_up(cols, W);
    for (int c0 = 0; c0 < cols; c0 += W) {
      const int n = cols - c0 < W ? cols - c0 : W;
      const T* rows[W];
      for (int c = 0; c < W; c++) rows[c] = p + (j0 + c0 + (c < n ? c : 0)) * ld + k0;
      T* out = panel + c0;
      int64_t k = 0;
      for (; k + L <= kc; k += L) {
        transpose_lane(rows, k, out + k * w, w);
        for (int c = n; c < W; c++)  // columns beyond the end were read from column 0
          for (int t = 0; t < L; t++) out[(k + t) * w + c] = 0;
      }
      for (; k < kc; k++)
        for (int c = 0; c < W; c++) out[k * w + c] = c < n ? rows[c][k] : T(0);
    }
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
      __builtin_memcpy(panel + r * row_panel_stride<T>(kc), p + (i0 + r) * ld + k0, static_cast<size_t>(kc) * sizeof(T));
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
