// Implicit convolutions by cp.async, mma.sync and FFMA.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define FASTNN_CONV_FEW  // the other dtypes' kernels differ in arithmetic alone, and take long to compile
#endif
#include "conv_implicit_case.h"
#include "cuda/conv2d_implicit.cu"
#include "cuda/conv2d_layout.cu"
#include "cuda/conv2d_mma.cu"

namespace fastnn {
namespace cuda {
bool conv_wgmma(const ConvProblem&, ConvTask, Dtype, Stream) { return false; }
bool conv_is_depthwise(const Conv2dShape&) { return false; }
size_t conv_depthwise_workspace(const ConvArgs&) { return 0; }
void conv_depthwise(const ConvArgs&, void*, Stream) {}
}  // namespace cuda
}  // namespace fastnn

using half = std::conditional<kSanitized, bf16, f16>::type;

TEST(implicit_bf16_padded) { check_implicit<bf16>(shape(kSanitized ? 1 : 2, 24, 9, 10, 40, 3, 3, 1, 1), kPlanes); }
TEST(implicit_bf16_last) { check_implicit<bf16>(shape(2, 24, 9, 10, 40, 3, 3, 1, 1), kLastResidual); }
TEST(implicit_bf16_strided) { check_implicit<bf16>(shape(2, 16, 11, 13, 72, 3, 2, 2, 1), kLast); }
TEST(implicit_f16_odd_channels) {
  check_implicit<half>(shape(2, 11, 7, 8, 13, 3, 3, 1, 1), kMixed);
  if (!kSanitized) check_implicit<half>(shape(1, 35, 6, 5, 67, 2, 3, 2, 1, 2), kMixedBack);
}
TEST(implicit_few_channels) {
  check_implicit<bf16>(
      shape(kSanitized ? 1 : 2, 3, kSanitized ? 9 : 15, kSanitized ? 8 : 17, kSanitized ? 8 : 24, 7, 7, 2, 3), kPlanes);
  check_implicit<half>(shape(1, 4, 8, 9, 8, 3, 3, 1, 1), kLast, "fw");
  if (!kSanitized) check_implicit<half>(shape(1, 1, 9, 8, 5, 5, 5, 1, 2), kResidual);
}
TEST(implicit_dilated) { check_implicit<bf16>(shape(1, 8, 12, 9, 16, 3, 3, 2, 2, 4), kLast); }
TEST(implicit_groups) {
  check_implicit<bf16>(shape(2, 32, 6, 5, 48, 3, 3, 1, 1, 1, 2), kLastResidual);
  if (!kSanitized) check_implicit<half>(shape(1, 15, 6, 7, 9, 3, 3, 2, 1, 1, 3), kResidual);
}
TEST(implicit_one_by_one) {
  check_implicit<bf16>(shape(2, 40, 4, 5, 24, 1, 1), kLast);
  if (!kSanitized) check_implicit<bf16>(shape(2, 8, 7, 7, 16, 1, 1, 2), kPlanes);
}
// Strides beyond the taps: most of dx gets nothing.
TEST(implicit_stride_beyond_the_taps) { check_implicit<bf16>(shape(1, 8, 11, 10, 8, 2, 1, 3), kLast); }
TEST(implicit_wide) {
  const int side = kSanitized ? 5 : 12, taps = kSanitized ? 1 : 3;
  check_implicit<bf16>(shape(1, 72, side, side, 136, taps, taps, 1, taps / 2), kLast);
}
TEST(implicit_parts_of_the_sum) {
  check_implicit<bf16>(shape(3, 8, 32, 24, 8, kSanitized ? 1 : 3, 1, 1), kLast, "w");
  if (!kSanitized) check_implicit<float>(shape(9, 3, 32, 24, 5, 3, 3, 1, 1), kPlanes, "w");
}
TEST(implicit_f32) {
  check_implicit<float>(shape(2, 12, 9, 10, 20, 3, 3, 1, 1), kLastResidual);
  check_implicit<float>(shape(2, 3, 9, 7, 5, 3, 2, 2, 1), kResidual);
  if (!kSanitized) check_implicit<float>(shape(1, 36, 12, 12, 68, 3, 3, 1, 1), kPlanes);
}
TEST(implicit_f32_wide) { check_implicit<float>(shape(1, 20, 7, 7, 132, 3, 3, 1, 1), kLast); }
TEST(implicit_tf32) {
  if (kSanitized) return;
  check_implicit<float>(shape(1, 12, 9, 10, 20, 3, 3, 2, 1), {true, true, true, false, true});
  check_implicit<float>(shape(1, 8, 7, 9, 72, 3, 3, 1, 1), {false, false, false, false, true});
}
TEST(implicit_activations) {
  for (GemmAct act : {GemmAct::None, GemmAct::GeluTanh, GemmAct::Tanh, GemmAct::Sigmoid})
    check_implicit<float>(shape(1, 4, 3, 3, 8, 2, 2), {true, true, true, true, false, act}, "f");
}
TEST(implicit_same_bits_again) {
  if (kSanitized) return;
  Conv2dShape s = shape(3, 8, 32, 24, 8, 3, 3, 1, 1);
  auto x = filled<bf16>(s.N * s.C * s.H * s.W), dy = filled<bf16>(s.N * s.K * s.P * s.Q);
  std::vector<bf16> dw[2];
  for (auto& v : dw) {
    v.resize(8 * 8 * 9);
    ConvArgs a = {};
    a.shape = s, a.dtype = Dtype::BF16, a.task = ConvTask::Weight;
    a.first = x.data(), a.second = dy.data(), a.out = v.data();
    std::vector<float> space(conv_implicit_workspace(a) / 4, NAN);
    conv_implicit(a, space.data(), nullptr);
  }
  CHECK(!std::memcmp(dw[0].data(), dw[1].data(), dw[0].size() * 2));
}
TEST(implicit_refuses) {
  Conv2dShape s = shape(1, 2, 6, 5, 3, 3, 2, 2, 1, 1, 1, 5, 2);
  CHECK(!conv_implicit_covers(s, Dtype::F32));
  CHECK(!conv_implicit_covers(shape(1, 2, 6, 5, 3, 3, 2), Dtype::F64));
  ConvArgs a = {};
  a.shape = s, a.dtype = Dtype::F32;
  THROWS(conv_implicit(a, nullptr, nullptr), "implicit");
}

MAIN()
