// The gradient for the input of a depthwise convolution with columns two apart. As convolutions of dy, one for each
// residue of the stride (conv2d.cpp), its outputs would be stored one by one. Here the even and the odd columns of a
// row are two sums of vectors, woven together when they are stored.
//
// Limit: the stream of dx: 3x3 has 9 FMAs and loads to 64 outputs of two rows.
#pragma once
#include "cpu/conv2d_depthwise_rows.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

FASTNN_INLINE bool depthwise_input_fits(const Conv2dShape& s) {
  return s.variant == ConvVariant::Auto && s.C == s.groups && s.K <= 3 * s.groups && is_flat(s) && s.stride_w == 2 &&
         s.dilation_h == 1 && s.dilation_w == 1 && s.R * s.S <= 12;  // 5x5: the residues are faster
}

// Row h of a plane. dy, w: those of its `count` output channels.
template <class T>
void depthwise_input_row(const Conv2dShape& s, int64_t h, int64_t count, const T* dy, const T* w, T* dx) {
  constexpr int W = Vec<T>::size;
  const int64_t r0 = (h + s.pad_h) % s.stride_h;
  for (int64_t j = 0; 2 * j < s.W; j += W) {
    Vec<T> sums[2] = {Vec<T>::zero(), Vec<T>::zero()};
    const auto column = [&](int64_t u, auto parity) __attribute__((always_inline)) {
      // Column 2 * (j + lane) + parity of dx is reached through tap u from q = at + lane.
      const int64_t at = j + (s.pad_w + parity - u) / 2;
      const int lo = static_cast<int>(max_i(0, min_i(-at, W))), hi = static_cast<int>(max_i(0, min_i(s.Q - at, W)));
      if (hi <= lo) return;
      for (int64_t m = 0; m < count; m++) {
        for (int64_t r = r0; r < s.R; r += s.stride_h) {
          const int64_t p = (h + s.pad_h - r) / s.stride_h;
          if (h + s.pad_h < r || p >= s.P) continue;
          const T* from = dy + (m * s.P + p) * s.Q + at;
          const Vec<T> v = hi - lo == W ? Vec<T>::load(from) : load_lanes(from, lo, hi);
          sums[parity] = fma(Vec<T>(w[(m * s.R + r) * s.S + u]), v, sums[parity]);
        }
      }
    };
    // (pad + parity - u) is even and may be negative: its half is exact.
    for (int64_t u = s.pad_w % 2; u < s.S; u += 2) column(u, Int<0>());
    for (int64_t u = (s.pad_w + 1) % 2; u < s.S; u += 2) column(u, Int<1>());
    Vec<T> a, b;
    zip(sums[0], sums[1], &a, &b);
    const int64_t left = s.W - 2 * j;
    T* to = dx + 2 * j;
    if (left >= 2 * W) {
      a.store(to);
      b.store(to + W);
    } else {
      a.store(to, static_cast<int>(min_i(left, W)));
      if (left > W) b.store(to + W, static_cast<int>(left - W));
    }
  }
}

template <class T>
void depthwise_backward_input(const Conv2dShape& s, const T* dy, const T* w, T* dx) {
  const int64_t count = s.K / s.groups, planes = s.N * s.C;
  const int64_t each = max_i(kDepthwiseItem / (s.H * s.W), 1);  // planes of an item
  const int64_t block = each > 1 ? s.H : min_i(s.H, max_i(kDepthwiseItem / s.W, 1)), blocks = ceil_div(s.H, block);
  parallel_for(ceil_div(planes, each) * blocks, [&](int64_t item, int) {
    const int64_t h0 = item % blocks * block, first = item / blocks * each;
    for (int64_t i = first; i < min_i(first + each, planes); i++)
      for (int64_t h = h0; h < min_i(h0 + block, s.H); h++)
        depthwise_input_row(s, h, count, dy + i * count * s.P * s.Q, w + i % s.C * count * s.R * s.S,
                            dx + (i * s.H + h) * s.W);
  });
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
