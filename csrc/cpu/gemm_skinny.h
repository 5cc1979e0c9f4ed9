// Products with few rows (or few columns), which are streams over the large operand: no packing, one pass.
//   dot_product_form  the large operand is contiguous along k (x @ W.T): vectors along k, summed across at the end
//   row_stream_form   the large operand is contiguous along n (x @ W): rows of W scaled and added up
#pragma once
#include "cpu/gemm_pack.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// out[i] = the sum over the lanes of x[i], i < 4.
FASTNN_INLINE void sum4(const Vec<float>* x, float* out) {
  const Vec<float> s = zip_lo(x[0], x[1]) + zip_hi(x[0], x[1]), t = zip_lo(x[2], x[3]) + zip_hi(x[2], x[3]);
  const Vec<float> u = zip2_lo(s, t) + zip2_hi(s, t);  // every 16-byte lane: partial sums of x[0], x[1], x[2], x[3]
#if defined(__AVX512F__)
  const __m256 v = _mm256_add_ps(_mm512_castps512_ps256((__m512)u.v), _mm512_extractf32x8_ps((__m512)u.v, 1));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)));
#elif defined(__AVX2__)
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128((__m256)u.v), _mm256_extractf128_ps((__m256)u.v, 1)));
#else
  u.store(out);
#endif
}
FASTNN_INLINE void sum4(const Vec<double>* x, double* out) {
  for (int i = 0; i < 4; i += 2) {
    const Vec<double> u = zip_lo(x[i], x[i + 1]) + zip_hi(x[i], x[i + 1]);
#if defined(__AVX512F__)
    const __m256d v = _mm256_add_pd(_mm512_castpd512_pd256((__m512d)u.v), _mm512_extractf64x4_pd((__m512d)u.v, 1));
    _mm_storeu_pd(out + i, _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1)));
#elif defined(__AVX2__)
    _mm_storeu_pd(out + i, _mm_add_pd(_mm256_castpd256_pd128((__m256d)u.v), _mm256_extractf128_pd((__m256d)u.v, 1)));
#else
    u.store(out + i);
#endif
  }
}

// R rows of X against C rows of Y (all contiguous along k): out[r * 4 * (C / 4) + c] = X[r] . Y[c]. R * C accumulators;
// where those are fewer than the FMA latency asks for (R == 1), k is split over two sets. The lines `ahead` elements
// further on are asked into L2.
template <class T, int R, int C>
FASTNN_INLINE void dot_tile(int64_t K, const T* x, int64_t ldx, const T* const* y, int64_t ahead, T* out) {
  constexpr int W = Vec<T>::size;
  constexpr int U = R == 1 ? 2 : 1;
  Vec<T> acc[U][R][C];
  for (int u = 0; u < U; u++)
    for (int r = 0; r < R; r++)
      for (int c = 0; c < C; c++) acc[u][r][c] = Vec<T>::zero();
  auto step = [&](auto u, int64_t k, auto load) __attribute__((always_inline)) {
    Vec<T> yv[C];
    unroll<C>([&](auto c) __attribute__((always_inline)) { yv[c] = load(y[c] + k); });
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> xv = load(x + r * ldx + k);
      unroll<C>([&](auto c) __attribute__((always_inline)) { acc[u][r][c] = fma(xv, yv[c], acc[u][r][c]); });
    });
  };
  auto whole = [](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p); };
  int64_t k = 0;
  for (; k + U * W <= K; k += U * W) {
    unroll<C>([&](auto c) __attribute__((always_inline)) {
      for (int u = 0; u < U; u++) __builtin_prefetch(y[c] + k + u * W + ahead, 0, 2);
    });
    unroll<U>([&](auto u) __attribute__((always_inline)) { step(u, k + u * W, whole); });
  }
  if (U == 2 && k + W <= K) {
    step(Int<0>(), k, whole);
    k += W;
  }
  if (k < K) {
    const int n = static_cast<int>(K - k);
    step(Int<0>(), k, [&](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p, n); });
  }
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    unroll<C>([&](auto c) __attribute__((always_inline)) {
      if (U == 2) acc[0][r][c] += acc[U - 1][r][c];
    });
    for (int c = 0; c < C; c += 4) sum4(&acc[0][r][c], out + r * C + c);
  });
}

