// Distances of rows from rows. Forward: two vectors of z's rows, transposed in a panel, against four rows of x: eight
// sums in registers, an element of each row of x broadcast for every vector. Backward: four vectors along a row of x
// and of dx, a few rows at a time, all rows of z going past. Limit: a subtraction and a multiply-add for each product.
#include "cpu/rows.h"
#include "cpu/shuffle.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int kDepth = 128, kRows = 4;  // a panel of 128 x 2 vectors is 16 KiB at most

template <Norm N, class T>
FASTNN_INLINE Vec<T> gather_in(Vec<T> sum, Vec<T> d) {
  if constexpr (N == Norm::Two) return fma(d, d, sum);
  if constexpr (N == Norm::One) return sum + abs(d);
  const Vec<T> size = abs(d);
  return select(gt(size, sum) | isnan(size), size, sum);  // a NaN stays: nothing is larger
}

// z rows j .. j + cols, elements k .. k + depth -> panel[depth][2 W], 0 in the missing columns.
template <class T>
void pack(const CdistArgs& a, int64_t j, int cols, int64_t k, int depth, T* panel) {
  constexpr int W = Vec<T>::size;
  const T* z = static_cast<const T*>(a.z) + j * a.k + k;
  for (int half = 0; half < 2; ++half) {
    for (int d = 0; d < depth; d += W) {
      const int n = depth - d < W ? depth - d : W;
      Vec<T> v[W];
#pragma GCC unroll 16
      for (int c = 0; c < W; ++c)
        v[c] = half * W + c < cols ? Vec<T>::load(z + (half * W + c) * a.k + d, n) : Vec<T>::zero();
      transpose(v);
#pragma GCC unroll 16
      for (int c = 0; c < W; ++c)
        if (c < n) v[c].store(panel + (d + c) * 2 * W + half * W);
    }
  }
}

template <class T, Norm N, int ROWS>
FASTNN_INLINE void block(const CdistArgs& a, int64_t i, int64_t j, int cols, int64_t k, int depth, const T* panel) {
  constexpr int W = Vec<T>::size;
  const T* x = static_cast<const T*>(a.x) + i * a.k + k;
  T* y = static_cast<T*>(a.y) + i * a.r + j;
  const int n[2] = {cols < W ? cols : W, cols < W ? 0 : cols - W};
  Vec<T> sum[ROWS][2];
  unroll<ROWS>([&](auto r) {
    unroll<2>([&](auto h) { sum[r][h] = k ? Vec<T>::load(y + r * a.r + h * W, n[h]) : Vec<T>::zero(); });
  });
  for (int d = 0; d < depth; ++d) {
    const Vec<T> z0 = Vec<T>::load(panel + d * 2 * W), z1 = Vec<T>::load(panel + d * 2 * W + W);
    unroll<ROWS>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> v(x[r * a.k + d]);
      sum[r][0] = gather_in<N>(sum[r][0], v - z0);
      sum[r][1] = gather_in<N>(sum[r][1], v - z1);
    });
  }
  const bool root = N == Norm::Two && k + depth == a.k;
  unroll<ROWS>([&](auto r) {
    unroll<2>([&](auto h) { (root ? sqrt(sum[r][h]) : sum[r][h]).store(y + r * a.r + h * W, n[h]); });
  });
}

template <class T, Norm N>
void forward(const CdistArgs& a) {
  constexpr int W = Vec<T>::size;
  alignas(64) T panel[kDepth * 2 * W];
  if (a.k == 0) {
    for (int64_t i = a.begin * a.r; i < a.end * a.r; ++i) static_cast<T*>(a.y)[i] = 0;
    return;
  }
  for (int64_t j = 0; j < a.r; j += 2 * W) {
    const int cols = static_cast<int>(a.r - j < 2 * W ? a.r - j : 2 * W);
    for (int64_t k = 0; k < a.k; k += kDepth) {
      const int depth = static_cast<int>(a.k - k < kDepth ? a.k - k : kDepth);
      pack(a, j, cols, k, depth, panel);
      int64_t i = a.begin;
      for (; i + kRows <= a.end; i += kRows) block<T, N, kRows>(a, i, j, cols, k, depth, panel);
      for (; i < a.end; ++i) block<T, N, 1>(a, i, j, cols, k, depth, panel);
    }
  }
}

