// The activations that GEMM and convolution apply to a tile of C while it is still in L1.
#pragma once
#include <cstdint>

#include "cpu/vec.h"
#include "kernels.h"

// libm by its C names: <cmath>'s inline overloads could leave weak symbols behind.
extern "C" {
float expf(float);
float tanhf(float);
float erff(float);
double exp(double);
double tanh(double);
double erf(double);
}

namespace fastnn {
namespace FASTNN_ISA {
namespace {

FASTNN_INLINE float act_exp(float x) { return ::expf(x); }
FASTNN_INLINE double act_exp(double x) { return ::exp(x); }
FASTNN_INLINE float act_tanh(float x) { return ::tanhf(x); }
FASTNN_INLINE double act_tanh(double x) { return ::tanh(x); }
FASTNN_INLINE float act_erf(float x) { return ::erff(x); }
FASTNN_INLINE double act_erf(double x) { return ::erf(x); }

template <class T>
FASTNN_INLINE T activate(T x, GemmAct act) {
  constexpr T kInvSqrt2 = static_cast<T>(0.70710678118654752440), kSqrt2OverPi = static_cast<T>(0.79788456080286535588);
  switch (act) {
    case GemmAct::Relu: return x <= 0 ? 0 : x;
    case GemmAct::Gelu: return x * T(0.5) * (1 + act_erf(x * kInvSqrt2));
    case GemmAct::GeluTanh: return x * T(0.5) * (1 + act_tanh(kSqrt2OverPi * (x + T(0.044715) * x * x * x)));
    case GemmAct::Tanh: return act_tanh(x);
    case GemmAct::Sigmoid: return 1 / (1 + act_exp(-x));
    default: return x;
  }
}

// rows x cols elements at c, rows ldc apart.
template <class T>
__attribute__((noinline)) void activate_tile(T* c, int64_t ldc, int rows, int cols, GemmAct act) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) c[i * ldc + j] = activate(c[i * ldc + j], act);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