constexpr int kDotRows = kVecBytes == 64 ? 6 : 2;  // 6 x 4 accumulators in 32 registers, 2 x 4 in 16

// Element (i, j) of a result whose rows and columns may lie either way: what a skinny form finishes one by one.
template <class T>
FASTNN_INLINE void finish_one(T* c, T sum, const T* bias, int64_t bias_at, GemmAct act, bool accumulate) {
  if (accumulate) sum += *c;
  if (bias) sum += bias[bias_at];
  *c = act == GemmAct::None ? sum : activate_one(sum, act);
}

// C[i, j] = sum_k X[i, k] Y[j, k]; X (m rows, few) at x + i * ldx, Y (n rows, many) at y + j * ldy, C[i, j] at
// c[i * c_is + j * c_js]. bias is indexed by j, or by i with bias_rows.
template <class T>
void dot_product_form(int64_t m, int64_t n, int64_t K, const T* x, int64_t ldx, const T* y, int64_t ldy, T* c,
                      int64_t c_is, int64_t c_js, const T* bias, bool bias_rows, GemmAct act, bool accumulate) {
  // Chunks of whole groups of 4 rows of Y, at least 64 KiB of them.
  const int64_t groups = ceil_div(n, 4);
  const int64_t per =
      max_i(ceil_div(groups, 64), ceil_div(int64_t(64 * 1024), 4 * max_i(K, 1) * sizeof(T) * max_i(m / 4, 1)));
  parallel_for(ceil_div(groups, per), [&](int64_t chunk, int) {
    for (int64_t g = chunk * per; g < min_i((chunk + 1) * per, groups); g++) {
      const int64_t j0 = 4 * g;
      const int cols = static_cast<int>(min_i(4, n - j0));
      const T* rows[4];
      for (int t = 0; t < 4; t++) rows[t] = y + (j0 + (t < cols ? t : 0)) * ldy;
      // Short rows end before the hardware's prefetcher is under way: ask for the next group's.
      const int64_t ahead = m > 1 && 4 * K * static_cast<int64_t>(sizeof(T)) <= 32 * 1024 ? 4 * ldy : 2048 / sizeof(T);
      T sums[kDotRows * 4];
      for (int64_t i0 = 0; i0 < m;) {
        // 7 rows are 4 + 3, not 6 + 1: the last two blocks share what is left.
        int64_t left = m - i0;
        const int r = static_cast<int>(left <= kDotRows ? left : left < 2 * kDotRows ? (left + 1) / 2 : kDotRows);
        const T* xi = x + i0 * ldx;
        switch (r) {
          case 1:
            dot_tile<T, 1, 4>(K, xi, ldx, rows, ahead, sums);
            break;
          case 2:
            dot_tile<T, 2, 4>(K, xi, ldx, rows, ahead, sums);
            break;
          default:
            if constexpr (kDotRows > 2) {
              switch (r) {
                case 3:
                  dot_tile<T, 3, 4>(K, xi, ldx, rows, ahead, sums);
                  break;
                case 4:
                  dot_tile<T, 4, 4>(K, xi, ldx, rows, ahead, sums);
                  break;
                case 5:
                  dot_tile<T, 5, 4>(K, xi, ldx, rows, ahead, sums);
                  break;
                default:
                  dot_tile<T, 6, 4>(K, xi, ldx, rows, ahead, sums);
                  break;
              }
            }
        }
        for (int i = 0; i < r; i++)
          for (int t = 0; t < cols; t++)
            finish_one(c + (i0 + i) * c_is + (j0 + t) * c_js, sums[i * 4 + t], bias, bias_rows ? i0 + i : j0 + t, act,
                       accumulate);
        i0 += r;
      }
    }
  });
}

