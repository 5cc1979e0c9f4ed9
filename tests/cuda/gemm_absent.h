// Stands for the rungs that a test program leaves out: FASTNN_NO_WARPTILED, FASTNN_NO_MMA, FASTNN_NO_3XTF32,
// FASTNN_NO_WGMMA.
#pragma once
#include "cuda/gemm_common.h"

namespace fastnn {
namespace cuda {
#ifdef FASTNN_NO_WARPTILED
void gemm_warptiled(const GemmProblem&, Dtype, Stream) { throw std::logic_error("warptiled is not in this program"); }
#endif
#ifdef FASTNN_NO_MMA
void gemm_mma(const GemmProblem&, Dtype, Stream) { throw std::logic_error("mma is not in this program"); }
#endif
#ifdef FASTNN_NO_3XTF32
void gemm_3xtf32(const GemmProblem&, Dtype, Stream) { throw std::logic_error("3xtf32 is not in this program"); }
#endif
#ifdef FASTNN_NO_WGMMA
bool gemm_wgmma(const GemmProblem&, Dtype, Stream) { return false; }
#endif
}  // namespace cuda
}  // namespace fastnn
