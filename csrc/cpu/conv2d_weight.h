// What the kernels of the weights' gradient share: dy turned around, and sums of chunks in a fixed order.
#pragma once
#include "cpu/conv2d.h"
#include "cpu/shuffle.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// panel[pixel][0 .. width - 1] = dy[k0 + ..][pixel], 0 for k >= M. Rows of `count` pixels; dy's rows are dy_row apart.
template <class T>
void pack_dy(T* panel, int width, int64_t m_left, const T* dy, int64_t channel, int64_t rows, int64_t count,
             int64_t dy_row) {
  constexpr int W = Vec<T>::size;
  if (dy_row == count) {
    count *= rows;
    rows = 1;
  }
  for (int k = 0; k < width; k += W) {
    const int real = static_cast<int>(min_i(W, m_left - k));
    for (int64_t p = 0; p < rows; p++) {
      T* out = panel + p * count * width + k;
      for (int64_t q = 0; q < count; q += W) {
        const int n = static_cast<int>(min_i(W, count - q));
        const T* in = dy + k * channel + p * dy_row + q;
        Vec<T> v[W];
        for (int i = 0; i < W; i++) __builtin_prefetch(in + (W + i) * channel);  // the next channels: too many streams
#pragma GCC unroll 16
        for (int i = 0; i < W; i++) v[i] = i < real ? Vec<T>::load(in + i * channel, n) : Vec<T>::zero();
        transpose(v);
#pragma GCC unroll 16
        for (int i = 0; i < W; i++)
          if (i < n) v[i].store(out + (q + i) * width);
      }
    }
  }
}

// Chunks lo .. hi - 1 added as a tree, for n <= W consecutive k.
template <class T>
Vec<T> tree_sum(const T* p, int64_t stride, int n, int64_t lo, int64_t hi) {
  if (hi - lo == 1) return Vec<T>::load(p + lo * stride, n);
  const int64_t mid = (lo + hi) / 2;
  return tree_sum<T>(p, stride, n, lo, mid) + tree_sum<T>(p, stride, n, mid, hi);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
