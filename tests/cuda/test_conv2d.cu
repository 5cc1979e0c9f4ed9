// Convolutions by im2col against the loops that define them, in float64.
#define FASTNN_NO_MMA
#define FASTNN_NO_3XTF32
#define FASTNN_NO_WGMMA
#include "conv_case.h"
#include "cuda/conv2d.cu"
#include "cuda/gemm.cu"
#include "cuda/gemm_warptiled.cu"
#include "gemm_absent.h"

namespace {

// The tensor-core rungs, which 16 bits take by themselves, are not in this program.
template <class T>
constexpr GemmOptions kOptions = {sizeof(T) == 2 ? GemmVariant::Tiled : GemmVariant::Auto};

template <class T>
void check(const Conv2dShape& s) {
  using X = Traits<T>;
  int64_t nx = s.N * s.C * s.D * s.H * s.W, nw = s.K * (s.C / s.groups) * s.T * s.R * s.S;
  int64_t ny = s.N * s.K * s.O * s.P * s.Q;
  auto x = filled<T>(nx), w = filled<T>(nw), dy = filled<T>(ny), bias = filled<T>(s.K);
  double taps = double(s.C / s.groups) * s.T * s.R * s.S, sums = double(s.N) * s.O * s.P * s.Q;
  auto space = [&](ConvTask task) {
    return std::vector<T>(conv2d_workspace(s, X::dtype, task) / sizeof(T), X::make(NAN));
  };
  std::vector<T> y(ny, X::make(NAN)), dx(nx, X::make(NAN)), dw(nw, X::make(NAN));
  std::vector<double> want_y(ny), want_dx(nx), want_dw(nw);
  each(s, [&](int64_t i, int64_t j, int64_t k) {
    want_y[k] += X::value(x[i]) * X::value(w[j]);
    want_dx[i] += X::value(dy[k]) * X::value(w[j]);
    want_dw[j] += X::value(x[i]) * X::value(dy[k]);
  });
  for (int64_t i = 0; i < ny; ++i)
    want_y[i] = activation(want_y[i] + X::value(bias[i / (s.O * s.P * s.Q) % s.K]), GemmAct::Relu);
  auto ws = space(ConvTask::Forward);
  conv2d_forward(s, X::dtype, x.data(), w.data(), bias.data(), GemmAct::Relu, y.data(), ws.data(), kOptions<T>,
                 nullptr);
  compare(y, want_y, std::sqrt(taps));
  ws = space(ConvTask::Input);
  conv2d_input(s, X::dtype, dy.data(), w.data(), dx.data(), ws.data(), kOptions<T>, nullptr);
  compare(dx, want_dx, std::sqrt(double(s.K / s.groups) * s.T * s.R * s.S));
  ws = space(ConvTask::Weight);
  conv2d_weight(s, X::dtype, x.data(), dy.data(), dw.data(), ws.data(), kOptions<T>, nullptr);
  if constexpr (sizeof(T) == 2)  // the sums are float32's, and are rounded once
    for (int64_t i = 0; i < nw; ++i)
      NEAR(X::value(dw[i]), want_dw[i], X::eps * std::fabs(want_dw[i]) + 1.2e-7 * (4 + std::sqrt(sums)) * sums);
  else
    compare(dw, want_dw, std::sqrt(sums));
}

}  // namespace

TEST(conv_plain) { check<float>(shape(2, 3, 9, 8, 5, 3, 3)); }
TEST(conv_padded) { check<float>(shape(3, 4, 7, 8, 6, 3, 3, 1, 1)); }
TEST(conv_strided_uneven) { check<float>(shape(2, 3, 11, 13, 4, 3, 2, 2, 1)); }
TEST(conv_dilated) { check<float>(shape(1, 2, 12, 9, 3, 3, 3, 1, 2, 2)); }
TEST(conv_groups) { check<float>(shape(3, 6, 6, 5, 4, 3, 3, 1, 1, 1, 2)); }
TEST(conv_depthwise) { check<float>(shape(2, 8, 5, 6, 8, 3, 3, 1, 1, 1, 8)); }
TEST(conv_one_by_one) { check<float>(shape(2, 5, 4, 5, 7, 1, 1)); }
TEST(conv_one_by_one_strided) { check<float>(shape(2, 5, 7, 7, 3, 1, 1, 2)); }
TEST(conv_three_dimensions) { check<float>(shape(2, 2, 6, 5, 3, 3, 2, 2, 1, 1, 1, 5, 2)); }
TEST(conv_f64) { check<double>(shape(2, 3, 6, 7, 4, 3, 3, 1, 1)); }
TEST(conv_long_sums) { check<float>(shape(9, 2, 16, 12, 3, 3, 3, 1, 1)); }
TEST(conv_16_bits) {
  check<bf16>(shape(3, 4, 7, 8, 6, 3, 3, 1, 1));
  check<f16>(shape(2, 4, 7, 8, 6, 3, 3, 2, 1, 1, 2));
  columns_budget = 4000;
  check<bf16>(shape(9, 2, 10, 11, 3, 3, 3, 1, 1));  // several launches add to dw
  columns_budget = size_t(64) << 20;
  check<bf16>(shape(9, 2, 16, 12, 3, 3, 3, 1, 1));  // several parts
}
TEST(conv_few_images_at_once) {
  columns_budget = 4000;
  check<float>(shape(5, 3, 6, 5, 4, 3, 3, 1, 1));
  columns_budget = size_t(64) << 20;
}
TEST(conv_of_nothing) {
  Conv2dShape s = shape(0, 3, 6, 6, 4, 3, 3);
  CHECK(conv2d_workspace(s, Dtype::F32, ConvTask::Weight) == 0);
  conv2d_forward(s, Dtype::F32, nullptr, nullptr, nullptr, GemmAct::None, nullptr, nullptr, {}, nullptr);
  std::vector<float> dw(4 * 3 * 9, NAN);
  conv2d_weight(s, Dtype::F32, nullptr, nullptr, dw.data(), nullptr, {}, nullptr);
  for (float v : dw) NEAR(v, 0, 0);
  THROWS(conv2d_workspace(shape(1, 1, 3, 3, 1, 1, 1), Dtype::I32, ConvTask::Forward), "float32");
}

MAIN()
