// One convolution by the implicit rung, channels first or last, against float64: for the tests of its kernels.
#pragma once
#include "conv_case.h"
#include "cuda/conv2d_implicit.h"

namespace {

constexpr double kTf32 = 4.9e-4;

// Elements of [n, channels, pixels] to [n, pixels, channels], or back.
template <class T>
std::vector<T> turned(const std::vector<T>& v, int64_t n, int64_t channels, int64_t pixels, bool back = false) {
  std::vector<T> out(v.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < pixels; ++p) {
        int64_t first = (i * channels + c) * pixels + p, last = (i * pixels + p) * channels + c;
        out[back ? first : last] = v[back ? last : first];
      }
  return out;
}

struct How {
  bool x_last = false, w_last = false, y_last = false, residual = false, tf32 = false;
  GemmAct act = GemmAct::Relu;
};

template <class T>
void check_implicit(const Conv2dShape& s, How how = {}, const char* tasks = "fiw") {
  using X = Traits<T>;
  CHECK(conv_implicit_covers(s, X::dtype));
  int64_t hw = s.H * s.W, rs = s.R * s.S, pq = s.P * s.Q, Cg = s.C / s.groups;
  auto x = filled<T>(s.N * s.C * hw), w = filled<T>(s.K * Cg * rs), dy = filled<T>(s.N * s.K * pq);
  auto bias = filled<T>(s.K), residual = filled<T>(dy.size());
  std::vector<double> want_y(dy.size()), want_dx(x.size()), want_dw(w.size());
  each(s, [&](int64_t i, int64_t j, int64_t k) {
    want_y[k] += X::value(x[i]) * X::value(w[j]);
    want_dx[i] += X::value(dy[k]) * X::value(w[j]);
    want_dw[j] += X::value(x[i]) * X::value(dy[k]);
  });
  for (size_t i = 0; i < want_y.size(); ++i)
    want_y[i] =
        activation(want_y[i] + X::value(bias[i / pq % s.K]) + (how.residual ? X::value(residual[i]) : 0.0), how.act);
  auto laid = [&](const std::vector<T>& v, bool last, int64_t n, int64_t channels, int64_t pixels) {
    return last ? turned(v, n, channels, pixels) : v;
  };
  auto xs = laid(x, how.x_last, s.N, s.C, hw), ws = laid(w, how.w_last, s.K, Cg, rs);
  auto dys = laid(dy, how.y_last, s.N, s.K, pq), residuals = laid(residual, how.y_last, s.N, s.K, pq);
  auto run = [&](ConvTask task, const std::vector<T>& first, bool first_last, const std::vector<T>& second,
                 bool second_last, bool out_last, size_t size, const std::vector<double>& want, double sums, int64_t n,
                 int64_t channels, int64_t pixels) {
    std::vector<T> out(size, X::make(NAN));
    ConvArgs a = {};
    a.shape = s;
    a.dtype = X::dtype;
    a.task = task;
    a.first = first.data(), a.second = second.data(), a.out = out.data();
    if (task == ConvTask::Forward) {
      a.bias = bias.data();
      a.residual = how.residual ? residuals.data() : nullptr;
      a.act = how.act;
    }
    a.first_last = first_last, a.second_last = second_last, a.out_last = out_last;
    a.gemm.tf32 = how.tf32;
    std::vector<float> space(conv_implicit_workspace(a) / 4 + 4, NAN);
    conv_implicit(a, space.data(), nullptr);
    if (out_last) out = turned(out, n, channels, pixels, true);
    for (size_t i = 0; i < size; ++i)
      NEAR(X::value(out[i]), want[i],
           X::eps * std::fabs(want[i]) +
               (1.2e-7 + (how.tf32 ? 2 * kTf32 : 0)) * (4 + std::sqrt(sums)) * (1 + sums / 4) +
               (X::dtype == Dtype::F16 ? 6e-8 : 0));
  };
  if (std::strchr(tasks, 'f'))
    run(ConvTask::Forward, xs, how.x_last, ws, how.w_last, how.y_last, dy.size(), want_y, double(Cg * rs), s.N, s.K,
        pq);
  if (std::strchr(tasks, 'i'))
    run(ConvTask::Input, dys, how.y_last, ws, how.w_last, how.x_last, x.size(), want_dx, double(s.K / s.groups * rs),
        s.N, s.C, hw);
  if (std::strchr(tasks, 'w'))
    run(ConvTask::Weight, xs, how.x_last, dys, how.y_last, how.w_last, w.size(), want_dw, double(s.N * pq), s.K, Cg,
        rs);
}

constexpr How kPlanes{}, kLast{true, true, true}, kLastResidual{true, true, true, true, false, GemmAct::Gelu},
    kResidual{false, false, false, true}, kMixed{true, false, false}, kMixedBack{false, true, true, true};

}  // namespace
