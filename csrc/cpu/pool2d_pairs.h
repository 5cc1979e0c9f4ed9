// The commonest pooling: 2 x 2 windows side by side, all inside the image. Each pair of rows is read and written once,
// without staging; small images would otherwise spend more time on their borders than on their pixels.
#pragma once
#include "cpu/pool2d.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

FASTNN_INLINE bool is_pairs(const Pool2dShape& s) {
  return s.R == 2 && s.S == 2 && s.stride_h == 2 && s.stride_w == 2 && s.pad_h == 0 && s.pad_w == 0 &&
         s.dilation_h == 1 && s.dilation_w == 1 && 2 * s.P <= s.H && 2 * s.Q <= s.W;
}

// Output rows p0 .. p1 - 1 of one plane.
template <class T, bool MAX>
void pairs_forward(const Pool2dShape& s, const T* x, T* y, uint8_t* idx, int64_t p0, int64_t p1) {
  constexpr int W = Vec<T>::size;
  using I = typename Vec<T>::I;
  using Int = typename Native<T>::int_t;
  const Vec<T> divisor(static_cast<T>(s.divisor_override ? s.divisor_override : 4));
  for (int64_t p = p0; p < p1; p++) {
    const T* in = x + 2 * p * s.W;
    for (int64_t q = 0; q < s.Q; q += W) {
      const int n = lanes<T>(s.Q - q), low = lanes<T>(2 * (s.Q - q)), high = lanes<T>(2 * (s.Q - q) - W);
      Vec<T> tap[4];
      unzip(load_n(in + 2 * q, low), load_n(in + 2 * q + W, high), &tap[0], &tap[1]);
      unzip(load_n(in + s.W + 2 * q, low), load_n(in + s.W + 2 * q + W, high), &tap[2], &tap[3]);
      if constexpr (MAX) {
        Vec<T> best(static_cast<T>(-__builtin_inff())), which = Vec<T>::zero();
        unroll<4>([&](auto k) __attribute__((always_inline)) {
          const Mask<T> take = gt(tap[k], best) | isnan(tap[k]);
          best = select(take, tap[k], best);
          which = select(take, Vec<T>::from_bits(I{} + static_cast<Int>(k)), which);
        });
        store_n(y + p * s.Q + q, best, n);
        store_bytes<T>(idx + p * s.Q + q, which.bits(), n);
      } else {
        store_n(y + p * s.Q + q, (tap[0] + tap[1] + tap[2] + tap[3]) / divisor, n);
      }
    }
  }
}

// The input rows under output rows p0 .. p1 - 1 of one plane; the last block also zeroes what no window covers.
template <class T, bool MAX>
void pairs_backward(const Pool2dShape& s, const T* dy, const uint8_t* idx, T* dx, int64_t p0, int64_t p1) {
  constexpr int W = Vec<T>::size;
  using I = typename Vec<T>::I;
  using Int = typename Native<T>::int_t;
  const Vec<T> divisor(static_cast<T>(s.divisor_override ? s.divisor_override : 4));
  for (int64_t p = p0; p < p1; p++) {
    T* out = dx + 2 * p * s.W;
    for (int64_t q = 0; q < s.Q; q += W) {
      const int n = lanes<T>(s.Q - q), low = lanes<T>(2 * (s.Q - q)), high = lanes<T>(2 * (s.Q - q) - W);
      const Vec<T> v = load_n(dy + p * s.Q + q, n);
      Vec<T> part[4];
      if constexpr (MAX) {
        const I which = load_bytes<T>(idx + p * s.Q + q, n);
        unroll<4>([&](auto k) __attribute__((always_inline)) {
          part[k] = Vec<T>::from_bits(v.bits() & (which == I{} + static_cast<Int>(k)));
        });
      } else {
        part[0] = part[1] = part[2] = part[3] = v / divisor;
      }
      unroll<2>([&](auto r) __attribute__((always_inline)) {
        Vec<T> a, b;
        zip(part[2 * r], part[2 * r + 1], &a, &b);
        store_n(out + r * s.W + 2 * q, a, low);
        if (high) store_n(out + r * s.W + 2 * q + W, b, high);
      });
    }
    for (int64_t w = 2 * s.Q; w < s.W; w++) out[w] = out[s.W + w] = 0;
  }
  if (p1 == s.P)
    for (int64_t i = 2 * s.P * s.W; i < s.H * s.W; i++) dx[i] = 0;
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