template <Norm N, class T>
FASTNN_INLINE Vec<T> slope(Vec<T> d, Vec<T> y) {
  if constexpr (N == Norm::Two) return d;
  const Vec<T> zero = Vec<T>::zero();
  const Vec<T> sign =
      select(gt(d, zero), Vec<T>(T(1)), select(lt(d, zero), Vec<T>(T(-1)), d));  // NaN and 0 as they are
  if constexpr (N == Norm::One) return sign;
  return select(eq(abs(d), y), sign, zero);
}

// VECS vectors of ROWS rows of dx; the last vector has `tail` lanes.
template <class T, Norm N, int ROWS, int VECS>
FASTNN_INLINE void columns(const CdistArgs& a, int64_t i, int64_t k, int tail) {
  constexpr int W = Vec<T>::size;
  const T *x = static_cast<const T*>(a.x) + i * a.k + k, *z = static_cast<const T*>(a.z) + k;
  const T *g = static_cast<const T*>(a.g) + i * a.g_row, *y = static_cast<const T*>(a.y) + i * a.g_row;
  const auto read = [&](const T* p, auto v) __attribute__((always_inline)) {
    return v + 1 == VECS ? Vec<T>::load(p + v * W, tail) : Vec<T>::load(p + v * W);
  };
  Vec<T> sum[ROWS][VECS], mine[ROWS][VECS];
  unroll<ROWS>([&](auto r) {
    unroll<VECS>([&](auto v) {
      mine[r][v] = read(x + r * a.k, v);
      sum[r][v] = Vec<T>::zero();
    });
  });
  for (int64_t j = 0; j < a.r; ++j, z += a.k) {
    Vec<T> other[VECS];
    unroll<VECS>([&](auto v) __attribute__((always_inline)) { other[v] = read(z, v); });
    unroll<ROWS>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> weight(g[r * a.g_row + j * a.g_col]);
      const Vec<T> size = N == Norm::Inf ? Vec<T>(y[r * a.g_row + j * a.g_col]) : weight;
      unroll<VECS>([&](auto v) __attribute__((always_inline)) {
        sum[r][v] = fma(slope<N>(mine[r][v] - other[v], size), weight, sum[r][v]);
      });
    });
  }
  T* dx = static_cast<T*>(a.dx) + i * a.k + k;
  unroll<ROWS>(
      [&](auto r) { unroll<VECS>([&](auto v) { sum[r][v].store(dx + r * a.k + v * W, v + 1 == VECS ? tail : W); }); });
}

template <class T, Norm N, int ROWS>
FASTNN_INLINE void row_group(const CdistArgs& a, int64_t i) {
  constexpr int W = Vec<T>::size, VECS = kVecBytes == 64 ? 4 : 2;
  int64_t k = 0;
  for (; k + VECS * W <= a.k; k += VECS * W) columns<T, N, ROWS, VECS>(a, i, k, W);
  for (; k < a.k; k += W) columns<T, N, ROWS, 1>(a, i, k, static_cast<int>(a.k - k < W ? a.k - k : W));
}

template <class T, Norm N>
void backward(const CdistArgs& a) {
  constexpr int kTogether = kVecBytes == 64 ? 3 : 2;
  int64_t i = a.begin;
  for (; i + kTogether <= a.end; i += kTogether) row_group<T, N, kTogether>(a, i);
  for (; i < a.end; ++i) row_group<T, N, 1>(a, i);
}

template <class T>
void pick_forward(const CdistArgs& a) {
  a.norm == Norm::One   ? forward<T, Norm::One>(a)
  : a.norm == Norm::Two ? forward<T, Norm::Two>(a)
                        : forward<T, Norm::Inf>(a);
}
template <class T>
void pick_backward(const CdistArgs& a) {
  a.norm == Norm::One   ? backward<T, Norm::One>(a)
  : a.norm == Norm::Two ? backward<T, Norm::Two>(a)
                        : backward<T, Norm::Inf>(a);
}

}  // namespace

void cdist(const CdistArgs& a) { a.dtype == Dtype::F32 ? pick_forward<float>(a) : pick_forward<double>(a); }
void cdist_backward(const CdistArgs& a) { a.dtype == Dtype::F32 ? pick_backward<float>(a) : pick_backward<double>(a); }

}  // namespace FASTNN_ISA
}  // namespace fastnn
