// Depthwise convolutions against the loops that define them.
#include "conv_implicit_case.h"
#include "cuda/conv2d_depthwise.cu"
#include "cuda/conv2d_implicit.cu"
#include "cuda/conv2d_layout.cu"

namespace fastnn {
namespace cuda {
void conv_mma(const ConvProblem&, ConvTask, Dtype, bool, int, Stream) {
  throw std::logic_error("mma is not in this program");
}
bool conv_wgmma(const ConvProblem&, ConvTask, Dtype, Stream) { return false; }
}  // namespace cuda
}  // namespace fastnn

TEST(depthwise_planes) { check_implicit<float>(shape(2, 5, 9, 8, 5, 3, 3, 1, 1, 1, 5), kResidual); }
TEST(depthwise_last) {
  check_implicit<bf16>(shape(2, 40, 7, 8, 40, 3, 3, 1, 1, 1, 40), kLastResidual);
  check_implicit<float>(shape(1, 12, 7, 8, 12, 5, 3, 2, 2, 1, 12), kLast);
}
TEST(depthwise_odd_channels_last) { check_implicit<f16>(shape(2, 7, 6, 5, 7, 3, 3, 1, 1, 1, 7), kLast); }
TEST(depthwise_strided) { check_implicit<f16>(shape(2, 6, 11, 9, 6, 3, 2, 2, 1, 2, 6), kPlanes); }
TEST(depthwise_many) {
  check_implicit<float>(shape(2, 4, 7, 6, 12, 3, 3, 2, 1, 1, 4), kPlanes);
  check_implicit<bf16>(shape(2, 8, 6, 6, 16, 2, 3, 1, 1, 1, 8), kLast);
}
TEST(depthwise_mixed) {
  check_implicit<float>(shape(1, 8, 6, 7, 8, 3, 3, 1, 1, 1, 8), kMixed);
  check_implicit<float>(shape(1, 8, 6, 7, 8, 3, 3, 1, 1, 1, 8), kMixedBack);
}
TEST(depthwise_parts_of_the_sum) {
  check_implicit<float>(shape(9, 2, 32, 32, 2, 3, 3, 1, 1, 1, 2), kPlanes, "w");
  check_implicit<float>(shape(9, 4, 32, 32, 4, 1, 1, 1, 0, 1, 4), kLast, "w");
}

MAIN()
