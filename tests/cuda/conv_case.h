// Convolutions as the loops that define them, in float64: for the tests of every rung.
#pragma once
#include "cuda/conv2d.h"
#include "gemm_case.h"

using namespace gemm_case;

namespace {

[[maybe_unused]] Conv2dShape shape(int N, int C, int H, int W, int K, int R, int S, int stride = 1, int pad = 0,
                                   int dilation = 1, int groups = 1, int D = 1, int T = 1) {
  Conv2dShape s = {};
  s.N = N, s.C = C, s.D = D, s.H = H, s.W = W, s.K = K, s.T = T, s.R = R, s.S = S, s.groups = groups;
  s.stride_h = stride, s.stride_w = stride + (stride > 1 ? 1 : 0), s.stride_d = D > 1 ? stride : 1;
  s.pad_h = pad, s.pad_w = pad ? pad - (S == 1) : 0, s.pad_d = D > 1 ? pad : 0;
  s.dilation_h = dilation, s.dilation_w = 1, s.dilation_d = 1;
  s.O = (s.D + 2 * s.pad_d - s.dilation_d * (T - 1) - 1) / s.stride_d + 1;
  s.P = (s.H + 2 * s.pad_h - s.dilation_h * (R - 1) - 1) / s.stride_h + 1;
  s.Q = (s.W + 2 * s.pad_w - s.dilation_w * (S - 1) - 1) / s.stride_w + 1;
  return s;
}

// Calls f(index of x, index of w, index of y) for every product of the convolution.
template <class F>
void each(const Conv2dShape& s, F f) {
  int64_t Cg = s.C / s.groups, Kg = s.K / s.groups;
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t k = 0; k < s.K; ++k)
      for (int64_t o = 0; o < s.O; ++o)
        for (int64_t p = 0; p < s.P; ++p)
          for (int64_t q = 0; q < s.Q; ++q)
            for (int64_t c = 0; c < Cg; ++c)
              for (int64_t t = 0; t < s.T; ++t)
                for (int64_t r = 0; r < s.R; ++r)
                  for (int64_t e = 0; e < s.S; ++e) {
                    int64_t d = o * s.stride_d - s.pad_d + t * s.dilation_d;
                    int64_t h = p * s.stride_h - s.pad_h + r * s.dilation_h;
                    int64_t w = q * s.stride_w - s.pad_w + e * s.dilation_w;
                    if (d < 0 || d >= s.D || h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
                    int64_t channel = k / Kg * Cg + c;
                    f((((n * s.C + channel) * s.D + d) * s.H + h) * s.W + w,
                      (((k * Cg + c) * s.T + t) * s.R + r) * s.S + e, (((n * s.K + k) * s.O + o) * s.P + p) * s.Q + q);
                  }
}

template <class T>
std::vector<T> filled(int64_t n) {
  auto f = random_floats(n);
  std::vector<T> v(n);
  for (int64_t i = 0; i < n; ++i) v[i] = Traits<T>::make(f[i]);
  return v;
}

template <class T>
void compare(const std::vector<T>& got, const std::vector<double>& want, double scale) {
  for (size_t i = 0; i < got.size(); ++i)
    NEAR(Traits<T>::value(got[i]), want[i], Traits<T>::eps * (4 + scale) * (1 + scale / 3 + std::fabs(want[i])));
}

}  // namespace