// One pass of 8 rows of B (k0 .. k0 + 7, fewer at the end) over columns [j0, j1) of R rows of C. far: B comes from
// beyond the caches, so the next 8 rows are asked for.
template <class T, int R>
FASTNN_INLINE void row_stream_step(int64_t k0, int ks, int64_t j0, int64_t j1, const T* a, int64_t a_rs, int64_t a_cs,
                                   const T* b, int64_t ldb, T* c, int64_t ldc, bool first, bool far) {
  constexpr int W = Vec<T>::size, KU = 8;
  T x[R][KU];
  const T* rows[KU];
  for (int t = 0; t < KU; t++) {
    rows[t] = b + (k0 + (t < ks ? t : 0)) * ldb;
    for (int r = 0; r < R; r++) x[r][t] = t < ks ? a[r * a_rs + (k0 + t) * a_cs] : T(0);
  }
  auto columns = [&](int64_t j, auto load, auto store) __attribute__((always_inline)) {
    Vec<T> bv[KU];
    if (far)
      unroll<KU>([&](auto t) __attribute__((always_inline)) { __builtin_prefetch(rows[t] + KU * ldb + j, 0, 2); });
    unroll<KU>([&](auto t) __attribute__((always_inline)) { bv[t] = load(rows[t] + j); });
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      Vec<T> s = first ? Vec<T>::zero() : load(c + r * ldc + j);
      if (ks == KU) {
        unroll<KU>([&](auto t) __attribute__((always_inline)) { s = fma(Vec<T>(x[r][t]), bv[t], s); });
      } else {
        for (int t = 0; t < ks; t++) s = fma(Vec<T>(x[r][t]), load(rows[t] + j), s);
      }
      store(s, c + r * ldc + j);
    });
  };
  int64_t j = j0;
  for (; j + W <= j1; j += W)
    columns(
        j, [](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p); },
        [](Vec<T> v, T* p) __attribute__((always_inline)) { v.store(p); });
  if (j < j1) {
    const int n = static_cast<int>(j1 - j);
    columns(
        j, [&](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p, n); },
        [&](Vec<T> v, T* p) __attribute__((always_inline)) { v.store(p, n); });
  }
}

constexpr int kStreamRows = 8;

// C (m <= 8 rows) = A B, B[k, j] at b[k * ldb + j] read once, front to back, 8 rows at a time; C stays in L1.
template <class T>
void row_stream_form(int64_t m, int64_t n, int64_t K, const T* a, int64_t a_rs, int64_t a_cs, const T* b, int64_t ldb,
                     T* c, int64_t ldc, const T* bias, const T* row_bias, GemmAct act, bool accumulate) {
  const bool far = K * n * static_cast<int64_t>(sizeof(T)) > 8 * 1024 * 1024;
  const int64_t width = min_i(1024, max_i(64, round_up(ceil_div(n, 4), 64)));
  parallel_for(ceil_div(n, width), [&](int64_t chunk, int) {
    const int64_t j0 = chunk * width, j1 = min_i(j0 + width, n);
    for (int64_t k = 0; k < K; k += 8) {
      const int ks = static_cast<int>(min_i(8, K - k));
      const bool first = k == 0 && !accumulate;
      switch (m) {
        case 1:
          row_stream_step<T, 1>(k, ks, j0, j1, a, a_rs, a_cs, b, ldb, c, ldc, first, far);
          break;
        case 2:
          row_stream_step<T, 2>(k, ks, j0, j1, a, a_rs, a_cs, b, ldb, c, ldc, first, far);
          break;
        case 3:
          row_stream_step<T, 3>(k, ks, j0, j1, a, a_rs, a_cs, b, ldb, c, ldc, first, far);
          break;
        case 4:
          row_stream_step<T, 4>(k, ks, j0, j1, a, a_rs, a_cs, b, ldb, c, ldc, first, far);
          break;
        case 5:
          row_stream_step<T, 5>(k, ks, j0, j1, a, a_rs, a_cs, b, ldb, c, ldc, first, far);
          break;
        case 6:
          row_stream_step<T, 6>(k, ks, j0, j1, a, a_rs, a_cs, b, ldb, c, ldc, first, far);
          break;
        case 7:
          row_stream_step<T, 7>(k, ks, j0, j1, a, a_rs, a_cs, b, ldb, c, ldc, first, far);
          break;
        default:
          row_stream_step<T, 8>(k, ks, j0, j1, a, a_rs, a_cs, b, ldb, c, ldc, first, far);
          break;
      }
    }
    if (!bias && !row_bias && act == GemmAct::None) return;
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = j0; j < j1; j++) c[i * ldc + j] += bias ? bias[j] : row_bias ? row_bias[i] : T(0);
      if (act != GemmAct::None) activate_tile(c + i * ldc + j0, ldc, 1, j1 - j0, act);
    }
  });
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
