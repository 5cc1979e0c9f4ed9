// The activations that GEMM and convolution apply to a tile of C while it is still in L1.
#pragma once
#include "cpu/vecmath.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <class T>
FASTNN_INLINE Vec<T> activate(Vec<T> x, GemmAct act) {
  switch (act) {
    case GemmAct::Relu:
      return max(Vec<T>::zero(), x);
    case GemmAct::Gelu: {
      Vec<T> bell;
      return x * normal_cdf(x, bell);
    }
    // 0.5 x (1 + tanh(k (x + c x^3))) = x sigmoid(2 k (x + c x^3))
    case GemmAct::GeluTanh:
      return x * vsigmoid(vset<T>(1.5957691216057308) * fma(vset<T>(0.044715) * x * x, x, x));
    case GemmAct::Tanh:
      return vtanh(x);
    case GemmAct::Sigmoid:
      return vsigmoid(x);
    default:
      return x;
  }
}

// rows x cols elements at c, rows ldc apart.
template <class T>
__attribute__((noinline)) void activate_tile(T* c, int64_t ldc, int rows, int64_t cols, GemmAct act) {
  constexpr int W = Vec<T>::size;
  for (int i = 0; i < rows; i++, c += ldc) {
    int64_t j = 0;
    for (; j + W <= cols; j += W) activate(Vec<T>::load(c + j), act).store(c + j);
    const int n = static_cast<int>(cols - j);
    if (n) activate(Vec<T>::load(c + j, n), act).store(c + j, n);
  }
}

// One element.
template <class T>
__attribute__((noinline)) T activate_one(T x, GemmAct act) {
  return act == GemmAct::None ? x : activate(Vec<T>(x), act)[0];
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
