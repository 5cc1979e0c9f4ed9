// Implicit convolutions by TMA's im2col mode and wgmma.
#include "conv_implicit_case.h"
#include "cuda/conv2d_implicit.cu"
#include "cuda/conv2d_layout.cu"
#include "cuda/conv2d_wgmma.cu"

namespace fastnn {
namespace cuda {
void conv_mma(const ConvProblem&, ConvTask, Dtype, bool, int, Stream) {
  throw std::logic_error("mma is not in this program");
}
bool conv_is_depthwise(const Conv2dShape&) { return false; }
size_t conv_depthwise_workspace(const ConvArgs&) { return 0; }
void conv_depthwise(const ConvArgs&, void*, Stream) {}
}  // namespace cuda
}  // namespace fastnn

TEST(wgmma_padded) {
  check_implicit<bf16>(shape(kSanitized ? 1 : 2, 64, kSanitized ? 5 : 9, 7, 56, 3, 3, 1, 1), kLastResidual);
}
TEST(wgmma_planes) {
  check_implicit<f16>(shape(1, 64, kSanitized ? 4 : 7, kSanitized ? 5 : 11, 64, 3, 3, 1, 1), kResidual,
                      kSanitized ? "f" : "fiw");
}
TEST(wgmma_strided) { check_implicit<bf16>(shape(kSanitized ? 1 : 2, 64, 9, 10, 64, 3, 3, 2, 1), kLast); }
TEST(wgmma_dilated) {
  check_implicit<bf16>(shape(1, 64, kSanitized ? 5 : 9, 6, 56, 2, 3, 1, 2, 2), kMixed, kSanitized ? "i" : "fiw");
}
TEST(wgmma_strided_and_dilated) {
  if (!kSanitized) check_implicit<bf16>(shape(1, 64, 13, 12, 64, 3, 3, 2, 2, 4), kLast);
}
TEST(wgmma_one_by_one) {
  check_implicit<bf16>(shape(1, 128, 7, 9, 136, 1, 1, 1), kLast);
  check_implicit<bf16>(shape(1, 64, 7, 9, 64, 1, 1, 2), kLast, "fi");  // most of dx gets nothing
}
TEST(wgmma_ragged_channels) {
  if (!kSanitized) check_implicit<bf16>(shape(1, 100, 6, 7, 150, 3, 2, 1, 1), kPlanes);
}
TEST(wgmma_more_sub_problems_than_maps) { check_implicit<bf16>(shape(1, 64, 9, 9, 64, 3, 2, 3), kLast, "i"); }
TEST(wgmma_wide) {
  emu::multiprocessors = 1;  // tiles of 256 columns are enough for it
  check_implicit<bf16>(shape(1, 64, 6, 5, 264, 1, 2), kLast, "f");
  check_implicit<bf16>(shape(1, 264, 6, 5, 64, 2, 1), kLast, kSanitized ? "" : "iw");
  emu::multiprocessors = 2;
}
TEST(wgmma_parts_of_the_sum) {
  if (!kSanitized) check_implicit<bf16>(shape(1, 48, 46, 45, 48, 1, 1, 1), kLast, "w");
}
TEST(wgmma_refuses) {
  ConvProblem p = {};
  p.groups = 1, p.channels = 32;
  CHECK(!conv_wgmma(p, ConvTask::Forward, Dtype::BF16, nullptr));
  p.channels = 64;
  CHECK(!conv_wgmma(p, ConvTask::Forward, Dtype::F32, nullptr));
  // Corners that eight bits do not hold are another rung's.
  THROWS(check_implicit<bf16>(shape(1, 64, 3, 3, 64, 3, 1, 1, 130, 130), kLast, "f"), "mma is not in this program");
  alignas(16) float x[64] = {};
  const uint64_t size[4] = {64, 4, 4, 1}, stride[3] = {128, 512, 2048};
  THROWS(im2col_map("conv2d", Dtype::BF16, x, size, {128, 512, 2040}, {0, 0}, {0, 0}, 64, 64, {1, 1}),
         "stride of 2040");
  THROWS(im2col_map("conv2d", Dtype::BF16, x + 1, size, stride, {0, 0}, {0, 0}, 64, 64, {1, 1}), "multiple of 16");
  THROWS(im2col_map("conv2d", Dtype::BF16, x, size, stride, {-129, 0}, {0, 0}, 64, 64, {1, 1}), "fit their bits");
  THROWS(im2col_map("conv2d", Dtype::BF16, x, size, stride, {0, 0}, {0, 0}, 64, 64, {1, 9}), "fit their bits");
  THROWS(im2col_map("conv2d", Dtype::BF16, x, size, stride, {3, 0}, {-1, 0}, 64, 64, {1, 1}), "empty box");
  THROWS(im2col_map("conv2d", Dtype::BF16, x, size, stride, {0, 0}, {0, 0}, 65, 64, {1, 1}), "channels at once");
  THROWS(tiled_map("conv2d", Dtype::BF16, x, {64, 4, 4}, {128, 512}, {64, 257, 1}), "box of 257");
}

MAIN()
