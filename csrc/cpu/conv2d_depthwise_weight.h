// The gradient for the weights of a depthwise convolution of stride 1, with dy and the image read where they lie: lanes
// are pixels, four rows of dy at a time, each row of the image serving up to that many of a tap column's sums. Lanes
// are added at the end. One item is a channel with all its images: no partial sums.
//
// Limit: as conv2d_depthwise_rows.h, with dy loaded once for each tap column: 3x3, four vectors of pixels: 30 loads,
// most counting twice, beside 36 FMAs.
#pragma once
#include "cpu/conv2d_depthwise_rows.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kDepthwiseChannels = 16;  // fewer are no work for many threads
constexpr int kDepthwiseColumns = 16;       // taps across at most

FASTNN_INLINE bool depthwise_weight_fits(const Conv2dShape& s) {
  return s.variant == ConvVariant::Auto && s.C == s.groups && s.K >= kDepthwiseChannels && s.T == 1 &&
         depthwise_window(s.R) && s.S <= kDepthwiseColumns && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 &&
         s.N > 0;
}

// ROWS rows of dy (null: zeros) against the rows of the image (null: zeros): sums[s][r] += lanes of products.
template <class T, int KH, bool EDGE>
__attribute__((noinline)) void depthwise_sums(const T* const* dy, const T* const* rows, const Axis& w, Vec<T>* sums) {
  constexpr int W = Vec<T>::size, ROWS = 4;
  for (int64_t s = 0; s < w.taps; s++) {
    Vec<T> acc[KH];
    unroll<KH>([&](auto r) __attribute__((always_inline)) { acc[r] = sums[s * KH + r]; });
    for (int64_t q = 0; q < w.out; q += W) {
      const int64_t at = q + w.first + s * w.gap;
      // Lanes inside both dy and the image.
      const int lo = static_cast<int>(max_i(0, min_i(-at, W)));
      const int hi = static_cast<int>(max_i(0, min_i(min_i(w.size - at, w.out - q), W)));
      const auto products = [&](auto load) __attribute__((always_inline)) {
        Vec<T> d[ROWS];
        unroll<ROWS>([&](auto i)
                         __attribute__((always_inline)) { d[i] = EDGE && !dy[i] ? Vec<T>::zero() : load(dy[i] + q); });
        unroll<ROWS + KH - 1>([&](auto i) __attribute__((always_inline)) {
          const Vec<T> v = EDGE && !rows[i] ? Vec<T>::zero() : load(rows[i] + at);
          unroll<KH>([&](auto r) __attribute__((always_inline)) {
            constexpr int from = decltype(i)::value - decltype(r)::value;
            if constexpr (from >= 0 && from < ROWS) {
              if (!EDGE || (dy[from] && rows[i])) acc[r] = fma(d[from], v, acc[r]);  // a zero row is no 0 * infinity
            }
          });
        });
      };
      if (hi - lo == W) {
        products([](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p); });
      } else if (hi > lo) {
        products([lo, hi](const T* p) __attribute__((always_inline)) { return load_lanes(p, lo, hi); });
      }
    }
    unroll<KH>([&](auto r) __attribute__((always_inline)) { sums[s * KH + r] = acc[r]; });
  }
}

template <class T, int KH>
void depthwise_weight_channel(const Conv2dShape& s, const Axis& h, const Axis& w, const T* dy, const Slices<T>& slices,
                              int64_t k, T* dw) {
  constexpr int ROWS = 4;
  const int64_t kg = s.K / s.groups;
  Vec<T> sums[kDepthwiseColumns * KH];
  for (int64_t i = 0; i < w.taps * KH; i++) sums[i] = Vec<T>::zero();
  for (int64_t n = 0; n < s.N * s.O; n++) {
    const T* image = slices(n, k / kg, 0);
    if (!image) continue;
    const T* d = dy + ((n / s.O * s.K + k) * s.O + n % s.O) * s.P * s.Q;
    for (int64_t p = 0; p < s.P; p += ROWS) {
      const T *y[ROWS], *x[ROWS + KH - 1];
      bool edge = false;
      for (int i = 0; i < ROWS; i++) {
        y[i] = p + i < s.P ? d + (p + i) * s.Q : nullptr;
        edge = edge || !y[i];
      }
      for (int i = 0; i < ROWS + KH - 1; i++) {
        const int64_t row = p + h.first + i;
        x[i] = row >= 0 && row < h.size ? image + row * w.size : nullptr;
        edge = edge || !x[i];
      }
      if (edge) {
        depthwise_sums<T, KH, true>(y, x, w, sums);
      } else {
        depthwise_sums<T, KH, false>(y, x, w, sums);
      }
    }
  }
  for (int64_t r = 0; r < KH; r++)
    for (int64_t u = 0; u < w.taps; u++) dw[(k * KH + r) * w.taps + u] = sum(sums[u * KH + r]);
}

template <class T>
void depthwise_backward_weight(const Conv2dShape& s, const T* dy, const T* x, T* dw) {
  Axis h, w;
  forward_axes(s, &h, &w);
  const Slices<T> slices{x, forward_depth(s), s.groups, 1, s.H * s.W};
  parallel_for(s.K, [&](int64_t k, int) {
    if (h.taps == 3) depthwise_weight_channel<T, 3>(s, h, w, dy, slices, k, dw);
    if (h.taps == 5) depthwise_weight_channel<T, 5>(s, h, w, dy, slices, k, dw);
    if (h.taps == 7) depthwise_weight_channel<T, 7>(s, h, w, dy, slices, k, dw);
  });
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
