// The tensor-core rung of sm_80 and everything later without wgmma; see gemm_mma.h.
#include "cuda/gemm_mma.h"

namespace fastnn {
namespace cuda {

void gemm_mma(const GemmProblem& p, Dtype dtype, Stream stream) {
  switch (dtype) {
    case Dtype::BF16:
      return mma_run<bf16>(p, stream);
    case Dtype::F16:
      return mma_run<f16>(p, stream);
    case Dtype::F32:
      return mma_run<float>(p, stream);
    default:
      throw std::invalid_argument("gemm: the variant 'tensorcore' multiplies bfloat16, float16, and float32 as TF32");
  }
}

}  // namespace cuda
}  // namespace fastnn
