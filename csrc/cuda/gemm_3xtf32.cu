// float32 products at the tensor cores' speed and float32's accuracy: each operand is the sum of two TF32 numbers, and
// three products of them are added up (hi hi, hi low, low hi; low low is below float32's last place). gemm_mma.h has
// the kernel: its copies and fragments are those of the other tensor-core products.
//
// Limits. Tensor cores: a third of TF32's rate, of which mma.sync reaches about 65% on sm_90 (495 / 3 * 0.65 = 107
// TFLOP/s against the 67 that FFMA has at best). A k of 8 of a warp's 64 x 32 is 48 mma of 4 clocks; beside them go 72
// FADD and FFMA to split 24 floats a lane, 64 FADD to add the parts, 6 to 24 loads from shared memory: about as many
// issue slots as clocks. A block's 128 x 128 sums are 64 registers a thread, its four stages 64 KB.
#include "cuda/gemm_mma.h"

namespace fastnn {
namespace cuda {

void gemm_3xtf32(const GemmProblem& p, Dtype dtype, Stream stream) {
  if (dtype != Dtype::F32) throw std::invalid_argument("gemm: the variant '3xtf32' multiplies float32");
  mma_run<float, Tf32::Split>(p, stream);
}

}  // namespace cuda
}  // namespace fastnn
